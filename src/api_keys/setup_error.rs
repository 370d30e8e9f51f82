//! One error for both ways to make the keys.

use crate::{auth::AuthSetupError, hash::PepperId, key::InvalidBrand, store::StoreError};

/// Why the settings do not make [`ApiKeys`](super::ApiKeys).
///
/// ```
/// use tower_api_keys::{ApiKeys, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// assert!(ApiKeys::builder(MemoryStore::new()).brand("Not A Brand").build().await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SetupError(#[from] pub(super) Cause);

#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Auth(AuthSetupError),
    #[error(transparent)]
    Brand(InvalidBrand),
    #[error("`keep_access_log` must be at least 1 hour")]
    KeepAccessLog,
    #[error("`keep_dead_keys` must be at least 1 day")]
    KeepDeadKeys,
    #[error("`keep_events` must be at least 1 day")]
    KeepEvents,
    #[error("`keep_usage_days` must be 1 to 400 days")]
    KeepUsageDays,
    #[cfg(any(test, feature = "manage"))]
    #[error("the longest life of a key and the time until a rotation is due must be longer than 0")]
    Lifetimes,
    #[error(
        "keys in this store were hashed with pepper {0}, which this node does not have: give it the same peppers as \
         the other nodes, or make a newer pepper current if pepper {0} is lost"
    )]
    MissingPepper(PepperId),
    #[cfg(any(test, feature = "manage"))]
    #[error("the bound of `freshness_of_other_nodes` must be 100 ms to 1 hour")]
    OtherNodes,
    #[error(
        "the peppers cannot be compared with the key store: check that the store can be reached and that this \
         process may write to it"
    )]
    Store(#[source] StoreError),
    #[error("`store_timeout` must be more than 0 and at most 1 hour")]
    StoreTimeout,
    #[error("`usage_interval` must be 100 ms to 1 day")]
    UsageInterval,
    #[error("`warn_of_ends` takes at most 8 times, each 1 millisecond to 366 days before the end of a key")]
    Warnings,
    #[error(
        "pepper {0} of this node differs from the pepper {0} that the keys in this store were hashed with: give this \
         node the same pepper as the other nodes"
    )]
    WrongPepper(PepperId),
}
