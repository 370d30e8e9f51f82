use std::collections::BTreeMap;

use super::{Logged, Tables, Whose};
use crate::{
    audit::EventRow,
    owner::{KeyKind, OrganizationId, Owner, OwnerRef},
    record::{CorruptRow, KeyRow, OwnerStatusRow},
    store::{ChangeId, Exported, MetaRow, ORGANIZATION, OwnerRow, Place, Rows, StoreError, Tombstone},
    usage::UsageRow,
};

impl Tables {
    pub(in crate::store::memory) fn export(&self, from: &Place, limit: u16) -> Exported {
        let rows = match from {
            Place::Meta(_) => {
                let row = |(name, value): (&String, &Vec<u8>)| MetaRow { name: name.clone(), value: value.clone() };
                Rows::Meta(first(self.meta.iter().map(row), from, limit))
            }
            Place::Owners(_) => {
                let organizations = self.organizations.iter().map(organization_row);
                Rows::Owners(first(self.owners.iter().map(owner_row).chain(organizations), from, limit))
            }
            Place::Keys(_) => Rows::Keys(first(self.keys.values().cloned(), from, limit)),
            Place::Tombstones(_) => Rows::Tombstones(first(self.tombstones.values().cloned(), from, limit)),
            Place::Usage(_) => Rows::Usage(first(self.usage.values().flatten().cloned(), from, limit)),
            Place::Events(_) => Rows::Events(first(self.events.all().cloned(), from, limit)),
        };
        Exported::page(rows, limit)
    }

    /// Looks at all rows before the first is put in place.
    pub(in crate::store::memory) fn import(&mut self, rows: &Rows) -> Result<u64, StoreError> {
        Ok(match rows {
            Rows::Meta(rows) => {
                let absent =
                    absent(rows, Place::from, |row| self.meta.get(&row.name).map(|value| *value == row.value))?;
                let written = absent.len();
                self.meta.extend(absent.into_iter().map(|row| (row.name.clone(), row.value.clone())));
                written
            }
            Rows::Owners(rows) => {
                let rows = rows.iter().map(whose).collect::<Result<Vec<_>, _>>().map_err(StoreError::corrupt)?;
                self.import_statuses(&rows)?
            }
            Rows::Keys(rows) => {
                let standing = |row: &KeyRow| match self.keys.get(&row.id) {
                    Some(standing) => Some(standing == row),
                    None => self.tombstones.contains_key(&row.id).then_some(false),
                };
                let absent: Vec<KeyRow> = absent(rows, Place::from, standing)?.into_iter().cloned().collect();
                let written = absent.len();
                absent.into_iter().for_each(|row| self.put(row));
                written
            }
            Rows::Tombstones(rows) => {
                let standing = |row: &Tombstone| self.tombstones.get(&row.id).map(|standing| standing == row);
                let absent: Vec<Tombstone> = absent(rows, Place::from, standing)?.into_iter().cloned().collect();
                let written = absent.len();
                self.tombstones.extend(absent.into_iter().map(|row| (row.id.clone(), row)));
                written
            }
            Rows::Usage(rows) => {
                let absent = absent(rows, Place::from, |row| self.usage_row(row).map(|standing| standing == row))?;
                for row in &absent {
                    self.usage.entry(row.key.clone()).or_default().push(UsageRow::clone(row));
                }
                absent.len()
            }
            Rows::Events(rows) => {
                let absent =
                    absent(rows, Place::from, |row| self.events.find(row.sequence).map(|standing| standing == row))?;
                let written = absent.len();
                let absent: Vec<EventRow> = absent.into_iter().cloned().collect();
                self.events.insert(absent);
                written
            }
        } as u64)
    }

    fn import_statuses(&mut self, rows: &[(Whose, OwnerRow)]) -> Result<usize, StoreError> {
        let standing = |(whose, row): &(Whose, OwnerRow)| self.status(whose).map(|status| status == row.status);
        let absent = absent(rows, |(_, row)| Place::from(row), standing)?;
        for (whose, row) in &absent {
            self.put_status(whose.clone(), row.status);
            if row.status != OwnerStatusRow::default() {
                // A change of nobody's: its id only has to be one that the log did not have at this position.
                let id = blake3::hash(Place::from(row).to_string().as_bytes());
                let mut change = [0; 16];
                change.copy_from_slice(id.as_bytes().split_at(16).0);
                self.log(ChangeId::from_bytes(change), Logged::Status(whose.clone()));
            }
        }
        Ok(absent.len())
    }

    fn usage_row(&self, like: &UsageRow) -> Option<&UsageRow> {
        let rows = self.usage.get(&like.key)?;
        rows.iter().find(|row| row.outcome == like.outcome && row.source == like.source)
    }
}

/// The first rows after a place, in the order of places.
fn first<R>(rows: impl Iterator<Item = R>, from: &Place, limit: u16) -> Vec<R>
where
    Place: for<'a> From<&'a R>,
{
    let rows = rows.map(|row| (Place::from(&row), row)).filter(|(place, _)| place > from);
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.into_iter().take(limit.max(1).into()).map(|(_, row)| row).collect()
}

/// The rows that nothing stands in place of, each once. `stands` tells whether what stands is the same.
fn absent<'a, R: PartialEq>(
    rows: &'a [R],
    place: impl Fn(&'a R) -> Place,
    stands: impl Fn(&R) -> Option<bool>,
) -> Result<Vec<&'a R>, StoreError> {
    let mut absent = BTreeMap::new();
    for row in rows {
        let place = place(row);
        match stands(row).or_else(|| absent.get(&place).map(|other| *other == row)) {
            None => drop(absent.insert(place, row)),
            Some(true) => {}
            Some(false) => return Err(StoreError::differs(place)),
        }
    }
    Ok(absent.into_values().collect())
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

/// Whose status a row is: this store keeps owners as what they are, not as text that may be anything.
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
