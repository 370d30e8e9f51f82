use serde::Serialize;

use super::{
    KeyManager,
    status::{How, Whose},
};
use crate::{
    manage::{
        access::{Access, WantedWrite},
        actor::Actor,
        error::ManageError,
        names::Names,
        policy::{KeyAction, Target},
        reason::cleaned,
    },
    owner::Owner,
    record::{OwnerStatus, OwnerStatusRow, Suspension},
    store::{Effect, OwnerChange},
};

/// A user or a team to suspend, reinstate or close, or only to look at what that would do. An owner converts into one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, Owner, UserId, manage::ChangeOwner};
///
/// let (bob, admin) = (Owner::User(UserId::new("bob")?), Actor::system("offboarding")?);
/// let would_end = manager.close(ChangeOwner::of(bob.clone()).dry_run(), &admin).await?;
/// println!("{:?} live keys would be refused from then on", would_end.live_keys);
/// manager.close(&bob, &admin).await?;
/// # assert!(would_end.dry_run && would_end.live_keys == Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed before `KeyManager::suspend`, `reinstate` or `close`"]
pub struct ChangeOwner {
    owner: Owner,
    how: How,
}

impl ChangeOwner {
    /// Names the user or the team.
    pub fn of(owner: impl Into<Owner>) -> Self {
        Self { owner: owner.into(), how: How::default() }
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

impl From<Owner> for ChangeOwner {
    fn from(owner: Owner) -> Self {
        Self::of(owner)
    }
}

impl From<&Owner> for ChangeOwner {
    fn from(owner: &Owner) -> Self {
        Self::of(owner.clone())
    }
}

/// What suspending or closing a user, a team or an organization did or, in a dry run, would do. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, Owner, UserId};
///
/// let misspelt = Owner::User(UserId::new("Alice")?);
/// let closed = manager.close(&misspelt, &Actor::system("offboarding")?).await?;
/// if closed.is_unknown {
///     println!("no key belongs to this id: is it the right one?");
/// }
/// # assert!(closed.is_unknown && closed.live_keys == Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OwnerStopped {
    /// Whether this changed anything, or the owner was already so.
    pub effect: Effect,
    /// How many live keys the owner has, which are now refused. `None` if they could not be counted; the owner is
    /// stopped anyway.
    pub live_keys: Option<u64>,
    /// The owner has no key, live or dead, made none that exists, and was not suspended: the id may be wrong. The
    /// change is made anyway.
    pub is_unknown: bool,
    /// Whether this was a dry run.
    pub dry_run: bool,
}

/// What ending a suspension of a user, a team or an organization did or, in a dry run, would do. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, Owner, Suspension, UserId, manage::Effect};
///
/// let bob = Owner::User(UserId::new("bob")?);
/// let reinstated = manager.reinstate(&bob, Suspension::Admin, &Actor::system("support")?).await?;
/// assert_eq!(reinstated.effect, Effect::Unchanged); // there was no such suspension
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OwnerReinstated {
    /// Whether there was such a suspension.
    pub effect: Effect,
    /// How many live keys are now accepted again: 0 if nothing changed, or if something else still stops them, such as
    /// the other suspension or one of the organization. `None` if they could not be counted.
    pub live_keys: Option<u64>,
    /// Whether this was a dry run.
    pub dry_run: bool,
}

/// Whether a user or a team is suspended or closed, itself and with all of its organization. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, Owner, Suspension, UserId};
///
/// let (alice, admin) = (Owner::User(UserId::new("alice")?), Actor::system("support")?);
/// manager.suspend(&alice, Suspension::Admin, &admin).await?;
/// let info = manager.owner(&alice, &admin).await?;
/// assert!(info.status.has(Suspension::Admin) && info.organization_status.is_active());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OwnerInfo {
    /// The user or the team.
    pub owner: Owner,
    /// The status that applies to their keys, the same as in each key: their own status and the organization's
    /// together, with each suspension dated by the earlier of the two.
    pub status: OwnerStatus,
    /// Their own status.
    pub own_status: OwnerStatus,
    /// The status of their organization.
    pub organization_status: OwnerStatus,
    /// Their names, and whether they have left.
    pub names: Names,
}

impl KeyManager {
    /// The status of a user or a team, whether they have keys or not: for actors that may see their keys, which carry
    /// the same status. An id that the store does not know is active: the store has no directory.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (a key without `keys:read`, an actor that
    /// is suspended or closed), corrupt record, store unavailable.
    pub async fn owner(&self, owner: &Owner, actor: &Actor) -> Result<OwnerInfo, ManageError> {
        let access = self.acting(actor, &[KeyAction::See]).await?;
        access.require(KeyAction::See, &Target::Owner(owner)).await?;
        let found = access.statuses_of(owner).await?;
        let read = |row| OwnerStatus::try_from(row).map_err(ManageError::corrupt);
        Ok(OwnerInfo {
            owner: owner.clone(),
            status: found.status().map_err(ManageError::corrupt)?,
            own_status: read(&found.owner)?,
            organization_status: read(&found.organization)?,
            names: access.parts.names(|mentions| mentions.owner(owner)).await,
        })
    }

