use serde::Serialize;

use super::KeyManager;
use crate::{
    audit::{Action, Subject},
    manage::{
        access::{Access, Wanted, WantedWrite},
        actor::Actor,
        error::ManageError,
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::{ActorId, Suspension},
    store::{Effect, KeyQuery, OwnerChange, Write},
};

/// What it meant to a user or a team that somebody suspended or closed it.
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
    /// Whether the owner was not so before.
    pub effect: Effect,
    /// How many live keys the owner has, which are refused from now on. None if they could not be counted: the owner is
    /// stopped all the same.
    pub live_keys: Option<u64>,
    /// The owner has no key, live or dead, made none that is there, and was not suspended: the id may be a wrong one.
    /// What was asked for is done all the same.
    pub is_unknown: bool,
}

impl KeyManager {
    /// Suspends a user or a team: at the next request its keys are refused, and it gets no new ones. Suspending a user
    /// concerns their personal keys only, never the team keys they made.
    ///
    /// An owner can be under both suspensions. The store knows no directory: any id may be suspended, also one that has
    /// no keys yet. The answer says so, and counts the keys that are refused.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn suspend(
        &self,
        owner: &Owner,
        suspension: Suspension,
        actor: &Actor,
    ) -> Result<OwnerStopped, ManageError> {
        let access = self.acting(actor, &[KeyAction::Suspend]).await?;
        access.stop_owner(owner, KeyAction::Suspend, OwnerChange::Suspend(suspension)).await
    }

    /// Ends a suspension of a user or a team, and no other: their keys are accepted again when none is left. No key does
    /// this.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn reinstate(&self, owner: &Owner, suspension: Suspension, actor: &Actor) -> Result<Effect, ManageError> {
        let access = self.acting(actor, &[KeyAction::Reinstate]).await?;
        access.change_owner(owner, KeyAction::Reinstate, OwnerChange::Reinstate(suspension)).await
    }

    /// Closes a user or a team for good: from the next request on, none of its keys is accepted, and none ever again.
    /// The team keys that a closed user made live on. The answer counts the keys that end, and says whether anybody has
    /// heard of the owner. No key does this.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, store unavailable, outcome unknown.
    pub async fn close(&self, owner: &Owner, actor: &Actor) -> Result<OwnerStopped, ManageError> {
        let access = self.acting(actor, &[KeyAction::Close]).await?;
        access.stop_owner(owner, KeyAction::Close, OwnerChange::Close).await
    }
}

impl Access<'_> {
    async fn stop_owner(
        &self,
        owner: &Owner,
        action: KeyAction,
        change: OwnerChange,
    ) -> Result<OwnerStopped, ManageError> {
        self.require(action, &Target::Owner(owner)).await?;
        // In doubt, it was.
        let had_no_status = self.has_no_status(owner).await.unwrap_or(false);
        let effect = self.change_owner(owner, action, change).await?;
        // After the change, and whatever comes of it: what is to stop does not wait for a count, nor for a key that
        // nobody can read.
        let live_keys = self.count_live_keys(owner).await.ok();
        let is_unknown = live_keys == Some(0) && had_no_status && self.has_no_keys(owner).await.unwrap_or(false);
        Ok(OwnerStopped { effect, live_keys, is_unknown })
    }

    /// Whether no key belongs to the owner, dead ones included, and none is there that the owner made.
    async fn has_no_keys(&self, owner: &Owner) -> Result<bool, ManageError> {
        let creator = match owner {
            Owner::User(user) => Some(ActorId::User(user.clone())),
            Owner::Team(_) => None,
        };
        let all = KeyQuery::all(self.parts.organization.clone());
        let owned = KeyQuery { owner: Some(owner.clone()), ..all.clone() };
        let made = creator.map(|creator| KeyQuery { creator: Some(creator), ..all });
        for query in [Some(owned), made].into_iter().flatten() {
            if self.finds_any(query).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(in crate::manage) async fn change_owner(
        &self,
        owner: &Owner,
        action: KeyAction,
        change: OwnerChange,
    ) -> Result<Effect, ManageError> {
        self.require(action, &Target::Owner(owner)).await?;
        let text = |suspension: Suspension| Some(suspension.as_str().to_owned());
        let (event, before, after) = match change {
            OwnerChange::Close => (Action::OWNER_CLOSED, None, None),
            OwnerChange::Suspend(suspension) => (Action::OWNER_SUSPENDED, None, text(suspension)),
            OwnerChange::Reinstate(suspension) => (Action::OWNER_REINSTATED, text(suspension), None),
        };
        let write = WantedWrite {
            write: Write::Owner(self.owner_ref(owner), change),
            action: event,
            subject: Subject::Owner(owner.clone()),
            before,
            after,
        };
        self.apply_one(Wanted::one(action, self.parts.clock.now(), write)).await
    }
}
