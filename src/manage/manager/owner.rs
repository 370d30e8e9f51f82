use super::{
    KeyManager,
    apply::{Wanted, WantedWrite},
};
use crate::{
    audit::{Action, Subject},
    manage::{
        actor::Actor,
        error::ManageError,
        policy::{KeyAction, Target},
        rights::Plan,
        rules::OnDowngrade,
    },
    owner::{Owner, TeamId},
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
        self.change_owner(owner, KeyAction::Suspend, OwnerChange::Suspend(suspension), actor).await
    }

    /// Ends a suspension of a user or a team, and no other: their keys are accepted again when none is left.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`suspend`](Self::suspend).
    pub async fn reinstate(&self, owner: &Owner, suspension: Suspension, actor: &Actor) -> Result<Effect, ManageError> {
        self.change_owner(owner, KeyAction::Reinstate, OwnerChange::Reinstate(suspension), actor).await
    }

    /// Closes a user or a team for good: from the next request on, none of its keys is accepted, and none ever again.
    /// The team keys that a closed user made live on.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, store unavailable, outcome unknown.
    pub async fn close(&self, owner: &Owner, actor: &Actor) -> Result<Effect, ManageError> {
        self.change_owner(owner, KeyAction::Close, OwnerChange::Close, actor).await
    }

    /// Tells that a team has another plan. If it includes team keys, [`Suspension::Plan`] is ended; if not, the team's
    /// keys go on or are suspended, as [`OnDowngrade`] says: go on, unless the service was told otherwise.
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
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`suspend`](Self::suspend).
    pub async fn plan_changed(&self, team: &TeamId, plan: Plan, actor: &Actor) -> Result<Effect, ManageError> {
        let owner = Owner::Team(team.clone());
        match (plan.includes_team_keys(), self.0.rules.on_downgrade) {
            (true, _) => self.reinstate(&owner, Suspension::Plan, actor).await,
            (false, OnDowngrade::Suspend) => self.suspend(&owner, Suspension::Plan, actor).await,
            (false, OnDowngrade::Keep) => {
                self.admit(actor)?;
                self.permit(actor, KeyAction::Suspend, &Target::Owner(&owner))?;
                Ok(Effect::Unchanged)
            }
        }
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
        let text = |suspension: Suspension| Some(suspension.as_str().to_owned());
        let (action, before, after) = match change {
            OwnerChange::Close => (Action::OWNER_CLOSED, None, None),
            OwnerChange::Suspend(suspension) => (Action::OWNER_SUSPENDED, None, text(suspension)),
            OwnerChange::Reinstate(suspension) => (Action::OWNER_REINSTATED, text(suspension), None),
        };
        let write = WantedWrite {
            write: Write::Owner(self.owner_ref(owner), change),
            action,
            subject: Subject::Owner(owner.clone()),
            before,
            after,
        };
        Ok(match self.apply_one(actor, Wanted::one(self.0.clock.now(), write)).await? {
            Effect::Unchanged => Effect::Unchanged,
            Effect::Changed => Effect::Changed,
        })
    }
}
