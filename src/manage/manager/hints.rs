use futures_util::{StreamExt, TryStreamExt, stream};

use super::KeyManager;
use crate::{
    manage::{
        abilities::refused_hint,
        access::Access,
        actor::Actor,
        denial::{Denial, DenialReason},
        error::ManageError,
        policy::{Decision, KeyAction, Target},
        rights::Rights,
    },
    owner::{Owner, TeamId, UserId},
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
    /// use tower_api_keys::manage::{Decision, KeyAction, Rights, Target, TeamRole};
    ///
    /// let blue = TeamId::new("blue")?;
    /// let alice = Actor::user(UserId::new("alice")?, Rights::none().team(blue.clone(), TeamRole::Admin));
    /// let owner = Owner::Team(blue);
    /// if let Decision::Deny(reason) = manager.can(&alice, KeyAction::Issue, &Target::new_key(&owner)).await? {
    ///     assert_eq!(manager.denial(reason).sentence(), "Team API keys are not included in this plan.");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): directory unavailable, misconfigured.
    pub async fn can(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> Result<Decision, ManageError> {
        match Access::hints(&self.0, actor, &[action]) {
            Ok(access) => access.decision(action, target).await,
            Err(error) => refused_hint(error),
        }
    }

    /// Why [`can`](Self::can) said no, in words, and what would change it: those of an error, so that a greyed button says
    /// the same as the attempt.
    #[must_use]
    pub fn denial(&self, reason: DenialReason) -> Denial {
        self.0.rules.denial(reason)
    }

    /// The teams for which the actor may make keys, of those that its rights name: one of them needs no choice. Each
    /// is asked about as by [`can`](Self::can).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, TeamId, UserId, manage::{Rights, TeamRole}};
    ///
    /// let (blue, red) = (TeamId::new("blue")?, TeamId::new("red")?);
    /// let rights = Rights::none().team(blue.clone(), TeamRole::Admin).team(red, TeamRole::Member).team_keys_included();
    /// assert_eq!(manager.teams_to_issue_for(&Actor::user(UserId::new("alice")?, rights)).await?, [blue]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): directory unavailable, misconfigured.
    pub async fn teams_to_issue_for(&self, actor: &Actor) -> Result<Vec<TeamId>, ManageError> {
        if let Err(error) = Access::hints(&self.0, actor, &[KeyAction::Issue]) {
            return refused_hint(error).map(|_| Vec::new());
        }
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

    /// A person of this manager's organization, with the rights they have at this moment. No other manager takes them for
    /// one of its own.
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
        let person = Actor::user(user, rights);
        // Of no organization, where none was named: whoever is given this actor says so.
        if self.0.is_nobodys() { person } else { person.with_organization(self.0.organization.clone()) }
    }
}
