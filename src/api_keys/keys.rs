use std::{fmt, sync::Arc};

#[cfg(any(test, feature = "manage"))]
use crate::manage::KeyManager;
use crate::{
    auth::{Authenticator, StoreUpkeep, UsageFlusher},
    key::KeyFormat,
    metering::Days,
    middleware::ApiKeyLayer,
    owner::OrganizationId,
    store::{Calls, Ledger, StoreError},
};

/// API keys for a service: gives you the layer that checks keys and the manager that manages them.
///
/// Cheap to clone with any store. Needs a tokio runtime with time enabled: without time, keys that are not in the cache
/// are refused as [unavailable](crate::auth::AuthErrorKind::StoreUnavailable).
///
/// ```
/// use tower_api_keys::{Actor, ApiKeys, IssueKey, TeamId, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let keys = ApiKeys::new(MemoryStore::new())?;
/// # // A machine that is busy with other things need not compute a standard hash in time.
/// # let cheap = tower_api_keys::hash::Argon2Params::MACHINE_SECRET;
/// # let keys = ApiKeys::builder(MemoryStore::new()).params(cheap).build().await?;
/// let request = IssueKey::team(TeamId::new("engineering")?).named("GitHub Actions - production");
/// let issued = keys.manager().issue(request, &Actor::system("first start")?).await?;
///
/// let text = issued.plaintext().expose_secret(); // the only time
/// let principal = keys.authenticator().authenticate(text).await?;
/// assert_eq!(principal.owner().to_string(), "team engineering");
///
/// keys.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ApiKeys<S>(pub(super) Arc<Inner<S>>);

pub(super) struct Inner<S> {
    pub(super) authenticator: Authenticator<S>,
    #[cfg(any(test, feature = "manage"))]
    pub(super) manager: KeyManager,
    pub(super) flusher: Arc<UsageFlusher<S>>,
    pub(super) upkeep: Arc<StoreUpkeep<S>>,
    pub(super) store: Calls<Arc<S>>,
}

impl<S: Ledger> ApiKeys<S> {
    /// The layer that identifies the caller of each request.
    #[must_use]
    pub fn layer(&self) -> ApiKeyLayer<S> {
        ApiKeyLayer::new(self.authenticator())
    }

    /// The layer that accepts only the keys of one organization and refuses all others:
    /// [`ApiKeyLayer::for_organization`].
    #[must_use]
    pub fn layer_for(&self, organization: OrganizationId) -> ApiKeyLayer<S> {
        self.layer().for_organization(organization)
    }

    /// The authenticator, which checks keys for callers that do not use HTTP.
    #[must_use]
    pub fn authenticator(&self) -> Authenticator<S> {
        self.0.authenticator.clone()
    }

    /// The format of keys: the brand of new keys, and which others are accepted.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{ApiKeys, KeyKind, store::MemoryStore};
    ///
    /// let keys = ApiKeys::new(MemoryStore::new())?;
    /// assert_eq!(keys.format().prefix(KeyKind::User), "user.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn format(&self) -> &KeyFormat {
        self.0.authenticator.format()
    }

    /// Writes the usage counted so far to the store. This also happens by itself at an interval.
    ///
    /// # Errors
    /// Those of the store. The counts are kept for the next attempt, and each is counted once.
    pub async fn flush_usage(&self) -> Result<(), StoreError> {
        self.0.flusher.flush(Days::All).await
    }

    /// Sends the warnings of ending keys that are due and were not sent: to the audit trail and to the
    /// [sink](super::ApiKeysBuilder::event_sink). This also happens by itself every five minutes. Call it in a service
    /// that does not run that long.
    ///
    /// A warning that another node has begun, even if that node ended in the middle, is left to that node for five
    /// minutes. After that, some node tells the sink once more.
    ///
    /// # Errors
    /// Those of the store. A warning that was begun is sent the next time.
    pub async fn tell_of_ends(&self) -> Result<(), StoreError> {
        self.0.upkeep.tell_of_ends().await
    }

    /// Writes everything that is counted or queued but not written yet: usage, the access log, and denied attempts to
    /// manage keys. Call it after the server has stopped.
    ///
    /// # Errors
    /// Those of the store: counts since the last flush are lost unless you call this again.
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        // Each is written even if another cannot be.
        let written = self.flush_usage().await.and(self.0.upkeep.write_access_log().await);
        #[cfg(any(test, feature = "manage"))]
        let written = self.0.manager.flush_denials().await.and(written);
        written
    }
}

impl<S> Clone for ApiKeys<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for ApiKeys<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("authenticator", &self.0.authenticator).finish_non_exhaustive()
    }
}
