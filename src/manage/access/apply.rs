use std::time::Duration;

use super::Access;
use crate::{
    audit::{Action, Event, EventRow, Subject},
    key::KeyId,
    manage::{
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        policy::KeyAction,
        quota::Quota,
    },
    owner::Owner,
    random::random_bytes,
    record::{KeyRecord, Stopped, Suspension},
    store::{
        Applied, AuditedWrite, Change, ChangeId, Conflict, Effect, Erasure, FoundOwner, Guard, IdempotentRequest,
        KeyStore, Lease, StoreError, StoreErrorKind, Write,
    },
    time::Timestamp,
};

/// The pauses before the second and the third attempt at a change with an unknown outcome.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// What an actor wants done, all or none: 1 to 50 writes.
pub(in crate::manage) struct Wanted {
    /// The action that it is: for the trail, if the actor may no longer act.
    pub(in crate::manage) action: KeyAction,
    pub(in crate::manage) at: Timestamp,
    pub(in crate::manage) writes: Vec<WantedWrite>,
    /// What must hold at the moment of commit, and what it means if it does not, besides that the actor may act.
    pub(in crate::manage) guards: Vec<(Guard, GuardRefusal)>,
    /// The quotas that must have room for one more key.
    pub(in crate::manage) quotas: Vec<(Guard, Quota)>,
    pub(in crate::manage) idempotency: Option<IdempotentRequest>,
}

/// One write, and its audit event.
pub(in crate::manage) struct WantedWrite {
    pub(in crate::manage) write: Write,
    pub(in crate::manage) action: Action,
    pub(in crate::manage) subject: Subject,
    pub(in crate::manage) before: Option<String>,
    pub(in crate::manage) after: Option<String>,
}

/// What a failed guard means.
#[derive(Clone)]
pub(in crate::manage) enum GuardRefusal {
    /// The key that acts is dead.
    ActorKey,
    /// The acting key has other scopes or another end than when the call began.
    ActorKeyRights,
    /// The person who acts, or the owner of the key that acts, is suspended or closed.
    ActorOwner(Owner),
    /// The state has changed since the change was decided.
    Kind(ManageErrorKind),
    /// The user or team that gets a key is suspended or closed.
    NewOwner(Owner),
    /// The key has another version than expected.
    Version(KeyId),
}

impl Wanted {
    /// A single write without guards of its own.
    pub(in crate::manage) fn one(action: KeyAction, at: Timestamp, write: WantedWrite) -> Self {
        Self::all(action, at, vec![write])
    }

    /// These writes without guards of their own.
    pub(in crate::manage) fn all(action: KeyAction, at: Timestamp, writes: Vec<WantedWrite>) -> Self {
        Self { action, at, writes, guards: Vec::new(), quotas: Vec::new(), idempotency: None }
    }
}

