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
    #[error("entries of the access log stay for at least an hour")]
    KeepAccessLog,
    #[error("dead keys stay for at least a day")]
    KeepDeadKeys,
    #[error("audit events stay for at least a day")]
    KeepEvents,
    #[error("counts of use by day are kept for 1 to 400 days")]
    KeepUsageDays,
    #[cfg(any(test, feature = "manage"))]
    #[error("a key lives, and goes without a rotation, for longer than nothing")]
    Lifetimes,
    #[error(
        "keys of this store are made with pepper {0}, which this node does not know: give it the peppers of the others, or \
         make a newer one current if that one is lost"
    )]
    MissingPepper(PepperId),
    #[error("the key store cannot be asked whether the peppers are right: can it be reached, and be written to?")]
    Store(#[source] StoreError),
    #[error("the store has more than nothing and at most an hour to answer")]
    StoreTimeout,
    #[error("usage is written every 100 ms to once a day")]
    UsageInterval,
    #[error("the end of a key is told at up to 8 times before it, none less than a millisecond or more than 366 days")]
    Warnings,
    #[error(
        "pepper {0} is not the one the keys in this store were hashed with: give this node the same pepper as the others"
    )]
    WrongPepper(PepperId),
}
