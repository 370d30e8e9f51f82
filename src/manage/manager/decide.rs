use super::KeyManager;
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        actor::Actor,
        denials::{Attempt, NOT_FOUND},
        error::{ManageError, ManageErrorKind},
        policy::{Decision, DenialReason, KeyAction, Target},
    },
    owner::{Owner, TeamId},
    scope::Scope,
    store::{KeyStore, StoreError},
};

impl<S> KeyManager<S> {
    /// Whether the actor may do this to that: the decision that guards the action itself, to show or to grey a button.
    /// Asks the [`Policy`](crate::manage::Policy), and nobody else: that the actor is active and the key live is looked at
    /// when it acts, and so is, where a key is to rotate another, that the other may not do more than itself: a target
    /// has no scopes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, Owner, TeamId, UserId};
    /// use tower_api_keys::manage::{Decision, Denial, KeyAction, Plan, Rights, Target, TeamRole};
    ///
    /// let blue = TeamId::new("blue")?;
    /// let alice = Actor::user(UserId::new("alice")?, Rights::none().team(blue.clone(), TeamRole::Admin, Plan::Team));
    /// let owner = Owner::Team(blue);
    /// if let Decision::Deny(reason) = manager.can(&alice, KeyAction::Issue, &Target::new_key(&owner)) {
    ///     assert_eq!(Denial::from(reason).sentence(), "Team API keys are not included.");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn can(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
        match self.admissible(actor) {
            Ok(()) => self.decide(actor, action, target),
            Err(error) => match error.kind() {
                ManageErrorKind::Denied(denial) => Decision::Deny(denial.reason()),
                _ => Decision::Hide,
            },
        }
    }

    /// The teams for which the actor may make keys, of those whose plan its rights name: one of them needs no choice.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, TeamId, UserId, manage::{Plan, Rights, TeamRole}};
    ///
    /// let (blue, red) = (TeamId::new("blue")?, TeamId::new("red")?);
    /// let rights = Rights::none()
    ///     .team(blue.clone(), TeamRole::Admin, Plan::Business)
    ///     .team(red, TeamRole::Member, Plan::Business);
    /// assert_eq!(manager.teams_to_issue_for(&Actor::user(UserId::new("alice")?, rights)), [blue]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn teams_to_issue_for(&self, actor: &Actor) -> Vec<TeamId> {
        let may = |team: &&TeamId| {
            let owner = Owner::Team((*team).clone());
            self.can(actor, KeyAction::Issue, &Target::new_key(&owner)) == Decision::Allow
        };
        actor.known_teams().filter(may).cloned().collect()
    }

    /// What no policy can allow: to reach another organization, or to manage with a key that is not meant for it.
    fn admissible(&self, actor: &Actor) -> Result<(), ManageError> {
        if actor.organization().is_some_and(|organization| *organization != self.0.organization) {
            return Err(ManageError::not_found());
        }
        if actor.scopes().is_some_and(|scopes| !scopes.allows(&Scope::KEYS_MANAGE)) {
            return Err(ManageError::denied(DenialReason::InsufficientScope));
        }
        Ok(())
    }

    /// Asked of an actor that is [admissible](Self::admissible).
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
        match self.0.policy.decide(actor, action, target) {
            Decision::Allow if is_widening(actor, target) => Decision::Deny(DenialReason::ScopesTooWide),
            decision => decision,
        }
    }

    pub(super) fn allows(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> bool {
        self.decide(actor, action, target) == Decision::Allow
    }
}

/// Decisions on real attempts, which leave a trace in the audit trail if they are no.
impl<S: KeyStore> KeyManager<S> {
    /// Whether it is an actor of this organization that may manage keys at all.
    pub(super) fn admit(&self, actor: &Actor) -> Result<(), ManageError> {
        self.admissible(actor).inspect_err(|error| {
            let reason = match error.kind() {
                ManageErrorKind::Denied(denial) => denial.reason().code(),
                _ => HIDDEN,
            };
            self.note_denied(actor, None, reason, None);
        })
    }

    /// Whether the policy lets the actor do this to something it may know of.
    pub(super) fn permit(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Result<(), ManageError> {
        let (reason, error) = match self.decide(actor, action, target) {
            Decision::Allow => return Ok(()),
            Decision::Deny(reason) => (reason.code(), ManageError::denied(reason)),
            Decision::Hide => (HIDDEN, ManageError::not_found()),
        };
        self.note_denied(actor, Some(action.as_str()), reason, subject(target));
        Err(error)
    }

    /// The actor may not know that what is asked for is there: this key, or one of this owner.
    pub(super) fn hide(&self, actor: &Actor, action: KeyAction, aimed_at: Option<Subject>) -> ManageError {
        self.note_denied(actor, Some(action.as_str()), HIDDEN, aimed_at);
        ManageError::not_found()
    }

    /// There is no key of this id here, nor the owner of one.
    pub(super) fn absent(&self, actor: &Actor, action: KeyAction, id: &KeyId) -> ManageError {
        self.note(actor, Some(action.as_str()), NOT_FOUND, None, Some(*id));
        ManageError::not_found()
    }

    /// What the actor knows of and may not do, for a reason that no policy has.
    pub(super) fn deny(
        &self,
        actor: &Actor,
        action: KeyAction,
        reason: DenialReason,
        target: &Target<'_>,
    ) -> ManageError {
        self.note_denied(actor, Some(action.as_str()), reason.code(), subject(target));
        ManageError::denied(reason)
    }

    /// Adds to what the audit trail will say of denied attempts; about the actor's own user or team, if nothing is known
    /// that was aimed at.
    pub(super) fn note_denied(
        &self,
        actor: &Actor,
        action: Option<&'static str>,
        reason: &'static str,
        aimed_at: Option<Subject>,
    ) {
        self.note(actor, action, reason, aimed_at, None);
    }

    /// What does not exist is nothing that the system could be denied.
    fn note(
        &self,
        actor: &Actor,
        action: Option<&'static str>,
        reason: &'static str,
        aimed_at: Option<Subject>,
        asked: Option<KeyId>,
    ) {
        let Some(subject) = aimed_at.or_else(|| actor.standing_on().map(Subject::Owner)) else { return };
        self.0.denials.note(Attempt {
            // An attempt from elsewhere is told where the actor belongs: nothing of one organization is seen in another.
            organization: actor.organization().unwrap_or(&self.0.organization).clone(),
            actor: actor.id(),
            action,
            reason,
            subject,
            asked,
            source: actor.source().map(|source| source.as_str().to_owned()),
        });
    }

    /// Writes what was denied, and not written yet, to the audit trail.
    ///
    /// # Errors
    /// Those of the store; what is not written is kept.
    pub(crate) async fn flush_denials(&self) -> Result<(), StoreError> {
        self.0.denials.flush(true).await
    }
}

/// What the trail says of an attempt at what the actor may not know of.
const HIDDEN: &str = "hidden";

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
