use super::KeyManager;
use crate::{
    audit::{Action, Subject},
    manage::{
        access::{Access, Wanted, WantedWrite},
        actor::Actor,
        error::ManageError,
        policy::{KeyAction, Target},
        rights::Plan,
        rules::OnDowngrade,
    },
    owner::{Owner, TeamId},
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

    /// Tells that a team has another plan. If it includes team keys, [`Hold::Plan`] is lifted; if not, the team's keys go
    /// on or are held, as [`OnDowngrade`] says: go on, unless the service was told otherwise.
    ///
    /// Plans are the embedder's: nothing is kept of them here, and telling twice does no harm.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, TeamId, manage::{Effect, Plan}};
    ///
    /// let billing = Actor::system("billing")?;
    /// assert_eq!(manager.plan_changed(&TeamId::new("blue")?, Plan::Free, &billing).await?, Effect::Unchanged);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`hold`](Self::hold).
    pub async fn plan_changed(&self, team: &TeamId, plan: Plan, actor: &Actor) -> Result<Effect, ManageError> {
        let owner = Owner::Team(team.clone());
        match (plan.includes_team_keys(), self.parts().rules.on_downgrade) {
            (true, _) => self.lift(&owner, Hold::Plan, actor).await,
            (false, OnDowngrade::Hold) => self.hold(&owner, Hold::Plan, actor).await,
            (false, OnDowngrade::Keep) => {
                let access = self.acting(actor)?;
                access.require(KeyAction::Hold, &Target::Owner(&owner)).await?;
                Ok(Effect::Unchanged)
            }
        }
    }
}

impl Access<'_> {
    async fn change_owner(&self, owner: &Owner, action: KeyAction, change: OwnerChange) -> Result<Effect, ManageError> {
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
