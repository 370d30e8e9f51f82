use std::collections::BTreeMap;

use super::{Logged, Tables, Whose, find_count, place_of_counts};
use crate::{
    audit::EventRow,
    owner::{KeyKind, OrganizationId, Owner, OwnerRef},
    record::{CorruptRow, KeyRow, OwnerStatusRow},
    store::{
        ChangeId, ORGANIZATION, StoreError,
        transfer::{Batch, Cursor, MetaRow, OwnerRow, Page, Tombstone},
    },
    usage::{UsageDayRow, UsageRow},
};

impl Tables {
    pub(in crate::store::memory) fn export(&self, from: &Cursor, limit: u16) -> Page {
        let rows = match from {
            Cursor::Meta(_) => {
                let row = |(name, value): (&String, &Vec<u8>)| MetaRow { name: name.clone(), value: value.clone() };
                Batch::Meta(first(self.meta.iter().map(row), from, limit))
            }
            Cursor::Owners(_) => {
                let organizations = self.organizations.iter().map(organization_row);
                Batch::Owners(first(self.owners.iter().map(owner_row).chain(organizations), from, limit))
            }
            Cursor::Keys(_) => Batch::Keys(first(self.keys.values().cloned(), from, limit)),
            Cursor::Tombstones(_) => Batch::Tombstones(first(self.tombstones.values().cloned(), from, limit)),
            Cursor::Usage(_) => Batch::Usage(first(self.usage.values().flatten().cloned(), from, limit)),
            Cursor::UsageDays(_) => Batch::UsageDays(first(self.days.iter().map(day_row), from, limit)),
            Cursor::Events(_) => Batch::Events(first(self.events.all().cloned(), from, limit)),
        };
        Page::of(rows, limit)
    }

    /// Checks all rows before it inserts the first.
    pub(in crate::store::memory) fn import(&mut self, rows: &Batch) -> Result<u64, StoreError> {
        Ok(match rows {
            Batch::Meta(rows) => {
                let absent =
                    absent(rows, Cursor::from, |row| self.meta.get(&row.name).map(|value| *value == row.value))?;
                let written = absent.len();
                self.meta.extend(absent.into_iter().map(|row| (row.name.clone(), row.value.clone())));
                written
            }
            Batch::Owners(rows) => {
                let rows = rows.iter().map(whose).collect::<Result<Vec<_>, _>>().map_err(StoreError::corrupt)?;
                self.import_statuses(&rows)?
            }
            Batch::Keys(rows) => {
                let standing = |row: &KeyRow| match self.keys.get(&row.id) {
                    Some(standing) => Some(standing == row),
                    None => self.tombstones.contains_key(&row.id).then_some(false),
                };
                let absent: Vec<KeyRow> = absent(rows, Cursor::from, standing)?.into_iter().cloned().collect();
                let written = absent.len();
                absent.into_iter().for_each(|row| self.put(row));
                written
            }
            Batch::Tombstones(rows) => {
                let standing = |row: &Tombstone| match self.tombstones.get(&row.id) {
                    Some(standing) => Some(standing == row),
                    None => self.keys.contains_key(&row.id).then_some(false),
                };
                let absent: Vec<Tombstone> = absent(rows, Cursor::from, standing)?.into_iter().cloned().collect();
                let written = absent.len();
                self.tombstones.extend(absent.into_iter().map(|row| (row.id.clone(), row)));
                written
            }
            Batch::Usage(rows) => {
                let standing = |row: &UsageRow| {
                    let counts = self.usage.get(&place_of_counts(row))?;
                    counts.get(find_count(counts, row).ok()?).map(|standing| standing == row)
                };
                let absent = absent(rows, Cursor::from, standing)?;
                for row in &absent {
                    let counts = self.usage.entry(place_of_counts(row)).or_default();
                    if let Err(place) = find_count(counts, row) {
                        counts.insert(place, UsageRow::clone(row));
                    }
                }
                absent.len()
            }
            Batch::UsageDays(rows) => {
                let standing = |row: &UsageDayRow| {
                    let counts = self.days.get(&(row.key.clone(), row.day))?;
                    Some(*counts == (row.accepted, row.refused))
                };
                let absent = absent(rows, Cursor::from, standing)?;
                let written = absent.len();
                let absent = absent.into_iter().map(|row| ((row.key.clone(), row.day), (row.accepted, row.refused)));
                self.days.extend(absent);
                written
            }
            Batch::Events(rows) => {
                let absent =
                    absent(rows, Cursor::from, |row| self.events.find(row.sequence).map(|standing| standing == row))?;
                let written = absent.len();
                let absent: Vec<EventRow> = absent.into_iter().cloned().collect();
                self.events.insert(absent);
                written
            }
        } as u64)
    }

