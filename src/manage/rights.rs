use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{owner::TeamId, words::words};

/// What a person may do in an organization at the moment of one call. The embedder resolves it from its own directory
/// for each call.
///
/// ```
/// use tower_api_keys::{TeamId, manage::{Rights, TeamRole}};
///
/// let (blue, red) = (TeamId::new("blue")?, TeamId::new("red")?);
/// let rights = Rights::none().team(blue.clone(), TeamRole::Admin).team_keys_included_for(blue.clone());
/// assert_eq!(rights.role_in(&blue), Some(TeamRole::Admin));
/// assert!(rights.includes_team_keys(&blue) && !rights.includes_team_keys(&red));
/// assert!(!rights.is_org_admin());
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    org_admin: bool,
    auditor: bool,
    roles: BTreeMap<TeamId, TeamRole>,
    /// Teams whose keys it manages without a role that includes that.
    key_managers: BTreeSet<TeamId>,
    /// Whether the plan of all teams includes team keys.
    includes_all: bool,
    /// Teams whose own plan includes team keys.
    includes: BTreeSet<TeamId>,
}

impl Rights {
    /// Only the rights that everyone has over their own keys.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the rights of an admin of the organization.
    #[must_use]
    pub fn org_admin(mut self) -> Self {
        self.org_admin = true;
        self
    }

    /// Adds the rights of an auditor of the organization. An auditor reads which keys exist, how they are used, and the
    /// trail, of every person and team, takes the inventory and exports both, and changes nothing. It does not see what
    /// stops if a person leaves, nor which keys a person saw.
    ///
    /// ```
    /// use tower_api_keys::{Actor, UserId, manage::{Decision, DefaultPolicy, KeyAction, Policy, Rights, Target}};
    ///
    /// let ada = Actor::user(UserId::new("ada")?, Rights::none().auditor());
    /// let bob = UserId::new("bob")?.into();
    /// assert_eq!(DefaultPolicy.decide(&ada, KeyAction::Audit, &Target::Organization), Decision::Allow);
    /// assert_ne!(DefaultPolicy.decide(&ada, KeyAction::Revoke, &Target::Owner(&bob)), Decision::Allow);
    /// # Ok::<(), tower_api_keys::InvalidId>(())
    /// ```
    ///
    /// # Security
    /// A personal key of an auditor can read as much, if the key has `keys:read` and its owner's rights are given to
    /// [`Actor::key`](super::Actor::key). A service that does not want this gives that actor rights without the
    /// auditor's.
    #[must_use]
    pub fn auditor(mut self) -> Self {
        self.auditor = true;
        self
    }

    /// Adds the right to manage the keys of this team, without a role there that includes it: all that a
    /// [`TeamRole::Admin`] may do with the keys of the team. Like an admin of the team, the actor sees the team's
    /// status and cannot change it.
    ///
    /// ```
    /// use tower_api_keys::{TeamId, manage::{Rights, TeamRole}};
    ///
    /// let (blue, red) = (TeamId::new("blue")?, TeamId::new("red")?);
    /// let rights = Rights::none().team(blue.clone(), TeamRole::Member).may_manage_keys(blue.clone());
    /// assert!(rights.manages_keys_of(&blue) && !rights.manages_keys_of(&red));
    /// assert_eq!(rights.role_in(&blue), Some(TeamRole::Member));
    /// # Ok::<(), tower_api_keys::InvalidId>(())
    /// ```
    ///
    /// # Security
    /// As with a role, you vouch that the team belongs to the organization.
    #[must_use]
    pub fn may_manage_keys(mut self, team: TeamId) -> Self {
        self.key_managers.insert(team);
        self
    }

    /// Adds this role in a team. Of a team that is named twice, the last counts.
    #[must_use]
    pub fn team(mut self, team: TeamId, role: TeamRole) -> Self {
        self.roles.insert(team, role);
        self
    }

    /// The plan includes team keys for all teams of the organization: for a service with a plan for each organization.
    /// Default: for none.
    ///
    /// This is about the plan only. The [`Directory`](super::Directory) still decides whether a team belongs to the
    /// organization; without one, the teams that are named here do.
    #[must_use]
    pub fn team_keys_included(mut self) -> Self {
        self.includes_all = true;
        self
    }

