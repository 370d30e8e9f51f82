use std::collections::BTreeMap;

use crate::owner::TeamId;

/// What a person may do in an organization at the moment of one call: resolved by the embedder, from its own directory,
/// for each call.
///
/// ```
/// use tower_api_keys::{TeamId, manage::{Plan, Rights, TeamRole}};
///
/// let blue = TeamId::new("blue")?;
/// let rights = Rights::none().team(blue.clone(), TeamRole::Admin, Plan::Business);
/// assert_eq!(rights.role_in(&blue), Some(TeamRole::Admin));
/// assert!(!rights.is_org_admin());
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    org_admin: bool,
    teams: BTreeMap<TeamId, Standing>,
}

/// How things stand between a person and a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    role: Option<TeamRole>,
    plan: Plan,
}

impl Rights {
    /// No more than anybody has over their own keys.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// And an admin of the organization.
    #[must_use]
    pub fn org_admin(mut self) -> Self {
        self.org_admin = true;
        self
    }

    /// And this role in a team that has this plan. Of a team that is named twice, the last counts.
    #[must_use]
    pub fn team(mut self, team: TeamId, role: TeamRole, plan: Plan) -> Self {
        self.teams.insert(team, Standing { role: Some(role), plan });
        self
    }

    /// The plan of a team, with or without a role in it: what an admin of the organization needs to make keys for a
    /// team that is not their own. A team of which no plan is said has [`Plan::Free`].
    ///
    /// # Security
    /// Without a [`Directory`](super::Directory) you vouch here that the team is one of the organization's: do not pass on
    /// the team that a form or a path names before you have looked it up.
    #[must_use]
    pub fn team_plan(mut self, team: TeamId, plan: Plan) -> Self {
        self.teams.entry(team).or_insert(Standing { role: None, plan }).plan = plan;
        self
    }

    /// Whether it is an admin of the organization.
    #[must_use]
    pub const fn is_org_admin(&self) -> bool {
        self.org_admin
    }

    /// The role in a team, if there is one.
    #[must_use]
    pub fn role_in(&self, team: &TeamId) -> Option<TeamRole> {
        self.teams.get(team).and_then(|standing| standing.role)
    }

    /// The plan of a team; [`Plan::Free`] unless it was said.
    #[must_use]
    pub fn plan_of(&self, team: &TeamId) -> Plan {
        self.teams.get(team).map_or(Plan::Free, |standing| standing.plan)
    }

    /// Whether something was said of the team: a role, or a plan.
    pub(super) fn names(&self, team: &TeamId) -> bool {
        self.teams.contains_key(team)
    }

    /// The teams of which something was said: a role, or a plan.
    pub(super) fn known_teams(&self) -> impl Iterator<Item = &TeamId> {
        self.teams.keys()
    }

    /// The teams with a role.
    pub fn teams(&self) -> impl Iterator<Item = &TeamId> {
        self.teams.iter().filter(|(_, standing)| standing.role.is_some()).map(|(team, _)| team)
    }
}

/// What a person is in a team.
///
/// ```
/// use tower_api_keys::manage::TeamRole;
///
/// assert!(TeamRole::Owner.manages_keys() && !TeamRole::Member.manages_keys());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TeamRole {
    /// Manages the team's keys.
    Admin,
    /// Sees the team's keys.
    Member,
    /// Manages the team's keys.
    Owner,
}

impl TeamRole {
    /// Whether the role manages the team's keys.
    #[must_use]
    pub const fn manages_keys(self) -> bool {
        matches!(self, Self::Admin | Self::Owner)
    }
}

/// What a team pays for.
///
/// ```
/// use tower_api_keys::manage::Plan;
///
/// assert!(Plan::Business.includes_team_keys() && !Plan::Team.includes_team_keys());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Plan {
    /// Includes team keys.
    Business,
    /// Includes team keys.
    Enterprise,
    /// Personal keys only.
    Free,
    /// Personal keys only.
    Team,
}

impl Plan {
    /// Whether a team of this plan may make keys of its own.
    #[must_use]
    pub const fn includes_team_keys(self) -> bool {
        matches!(self, Self::Business | Self::Enterprise)
    }
}
