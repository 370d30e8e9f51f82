//! What the stores of this crate make of a query of keys, once for all of them.

use std::collections::BTreeSet;

use super::{key_cursor::KeyCursor, query::KeyQuery};
use crate::{owner::Owner, time::Timestamp};

/// A time of creation and an id: before and after these lie keys, in the order of lists.
pub(crate) type Place<'a> = (i64, &'a str);

impl KeyQuery {
    /// Keys lie after this place, wherever the page begins. An id is never empty: what is made at a time lies after that
    /// time and no id.
    pub(crate) fn from(&self) -> Place<'_> {
        let since = self.created_since.map(at);
        let after = self.after.as_ref().filter(|_| !self.newest_first).map(place);
        since.into_iter().chain(after).max().unwrap_or((i64::MIN, ""))
    }

    /// Keys lie before this place.
    pub(crate) fn until(&self) -> Place<'_> {
        let before = self.created_before.map(at);
        let after = self.after.as_ref().filter(|_| self.newest_first).map(place);
        before.into_iter().chain(after).min().unwrap_or((i64::MAX, ""))
    }

    /// The owners that are asked for, each once, without those whose keys are of the wrong kind. None where any will do.
    pub(crate) fn wanted_owners(&self) -> Option<BTreeSet<&Owner>> {
        let is_of_kind = |owner: &&Owner| self.kind.is_none_or(|kind| owner.kind() == kind);
        (!self.owners.is_empty()).then(|| self.owners.iter().filter(is_of_kind).collect())
    }
}

fn at<'a>(time: Timestamp) -> Place<'a> {
    (time.as_millis(), "")
}

fn place(cursor: &KeyCursor) -> Place<'_> {
    (cursor.created_at.as_millis(), cursor.id.as_str())
}
