use super::{KeyManager, apply::Wanted};
use crate::{
    audit::{Action, Subject},
    manage::{
        actor::Actor,
        error::ManageError,
        info::Effect,
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::Hold,
    store::{KeyStore, OwnerChange, Write, WriteOutcome},
};

impl<S: KeyStore> KeyManager<S> {
    /// Puts a hold on a user or a team: from the next request on, none of its keys is accepted, and it gets no new ones.
    /// A hold on a user concerns their personal keys only, never the team keys they made.
    ///
    /// The store knows no directory: any id may be held, also one that has no keys yet.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, owner closed, store unavailable, outcome
    /// unknown.
    pub async fn hold(&self, owner: &Owner, hold: Hold, actor: &Actor) -> Result<Effect, ManageError> {
        self.change_owner(owner, KeyAction::Hold, OwnerChange::Hold(hold), actor).await
    }

    /// Lifts a hold from a user or a team, and no other: its keys are accepted again when none is left.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`hold`](Self::hold).
    pub async fn lift(&self, owner: &Owner, hold: Hold, actor: &Actor) -> Result<Effect, ManageError> {
        self.change_owner(owner, KeyAction::Lift, OwnerChange::Lift(hold), actor).await
    }

    /// Closes a user or a team for good: from the next request on, none of its keys is accepted, and none ever again.
    /// The team keys that a closed user made live on.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, store unavailable, outcome unknown.
    pub async fn close(&self, owner: &Owner, actor: &Actor) -> Result<Effect, ManageError> {
        self.change_owner(owner, KeyAction::Close, OwnerChange::Close, actor).await
    }

    async fn change_owner(
        &self,
        owner: &Owner,
        action: KeyAction,
        change: OwnerChange,
        actor: &Actor,
    ) -> Result<Effect, ManageError> {
        self.admit(actor)?;
        self.permit(actor, action, &Target::Owner(owner))?;
        let text = |hold: Hold| Some(hold.as_str().to_owned());
        let (action, before, after) = match change {
            OwnerChange::Close => (Action::OWNER_CLOSED, None, None),
            OwnerChange::Hold(hold) => (Action::OWNER_HELD, None, text(hold)),
            OwnerChange::Lift(hold) => (Action::OWNER_LIFTED, text(hold), None),
        };
        let wanted = Wanted {
            at: self.0.clock.now(),
            write: Write::Owner(self.owner_ref(owner), change),
            action,
            subject: Subject::Owner(owner.clone()),
            before,
            after,
            new_owner: None,
            dedupe: None,
        };
        Ok(match self.apply(actor, wanted).await? {
            WriteOutcome::Unchanged => Effect::Already,
            WriteOutcome::Written => Effect::Done,
        })
    }
}
