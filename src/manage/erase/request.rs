use crate::{
    owner::{OrganizationId, Owner},
    store::Pseudonym,
};

/// What to [erase](crate::KeyManager::erase): a user or a team of the manager's organization, or all of that
/// organization. An owner or an [`OrganizationId`] converts into one.
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
    /// Erases this user or team of the manager's organization.
    pub fn owner(owner: impl Into<Owner>) -> Self {
        Self { of: Whose::Owner(owner.into()), pseudonym: None, dry_run: false }
    }

    /// Erases this organization. It is the manager's: any other is not found.
    pub const fn organization(organization: OrganizationId) -> Self {
        Self { of: Whose::Organization(organization), pseudonym: None, dry_run: false }
    }

    /// Uses this pseudonym, so that the trail shows what is erased now together with what was erased before: of the
    /// same person in another organization, or of the same id after late events. Default: a new one that cannot be
    /// guessed.
    pub const fn under(mut self, pseudonym: Pseudonym) -> Self {
        self.pseudonym = Some(pseudonym);
        self
    }

    /// Changes nothing: the answer says what would be erased. Needs the same rights, and the same errors say what
    /// prevents it.
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
