//! How the audit trail records an export.

use std::collections::BTreeSet;

use super::Access;
use crate::{
    audit::{Action, Event, EventRow, Subject},
    manage::error::ManageError,
    store::Ledger,
};

/// How many events one call of the store has.
const BATCH: usize = 500;

impl Access<'_> {
    /// Records an export in the audit trail, one event for each subject, before any of it leaves. An export that cannot
    /// be recorded does not happen.
    pub(in crate::manage) async fn tell_of_export(
        &self,
        action: Action,
        about: Vec<Subject>,
        said: String,
    ) -> Result<(), ManageError> {
        let (parts, at) = (self.parts, self.parts.clock.now());
        let mut about = about;
        if about.is_empty() {
            // An export about no owner is recorded about the actor.
            about.push(self.actor.standing_on().map_or(Subject::Organization, Subject::Owner));
        }
        let mut told = BTreeSet::new();
        about.retain(|subject| told.insert(format!("{subject:?}")));
        let event = |subject| {
            Event::new(parts.organization.clone(), at, self.actor.id(), action.clone(), subject)
                .with_change(None, Some(said.clone()))
                .with_source(self.actor.source().map(ToString::to_string))
        };
        let events: Vec<Event> = about.into_iter().map(event).collect();
        for events in events.chunks(BATCH) {
            let rows: Vec<EventRow> = events.iter().map(EventRow::from).collect();
            parts.guarded.store.append_events(&rows).await?;
            parts.rules.notifier.tell(events);
        }
        Ok(())
    }
}
