//! Errors of key management.

mod causes;
#[cfg(test)]
mod tests;

use std::{error::Error, time::Duration};

use super::{
    denial::{Denial, DenialReason},
    info::KeyInfo,
    invalid::InvalidInput,
    known::KnownKeyProblem,
    misconfigured::Misconfiguration,
    quota::Quota,
    verdict::RotationVerdict,
};

/// The error of a call that manages keys. Nothing was changed, unless the kind is
/// [`OutcomeUnknown`](ManageErrorKind::OutcomeUnknown).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, key::KeyId, manage::ManageErrorKind};
///
/// let nobody = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// let error = manager.find(&nobody, &Actor::system("nightly job")?).await.unwrap_err();
/// assert_eq!(error.kind(), ManageErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ManageError {
    kind: ManageErrorKind,
    retry_after: Option<Duration>,
    replayed: Option<Box<KeyInfo>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`ManageError`].
///
/// ```
/// use tower_api_keys::manage::{InvalidInput, ManageErrorKind};
///
/// assert_ne!(ManageErrorKind::Invalid(InvalidInput::Name), ManageErrorKind::NotFound);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManageErrorKind {
    /// Too many keys are being made for this actor at once. Others are not affected.
    ActorBusy,
    /// The clock of this node jumped, and whether an expiry has passed depends on which time is right. That is settled
    /// within 30 seconds.
    ClockUnsure,
    /// The user, the team or the organization to [erase](super::KeyManager::erase) was closed less than a minute ago:
    /// changes that began before may still be under way.
    ClosedJustNow,
    /// Another call changed the same thing at the same time. Read it again.
    Conflict,
    /// The stored record of the key cannot be read.
    CorruptRecord,
    /// The actor may not do this.
    Denied(Denial),
    /// The embedder's [`Directory`](super::Directory) did not answer about all users and teams with live keys, so none
    /// of them is closed.
    DirectoryIncomplete {
        /// About how many it did not answer.
        unanswered: u64,
    },
    /// The embedder's [`Directory`](super::Directory) could not be asked.
    DirectoryUnavailable,
    /// The new key could not be hashed.
    HashFailed,
    /// Another request was made under this idempotency key before: use a new key for a new request.
    IdempotencyKeyReused,
    /// The same request was made under this idempotency key before, and made a key: [`ManageError::replayed`] says
    /// which.
    IdempotencyKeyUsed,
    /// The request is invalid.
    Invalid(InvalidInput),
    /// The key has expired, which is final.
    KeyExpired,
    /// The key is paused: it takes no part in a rotation before it is [resumed](super::KeyManager::resume).
    KeyPaused,
    /// The key is revoked, which is final.
    KeyRevoked,
    /// The key that is [known beforehand](crate::KeyManager::issue_known) does not exist as requested, and is not made.
    KnownKey(KnownKeyProblem),
    /// The service's setup does not allow managing keys like that: a defect of its code. Over HTTP it is a 500.
    Misconfigured(Misconfiguration),
    /// The key does not take part in any rotation, and never did.
    NoRotation,
    /// Not found, or the actor may not see it.
    NotFound,
    /// By the counts, ending the old key of the rotation would stop a caller. People who know better use
    /// [`finish_rotation_anyway`](super::KeyManager::finish_rotation_anyway).
    NotSafeToFinish(RotationVerdict),
    /// It is unknown whether the change was made: the store did not say, though it was asked several times.
    OutcomeUnknown,
    /// Too many keys are being made.
    Overloaded,
    /// The user or team is closed, which is final.
    OwnerClosed,
    /// The user, the team or the organization to [erase](super::KeyManager::erase) is not closed.
    OwnerNotClosed,
    /// The plan no longer includes the keys of the user or team the key is for.
    OwnerPlanSuspended,
    /// An admin suspended the user or team the key is for.
    OwnerSuspended,
    /// Keys of this store are made with a pepper, and this node does not know it.
    PepperMissing,
    /// There is no room for one more key.
    QuotaReached(Quota),
    /// The operating system gave no randomness.
    Randomness,
    /// The rotation was finished or aborted meanwhile, or one of its keys ended.
    RotationOver,
    /// A rotation of the key, or the one that made the key, is under way.
    RotationUnderWay,
    /// No core was free to hash the new key: other work keeps them all busy.
    Starved,
    /// The store refuses a value of the change, such as a text that is too long for its column: its tables are not what
    /// this crate requires. A repeat does not help: over HTTP it is a 500, not a 503.
    StoreRefused,
    /// The store could not be asked.
    StoreUnavailable,
    /// More than a tenth of the users and teams with live keys are missing in the directory, so the directory may be
    /// wrong. People who know better use [`Reconcile::even_if_many`](super::Reconcile::even_if_many).
    TooManyMissing {
        /// How many are missing.
        missing: u64,
        /// How many owners there are.
        owners: u64,
    },
    /// The key does not have the expected version: it was changed since it was read. Nothing was changed, and nothing
    /// is retried automatically. Over HTTP it is a 412.
    VersionDiffers {
        /// The current version of the key.
        current: i64,
    },
}

impl ManageError {
    pub(super) const fn new(kind: ManageErrorKind) -> Self {
        Self { kind, retry_after: None, replayed: None, source: None }
    }

    pub(super) fn denied(reason: DenialReason) -> Self {
        Self::new(ManageErrorKind::Denied(reason.into()))
    }

    pub(super) const fn not_found() -> Self {
        Self::new(ManageErrorKind::NotFound)
    }

    pub(super) const fn invalid(what: InvalidInput) -> Self {
        Self::new(ManageErrorKind::Invalid(what))
    }

    /// Stored data cannot be read, for this reason.
    pub(super) fn corrupt(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ManageErrorKind::CorruptRecord).with_source(reason)
    }

    pub(super) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(super) const fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(super) fn with_replayed(mut self, key: Option<KeyInfo>) -> Self {
        self.replayed = key.map(Box::new);
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ManageErrorKind {
        self.kind
    }

    /// The key that the same request made before, in its current state, if the kind is
    /// [`IdempotencyKeyUsed`](ManageErrorKind::IdempotencyKeyUsed). `None` if the actor may no longer see the key, if
    /// its record cannot be read, and if it was removed from the store. Its text was shown once, in the first answer:
    /// if that is lost, revoke the key or rotate it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, IssueKey, TeamId, manage::ManageErrorKind};
    ///
    /// let (admin, blue) = (Actor::system("setup")?, TeamId::new("blue")?);
    /// let request = || IssueKey::team(blue.clone()).named("Monday cron").idempotency_key("3f1c5a4e");
    /// let made = manager.issue(request(), &admin).await?;
    ///
    /// let error = manager.issue(request(), &admin).await.unwrap_err();
    /// assert_eq!(error.kind(), ManageErrorKind::IdempotencyKeyUsed);
    /// assert_eq!(error.replayed().map(|key| key.id), Some(made.info().id));
    ///
    /// let error = manager.issue(request().named("another"), &admin).await.unwrap_err();
    /// assert_eq!(error.kind(), ManageErrorKind::IdempotencyKeyReused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn replayed(&self) -> Option<&KeyInfo> {
        self.replayed.as_deref()
    }

    /// When to try again, if the actor is [busy](ManageErrorKind::ActorBusy), the [clock is in
    /// doubt](ManageErrorKind::ClockUnsure), the owner was [closed just now](ManageErrorKind::ClosedJustNow), or
    /// hashing is [overloaded](ManageErrorKind::Overloaded) or [starved](ManageErrorKind::Starved).
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl Error for ManageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
