//! A line of the access log.

use std::sync::Arc;

use super::gaps::Gap;
use crate::{
    audit::{Action, Event, EventRow, Subject},
    key::KeyId,
    outcome::{Proved, RefusalCode},
    owner::OwnerRef,
    principal::SharedOwner,
    record::ActorId,
    time::Timestamp,
    usage::Source,
};

/// The actor of a caller with a text that was not proved to be the key. Ids are public: if the key were the actor, a
/// stranger who knows its id could write actions of the key into the trail.
const UNPROVED_CALLER: &str = "system:unproved caller";

/// An attempt, or several of one kind.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: KeyId,
    pub(super) owner: Arc<SharedOwner>,
    /// The code of a refusal.
    pub(super) refused: Option<RefusalCode>,
    pub(super) source: Source,
    pub(super) count: u64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

impl Entry {
    pub(super) fn proves(&self) -> Proved {
        self.refused.map_or(Proved::Good, RefusalCode::proves)
    }

    pub(super) fn row(&self) -> EventRow {
        let action = match self.refused {
            None => Action::ATTEMPT_ACCEPTED,
            Some(_) if self.count > 1 => Action::ATTEMPT_REPEATED,
            Some(_) => Action::ATTEMPT_REFUSED,
        };
        let OwnerRef { organization, owner } = self.owner.of.clone();
        let subject = Subject::Key(self.key, owner);
        let event = Event::new(organization, self.last_at, ActorId::Key(self.key), action, subject)
            .with_change(None, self.said())
            .with_source(Some(self.source.to_string()).filter(|source| !source.is_empty()));
        let mut row = EventRow::from(&event);
        if self.proves() == Proved::Nothing {
            UNPROVED_CALLER.clone_into(&mut row.actor);
        }
        row
    }

    fn said(&self) -> Option<String> {
        #[derive(serde::Serialize)]
        struct Said {
            code: &'static str,
            count: u64,
            first_at: Timestamp,
            last_at: Timestamp,
        }
        let code = self.refused?.as_str();
        if self.count == 1 {
            return Some(code.to_owned());
        }
        let said = Said { code, count: self.count, first_at: self.first_at, last_at: self.last_at };
        // Fails only on maps whose keys are not strings; there is none.
        serde_json::to_string(&said).ok()
    }

    /// The gap that it leaves if it is not written.
    pub(super) fn into_gap(self) -> Gap {
        Gap::new(self.count, [self.first_at, self.last_at], self.key, self.owner)
    }
}
