use crate::{
    owner::{OrganizationId, Owner},
    store::Pseudonym,
};

/// Whom to [erase](crate::KeyManager::erase): a user or a team of the manager's organization, or all of that organization. An
/// owner or an [`OrganizationId`] is one, too, with nothing more to say.
///
/// ```
/// use tower_api_keys::{Owner, UserId, manage::Erase};
///
/// let bob = Owner::User(UserId::new("bob")?);
/// let look_first = Erase::owner(bob.clone()).dry_run();
/// assert_ne!(look_first, Erase::from(bob));
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is erased before `KeyManager::erase`"]
pub struct Erase {
    pub(super) of: Whose,
    pub(super) pseudonym: Option<Pseudonym>,
    pub(super) dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Organization(OrganizationId),
    Owner(Owner),
}

impl Erase {
    /// This user or team, in the manager's organization.
    pub fn owner(owner: impl Into<Owner>) -> Self {
        Self { of: Whose::Owner(owner.into()), pseudonym: None, dry_run: false }
    }

    /// This organization, which is the manager's: any other is not found.
    pub const fn organization(organization: OrganizationId) -> Self {
        Self { of: Whose::Organization(organization), pseudonym: None, dry_run: false }
    }

    /// Under this pseudonym, so that what is erased now stands in the trail beside what was erased before: of the same person in
    /// another organization, or of the same id after lines that came late. Default: a new one, which nobody can guess.
    pub const fn under(mut self, pseudonym: Pseudonym) -> Self {
        self.pseudonym = Some(pseudonym);
        self
    }

    /// Only looks: the answer says what would go. It needs the same rights, and the same errors say what is in the way.
    pub const fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

impl From<Owner> for Erase {
    fn from(owner: Owner) -> Self {
        Self::owner(owner)
    }
}

impl From<&Owner> for Erase {
    fn from(owner: &Owner) -> Self {
        Self::owner(owner.clone())
    }
}

impl From<OrganizationId> for Erase {
    fn from(organization: OrganizationId) -> Self {
        Self::organization(organization)
    }
}