    /// The plan of this team includes team keys: for a service with a plan for each team, and for an admin of the
    /// organization who makes keys for a team that they have no role in. Default: it does not.
    ///
    /// # Security
    /// Without a [`Directory`](super::Directory) you vouch that the team belongs to the organization: do not pass on a
    /// team that a form or a path names before you have looked it up.
    #[must_use]
    pub fn team_keys_included_for(mut self, team: TeamId) -> Self {
        self.includes.insert(team);
        self
    }

    /// Whether it is an admin of the organization.
    #[must_use]
    pub const fn is_org_admin(&self) -> bool {
        self.org_admin
    }

    /// Whether it is an auditor of the organization.
    #[must_use]
    pub const fn is_auditor(&self) -> bool {
        self.auditor
    }

    /// Whether it manages the keys of this team, by a role in it or without one.
    #[must_use]
    pub fn manages_keys_of(&self, team: &TeamId) -> bool {
        self.key_managers.contains(team) || self.role_in(team).is_some_and(TeamRole::manages_keys)
    }

    /// The role in a team, if there is one.
    #[must_use]
    pub fn role_in(&self, team: &TeamId) -> Option<TeamRole> {
        self.roles.get(team).copied()
    }

    /// Whether the plan includes keys of this team; false unless it was set.
    #[must_use]
    pub fn includes_team_keys(&self, team: &TeamId) -> bool {
        self.includes_all || self.includes.contains(team)
    }

    /// Whether the plan includes keys of any team, as far as it was set.
    #[must_use]
    pub fn includes_keys_of_any_team(&self) -> bool {
        self.includes_all || !self.includes.is_empty()
    }

    /// Whether the team is named: by a role, the management of its keys, or a plan with team keys.
    pub(super) fn names(&self, team: &TeamId) -> bool {
        self.has_part_in(team) || self.includes.contains(team)
    }

    /// Whether it has a role in the team or manages the keys.
    pub(super) fn has_part_in(&self, team: &TeamId) -> bool {
        self.roles.contains_key(team) || self.key_managers.contains(team)
    }

    /// The teams that are named, in the order of their ids.
    pub(super) fn known_teams(&self) -> impl Iterator<Item = &TeamId> {
        self.teams().chain(&self.includes).collect::<BTreeSet<_>>().into_iter()
    }

    /// The teams with a role, and those whose keys it manages, in the order of their ids.
    pub fn teams(&self) -> impl Iterator<Item = &TeamId> {
        self.roles.keys().chain(&self.key_managers).collect::<BTreeSet<_>>().into_iter()
    }
}

words! {
    /// The role of a person in a team, from the least to the most.
    ///
    /// ```
    /// use tower_api_keys::manage::TeamRole;
    ///
    /// assert!(TeamRole::Owner.manages_keys() && !TeamRole::Member.manages_keys());
    /// assert!(TeamRole::Member < TeamRole::Admin && TeamRole::Admin < TeamRole::Owner);
    /// ```
    #[non_exhaustive]
    pub enum TeamRole {
        /// Sees the team's keys.
        Member = "member",
        /// Manages the team's keys.
        Admin = "admin",
        /// Manages the team's keys.
        Owner = "owner",
    }
}

/// A team of an actor: its role there, whether it manages the keys, and whether the plan includes team keys. It
/// serializes.
///
/// ```
/// use tower_api_keys::{Actor, TeamId, UserId, manage::{Rights, TeamRole}};
///
/// let rights = Rights::none().team(TeamId::new("blue")?, TeamRole::Member).team_keys_included();
/// let alice = Actor::user(UserId::new("alice")?, rights);
/// for team in alice.teams() {
///     assert_eq!((team.id.as_str(), team.role, team.includes_team_keys), ("blue", Some(TeamRole::Member), true));
/// }
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ActorTeam<'a> {
    /// The team.
    pub id: &'a TeamId,
    /// Its role there; `None` if none was given.
    pub role: Option<TeamRole>,
    /// Whether it manages the team's keys, by its role or without one.
    pub manages_keys: bool,
    /// Whether the plan includes keys of this team, as far as its rights say.
    pub includes_team_keys: bool,
}

impl TeamRole {
    /// Whether the role manages the team's keys.
    #[must_use]
    pub const fn manages_keys(self) -> bool {
        matches!(self, Self::Admin | Self::Owner)
    }
}
