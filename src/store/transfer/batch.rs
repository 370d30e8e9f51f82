use std::fmt;

use super::cursor::Cursor;
use crate::{
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow},
    usage::{UsageDayRow, UsageRow},
};

/// Rows of one table of a store, unchanged.
///
/// ```
/// use tower_api_keys::{record::KeyRow, store::transfer::{Batch, Cursor}};
/// # let row = KeyRow::example();
///
/// let rows = Batch::Keys(vec![row]);
/// assert_eq!(rows.len(), 1);
/// assert_eq!(rows.end(), Some(Cursor::Keys(Some("AAAAAAAAAAAAAAAAAAAA".into()))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Batch {
    /// Bytes under names: the check values of peppers.
    Meta(Vec<MetaRow>),
    /// Owners' statuses.
    Owners(Vec<OwnerRow>),
    /// Keys, dead ones too, with their version and their revocation.
    Keys(Vec<KeyRow>),
    /// What is left of keys that were purged.
    Tombstones(Vec<Tombstone>),
    /// Counts of use, by key or organization, outcome and source.
    Usage(Vec<UsageRow>),
    /// Counts of use, by key and day.
    UsageDays(Vec<UsageDayRow>),
    /// Events, with their sequence.
    Events(Vec<EventRow>),
}

impl Batch {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Meta(rows) => rows.len(),
            Self::Owners(rows) => rows.len(),
            Self::Keys(rows) => rows.len(),
            Self::Tombstones(rows) => rows.len(),
            Self::Usage(rows) => rows.len(),
            Self::UsageDays(rows) => rows.len(),
            Self::Events(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place right after the last row; none if there is no row.
    #[must_use]
    pub fn end(&self) -> Option<Cursor> {
        match self {
            Self::Meta(rows) => rows.last().map(Cursor::from),
            Self::Owners(rows) => rows.last().map(Cursor::from),
            Self::Keys(rows) => rows.last().map(Cursor::from),
            Self::Tombstones(rows) => rows.last().map(Cursor::from),
            Self::Usage(rows) => rows.last().map(Cursor::from),
            Self::UsageDays(rows) => rows.last().map(Cursor::from),
            Self::Events(rows) => rows.last().map(Cursor::from),
        }
    }

    /// The beginning of their table.
    fn table(&self) -> Cursor {
        match self {
            Self::Meta(_) => Cursor::Meta(None),
            Self::Owners(_) => Cursor::Owners(None),
            Self::Keys(_) => Cursor::Keys(None),
            Self::Tombstones(_) => Cursor::Tombstones(None),
            Self::Usage(_) => Cursor::Usage(None),
            Self::UsageDays(_) => Cursor::UsageDays(None),
            Self::Events(_) => Cursor::Events(None),
        }
    }
}

/// A page of all rows of a store.
///
/// ```
/// use tower_api_keys::{record::KeyRow, store::transfer::{Batch, Cursor, Page}};
/// # let row = KeyRow::example();
///
/// let short = Page::of(Batch::Keys(vec![row]), 100);
/// assert_eq!(short.next, Some(Cursor::Tombstones(None)));
/// let last = Page::of(Batch::Events(vec![]), 100);
/// assert_eq!(last.next, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows of one table, in the order of its primary key. It may be empty even if more pages follow.
    pub rows: Batch,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// The page that consists of these rows. The caller asked for at most `limit` rows: fewer mean the end of the
    /// table.
    #[must_use]
    pub fn of(rows: Batch, limit: u16) -> Self {
        let is_full = rows.len() >= usize::from(limit.max(1));
        let next = rows.end().filter(|_| is_full).or_else(|| rows.table().next_table());
        Self { rows, next }
    }
}

