//! What was refused and is no customer's: for those who run the service, and so not with a manager.

use super::ApiKeys;
use crate::{
    manage::{Actor, ManageError, RefusalsWithoutKey},
    store::Ledger,
};

impl<S: Ledger> ApiKeys<S> {
    /// What was refused without naming a key that exists, and concerns no organization: what came to a layer
    /// [for none](crate::ApiKeyLayer::for_organization) and has no id of a remembered key in it. By reason and source. Those
    /// that concern one are read by [`KeyManager::refusals_without_key`](crate::KeyManager::refusals_without_key).
    ///
    /// For the service itself, which an [`Actor::system`] stands for. In a service that has
    /// [only one](crate::OrganizationId::single) organization these are all of its refusals without a key, which its admins
    /// see, too: then both calls tell the same. If such a service becomes one of
    /// [several](crate::ApiKeysBuilder::several_organizations), what was counted before stays here.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{Actor, ApiKeys, store::MemoryStore};
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new()).several_organizations().build().await?;
    /// let refused = keys.refusals_without_organization(&Actor::system("report")?).await?;
    /// assert!(refused.detail.counts.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied (any other actor), corrupt record, store unavailable.
    pub async fn refusals_without_organization(&self, actor: &Actor) -> Result<RefusalsWithoutKey, ManageError> {
        self.0.manager.refusals_without_organization(actor).await
    }
}
