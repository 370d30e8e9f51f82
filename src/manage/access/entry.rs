use std::borrow::Cow;

use super::{Access, ManagerParts, OwnKey};
use crate::{
    key::KeyId,
    log::log,
    manage::{
        actor::Actor,
        counted::CountedUntil,
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        misconfigured::Misconfiguration,
        policy::KeyAction,
        trail::HIDDEN,
    },
    record::{KeyRecord, Stopped, Suspension},
    scope::ManagingScope,
    store::{FoundKey, OwnerRef},
};

impl<'a> Access<'a> {
    /// The access of an actor of this organization that wants one of these actions, if it may act at this moment: even
    /// for a read, it must be neither suspended nor closed, and its key must be live. A refusal is recorded in the
    /// audit trail.
    pub(in crate::manage) async fn of(
        parts: &'a ManagerParts,
        actor: &'a Actor,
        wants: &[KeyAction],
    ) -> Result<Self, ManageError> {
        let outcome = match Self::hints(parts, actor, wants) {
            Ok(access) => access.entered(wants).await,
            Err(error) => Err(error),
        };
        outcome.inspect_err(|error| {
            let reason = match error.kind() {
                ManageErrorKind::Denied(denial) => denial.reason().code().as_str(),
                ManageErrorKind::NotFound => HIDDEN,
                _ => return,
            };
            Self::unchecked(parts, actor).note(wants.first().copied(), reason, None, None);
        })
    }

    /// The access for a question about what would be allowed, without a record in the trail, based on what the actor
    /// says about itself. Two things no policy can allow: to reach another organization, and to manage with a key that
    /// is not meant for it.
    pub(in crate::manage) fn hints(
        parts: &'a ManagerParts,
        actor: &'a Actor,
        wants: &[KeyAction],
    ) -> Result<Self, ManageError> {
        if parts.is_nobodys() {
            return Err(misconfigured(Misconfiguration::ManagerWithoutOrganization));
        }
        if actor.organization().is_none() && !actor.is_system() && !parts.is_of_one() {
            // An explicit error: to assume this organization would be a guess, and *not found* would be confusing.
            return Err(misconfigured(Misconfiguration::ActorWithoutOrganization));
        }
        if let Some(_actors) = actor.organization().filter(|organization| **organization != parts.organization) {
            // The actor learns nothing. The log helps a developer who used the manager of another organization.
            log!(
                debug,
                actor = %actor.id(),
                actor_organization = %_actors,
                manager_organization = %parts.organization,
                "an actor of another organization than the manager's: everything it asks for is not found"
            );
            return Err(ManageError::not_found());
        }
        let access = Self::unchecked(parts, actor);
        access.require_scope(wants)?;
        Ok(access)
    }

    fn unchecked(parts: &'a ManagerParts, actor: &'a Actor) -> Self {
        Self { parts, actor: Cow::Borrowed(actor), own: None, counted: CountedUntil::now(&parts.counted) }
    }

    /// With the actor's current state from the store.
    pub(in crate::manage) async fn entered(mut self, wants: &[KeyAction]) -> Result<Self, ManageError> {
        if let Some(id) = self.actor.key_id().copied() {
            let (record, written) = self.own_key(&id).await?;
            self.own = Some(OwnKey {
                id,
                scopes: written,
                networks: record.networks.clone(),
                expires_at: record.expires_at,
                limits: record.limits.clone(),
            });
            self.actor = Cow::Owned(self.actor.into_owned().with_scopes(record.scopes));
            self.require_scope(wants)?;
        } else if let Some(person) = self.actor.standing_on()
            && let Some((stopped, _)) = self.status_of(&person).await?.stopped()
            // A person whose keys are suspended by the plan may see why.
            && !(stopped == Stopped::Suspended(Suspension::Plan) && wants.iter().any(|action| is_reading(*action)))
        {
            return Err(ManageError::denied(DenialReason::stopped(stopped)));
        }
        Ok(self)
    }

    /// The acting key, if it is live and its owner may use it.
    async fn own_key(&self, id: &KeyId) -> Result<(KeyRecord, String), ManageError> {
        let dead = || ManageError::denied(DenialReason::ActorKeyDead);
        let found: FoundKey = self.row(id).await?.ok_or_else(dead)?.into_inner();
        if OwnerRef::of(&found.key).map(|of| of.owner) != self.actor.standing_on() {
            return Err(dead());
        }
        let record = KeyRecord::try_from(&found.key).map_err(ManageError::corrupt)?;
        if record.revoked.is_some() {
            return Err(dead());
        }
        if let Some(end) = record.expires_at
            && self.parts.clock.reading().has_passed(end)?
        {
            return Err(ManageError::denied(DenialReason::ActorKeyExpired));
        }
        if record.paused.is_some() {
            return Err(ManageError::denied(DenialReason::ActorKeyPaused));
        }
        if let Some((stopped, _)) = found.status().map_err(ManageError::corrupt)?.stopped() {
            return Err(ManageError::denied(DenialReason::stopped(stopped)));
        }
        Ok((record, found.key.scopes))
    }

    /// A key needs the scope for one of these. The error does not reveal whether the target exists.
    fn require_scope(&self, wants: &[KeyAction]) -> Result<(), ManageError> {
        self.lacks_scope(wants).map_or(Ok(()), |reason| Err(ManageError::denied(reason)))
    }

    /// A key needs the scope for each of these: for an act that does all of them.
    pub(in crate::manage) fn require_each_scope(&self, wants: &[KeyAction]) -> Result<(), ManageError> {
        for action in wants {
            if let Some(reason) = self.lacks_scope(&[*action]) {
                self.note(Some(*action), reason.code().as_str(), None, None);
                return Err(ManageError::denied(reason));
            }
        }
        Ok(())
    }

    /// Why the acting key may do none of these, if its scopes do not allow it.
    pub(in crate::manage) fn lacks_scope(&self, wants: &[KeyAction]) -> Option<DenialReason> {
        let own = self.actor.scopes()?;
        let mut needed = wants.iter().filter_map(|action| action.scope()).peekable();
        let reason = match needed.peek() {
            None => DenialReason::NotForKeys,
            Some(first) => DenialReason::InsufficientScope(*first),
        };
        if needed.any(|scope| own.allows(&scope.into())) { None } else { Some(reason) }
    }
}

const fn misconfigured(what: Misconfiguration) -> ManageError {
    ManageError::new(ManageErrorKind::Misconfigured(what))
}

const fn is_reading(action: KeyAction) -> bool {
    matches!(action.scope(), Some(ManagingScope::Read))
}