/// The status of an owner or an organization, in plain columns like those of [`KeyRow`].
///
/// ```
/// use tower_api_keys::{record::OwnerStatusRow, store::transfer::OwnerRow};
///
/// let status = OwnerStatusRow { suspended_at: Some(1_772_366_400_000), ..Default::default() };
/// let row = OwnerRow { organization: "default".into(), kind: "user".into(), id: "alice".into(), status };
/// assert!(row.status.closed_at.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRow {
    /// [`OrganizationId`](crate::OrganizationId), 1 to 128 bytes.
    pub organization: String,
    /// `user` or `team`; `organization` for the status of the organization itself.
    pub kind: String,
    /// [`UserId`](crate::UserId) or [`TeamId`](crate::TeamId), 1 to 128 bytes; empty for the organization itself.
    pub id: String,
    /// Suspensions and closing.
    pub status: OwnerStatusRow,
}

/// What is left of a key that was [purged](crate::ApiKeysBuilder::keep_dead_keys), so that its id is never used again.
/// A store inserts no key with such an id. A tombstone has neither the owner nor the name of the key.
///
/// ```
/// use tower_api_keys::store::transfer::Tombstone;
///
/// let tombstone = Tombstone {
///     id: "AAAAAAAAAAAAAAAAAAAA".into(),
///     organization: "default".into(),
///     lineage: "AAAAAAAAAAAAAAAAAAAA".into(),
///     created_via_key: None,
///     revoked_at: Some(1_772_366_400_000),
///     expires_at: None,
/// };
/// assert_eq!(tombstone.id, tombstone.lineage);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// As in [`KeyRow`].
    pub id: String,
    /// As in [`KeyRow`].
    pub organization: String,
    /// As in [`KeyRow`].
    pub lineage: String,
    /// As in [`KeyRow`].
    pub created_via_key: Option<String>,
    /// As in [`KeyRow`]; none if the key expired.
    pub revoked_at: Option<i64>,
    /// As in [`KeyRow`].
    pub expires_at: Option<i64>,
}

impl From<&KeyRow> for Tombstone {
    fn from(key: &KeyRow) -> Self {
        Self {
            id: key.id.clone(),
            organization: key.organization.clone(),
            lineage: key.lineage.clone(),
            created_via_key: key.created_via_key.clone(),
            revoked_at: key.revoked_at,
            expires_at: key.expires_at,
        }
    }
}

/// Bytes under a name, such as the check value of a pepper. `Debug` prints only the name.
///
/// ```
/// use tower_api_keys::store::transfer::MetaRow;
///
/// let row = MetaRow { name: "colour".into(), value: b"blue".to_vec() };
/// assert_eq!(row.value.len(), 4);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MetaRow {
    /// The name.
    pub name: String,
    /// The bytes.
    pub value: Vec<u8>,
}

impl fmt::Debug for MetaRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetaRow").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<&MetaRow> for Cursor {
    fn from(row: &MetaRow) -> Self {
        Self::Meta(Some(row.name.clone()))
    }
}

impl From<&OwnerRow> for Cursor {
    fn from(row: &OwnerRow) -> Self {
        Self::Owners(Some((row.organization.clone(), row.kind.clone(), row.id.clone())))
    }
}

impl From<&KeyRow> for Cursor {
    fn from(row: &KeyRow) -> Self {
        Self::Keys(Some(row.id.clone()))
    }
}

impl From<&Tombstone> for Cursor {
    fn from(row: &Tombstone) -> Self {
        Self::Tombstones(Some(row.id.clone()))
    }
}

impl From<&UsageRow> for Cursor {
    fn from(row: &UsageRow) -> Self {
        let [key, organization] = [&row.key, &row.organization].map(|word| word.as_deref().unwrap_or_default());
        let words = [key, organization, &row.outcome, &row.label, &row.client, &row.network];
        Self::Usage(Some(words.map(str::to_owned)))
    }
}

impl From<&UsageDayRow> for Cursor {
    fn from(row: &UsageDayRow) -> Self {
        Self::UsageDays(Some((row.key.clone(), row.day)))
    }
}

impl From<&EventRow> for Cursor {
    fn from(row: &EventRow) -> Self {
        Self::Events(Some(row.sequence))
    }
}
