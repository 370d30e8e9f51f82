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

/// API keys for a service: hands out the layer that checks them and the manager that looks after them.
///
/// Cheap to clone, whatever the store. Needs a tokio runtime with time enabled: without time, keys that are not
/// remembered are refused as [unavailable](crate::auth::AuthErrorKind::StoreUnavailable).
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
    /// The layer that resolves the caller of each request.
    #[must_use]
    pub fn layer(&self) -> ApiKeyLayer<S> {
        ApiKeyLayer::new(self.authenticator())
    }

    /// The layer that resolves the caller of each request to one organization of many, and refuses the keys of all others:
    /// [`ApiKeyLayer::for_organization`].
    #[must_use]
    pub fn layer_for(&self, organization: OrganizationId) -> ApiKeyLayer<S> {
        self.layer().for_organization(organization)
    }

    /// What checks keys, for callers that are not HTTP.
    #[must_use]
    pub fn authenticator(&self) -> Authenticator<S> {
        self.0.authenticator.clone()
    }

    /// How keys look: the brand of those that are made, and what others are accepted.
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

    /// Writes the usage that was counted so far to the store. It is written by itself at an interval, too.
    ///
    /// # Errors
    /// Those of the store; the counts are kept for the next time, and counted once.
    pub async fn flush_usage(&self) -> Result<(), StoreError> {
        self.0.flusher.flush(Days::All).await
    }

    /// Tells of keys whose end comes, as far as that is due and was not told: in the audit trail and to the
    /// [sink](super::ApiKeysBuilder::event_sink). It happens by itself every five minutes, too; this is for services that do
    /// not run for that long.
    ///
    /// What another node is about to tell, or a node that ended in the middle of it was, is left to that node until it has had
    /// five minutes: then some node tells the sink once more.
    ///
    /// # Errors
    /// Those of the store; what was begun is told the next time.
    pub async fn tell_of_ends(&self) -> Result<(), StoreError> {
        self.0.upkeep.tell_of_ends().await
    }

    /// Writes what is counted or queued, and not written yet: usage, the access log, and denied attempts to manage keys.
    /// Call it once the server has stopped.
    ///
    /// # Errors
    /// Those of the store: what came since the last flush is lost if nobody calls this again.
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
