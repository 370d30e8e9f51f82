use super::KeyManager;
use crate::{
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        policy::{Decision, DenialReason, KeyAction, Target},
    },
    owner::{Owner, TeamId},
    scope::Scope,
};

impl<S> KeyManager<S> {
    /// Whether the actor may do this to that: the decision that guards the action itself, to show or to grey a button.
    /// Asks the [`Policy`](crate::manage::Policy), and nobody else: that the actor is active and the key live is looked at when it acts.
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
        match self.admit(actor) {
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
    pub(super) fn admit(&self, actor: &Actor) -> Result<(), ManageError> {
        if actor.organization().is_some_and(|organization| *organization != self.0.organization) {
            return Err(ManageError::not_found());
        }
        if actor.scopes().is_some_and(|scopes| !scopes.allows(&Scope::KEYS_MANAGE)) {
            return Err(ManageError::denied(DenialReason::InsufficientScope));
        }
        Ok(())
    }

    /// Asked of an actor that was [admitted](Self::admit).
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Decision {
        match self.0.policy.decide(actor, action, target) {
            Decision::Allow if is_widening(actor, target) => Decision::Deny(DenialReason::ScopesTooWide),
            decision => decision,
        }
    }

    pub(super) fn allows(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> bool {
        self.decide(actor, action, target) == Decision::Allow
    }

    /// Whether the policy lets the actor do this to something it may know of.
    pub(super) fn permit(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Result<(), ManageError> {
        match self.decide(actor, action, target) {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(ManageError::denied(reason)),
            Decision::Hide => Err(ManageError::not_found()),
        }
    }
}

/// What no policy can allow a key: to give more than it has, or to make another key that manages keys.
fn is_widening(actor: &Actor, target: &Target<'_>) -> bool {
    match (actor.scopes(), target) {
        (Some(own), Target::NewKey { scopes, .. }) => scopes.allows(&Scope::KEYS_MANAGE) || !scopes.is_within(own),
        _ => false,
    }
}
