use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::KeyManager;
use crate::{
    manage::{
        abilities::refused_hint,
        access::Access,
        actor::Actor,
        denial::{Denial, DenialReason},
        error::ManageError,
        names::{Mentions, NamedTeam},
        patience::Patience,
        policy::{Decision, KeyAction, Target},
        rights::Rights,
    },
    owner::{Owner, TeamId, UserId},
    record::NamePart,
};

/// How many teams are asked about concurrently, one question each.
const AT_ONCE: usize = 8;

impl KeyManager {
    /// Whether the actor may do this action on this target: the same decision that guards the action, for showing or
    /// disabling a button. Asks the [`Policy`](crate::manage::Policy) and, for a new key of a team, the
    /// [`Directory`](crate::manage::Directory). Only the action itself checks that the actor is active and the key is
    /// live. Only the action checks, too, that a key which rotates another can do at least as much as the other: a
    /// target has no scopes.
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

    /// Explains why [`can`](Self::can) denied it, and what would change it: the same words as the error, so that a
    /// disabled button and the attempt say the same.
    #[must_use]
    pub fn denial(&self, reason: DenialReason) -> Denial {
        self.0.rules.denial(reason)
    }

    /// The teams for which the actor may make keys, with their names, in display order for a select list. With one team
    /// there is nothing to choose.
    ///
    /// Each team that the rights name is asked about as by [`can`](Self::can). An admin of the organization and the
    /// system get all teams that the [`Directory`](crate::manage::Directory) lists and the policy allows: at most
    /// 1,000, with one question. Where there may be more, [`find_teams_to_issue_for`](Self::find_teams_to_issue_for)
    /// searches by a part of the name. A directory that does not list teams, or fails to, adds none; a name that it
    /// does not give is unknown.
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
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): directory unavailable (it cannot say whether a team that
    /// the rights name is one of the organization's), misconfigured.
    pub async fn teams_to_issue_for(&self, actor: &Actor) -> Result<Vec<NamedTeam>, ManageError> {
        self.choices(None, actor).await
    }

    /// The teams for which the actor may make keys that have this text in their names, or in their ids where they have
    /// no name: what people type into a select list that is too long.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, TeamId, UserId, manage::{Rights, TeamRole}, record::NamePart};
    ///
    /// let (blue, red) = (TeamId::new("blue")?, TeamId::new("red")?);
    /// let rights = Rights::none().team(blue.clone(), TeamRole::Admin).team(red, TeamRole::Admin).team_keys_included();
    /// let alice = Actor::user(UserId::new("alice")?, rights);
    /// assert_eq!(manager.find_teams_to_issue_for(&NamePart::new("BLU")?, &alice).await?, [blue]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`teams_to_issue_for`](Self::teams_to_issue_for).
    pub async fn find_teams_to_issue_for(&self, part: &NamePart, actor: &Actor) -> Result<Vec<NamedTeam>, ManageError> {
        self.choices(Some(part), actor).await
    }

    async fn choices(&self, part: Option<&NamePart>, actor: &Actor) -> Result<Vec<NamedTeam>, ManageError> {
        let access = match Access::hints(&self.0, actor, &[KeyAction::Issue]) {
            Ok(access) => access,
            Err(error) => return refused_hint(error).map(|_| Vec::new()),
        };
        let mut patience = Patience::new(self.0.guarded.limit());
        let mut teams = access.listed_teams(part, &mut patience).await;
        // The directory is asked one by one about teams that it did not list: they may be beyond the end of the list.
        let listed: BTreeSet<_> = teams.keys().cloned().collect();
        let unlisted = actor.known_teams().filter(|team| !listed.contains(*team));
        let asked: Vec<_> = unlisted.map(|team| self.issues_for(actor, team)).collect();
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        teams.extend(answers.into_iter().flatten().map(|team| (team.clone(), NamedTeam::new(team))));

        let is_unnamed = |team: &&NamedTeam| team.name().is_none();
        let unnamed = |of: &mut Mentions| teams.values().filter(is_unnamed).for_each(|team| of.team(team.id()));
        let names = self.0.names_within(&mut patience, unnamed).await;
        let named = teams.into_values().map(|team| match names.of_team(team.id()) {
            Some(name) => team.with_name(name),
            None => team,
        });
        // The directory decides how it matches a part: it may ignore accents.
        let is_listed = |team: &NamedTeam| listed.contains(team.id());
        let is_asked = |team: &NamedTeam| part.is_none_or(|part| is_listed(team) || part.is_in(team.label()));
        let mut choices: Vec<_> = named.filter(is_asked).collect();
        choices.sort_by_cached_key(|team| (team.label().to_lowercase(), team.id().clone()));
        Ok(choices)
    }

    /// This team, if the actor may make keys for it.
    async fn issues_for(&self, actor: &Actor, team: &TeamId) -> Result<Option<TeamId>, ManageError> {
        let owner = Owner::Team(team.clone());
        let decision = self.can(actor, KeyAction::Issue, &Target::new_key(&owner)).await?;
        Ok((decision == Decision::Allow).then(|| team.clone()))
    }

    /// An actor for a person of this manager's organization, with the rights they have at this moment. Managers of
    /// other organizations do not accept it as their own.
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
        // No organization was named, so the actor has none; a manager that gets it reports that.
        if self.0.is_nobodys() { person } else { person.with_organization(self.0.organization.clone()) }
    }
}

impl Access<'_> {
    /// The teams that the directory lists for an actor that may make keys for teams its rights do not name, without
    /// those that the policy denies.
    async fn listed_teams(&self, part: Option<&NamePart>, patience: &mut Patience) -> BTreeMap<TeamId, NamedTeam> {
        if !self.actor.is_org_admin() && !self.actor.is_system() {
            return BTreeMap::new();
        }
        let parts = self.parts;
        let listed = parts.rules.directory.teams(&parts.organization, part, patience).await.unwrap_or_default();
        let may_get_a_key = |team: &NamedTeam| {
            let owner = Owner::Team(team.id().clone());
            self.decide(KeyAction::Issue, &Target::new_key(&owner)) == Decision::Allow
        };
        listed.into_iter().filter(may_get_a_key).map(|team| (team.id().clone(), team)).collect()
    }
}
