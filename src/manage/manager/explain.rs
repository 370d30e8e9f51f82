use std::time::Duration;

use super::{KeyManager, sight::Sight};
use crate::{
    audit::Action,
    key::KeyId,
    manage::{
        actor::Actor,
        advice::{self, Explanation, Readable, State},
        error::ManageError,
        policy::{KeyAction, Target},
    },
    owner::{Owner, OwnerRef},
    record::{ActorId, KeyRecord, OwnerStatus},
    store::{EventQuery, FoundKey, KeyStore, guarded},
};

impl<S: KeyStore> KeyManager<S> {
    /// What would happen if this key called now, and why: every check that a request meets, in its order, with since when
    /// and by whom, and what would change it; and how requests with it ended so far, so that a program that never called
    /// is told from one that calls and fails. One that sends half a key, or the blank it should have replaced, names no key:
    /// look for it in [`refusals_without_key`](Self::refusals_without_key).
    ///
    /// A record that cannot be read is explained too. Pepper and cost of the hash are judged as this node is set up.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (whoever may not see the usage), corrupt
    /// record (a count of use, or a row that the store itself cannot read), store unavailable.
    pub async fn explain(&self, id: &KeyId, actor: &Actor) -> Result<Explanation, ManageError> {
        self.admit(actor)?;
        let found = self.row(id).await?;
        let found = found.ok_or_else(|| self.absent(actor, KeyAction::SeeUsage, id))?;
        let record = KeyRecord::try_from(&found.key);
        self.permit_usage(actor, &found, record.as_ref().ok())?;
        let known = match record.and_then(|record| Ok((record, OwnerStatus::try_from(&found.owner)?))) {
            Ok((record, owner)) => Ok(Readable {
                owner_changed_by: self.who_changed(&record.owner, &owner, actor).await?,
                knows_pepper: self.0.hasher.knows_pepper(&record.hash),
                accepts_hash: self.0.hasher.accepts(&record.hash),
                record,
                owner,
            }),
            Err(corrupt) => Err(corrupt),
        };
        let usage = self.usage_of_one(id).await?;
        Ok(advice::explain(State { id: *id, known, usage, now: self.0.clock.reading() }))
    }

    /// Whether the actor may see how this key is used; of one whose record cannot be read, how the keys of its owner
    /// are, or where that cannot be read either, those of the organization.
    fn permit_usage(&self, actor: &Actor, found: &FoundKey, record: Option<&KeyRecord>) -> Result<(), ManageError> {
        if let Sight::Hidden(about) = self.sight(actor, found) {
            return Err(self.hidden(found, actor, KeyAction::SeeUsage, about));
        }
        let of = OwnerRef::of(&found.key);
        let target = match (record, &of) {
            (Some(record), _) => Target::key(record),
            (None, Some(of)) => Target::Owner(&of.owner),
            (None, None) => Target::Organization,
        };
        self.permit(actor, KeyAction::SeeUsage, &target)
    }

    /// Who held or closed the owner, if the audit trail still says so and the actor may read it.
    async fn who_changed(
        &self,
        owner: &Owner,
        status: &OwnerStatus,
        actor: &Actor,
    ) -> Result<Option<ActorId>, ManageError> {
        let Some((hold, since)) = advice::standing_in_the_way(status) else { return Ok(None) };
        if !self.allows(actor, KeyAction::Audit, &Target::Owner(owner)) {
            return Ok(None);
        }
        let action = if hold.is_some() { Action::OWNER_HELD } else { Action::OWNER_CLOSED };
        // The event of a change has the time of the change: what plain SQL did has none.
        let query = EventQuery {
            owner: Some(owner.clone()),
            action: Some(action.as_str().to_owned()),
            from: Some(since),
            until: Some(since.saturating_add(Duration::from_millis(1))),
            ..EventQuery::all(self.0.organization.clone())
        };
        let events = guarded(self.0.timeout, || self.0.store.events(&query)).await?;
        let is_it = |after: Option<&str>| after == hold.map(|hold| hold.as_str());
        let event = events.rows.iter().find(|event| event.key.is_none() && is_it(event.after.as_deref()));
        Ok(event.and_then(|event| event.actor.parse().ok()))
    }
}
