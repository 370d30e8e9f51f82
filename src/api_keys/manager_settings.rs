//! What `manage` adds to the builder and the keys: the settings of the manager, and the manager.

use std::{sync::Arc, time::Duration};

use super::{builder::ApiKeysBuilder, keys::ApiKeys};
use crate::{
    auth::Freshness,
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

    /// Declares that the service has several customers, each with its own organization. Then every call has to name its
    /// organization. [`ApiKeys::manager`] refuses every call, and an [`Actor::user`](crate::Actor::user) without an
    /// organization is refused, too, each as [`Misconfigured`](crate::manage::ManageErrorKind::Misconfigured) with what
    /// to call instead. Use [`ApiKeys::manager_for`] and [`KeyManager::actor`]. Default: the service has one
    /// organization.
    ///
    /// For the rest of the setup, see [Several customers in one service](crate::manual::several_customers).
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

    /// The directory, which knows the teams of organizations, the names of people and teams, and who has left. The
    /// teams are asked before a key is made for one; names and leavers once per answer. Default: no directory. Then an
    /// actor's rights vouch for the teams they name, and answers have ids. See [`Directory`].
    pub fn directory(mut self, directory: impl Directory) -> Self {
        self.managing.rules.directory = AnyDirectory::new(directory);
        self
    }

    /// The scopes that exist, in addition to each [`ManagingScope`](crate::ManagingScope). Default: any scope is
    /// accepted. A key with another scope is not issued, so that a misspelt scope is noticed at once. With an empty
    /// list there are none.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.managing.rules.scopes = Some(scopes.into_iter().collect());
        self
    }

    /// The sentence that people read if their plan does not include team keys: in the denial, and as the hint on a
    /// greyed button. Say what would help. Default: `Team API keys are not included in this plan.`
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

    /// What happens to a team's live keys when its plan no longer includes team keys, as reported with
    /// [`KeyManager::plan_changed`]. Default: [`OnDowngrade::Keep`].
    pub fn on_downgrade(mut self, on_downgrade: OnDowngrade) -> Self {
        self.managing.rules.on_downgrade = on_downgrade;
        self
    }

    /// How current records are on the other nodes of the service, if that is not as on [this one](Self::freshness):
    /// nodes do not tell each other. The least current of them counts. It changes what
    /// [`KeyManager::staleness`] says, and nothing else. Default: unknown, and its sentence says so. A bound is 100 ms
    /// to an hour.
    ///
    /// Set it on a node that manages keys for others which check them, and set the same on all nodes that people
    /// manage keys with.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use std::time::Duration;
    /// use tower_api_keys::{ApiKeys, auth::Freshness, store::MemoryStore};
    ///
    /// let bounded = Freshness::Bounded(Duration::from_secs(2));
    /// let keys = ApiKeys::builder(MemoryStore::new()).freshness_of_other_nodes(bounded).build().await?;
    /// assert_eq!(keys.manager().staleness().longest, Duration::from_secs(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn freshness_of_other_nodes(mut self, freshness: Freshness) -> Self {
        self.managing.other_nodes = Some(freshness);
        self
    }

    /// How many live keys a user may have, no matter who makes them. Default: no limit.
    ///
    /// Counted in the transaction that inserts the key. Revoked and expired keys do not count. Above the limit,
    /// [`issue`](KeyManager::issue) is refused as [`QuotaReached`](crate::manage::ManageErrorKind::QuotaReached). A
    /// rotation still works, because the old key ends with it: during rotations there may be up to twice as many.
    /// Existing keys above a lower limit or from [`transfer::copy`](crate::store::transfer::copy) still work.
    pub fn max_live_keys_per_user(mut self, keys: u32) -> Self {
        self.managing.rules.quotas.live_keys_of_user = Some(keys);
        self
    }

    /// How many live keys a team may have: as [`max_live_keys_per_user`](Self::max_live_keys_per_user).
    pub fn max_live_keys_per_team(mut self, keys: u32) -> Self {
        self.managing.rules.quotas.live_keys_of_team = Some(keys);
        self
    }

    /// The longest lifetime of personal keys, from their creation: more than zero. Default: no limit.
    ///
    /// A key that is issued without an expiry gets the latest allowed one, which [`KeyManager::preview`] shows in
    /// advance. A later expiry is [invalid](crate::manage::InvalidInput::ExpiryTooLate). The limit also holds for a
    /// successor in a rotation. Existing keys that live longer still work, and have a
    /// [flag](crate::manage::KeyFlag::LivesTooLong) in the inventory. If several limits apply to a key, by its kind and
    /// its scopes, the shortest counts.
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

    /// The longest lifetime of team keys: as [`longest_life_of_user_keys`](Self::longest_life_of_user_keys).
    pub fn longest_life_of_team_keys(mut self, life: Duration) -> Self {
        self.managing.rules.lifetimes.of_team = Some(life);
        self
    }

    /// The longest lifetime of keys with this scope, by name or because they may do everything: as
    /// [`longest_life_of_user_keys`](Self::longest_life_of_user_keys). A [`ManagingScope`](crate::ManagingScope) is
    /// never part of everything.
    pub fn longest_life_with_scope(mut self, scope: Scope, life: Duration) -> Self {
        self.managing.rules.lifetimes.of_scopes.insert(scope, life);
        self
    }

    /// The age at which a key is due for rotation: more than zero. Default: never. Nothing is rotated or refused by
    /// itself: the inventory has a [flag](crate::manage::KeyFlag::RotationDue), and [`explain`](KeyManager::explain)
    /// says so.
    pub fn rotation_due_after(mut self, period: Duration) -> Self {
        self.managing.rules.lifetimes.rotation = Some(period);
        self
    }

    /// How many keys a person may make in an organization within an hour, or a team with its keys. Default: no limit.
    /// Successors in rotations count, and so do keys that a personal key makes for its owner. The
    /// [system](crate::Actor::system) has no limit.
    pub fn max_issues_per_hour(mut self, keys: u32) -> Self {
        self.managing.rules.quotas.issues_per_hour = Some(keys);
        self
    }
}

impl<S: Ledger> ApiKeys<S> {
    /// The manager of a service's only organization. If the service has
    /// [several](ApiKeysBuilder::several_organizations), every call of it is refused as
    /// [`Misconfigured`](crate::manage::ManageErrorKind::Misconfigured): use [`manager_for`](Self::manager_for).
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
