//! How the stores of this crate read a query for keys, in one place for all of them.

use std::collections::BTreeSet;

use super::{
    key_cursor::KeyCursor,
    query::{KeyOrder, KeyQuery},
};
use crate::{owner::Owner, record::KeyRow, time::Timestamp};

/// A place between keys in the order of a list: a time and an id. The time is that of creation, or the end.
pub(crate) type Place<'a> = (i64, &'a str);

/// The end of keys that have none: they come last.
pub(crate) const NO_END: i64 = i64::MAX;

/// After all keys, those without an end included: this character is greater than all characters of ids.
const BEHIND_ALL: Place<'static> = (NO_END, "~");

impl KeyQuery {
    /// All keys of the page lie after this place. An id is never empty: a key made at a time lies after that time with
    /// an empty id.
    pub(crate) fn from(&self) -> Place<'_> {
        let since = if self.is_by_end() { None } else { self.created_since.map(at) };
        let after = self.after.as_ref().filter(|_| self.order != KeyOrder::NewestFirst).map(|after| self.place(after));
        since.into_iter().chain(after).max().unwrap_or((i64::MIN, ""))
    }

    /// All keys of the page lie before this place.
    pub(crate) fn until(&self) -> Place<'_> {
        let before = if self.is_by_end() { self.expires_before } else { self.created_before };
        let after = self.after.as_ref().filter(|_| self.order == KeyOrder::NewestFirst).map(|after| self.place(after));
        before.map(at).into_iter().chain(after).min().unwrap_or(BEHIND_ALL)
    }

    fn is_by_end(&self) -> bool {
        self.order == KeyOrder::SoonestEndFirst
    }

    fn place<'a>(&self, cursor: &'a KeyCursor) -> Place<'a> {
        let end = || cursor.expires_at.map_or(NO_END, Timestamp::as_millis);
        (if self.is_by_end() { end() } else { cursor.created_at.as_millis() }, cursor.id.as_str())
    }

    /// Where a key is in the order of the list.
    pub(crate) fn place_of<'a>(&self, key: &'a KeyRow) -> Place<'a> {
        (if self.is_by_end() { key.expires_at.unwrap_or(NO_END) } else { key.created_at }, key.id.as_str())
    }

    /// The owners of the query, each once, without those whose keys are of the wrong kind. None if all owners are
    /// wanted.
    pub(crate) fn wanted_owners(&self) -> Option<BTreeSet<&Owner>> {
        let is_of_kind = |owner: &&Owner| self.kind.is_none_or(|kind| owner.kind() == kind);
        (!self.owners.is_empty()).then(|| self.owners.iter().filter(is_of_kind).collect())
    }
}

fn at<'a>(time: Timestamp) -> Place<'a> {
    (time.as_millis(), "")
}