    fn import_statuses(&mut self, rows: &[(Whose, OwnerRow)]) -> Result<usize, StoreError> {
        let standing = |(whose, row): &(Whose, OwnerRow)| self.status(whose).map(|status| status == row.status);
        let absent = absent(rows, |(_, row)| Cursor::from(row), standing)?;
        for (whose, row) in &absent {
            self.put_status(whose.clone(), row.status);
            if row.status != OwnerStatusRow::default() {
                // No caller's change has this id: it only has to differ from any other id at this position of the log.
                let id = blake3::hash(Cursor::from(row).to_string().as_bytes());
                let mut change = [0; 16];
                change.copy_from_slice(id.as_bytes().split_at(16).0);
                self.log(ChangeId::from_bytes(change), Logged::Status(whose.clone()));
            }
        }
        Ok(absent.len())
    }
}

/// The first rows after a place, in the order of places.
fn first<R>(rows: impl Iterator<Item = R>, from: &Cursor, limit: u16) -> Vec<R>
where
    Cursor: for<'a> From<&'a R>,
{
    let rows = rows.map(|row| (Cursor::from(&row), row)).filter(|(cursor, _)| cursor > from);
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.into_iter().take(limit.max(1).into()).map(|(_, row)| row).collect()
}

/// The rows that are not stored yet, each once. `stands` returns whether the stored row is the same, if there is one.
fn absent<'a, R: PartialEq>(
    rows: &'a [R],
    cursor: impl Fn(&'a R) -> Cursor,
    stands: impl Fn(&R) -> Option<bool>,
) -> Result<Vec<&'a R>, StoreError> {
    let mut absent = BTreeMap::new();
    for row in rows {
        let cursor = cursor(row);
        match stands(row).or_else(|| absent.get(&cursor).map(|other| *other == row)) {
            None => drop(absent.insert(cursor, row)),
            Some(true) => {}
            Some(false) => return Err(StoreError::differs(cursor)),
        }
    }
    Ok(absent.into_values().collect())
}

pub(super) fn day_row(((key, day), (accepted, refused)): (&(String, i32), &(i64, i64))) -> UsageDayRow {
    UsageDayRow { key: key.clone(), day: *day, accepted: *accepted, refused: *refused }
}

fn owner_row((owner, status): (&OwnerRef, &OwnerStatusRow)) -> OwnerRow {
    OwnerRow {
        organization: owner.organization.as_str().to_owned(),
        kind: owner.owner.kind().as_str().to_owned(),
        id: owner.owner.id().to_owned(),
        status: *status,
    }
}

fn organization_row((organization, status): (&OrganizationId, &OwnerStatusRow)) -> OwnerRow {
    OwnerRow {
        organization: organization.as_str().to_owned(),
        kind: ORGANIZATION.into(),
        id: String::new(),
        status: *status,
    }
}

/// Whose status a row is: this store keeps owners as typed values, not as text.
fn whose(row: &OwnerRow) -> Result<(Whose, OwnerRow), CorruptRow> {
    let organization = OrganizationId::new(&row.organization).map_err(|_| CorruptRow::new("organization"))?;
    let whose = match row.kind.as_str() {
        ORGANIZATION if row.id.is_empty() => Whose::Organization(organization),
        kind => {
            let kind: KeyKind = kind.parse().map_err(|_| CorruptRow::new("kind"))?;
            let owner = Owner::new(kind, &row.id).map_err(|_| CorruptRow::new("id"))?;
            Whose::Owner(OwnerRef { organization, owner })
        }
    };
    Ok((whose, row.clone()))
}