impl Access<'_> {
    /// Makes these writes with their events, if the actor may still act at that moment. Returns one outcome for each
    /// write.
    pub(in crate::manage) async fn apply(&self, wanted: Wanted) -> Result<Vec<Effect>, ManageError> {
        let Wanted { action, at, writes, mut guards, quotas, idempotency } = wanted;
        guards.extend(self.actor_is_active());
        // Last, so that an actor that may no longer act gets that error.
        guards.extend(
            quotas.into_iter().map(|(guard, quota)| (guard, GuardRefusal::Kind(ManageErrorKind::QuotaReached(quota)))),
        );
        let (guards, unmet): (Vec<_>, Vec<_>) = guards.into_iter().unzip();
        let (writes, events): (Vec<_>, Vec<_>) = writes.into_iter().map(|wanted| self.audited(at, wanted)).unzip();
        let change = Change { id: new_change_id()?, at, writes, guards, idempotency };
        // Ends the lease however this call ends, even if it is dropped halfway: the change may have been made by then.
        let ended = EndOnDrop(&self.parts.guarded.lease);
        let effects = match self.apply_until_known(&change).await {
            Ok(Applied { effects }) if effects.len() == events.len() => effects,
            Ok(_) => return Err(StoreError::corrupt("a change has not one outcome for each of its writes").into()),
            Err(error) => {
                let error = self.explained(error, &unmet).await?;
                self.note_refused(action, &change, &events, &error);
                return Err(error);
            }
        };
        // Before listeners hear of the change, this node must know of it.
        drop(ended);
        let written = events.into_iter().zip(&effects).filter(|(_, outcome)| **outcome == Effect::Changed);
        self.parts.rules.notifier.tell(&written.map(|(event, _)| event).collect::<Vec<_>>());
        Ok(effects)
    }

    /// Records a denial for an actor that was suspended, or whose key died, before the commit.
    fn note_refused(&self, action: KeyAction, change: &Change, events: &[Event], error: &ManageError) {
        let ManageErrorKind::Denied(denial) = error.kind() else { return };
        let subject =
            events.first().zip(change.writes.first()).map(|(event, first)| match (&event.subject, &first.write) {
                // A key that was not made cannot be a subject.
                (Subject::Key(_, owner), Write::Insert(_)) => Subject::Owner(owner.clone()),
                (subject, _) => subject.clone(),
            });
        self.note(Some(action), denial.reason().code().as_str(), subject, None);
    }

    /// Applies a change of one write.
    pub(in crate::manage) async fn apply_one(&self, wanted: Wanted) -> Result<Effect, ManageError> {
        let effects = self.apply(wanted).await?;
        effects.first().copied().ok_or_else(|| StoreError::corrupt("a change of one write has no outcome").into())
    }

    /// A write for the store, and the event for listeners.
    fn audited(&self, at: Timestamp, wanted: WantedWrite) -> (AuditedWrite, Event) {
        let WantedWrite { write, action, subject, before, after } = wanted;
        let organization = match &write {
            // After an erasure, the owner's trail is under the pseudonym.
            Write::Erase(Erasure { organization, owner: None, pseudonym }) => {
                pseudonym.organization().unwrap_or_else(|_| organization.clone())
            }
            _ => self.parts.organization.clone(),
        };
        let event = Event::new(organization, at, self.actor.id(), action, subject)
            .with_change(before, after)
            .with_source(self.actor.source().map(ToString::to_string));
        (AuditedWrite { write, event: EventRow::from(&event) }, event)
    }

    /// The actor must be neither suspended nor closed, and if it is a key, live.
    fn actor_is_active(&self) -> impl Iterator<Item = (Guard, GuardRefusal)> {
        let key = self.actor.key_id().copied().map(|id| (Guard::Live(id), GuardRefusal::ActorKey));
        let rights = self.own.as_ref().map(|own| {
            let allowed_networks = own.networks.as_ref().map(ToString::to_string);
            let (scopes, expires_at) = (own.scopes.clone(), own.expires_at);
            let guard = Guard::SameRights { key: own.id, scopes, allowed_networks, expires_at };
            (guard, GuardRefusal::ActorKeyRights)
        });
        let owner = self
            .actor
            .standing_on()
            .map(|owner| (Guard::OwnerActive(self.owner_ref(&owner)), GuardRefusal::ActorOwner(owner)));
        key.into_iter().chain(rights).chain(owner)
    }

    /// What the error of a store means to the actor.
    async fn explained(&self, error: StoreError, unmet: &[GuardRefusal]) -> Result<ManageError, ManageError> {
        let unmet = match error.kind() {
            StoreErrorKind::Conflict(Conflict::Guard(place)) => unmet.get(place),
            _ => None,
        };
        Ok(match unmet {
            Some(GuardRefusal::ActorKey) => ManageError::denied(DenialReason::ActorKeyDead).with_source(error),
            Some(GuardRefusal::ActorKeyRights) => ManageError::denied(DenialReason::ActorKeyChanged).with_source(error),
            Some(GuardRefusal::ActorOwner(owner)) => {
                ManageError::denied(DenialReason::stopped(self.stopped(owner).await?)).with_source(error)
            }
            Some(GuardRefusal::Kind(kind)) => ManageError::new(*kind).with_source(error),
            Some(GuardRefusal::NewOwner(owner)) => {
                ManageError::new(self.stopped(owner).await?.into()).with_source(error)
            }
            Some(GuardRefusal::Version(key)) => match self.row(key).await? {
                Some(row) => version_differs(row.peek().key.version).with_source(error),
                None => ManageError::not_found(),
            },
            None => match error.kind() {
                StoreErrorKind::Conflict(Conflict::IdempotencyKeyUsed { key, same_request: true }) => {
                    let made = self.made_before(key).await?;
                    ManageError::from(error).with_replayed(made)
                }
                _ => error.into(),
            },
        })
    }

    /// The condition that this key has the expected version, if there is one; refused at once if it has another.
    pub(in crate::manage) fn same_version(
        &self,
        record: &KeyRecord,
        expected: Option<i64>,
    ) -> Result<Vec<(Guard, GuardRefusal)>, ManageError> {
        let Some(version) = expected else { return Ok(Vec::new()) };
        if record.version != version {
            return Err(version_differs(record.version));
        }
        Ok(vec![(Guard::SameVersion { key: record.id, version }, GuardRefusal::Version(record.id))])
    }

    /// Applies a change. If the outcome is unknown, it applies the same change again.
    async fn apply_until_known(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut pauses = PAUSES.iter();
        let mut unknown = None;
        loop {
            let error = match self.parts.guarded.store.apply(change).await {
                Ok(applied) => return Ok(applied),
                Err(error) => error,
            };
            match error.kind() {
                StoreErrorKind::OutcomeUnknown => {}
                // A conflict settles it: a store that had made the change would have given the first answer. A refused
                // value settles it, too, since it is refused each time.
                StoreErrorKind::Conflict(_) | StoreErrorKind::Refused => return Err(error),
                // This is about this attempt only, so after an unknown outcome it settles nothing.
                StoreErrorKind::Corrupt | StoreErrorKind::Unavailable if unknown.is_none() => return Err(error),
                StoreErrorKind::Corrupt | StoreErrorKind::Unavailable => {}
            }
            let first = unknown.take().unwrap_or(error);
            let Some(pause) = pauses.next() else { return Err(first) };
            unknown = Some(first);
            tokio::time::sleep(*pause).await;
        }
    }

    /// Why an owner did not count as active. If it is active again by now, it was suspended: a closed owner stays
    /// closed.
    async fn stopped(&self, owner: &Owner) -> Result<Stopped, ManageError> {
        let stopped = self.status_of(owner).await?.stopped();
        Ok(stopped.map_or(Stopped::Suspended(Suspension::Admin), |(stopped, _)| stopped))
    }

    /// A condition that always fails, if the new key's owner is closed when the key is requested. By the moment of
    /// commit the owner may have been erased, and look like a new owner with that id. The actor's own status was
    /// checked already.
    pub(in crate::manage) async fn closed_when_asked(
        &self,
        owner: &Owner,
    ) -> Result<Option<(Guard, GuardRefusal)>, ManageError> {
        if self.actor.standing_on().as_ref() == Some(owner) {
            return Ok(None);
        }
        let FoundOwner { owner: own, organization } = self.statuses_of(owner).await?;
        let is_closed = own.closed_at.is_some() || organization.closed_at.is_some();
        // A repeated request still gets its earlier result: the store checks that before the conditions.
        let never = Guard::LiveKeysBelow { owner: self.owner_ref(owner), limit: 0 };
        Ok(is_closed.then_some((never, GuardRefusal::Kind(ManageErrorKind::OwnerClosed))))
    }

    /// The condition that the owner of a new key is active.
    pub(in crate::manage) fn owner_is_active(&self, owner: &Owner) -> (Guard, GuardRefusal) {
        (Guard::OwnerActive(self.owner_ref(owner)), GuardRefusal::NewOwner(owner.clone()))
    }
}

const fn version_differs(current: i64) -> ManageError {
    ManageError::new(ManageErrorKind::VersionDiffers { current })
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
