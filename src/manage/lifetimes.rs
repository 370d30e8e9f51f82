//! How long keys may live, and how long one text of them may be in use, as set by a service.

use std::{collections::BTreeMap, time::Duration};

use super::{error::ManageError, invalid::InvalidInput};
use crate::{
    owner::KeyKind,
    record::KeyRecord,
    scope::{Scope, Scopes},
    time::Timestamp,
};

/// The longest life of keys, by kind and by scope, and when one should be rotated. Unlimited where nothing is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lifetimes {
    pub(crate) of_user: Option<Duration>,
    pub(crate) of_team: Option<Duration>,
    pub(crate) of_scopes: BTreeMap<Scope, Duration>,
    /// After how long a key should be rotated.
    pub(crate) rotation: Option<Duration>,
}

impl Lifetimes {
    /// Whether one of them is zero.
    pub(crate) fn has_none(&self) -> bool {
        let lives = [self.of_user, self.of_team, self.rotation].into_iter().flatten();
        lives.chain(self.of_scopes.values().copied()).any(|life| life.is_zero())
    }

    /// The longest life of a key of this kind with these scopes: the shortest of the limits that apply to it.
    fn longest(&self, kind: KeyKind, scopes: &Scopes) -> Option<Duration> {
        let of_kind = match kind {
            KeyKind::Team => self.of_team,
            KeyKind::User => self.of_user,
        };
        let of_scopes = self.of_scopes.iter().filter(|(scope, _)| scopes.allows(scope)).map(|(_, life)| *life);
        of_kind.into_iter().chain(of_scopes).min()
    }

    /// The end of such a key that is made now: the requested one, or the latest allowed if none is requested.
    ///
    /// # Errors
    /// Invalid, if the requested end is later than that.
    pub(super) fn end(
        &self,
        (kind, scopes): (KeyKind, &Scopes),
        asked: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ManageError> {
        let latest = self.longest(kind, scopes).map(|life| now.saturating_add(life));
        match (asked, latest) {
            (Some(end), Some(latest)) if end > latest => Err(ManageError::invalid(InvalidInput::ExpiryTooLate)),
            (Some(end), _) => Ok(Some(end)),
            (None, latest) => Ok(latest),
        }
    }

    /// The end of the successor of a key that would have this end: no later than allowed.
    pub(super) fn end_of_successor(
        &self,
        (kind, scopes): (KeyKind, &Scopes),
        end: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let latest = self.longest(kind, scopes).map(|life| now.saturating_add(life));
        end.into_iter().chain(latest).min()
    }

    /// Whether an existing key lives longer than such a key could if it were made today.
    pub(super) fn is_exceeded_by(&self, record: &KeyRecord) -> bool {
        self.longest(record.kind(), &record.scopes).is_some_and(|life| {
            let latest = record.created_at.saturating_add(life);
            record.expires_at.is_none_or(|end| end > latest)
        })
    }

    /// Since when a key should have been rotated, if that time has come.
    pub(super) fn rotation_due_since(&self, record: &KeyRecord, now: Timestamp) -> Option<Timestamp> {
        self.rotation.map(|period| record.created_at.saturating_add(period)).filter(|due| *due <= now)
    }
}
