use std::{error::Error, fmt};

use super::revoke::RevokedMany;
use crate::manage::error::{ManageError, ManageErrorKind};

/// Why not all keys were revoked that match, and how far it got. Asked again, it goes on: what is revoked stays so.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, UserId, manage::{ManageErrorKind, Rights, RevokeMany}};
///
/// let alice = Actor::user(UserId::new("alice")?, Rights::none());
/// let error = manager.revoke_many(RevokeMany::of(UserId::new("bob")?), &alice).await.unwrap_err();
/// assert_eq!(error.kind(), ManageErrorKind::NotFound);
/// assert_eq!(error.so_far().revoked, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RevokeManyError {
    error: ManageError,
    so_far: RevokedMany,
}

impl RevokeManyError {
    pub(in crate::manage) const fn new(error: ManageError, so_far: RevokedMany) -> Self {
        Self { error, so_far }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ManageErrorKind {
        self.error.kind()
    }

    /// What was done before. If the [outcome](ManageErrorKind::OutcomeUnknown) of a change is unknown, up to 50 more keys
    /// may have been revoked.
    #[must_use]
    pub const fn so_far(&self) -> &RevokedMany {
        &self.so_far
    }

    /// What went wrong, kept: for an answer that does not tell how far it got.
    #[must_use]
    pub fn into_error(self) -> ManageError {
        self.error
    }
}

impl fmt::Display for RevokeManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.so_far.revoked {
            0 => fmt::Display::fmt(&self.error, f),
            revoked => write!(f, "stopped after {revoked} keys were revoked: {}", self.error),
        }
    }
}

impl Error for RevokeManyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
