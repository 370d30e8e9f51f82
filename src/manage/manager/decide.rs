use futures_util::{StreamExt, TryStreamExt, stream};

use super::KeyManager;
use crate::{
    audit::Subject,
    key::KeyId,
    log::log,
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        policy::{Decision, DenialReason, KeyAction, Target},
        rights::Rights,
        trail::{Attempt, NOT_FOUND},
    },
    owner::{OrganizationId, Owner, TeamId, TeamRef, UserId},
    scope::Scope,
    store::StoreError,
};

/// Teams that a directory is asked about at a time.
const AT_ONCE: usize = 8;

impl KeyManager {
    /// Whether the actor may do this to that: the decision that guards the action itself, to show or to grey a button.
    /// Asks the [`Policy`](crate::manage::Policy) and, about a new key for a team, the
    /// [`Directory`](crate::manage::Directory). That the actor is active and the key live is looked at when it acts, and so
    /// is, where a key is to rotate another, that the other may not do more than itself: a target has no scopes.
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
    /// if let Decision::Deny(reason) = manager.can(&alice, KeyAction::Issue, &Target::new_key(&owner)).await? {
    ///     assert_eq!(Denial::from(reason).sentence(), "Team API keys are not included.");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind::DirectoryUnavailable`].
    pub async fn can(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Result<Decision, ManageError> {
        match self.admissible(actor) {
            Ok(()) => self.resolve(actor, action, target).await,
            Err(error) => Ok(match error.kind() {
                ManageErrorKind::Denied(denial) => Decision::Deny(denial.reason()),
                _ => Decision::Hide,
            }),
        }
    }

    /// The teams for which the actor may make keys, of those whose plan its rights name: one of them needs no choice. Each
    /// is asked about as by [`can`](Self::can).
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
    /// assert_eq!(manager.teams_to_issue_for(&Actor::user(UserId::new("alice")?, rights)).await?, [blue]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind::DirectoryUnavailable`].
    pub async fn teams_to_issue_for(&self, actor: &Actor) -> Result<Vec<TeamId>, ManageError> {
        let asked: Vec<_> = actor.known_teams().map(|team| self.issues_for(actor, team)).collect();
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// This team, if the actor may make keys for it.
    async fn issues_for(&self, actor: &Actor, team: &TeamId) -> Result<Option<TeamId>, ManageError> {
        let owner = Owner::Team(team.clone());
        let decision = self.can(actor, KeyAction::Issue, &Target::new_key(&owner)).await?;
        Ok((decision == Decision::Allow).then(|| team.clone()))
    }

    /// A person of this manager's organization, with the rights they have at this moment.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
    /// use tower_api_keys::{OrganizationId, UserId, manage::Rights};
    ///
    /// let manager = keys.manager_for(OrganizationId::new("acme")?);
    /// let alice = manager.actor(UserId::new("alice")?, Rights::none());
    /// assert_eq!(alice.organization(), Some(manager.organization()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn actor(&self, user: UserId, rights: Rights) -> Actor {
        Actor::user(user, rights).in_organization(self.0.organization.clone())
    }

    /// What no policy can allow: to reach another organization, or to manage with a key that is not meant for it.
    fn admissible(&self, actor: &Actor) -> Result<(), ManageError> {
        if let Some(_actors) = actor.organization().filter(|organization| **organization != self.0.organization) {
            // The actor is told nothing. The log helps a developer who forgot to name the actor's organization.
            log!(
                debug,
                actor = %actor.id(),
                actor_organization = %_actors,
                manager_organization = %self.0.organization,
                "an actor of another organization than the manager's: everything it asks for is not found"
            );
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

    /// The same, with what the policy cannot know: a key is made for a team of this organization only. Another one is
    /// hidden, so that no guess tells which there are.
    async fn resolve(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Result<Decision, ManageError> {
        let decision = self.decide(actor, action, target);
        let is_ours = match target {
            Target::NewKey { owner: Owner::Team(team), .. } if decision == Decision::Allow => {
                self.is_team_of_ours(actor, team).await?
            }
            _ => true,
        };
        Ok(if is_ours { decision } else { Decision::Hide })
    }

    async fn is_team_of_ours(&self, actor: &Actor, team: &TeamId) -> Result<bool, ManageError> {
        if actor.is_system() {
            return Ok(true);
        }
        let team = TeamRef::new(self.0.organization.clone(), team.clone());
        let said = self.0.rules.directory.has_team(&team, self.0.store.limit()).await?;
        Ok(said.unwrap_or_else(|| self.0.organization == OrganizationId::single() || actor.names_team(&team.team)))
    }

    pub(in crate::manage) fn allows(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> bool {
        self.decide(actor, action, target) == Decision::Allow
    }
}

/// Decisions on real attempts, which leave a trace in the audit trail if they are no.
impl KeyManager {
    /// Whether it is an actor of this organization that may manage keys at all.
    pub(in crate::manage) fn admit(&self, actor: &Actor) -> Result<(), ManageError> {
        self.admissible(actor).inspect_err(|error| {
            let reason = match error.kind() {
                ManageErrorKind::Denied(denial) => denial.reason().code(),
                _ => HIDDEN,
            };
            self.note_denied(actor, None, reason, None);
        })
    }

    /// Whether the policy lets the actor do this to something it may know of.
    pub(in crate::manage) fn permit(
        &self,
        actor: &Actor,
        action: KeyAction,
        target: &Target<'_>,
    ) -> Result<(), ManageError> {
        self.note_no(actor, action, target, self.decide(actor, action, target))
    }

    /// The same of a key that is to be made.
    pub(in crate::manage) async fn permit_issue(&self, actor: &Actor, target: &Target<'_>) -> Result<(), ManageError> {
        let decision = self.resolve(actor, KeyAction::Issue, target).await?;
        self.note_no(actor, KeyAction::Issue, target, decision)
    }

    fn note_no(
        &self,
        actor: &Actor,
        action: KeyAction,
        target: &Target<'_>,
        decision: Decision,
    ) -> Result<(), ManageError> {
        let (reason, error) = match decision {
            Decision::Allow => return Ok(()),
            Decision::Deny(reason) => (reason.code(), ManageError::denied(reason)),
            Decision::Hide => (HIDDEN, ManageError::not_found()),
        };
        self.note_denied(actor, Some(action.as_str()), reason, subject(target));
        Err(error)
    }

    /// The actor may not know that what is asked for is there: this key, or one of this owner.
    pub(in crate::manage) fn hide(&self, actor: &Actor, action: KeyAction, aimed_at: Option<Subject>) -> ManageError {
        self.note_denied(actor, Some(action.as_str()), HIDDEN, aimed_at);
        ManageError::not_found()
    }

    /// There is no key of this id here, nor the owner of one.
    pub(in crate::manage) fn absent(&self, actor: &Actor, action: KeyAction, id: &KeyId) -> ManageError {
        self.note(actor, Some(action.as_str()), NOT_FOUND, None, Some(*id));
        ManageError::not_found()
    }

    /// What the actor knows of and may not do, for a reason that no policy has.
    pub(in crate::manage) fn deny(
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
    pub(in crate::manage) fn note_denied(
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
            source: actor.source().map(ToString::to_string),
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
