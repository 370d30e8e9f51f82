use std::time::Duration;

use super::KeyManager;
use crate::{
    audit::{Action, Event, EventRow, Subject},
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        policy::DenialReason,
    },
    owner::Owner,
    random::random_bytes,
    store::{
        AuditedWrite, Change, ChangeId, Conflict, Guard, KeyStore, Lease, StoreError, StoreErrorKind, Write,
        WriteOutcome, guarded, guarded_change,
    },
    time::Timestamp,
};

/// Before the second and the third attempt at a change of which the store did not say whether it was made.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// One write that an actor makes, and what goes with it.
pub(super) struct Wanted {
    pub(super) at: Timestamp,
    pub(super) write: Write,
    pub(super) action: Action,
    pub(super) subject: Subject,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// Must be active, because the write gives it a key.
    pub(super) new_owner: Option<Owner>,
    pub(super) dedupe: Option<String>,
}

impl<S: KeyStore> KeyManager<S> {
    /// Writes what the actor wants, with its event, if both the actor and the new owner are active at that moment.
    pub(super) async fn apply(&self, actor: &Actor, wanted: Wanted) -> Result<WriteOutcome, ManageError> {
        let event = Event::new(self.0.organization.clone(), wanted.at, actor.id(), wanted.action, wanted.subject)
            .with_change(wanted.before, wanted.after);
        let mut guards = Vec::new();
        guards.extend(wanted.new_owner.iter().map(|owner| Guard::OwnerActive(self.owner_ref(owner))));
        guards.extend(actor.key_id().copied().map(Guard::Live));
        guards.extend(actor.standing_on().map(|owner| Guard::OwnerActive(self.owner_ref(&owner))));
        let change = Change {
            id: new_change_id()?,
            at: wanted.at,
            writes: vec![AuditedWrite { write: wanted.write, event: EventRow::from(&event) }],
            guards,
            dedupe: wanted.dedupe,
        };
        // Ends the lease however this call ends, and if it is dropped half-way: the change may have been made by then.
        let _ended = EndOnDrop(&self.0.lease);
        match self.apply_until_known(&change).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(match (error.kind(), wanted.new_owner) {
                (StoreErrorKind::Conflict(Conflict::Guard(0)), Some(owner)) => self.inactive(&owner).await?,
                (StoreErrorKind::Conflict(Conflict::Guard(place)), _) => match change.guards.get(place) {
                    Some(Guard::Live(_)) => ManageError::denied(DenialReason::ActorKeyDead).with_source(error),
                    Some(Guard::OwnerActive(_)) => ManageError::denied(DenialReason::ActorInactive).with_source(error),
                    _ => error.into(),
                },
                _ => error.into(),
            }),
        }
    }

    /// Applies a change; where nobody knows whether it was done, applies the same change again.
    async fn apply_until_known(&self, change: &Change) -> Result<WriteOutcome, StoreError> {
        let mut pauses = PAUSES.iter();
        let mut unknown = None;
        loop {
            let error = match guarded_change(self.0.timeout, || self.0.store.apply(change)).await {
                Ok(applied) => {
                    let missing = || StoreError::corrupt("a change of one write has no outcome");
                    return applied.outcomes.first().copied().ok_or_else(missing);
                }
                Err(error) => error,
            };
            match error.kind() {
                StoreErrorKind::OutcomeUnknown => {}
                // A conflict settles it: a store that had made the change would have given the first answer.
                StoreErrorKind::Conflict(_) => return Err(error),
                // Tells of this attempt only, so it settles nothing if there was one before.
                StoreErrorKind::Corrupt | StoreErrorKind::Unavailable if unknown.is_none() => return Err(error),
                StoreErrorKind::Corrupt | StoreErrorKind::Unavailable => {}
            }
            let first = unknown.take().unwrap_or(error);
            let Some(pause) = pauses.next() else { return Err(first) };
            unknown = Some(first);
            tokio::time::sleep(*pause).await;
        }
    }

    /// Why an owner is not given a key: closed, or held.
    async fn inactive(&self, owner: &Owner) -> Result<ManageError, ManageError> {
        let owner = self.owner_ref(owner);
        let status = guarded(self.0.timeout, || self.0.store.owner_status(&owner)).await?;
        let closed = status.closed_at.is_some();
        let kind = if closed { ManageErrorKind::OwnerClosed } else { ManageErrorKind::OwnerHeld };
        Ok(ManageError::new(kind))
    }
}

fn new_change_id() -> Result<ChangeId, ManageError> {
    let bytes = random_bytes().map_err(|error| ManageError::new(ManageErrorKind::Randomness).with_source(error))?;
    Ok(ChangeId::from_bytes(*bytes))
}

struct EndOnDrop<'a>(&'a Lease);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.void();
    }
}
