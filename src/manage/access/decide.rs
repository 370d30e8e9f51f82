use super::{Access, ManagerParts};
use crate::{
    audit::Subject,
    key::KeyId,
    log::log,
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        policy::{Decision, DenialReason, KeyAction, Target},
        trail::{Attempt, HIDDEN, NOT_FOUND},
    },
    owner::{OrganizationId, Owner, TeamId, TeamRef},
    scope::Scope,
};

impl<'a> Access<'a> {
    /// What an actor of this organization may do that may manage keys at all. One that may not leaves a trace in the
    /// audit trail.
    pub(in crate::manage) fn of(parts: &'a ManagerParts, actor: &'a Actor) -> Result<Self, ManageError> {
        Self::hints(parts, actor).inspect_err(|error| {
            let reason = match error.kind() {
                ManageErrorKind::Denied(denial) => denial.reason().code(),
                _ => HIDDEN,
            };
            Self { parts, actor }.note(None, reason, None, None);
        })
    }

    /// The same for whoever only asks what would be allowed, without a trace. No policy can allow this: to reach another
    /// organization, or to manage with a key that is not meant for it.
    pub(in crate::manage) fn hints(parts: &'a ManagerParts, actor: &'a Actor) -> Result<Self, ManageError> {
        if let Some(_actors) = actor.organization().filter(|organization| **organization != parts.organization) {
            // The actor is told nothing. The log helps a developer who forgot to name the actor's organization.
            log!(
                debug,
                actor = %actor.id(),
                actor_organization = %_actors,
                manager_organization = %parts.organization,
                "an actor of another organization than the manager's: everything it asks for is not found"
            );
            return Err(ManageError::not_found());
        }
        if actor.scopes().is_some_and(|scopes| !scopes.allows(&Scope::KEYS_MANAGE)) {
            return Err(ManageError::denied(DenialReason::InsufficientScope));
        }
        Ok(Self { parts, actor })
    }
}

impl Access<'_> {
    /// Whether the actor may do this to that: a hint, which leaves no trace. About a new key for a team,
    /// [`decision`](Self::decision) knows more.
    pub(in crate::manage) fn may(&self, action: KeyAction, target: &Target<'_>) -> bool {
        self.decide(action, target) == Decision::Allow
    }

    /// What is said to the actor, without a trace: what the policy says, and that a key is made for a team of this
    /// organization only. Another team is hidden, so that no guess tells which there are.
    pub(in crate::manage) async fn decision(
        &self,
        action: KeyAction,
        target: &Target<'_>,
    ) -> Result<Decision, ManageError> {
        let decision = self.decide(action, target);
        let is_ours = match target {
            Target::NewKey { owner: Owner::Team(team), .. } if decision == Decision::Allow => {
                self.is_team_of_ours(team).await?
            }
            _ => true,
        };
        Ok(if is_ours { decision } else { Decision::Hide })
    }

    /// The same of an attempt, which leaves a trace in the audit trail if the answer is no.
    pub(in crate::manage) async fn require(&self, action: KeyAction, target: &Target<'_>) -> Result<(), ManageError> {
        match self.decision(action, target).await? {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(self.deny(action, reason, target)),
            Decision::Hide => Err(self.hide(action, subject(target))),
        }
    }

    /// What the actor knows of and may not do.
    pub(in crate::manage) fn deny(&self, action: KeyAction, reason: DenialReason, target: &Target<'_>) -> ManageError {
        self.note(Some(action), reason.code(), subject(target), None);
        ManageError::new(ManageErrorKind::Denied(self.parts.rules.denial(reason)))
    }

    /// The actor may not know that what is asked for is there: this key, or one of this owner.
    pub(super) fn hide(&self, action: KeyAction, aimed_at: Option<Subject>) -> ManageError {
        self.note(Some(action), HIDDEN, aimed_at, None);
        ManageError::not_found()
    }

    /// There is no key of this id here, nor the owner of one.
    pub(super) fn absent(&self, action: KeyAction, id: &KeyId) -> ManageError {
        self.note(Some(action), NOT_FOUND, None, Some(*id));
        ManageError::not_found()
    }

    /// Adds to what the audit trail will say of denied attempts; about the actor's own user or team, if nothing is known
    /// that was aimed at. What does not exist is nothing that the system could be denied.
    pub(in crate::manage) fn note(
        &self,
        action: Option<KeyAction>,
        reason: &'static str,
        aimed_at: Option<Subject>,
        asked: Option<KeyId>,
    ) {
        let (parts, actor) = (self.parts, self.actor);
        let Some(subject) = aimed_at.or_else(|| actor.standing_on().map(Subject::Owner)) else { return };
        parts.guarded.denials.note(Attempt {
            // An attempt from elsewhere is told where the actor belongs: nothing of one organization is seen in another.
            organization: actor.organization().unwrap_or(&parts.organization).clone(),
            actor: actor.id(),
            action: action.map(KeyAction::as_str),
            reason,
            subject,
            asked,
            source: actor.source().map(ToString::to_string),
        });
    }

    fn decide(&self, action: KeyAction, target: &Target<'_>) -> Decision {
        match self.parts.guarded.policy.decide(self.actor, action, target) {
            Decision::Allow if is_widening(self.actor, target) => Decision::Deny(DenialReason::ScopesTooWide),
            decision => decision,
        }
    }

    async fn is_team_of_ours(&self, team: &TeamId) -> Result<bool, ManageError> {
        if self.actor.is_system() {
            return Ok(true);
        }
        let (organization, limit) = (&self.parts.organization, self.parts.guarded.store.limit());
        let team = TeamRef::new(organization.clone(), team.clone());
        let said = self.parts.rules.directory.has_team(&team, limit).await?;
        Ok(said.unwrap_or_else(|| *organization == OrganizationId::single() || self.actor.names_team(&team.team)))
    }
}

/// What an attempt aims at; none for an organization.
fn subject(target: &Target<'_>) -> Option<Subject> {
    match target {
        Target::Key { id, owner, .. } => Some(Subject::Key(**id, (*owner).clone())),
        Target::NewKey { owner, .. } | Target::Owner(owner) => Some(Subject::Owner((*owner).clone())),
        Target::Organization => None,
    }
}

/// What no policy can allow a key: to give more than it has, or to make another key that manages keys.
fn is_widening(actor: &Actor, target: &Target<'_>) -> bool {
    match (actor.scopes(), target) {
        (Some(own), Target::NewKey { scopes, .. }) => scopes.allows(&Scope::KEYS_MANAGE) || !scopes.is_within(own),
        _ => false,
    }
}
