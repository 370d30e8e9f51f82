use super::id::{OrganizationId, Owner, TeamId, UserId};

/// A team of an organization: use it to compare teams.
///
/// Two customers may both have a team `engineering`. Two teams are the same only if their organizations are the same,
/// too. A [`TeamId`] alone converts into the team of the [single](OrganizationId::single) organization.
///
/// ```
/// use tower_api_keys::{OrganizationId, TeamId, TeamRef};
///
/// let engineering = TeamId::new("engineering")?;
/// let of_acme = TeamRef::new(OrganizationId::new("acme")?, engineering.clone());
/// let of_evil = TeamRef::new(OrganizationId::new("evil")?, engineering.clone());
/// assert_ne!(of_acme, of_evil);
/// assert_eq!(TeamRef::from(engineering).organization, OrganizationId::single());
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The team.
    pub team: TeamId,
}

impl TeamRef {
    /// This team of this organization.
    #[must_use]
    pub const fn new(organization: OrganizationId, team: TeamId) -> Self {
        Self { organization, team }
    }
}

impl From<TeamId> for TeamRef {
    fn from(team: TeamId) -> Self {
        Self { organization: OrganizationId::single(), team }
    }
}

/// A user of an organization. As with [`TeamRef`], two customers may both have a user `alice`.
///
/// ```
/// use tower_api_keys::{OrganizationId, UserId, UserRef};
///
/// let alice = UserId::new("alice")?;
/// assert_ne!(UserRef::new(OrganizationId::new("acme")?, alice.clone()), UserRef::from(alice));
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The user.
    pub user: UserId,
}

impl UserRef {
    /// This user of this organization.
    #[must_use]
    pub const fn new(organization: OrganizationId, user: UserId) -> Self {
        Self { organization, user }
    }
}

impl From<UserId> for UserRef {
    fn from(user: UserId) -> Self {
        Self { organization: OrganizationId::single(), user }
    }
}

/// A user or a team of an organization.
///
/// ```
/// use tower_api_keys::{OrganizationId, TeamId, store::OwnerRef};
///
/// let team = OwnerRef { organization: OrganizationId::single(), owner: TeamId::new("engineering")?.into() };
/// assert_eq!(team.owner.id(), "engineering");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The user or team.
    pub owner: Owner,
}

impl From<TeamRef> for OwnerRef {
    fn from(TeamRef { organization, team }: TeamRef) -> Self {
        Self { organization, owner: Owner::Team(team) }
    }
}

impl From<UserRef> for OwnerRef {
    fn from(UserRef { organization, user }: UserRef) -> Self {
        Self { organization, owner: Owner::User(user) }
    }
}

/// The name of a team in a check: a [`TeamRef`], or a [`TeamId`] alone, which means a team of the
/// [single](OrganizationId::single) organization and no team of any other one.
///
/// Implemented for these two and for references to them, and for nothing else.
///
/// ```
/// use tower_api_keys::{NamesTeam, Principal, TeamAccess};
///
/// fn is_its_own(principal: &Principal, team: &impl NamesTeam) -> bool {
///     principal.access_to(team) == TeamAccess::Granted
/// }
/// ```
pub trait NamesTeam: sealed::Pair + Send + Sync {}

impl<T: sealed::Pair + Send + Sync + ?Sized> NamesTeam for T {}

mod sealed {
    use super::{OrganizationId, TeamId, TeamRef};

    /// No other type names a team: half of a pair must not count as the whole.
    pub trait Pair {
        fn pair(&self) -> (&OrganizationId, &TeamId);
    }

    impl Pair for TeamRef {
        fn pair(&self) -> (&OrganizationId, &TeamId) {
            (&self.organization, &self.team)
        }
    }

    impl Pair for TeamId {
        fn pair(&self) -> (&OrganizationId, &Self) {
            (OrganizationId::single_ref(), self)
        }
    }

    impl<T: Pair + ?Sized> Pair for &T {
        fn pair(&self) -> (&OrganizationId, &TeamId) {
            (**self).pair()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_alone_is_of_the_single_organization() {
        let blue = TeamId::new("blue").unwrap();
        assert_eq!(sealed::Pair::pair(&blue), sealed::Pair::pair(&TeamRef::from(blue.clone())));
        let acme = TeamRef::new(OrganizationId::new("acme").unwrap(), blue.clone());
        assert_ne!(acme, TeamRef::from(blue));
        assert_ne!(OwnerRef::from(acme.clone()), OwnerRef::from(TeamRef::from(acme.team)));
    }

    #[test]
    fn a_user_and_a_team_of_one_id_are_two_owners() {
        let (user, team) = (UserId::new("blue").unwrap(), TeamId::new("blue").unwrap());
        assert_ne!(OwnerRef::from(UserRef::from(user)), OwnerRef::from(TeamRef::from(team)));
    }
}
