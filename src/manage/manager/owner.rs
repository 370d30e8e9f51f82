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
    record::Hold,
    store::{Effect, OwnerChange, Write},
};

impl KeyManager {
    /// Puts a hold on a user or a team: from the next request on, none of its keys is accepted, and it gets no new ones.
    /// A hold on a user concerns their personal keys only, never the team keys they made.
    ///
    /// The store knows no directory: any id may be held, also one that has no keys yet.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn hold(&self, owner: &Owner, hold: Hold, actor: &Actor) -> Result<Effect, ManageError> {
        self.acting(actor)?.change_owner(owner, KeyAction::Hold, OwnerChange::Hold(hold)).await
    }

    /// Lifts a hold from a user or a team, and no other: its keys are accepted again when none is left.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`hold`](Self::hold).
    pub async fn lift(&self, owner: &Owner, hold: Hold, actor: &Actor) -> Result<Effect, ManageError> {
        self.acting(actor)?.change_owner(owner, KeyAction::Lift, OwnerChange::Lift(hold)).await
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
        let text = |hold: Hold| Some(hold.as_str().to_owned());
        let (event, before, after) = match change {
            OwnerChange::Close => (Action::OWNER_CLOSED, None, None),
            OwnerChange::Hold(hold) => (Action::OWNER_HELD, None, text(hold)),
            OwnerChange::Lift(hold) => (Action::OWNER_LIFTED, text(hold), None),
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
