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
    record::Suspension,
    store::{Effect, OwnerChange, Write},
};

impl KeyManager {
    /// Suspends a user or a team: at the next request its keys are refused, and it gets no new ones. Suspending a user
    /// concerns their personal keys only, never the team keys they made.
    ///
    /// An owner can be under both suspensions. The store knows no directory: any id may be suspended, also one that has
    /// no keys yet.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn suspend(&self, owner: &Owner, suspension: Suspension, actor: &Actor) -> Result<Effect, ManageError> {
        self.acting(actor)?.change_owner(owner, KeyAction::Suspend, OwnerChange::Suspend(suspension)).await
    }

    /// Ends a suspension of a user or a team, and no other: their keys are accepted again when none is left.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`suspend`](Self::suspend).
    pub async fn reinstate(&self, owner: &Owner, suspension: Suspension, actor: &Actor) -> Result<Effect, ManageError> {
        self.acting(actor)?.change_owner(owner, KeyAction::Reinstate, OwnerChange::Reinstate(suspension)).await
    }

    /// Closes a user or a team for good: from the next request on, none of its keys is accepted, and none ever again.
    /// The team keys that a closed user made live on.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, store unavailable, outcome unknown.
    pub async fn close(&self, owner: &Owner, actor: &Actor) -> Result<Effect, ManageError> {
        self.acting(actor)?.change_owner(owner, KeyAction::Close, OwnerChange::Close).await
    }
}

impl Access<'_> {
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
