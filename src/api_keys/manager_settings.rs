//! What `manage` adds to the builder and the keys: settings of the manager, and the manager.

use std::{sync::Arc, time::Duration};

use super::{builder::ApiKeysBuilder, keys::ApiKeys};
use crate::{
    manage::{AnyDirectory, Directory, KeyManager, OnDowngrade, Policy},
    owner::OrganizationId,
    scope::Scope,
    store::Ledger,
};

impl<S: Ledger> ApiKeysBuilder<S> {
    /// Who may do what. Default: [`DefaultPolicy`](crate::manage::DefaultPolicy).
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.managing.policy = Arc::new(policy);
        self
    }

    /// The service has several customers, each an organization of its own: then nothing is done without saying for which.
    /// [`ApiKeys::manager`] is refused, call by call, and so is an [`Actor::user`](crate::Actor::user) of no organization,
    /// each as [`Misconfigured`](crate::manage::ManageErrorKind::Misconfigured), with what to call instead. Take
    /// [`ApiKeys::manager_for`] and [`KeyManager::actor`]. Default: the service has one organization.
    ///
    /// [Several customers in one service](crate::manual::several_customers) says how the rest is set up.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{ApiKeys, OrganizationId, UserId, manage::{ListKeys, Rights}, store::MemoryStore};
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new()).several_organizations().build().await?;
    /// let manager = keys.manager_for(OrganizationId::new("acme")?);
    /// let alice = manager.actor(UserId::new("alice")?, Rights::none());
    /// assert!(manager.list(ListKeys::all(), &alice).await.is_ok());
    /// assert!(keys.manager().list(ListKeys::all(), &alice).await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn several_organizations(mut self) -> Self {
        self.managing.rules.several_organizations = true;
        self
    }

    /// Which teams organizations have, asked before a key is made for one; and what people and teams are called and who has
    /// left, asked once for an answer. Default: nothing is asked, an actor's rights vouch for the teams they name, and
    /// answers have ids; see [`Directory`].
    pub fn directory(mut self, directory: impl Directory) -> Self {
        self.managing.rules.directory = AnyDirectory::new(directory);
        self
    }

    /// The scopes that there are, beside each [`ManagingScope`](crate::ManagingScope). Default: whatever is asked for. A
    /// key with another one is not
    /// issued, so that a misspelt scope does not go unnoticed until it is missed; none at all are none.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.managing.rules.scopes = Some(scopes.into_iter().collect());
        self
    }

    /// What people read where their plan does not include team keys: in the denial, and as the hint at a greyed button. Say
    /// what would help. Default: `Team API keys are not included in this plan.`
    ///
    /// ```
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// let keys = keys.upgrade_sentence(
    ///     "Team API keys are not included. Upgrade to Business or Enterprise to create team-scoped service keys.",
    /// );
    /// # let _ = keys;
    /// ```
    pub fn upgrade_sentence(mut self, sentence: &'static str) -> Self {
        self.managing.rules.upgrade_sentence = Some(sentence);
        self
    }

    /// What becomes of a team's live keys when its plan no longer includes team keys, told by
    /// [`KeyManager::plan_changed`]. Default: [`OnDowngrade::Keep`].
    pub fn on_downgrade(mut self, on_downgrade: OnDowngrade) -> Self {
        self.managing.rules.on_downgrade = on_downgrade;
        self
    }

    /// How many live keys a user may have, no matter who makes them. Default: as many as they like.
    ///
    /// Counted in the transaction that inserts the key; revoked and expired keys do not count. Beyond it,
    /// [`issue`](KeyManager::issue) is refused as
    /// [`QuotaReached`](crate::manage::ManageErrorKind::QuotaReached). A rotation still works, since the old key ends with
    /// it: while rotations are under way there may be up to twice as many. Keys that are there already, above a lower
    /// limit or from [`transfer::copy`](crate::store::transfer::copy), go on.
    pub fn max_live_keys_per_user(mut self, keys: u32) -> Self {
        self.managing.rules.quotas.live_keys_of_user = Some(keys);
        self
    }

    /// The same for a team.
    pub fn max_live_keys_per_team(mut self, keys: u32) -> Self {
        self.managing.rules.quotas.live_keys_of_team = Some(keys);
        self
    }

    /// The longest life of personal keys, from their making: more than nothing. Default: as long as they like.
    ///
    /// A key that is issued without an expiry gets the latest that may be, which [`KeyManager::preview`] shows before; a later
    /// one that is asked for is [invalid](crate::manage::InvalidInput::ExpiryTooLate). A successor in a rotation obeys it, too.
    /// Keys that are there already and live longer go on, with a [flag](crate::manage::KeyFlag::LivesTooLong) in the inventory.
    /// Of several that hold for a key, by its kind and its scopes, the shortest counts.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use std::time::Duration;
    /// use tower_api_keys::{Actor, ApiKeys, IssueKey, UserId, store::MemoryStore};
    ///
    /// let quarter = Duration::from_secs(90 * 86_400);
    /// let keys = ApiKeys::builder(MemoryStore::new()).longest_life_of_user_keys(quarter).build().await?;
    /// # let cheap = tower_api_keys::hash::Argon2Params::MACHINE_SECRET;
    /// # let keys = ApiKeys::builder(MemoryStore::new()).params(cheap).longest_life_of_user_keys(quarter).build().await?;
    /// let issued = keys.manager().issue(IssueKey::user(UserId::new("alice")?), &Actor::system("setup")?).await?;
    /// assert_eq!(issued.info().expires_at, Some(issued.info().created_at.saturating_add(quarter)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn longest_life_of_user_keys(mut self, life: Duration) -> Self {
        self.managing.rules.lifetimes.of_user = Some(life);
        self
    }

    /// The same of team keys.
    pub fn longest_life_of_team_keys(mut self, life: Duration) -> Self {
        self.managing.rules.lifetimes.of_team = Some(life);
        self
    }

    /// The same of keys that may do this, be it by name or because they may do everything; a
    /// [`ManagingScope`](crate::ManagingScope) is never part of everything.
    pub fn longest_life_with_scope(mut self, scope: Scope, life: Duration) -> Self {
        self.managing.rules.lifetimes.of_scopes.insert(scope, life);
        self
    }

    /// After how long a key is to be rotated, from its making: more than nothing. Default: never. Nothing is rotated or
    /// refused by itself: the inventory has a [flag](crate::manage::KeyFlag::RotationDue), and
    /// [`explain`](KeyManager::explain) says so.
    pub fn rotation_due_after(mut self, period: Duration) -> Self {
        self.managing.rules.lifetimes.rotation = Some(period);
        self
    }

    /// How many keys a person may make in an organization within an hour, or a team with its keys; successors in rotations
    /// are among them, and so is what a personal key makes for its owner. Default: as many as they like. The
    /// [system](crate::Actor::system) always may.
    pub fn max_issues_per_hour(mut self, keys: u32) -> Self {
        self.managing.rules.quotas.issues_per_hour = Some(keys);
        self
    }
}

impl<S: Ledger> ApiKeys<S> {
    /// The manager of a service's only organization. Where the service said that it has
    /// [several](ApiKeysBuilder::several_organizations), every call of it is refused as
    /// [`Misconfigured`](crate::manage::ManageErrorKind::Misconfigured): take [`manager_for`](Self::manager_for).
    #[must_use]
    pub fn manager(&self) -> KeyManager {
        self.0.manager.clone()
    }

    /// The manager of one organization of many.
    #[must_use]
    pub fn manager_for(&self, organization: OrganizationId) -> KeyManager {
        self.0.manager.for_organization(organization)
    }
}
