//! Refusals that belong to no organization: for those who run the service, and so not in a manager.

use super::ApiKeys;
use crate::{
    manage::{Actor, ManageError, RefusalsWithoutKey},
    store::Ledger,
};

impl<S: Ledger> ApiKeys<S> {
    /// Counts of refusals that name no existing key and belong to no organization, by reason and source: requests to a
    /// layer [for none](crate::ApiKeyLayer::for_organization) without the id of a cached key. Refusals of one
    /// organization are read with [`KeyManager::refusals_without_key`](crate::KeyManager::refusals_without_key).
    ///
    /// For the service itself, represented by an [`Actor::system`]. In a service with [only
    /// one](crate::OrganizationId::single) organization these are all of its refusals without a key. Its admins see
    /// them, too: both calls return the same. If such a service becomes one of
    /// [several](crate::ApiKeysBuilder::several_organizations), the counts from before stay here.
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
