use super::{
    KeyManager,
    owner::{OwnerReinstated, OwnerStopped},
    status::{How, Whose},
};
use crate::{
    manage::{
        access::{Access, Walk},
        actor::Actor,
        error::ManageError,
        policy::KeyAction,
        reason::cleaned,
    },
    owner::OrganizationId,
    record::{OwnerStatusRow, Suspension},
    store::{KeyQuery, Liveness, OwnerChange},
};

/// An organization to suspend, reinstate or close, or only to look at what that would do. It is named although each
/// manager has only one: the mistake of using the wrong manager must not stop all keys of a customer. An
/// [`OrganizationId`] converts into one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new()).several_organizations();
/// # let keys = keys.build().await?;
/// use tower_api_keys::{Actor, OrganizationId, manage::ChangeOrganization};
///
/// let (acme, billing) = (OrganizationId::new("acme")?, Actor::system("billing")?);
/// let manager = keys.manager_for(acme.clone());
/// let would_end = manager.close_organization(ChangeOrganization::of(acme.clone()).dry_run(), &billing).await?;
/// println!("{:?} live keys would be refused from then on", would_end.live_keys);
/// manager.close_organization(acme, &billing).await?;
/// # assert!(would_end.dry_run && would_end.live_keys == Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed before `KeyManager::suspend_organization` and the like"]
pub struct ChangeOrganization {
    organization: OrganizationId,
    how: How,
}

impl ChangeOrganization {
    /// Names the organization. It is the manager's: any other is not found.
    pub fn of(organization: OrganizationId) -> Self {
        Self { organization, how: How::default() }
    }

    /// Changes nothing: the answer says what would have changed. Needs the same rights.
    pub const fn dry_run(mut self) -> Self {
        self.how.dry_run = true;
        self
    }

    /// Gives a reason. The audit trail keeps it with the change, and the [sink](crate::audit::EventSink) gets it. It is
    /// cleaned and cut as that of a [revocation](crate::manage::RevokeKey::because). Default: no reason.
    pub fn because(mut self, reason: impl AsRef<str>) -> Self {
        self.how.because = cleaned(reason.as_ref());
        self
    }
}

impl From<OrganizationId> for ChangeOrganization {
    fn from(organization: OrganizationId) -> Self {
        Self::of(organization)
    }
}

impl KeyManager {
    /// Suspends the organization: from the next request, all keys of all its users and teams are refused on every node,
    /// and none of them gets a new one. Keys that are paused, and owners who are suspended themselves, stay so when
    /// this ends.
    ///
    /// An organization can be under both suspensions. Everyone in it is suspended with it, its admins too: only the
    /// [system](Actor::system) ends this.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found (another organization than the
    /// manager's), owner closed, store unavailable, outcome unknown.
    pub async fn suspend_organization(
        &self,
        organization: impl Into<ChangeOrganization>,
        suspension: Suspension,
        actor: &Actor,
    ) -> Result<OwnerStopped, ManageError> {
        let ChangeOrganization { organization, how } = organization.into();
        let access = self.acting(actor, &[KeyAction::Suspend]).await?;
        let change = OwnerChange::Suspend(suspension);
        access.stop(Whose::Organization(&organization), how, KeyAction::Suspend, change).await
    }

    /// Ends one suspension of the organization, and not the other. Its keys are accepted again when none is left,
    /// except those whose owner is suspended or closed. By default only the [system](Actor::system) does this. The
    /// answer counts the keys that are accepted again.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found (another organization than the
    /// manager's), owner closed, store unavailable, outcome unknown.
    pub async fn reinstate_organization(
        &self,
        organization: impl Into<ChangeOrganization>,
        suspension: Suspension,
        actor: &Actor,
    ) -> Result<OwnerReinstated, ManageError> {
        let ChangeOrganization { organization, how } = organization.into();
        let access = self.acting(actor, &[KeyAction::Reinstate]).await?;
        access.reinstated(Whose::Organization(&organization), how, OwnerChange::Reinstate(suspension)).await
    }

    /// Closes the organization permanently: from the next request, none of its keys is accepted on any node, ever
    /// again, and nothing is issued in it. The answer counts the keys that end, and says whether the organization is
    /// known at all. By default only the [system](Actor::system) does this: the account of one admin should not be
    /// enough to end everything.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found (another organization than the
    /// manager's), store unavailable, outcome unknown.
    pub async fn close_organization(
        &self,
        organization: impl Into<ChangeOrganization>,
        actor: &Actor,
    ) -> Result<OwnerStopped, ManageError> {
        let ChangeOrganization { organization, how } = organization.into();
        let access = self.acting(actor, &[KeyAction::Close]).await?;
        access.stop(Whose::Organization(&organization), how, KeyAction::Close, OwnerChange::Close).await
    }
}

impl Access<'_> {
    /// How many live keys the organization has, for any actor; if `of_active`, only of owners who are active
    /// themselves.
    pub(super) async fn count_live_keys_of_all(&self, of_active: bool) -> Result<u64, ManageError> {
        let mut walk = Walk::new(KeyQuery {
            liveness: Some(Liveness::Live),
            with_usage: false,
            ..KeyQuery::all(self.parts.organization.clone())
        });
        let mut count = 0;
        while let Some(rows) = walk.next_page(self).await? {
            let counts = |owner: &OwnerStatusRow| !of_active || *owner == OwnerStatusRow::default();
            count += rows.iter().filter(|row| counts(&row.peek().owner)).count() as u64;
        }
        Ok(count)
    }
}
