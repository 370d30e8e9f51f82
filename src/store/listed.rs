use crate::{
    record::{KeyRow, OwnerStatusRow},
    usage::UsageTotals,
};

/// A key as a list shows it.
///
/// ```
/// use tower_api_keys::{record::{KeyRow, OwnerStatusRow}, store::ListedKey, usage::UsageTotals};
/// # let row = KeyRow::example();
///
/// let listed = ListedKey {
///     key: row,
///     owner: OwnerStatusRow::default(),
///     organization: OwnerStatusRow::default(),
///     creator: OwnerStatusRow::default(),
///     usage: Some(UsageTotals::default()),
///     successor: None,
///     predecessor_is_live: false,
/// };
/// assert_eq!(listed.usage.map(|usage| usage.successes), Some(0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The key.
    pub key: KeyRow,
    /// Its owner's status.
    pub owner: OwnerStatusRow,
    /// Its organization's status.
    pub organization: OwnerStatusRow,
    /// The status of the user who made it, in the key's organization; the default if there is no row for it, and for
    /// keys that a key or the system made.
    pub creator: OwnerStatusRow,
    /// How it was used, over all outcomes and sources; none if the query does not ask for
    /// [usage](super::KeyQuery::with_usage).
    pub usage: Option<UsageTotals>,
    /// A key of the same organization that replaces it and is live at the `now` of the query. A guard allows only one;
    /// if plain SQL made several, it is the one with the least id.
    pub successor: Option<SuccessorRow>,
    /// Whether the key that it replaces is one of the same organization, and live at the `now` of the query.
    pub predecessor_is_live: bool,
}

/// What a list says about the successor of a key: enough to decide who may see it, because it can have another owner.
///
/// ```
/// use tower_api_keys::{record::KeyRow, store::SuccessorRow};
/// # let row = KeyRow::example();
///
/// let successor = SuccessorRow::from(&row);
/// assert_eq!((successor.id, successor.owner), (row.id, row.owner));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessorRow {
    /// As in [`KeyRow`].
    pub id: String,
    /// As in [`KeyRow`].
    pub kind: String,
    /// As in [`KeyRow`].
    pub owner: String,
    /// As in [`KeyRow`].
    pub created_by: String,
    /// As in [`KeyRow`].
    pub created_via_key: Option<String>,
}

impl From<&KeyRow> for SuccessorRow {
    fn from(row: &KeyRow) -> Self {
        Self {
            id: row.id.clone(),
            kind: row.kind.clone(),
            owner: row.owner.clone(),
            created_by: row.created_by.clone(),
            created_via_key: row.created_via_key.clone(),
        }
    }
}