    /// Suspends a user or a team: from the next request its keys are refused, and it gets no new ones. Suspending a
    /// user affects their personal keys only, never the team keys they made.
    ///
    /// An owner can be under both suspensions. The store has no directory: any id may be suspended, even one that has
    /// no keys yet. The answer says so, and counts the keys that are refused; [a dry run](ChangeOwner::dry_run) says
    /// the same and changes nothing.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn suspend(
        &self,
        owner: impl Into<ChangeOwner>,
        suspension: Suspension,
        actor: &Actor,
    ) -> Result<OwnerStopped, ManageError> {
        let owner = owner.into();
        let access = self.acting(actor, &[KeyAction::Suspend]).await?;
        let change = OwnerChange::Suspend(suspension);
        access.stop(Whose::Owner(&owner.owner), owner.how, KeyAction::Suspend, change).await
    }

    /// Ends one suspension of a user or a team, and not the other: their keys are accepted again when none is left. No
    /// key can do this. The answer counts those keys; [a dry run](ChangeOwner::dry_run) says the same and changes
    /// nothing.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn reinstate(
        &self,
        owner: impl Into<ChangeOwner>,
        suspension: Suspension,
        actor: &Actor,
    ) -> Result<OwnerReinstated, ManageError> {
        let owner = owner.into();
        let access = self.acting(actor, &[KeyAction::Reinstate]).await?;
        access.reinstated(Whose::Owner(&owner.owner), owner.how, OwnerChange::Reinstate(suspension)).await
    }

    /// Closes a user or a team permanently: from the next request, none of its keys is accepted, ever again. The team
    /// keys that a closed user made still work. The answer counts the keys that end, and says whether the owner is
    /// known at all; [a dry run](ChangeOwner::dry_run) says the same and changes nothing. No key can do this.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, store unavailable, outcome unknown.
    pub async fn close(&self, owner: impl Into<ChangeOwner>, actor: &Actor) -> Result<OwnerStopped, ManageError> {
        let owner = owner.into();
        let access = self.acting(actor, &[KeyAction::Close]).await?;
        access.stop(Whose::Owner(&owner.owner), owner.how, KeyAction::Close, OwnerChange::Close).await
    }
}

impl Access<'_> {
    /// Suspends or closes, or in a dry run says what that would do.
    pub(super) async fn stop(
        &self,
        whose: Whose<'_>,
        how: How,
        action: KeyAction,
        change: OwnerChange,
    ) -> Result<OwnerStopped, ManageError> {
        self.require_status(action, whose).await?;
        // If the status cannot be read, assume that there was one.
        let statuses = self.statuses_of(&whose.some_owner()).await;
        let had_no_status = statuses.is_ok_and(|found| whose.own(&found) == OwnerStatusRow::default());
        let dry_run = how.dry_run;
        let effect = match dry_run {
            true => self.would_change(whose, change).await?.0,
            false => self.change_status(whose, action, change, how.because).await?,
        };
        // Counted after the change, and a failure is ignored: stopping an owner must not depend on a count, nor on a
        // record that cannot be read.
        let live_keys = self.count_live_keys_of(whose, false).await.ok();
        let is_unknown = live_keys == Some(0) && had_no_status && self.has_no_keys(whose).await.unwrap_or(false);
        Ok(OwnerStopped { effect, live_keys, is_unknown, dry_run })
    }

    /// Ends a suspension, or in a dry run says what that would do.
    pub(super) async fn reinstated(
        &self,
        whose: Whose<'_>,
        how: How,
        change: OwnerChange,
    ) -> Result<OwnerReinstated, ManageError> {
        self.require_status(KeyAction::Reinstate, whose).await?;
        let dry_run = how.dry_run;
        let (effect, since) = if dry_run {
            let (effect, since) = self.would_change(whose, change).await?;
            (effect, Some(since))
        } else {
            let effect = self.change_status(whose, KeyAction::Reinstate, change, how.because).await?;
            (effect, self.statuses_of(&whose.some_owner()).await.ok())
        };
        let live_keys = match since {
            _ if effect == Effect::Unchanged => Some(0),
            Some(since) if whose.is_active(&since) => self.count_live_keys_of(whose, true).await.ok(),
            Some(_) => Some(0),
            None => None,
        };
        Ok(OwnerReinstated { effect, live_keys, dry_run })
    }

    pub(in crate::manage) async fn change_owner(
        &self,
        owner: &Owner,
        action: KeyAction,
        change: OwnerChange,
    ) -> Result<Effect, ManageError> {
        let whose = Whose::Owner(owner);
        self.require_status(action, whose).await?;
        self.change_status(whose, action, change, None).await
    }

    /// The status change with its event.
    pub(in crate::manage) fn owner_write(&self, owner: &Owner, change: OwnerChange) -> WantedWrite {
        self.status_write(Whose::Owner(owner), change, None)
    }
}
