use std::{error::Error, time::Duration};

use super::{
    denial::{Denial, DenialReason},
    invalid::InvalidInput,
    quota::Quota,
    verdict::RotationVerdict,
};
use crate::{
    hash::{HashError, HashErrorKind},
    record::{Stopped, Suspension},
    store::{Conflict, StoreError, StoreErrorKind},
    time::{ClockInDoubt, LONGEST_DOUBT},
};

/// Why keys were not managed as asked. Nothing was changed, unless the kind is
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
    /// The clock of this node jumped, and whether an expiry has passed depends on which time is right. That shows within 30
    /// seconds.
    ClockUnsure,
    /// Somebody else changed the same thing at the same time. Look again.
    Conflict,
    /// The stored record of the key cannot be read.
    CorruptRecord,
    /// The actor may not do this.
    Denied(Denial),
    /// The embedder's [`Directory`](super::Directory) could not be asked.
    DirectoryUnavailable,
    /// The new key could not be hashed.
    HashFailed,
    /// A key was issued under this idempotency key before.
    IdempotencyKeyUsed,
    /// What was asked for makes no sense.
    Invalid(InvalidInput),
    /// The key has expired, which is final.
    KeyExpired,
    /// The key is revoked, which is final.
    KeyRevoked,
    /// No rotation of the key is under way.
    NoRotation,
    /// There is nothing of this name that the actor may see.
    NotFound,
    /// The counts say that to end the old key of the rotation would stop somebody. People who know better say so:
    /// [`finish_rotation_anyway`](super::KeyManager::finish_rotation_anyway).
    NotSafeToFinish(RotationVerdict),
    /// Nobody knows whether it was done: the store never said, though it was asked several times.
    OutcomeUnknown,
    /// Too many keys are being made.
    Overloaded,
    /// The user or team is closed, which is final.
    OwnerClosed,
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
    /// The store does not take a value of the change, such as a text that is too long for its column: its tables are not
    /// what this crate asks for. Asking again does not help: over HTTP it is a 500, not a 503.
    StoreRefused,
    /// The store could not be asked.
    StoreUnavailable,
}

impl ManageError {
    pub(super) const fn new(kind: ManageErrorKind) -> Self {
        Self { kind, retry_after: None, source: None }
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

    /// What is stored cannot be read, for this reason.
    pub(super) fn corrupt(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ManageErrorKind::CorruptRecord).with_source(reason)
    }

    pub(super) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ManageErrorKind {
        self.kind
    }

    /// When to ask again, if the actor is [busy](ManageErrorKind::ActorBusy), the
    /// [clock is in doubt](ManageErrorKind::ClockUnsure), or hashing is [overloaded](ManageErrorKind::Overloaded) or
    /// [starved](ManageErrorKind::Starved).
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<ClockInDoubt> for ManageError {
    fn from(doubt: ClockInDoubt) -> Self {
        Self { retry_after: Some(LONGEST_DOUBT), ..Self::new(ManageErrorKind::ClockUnsure).with_source(doubt) }
    }
}

impl From<Stopped> for ManageErrorKind {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Closed => Self::OwnerClosed,
            Stopped::Suspended(Suspension::Admin) => Self::OwnerSuspended,
            Stopped::Suspended(Suspension::Plan) => Self::OwnerPlanSuspended,
        }
    }
}

impl From<StoreError> for ManageError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            // Without a source: what is absent and what is hidden look the same.
            StoreErrorKind::Conflict(Conflict::Missing) => return Self::not_found(),
            StoreErrorKind::Conflict(Conflict::OwnerClosed) => ManageErrorKind::OwnerClosed,
            StoreErrorKind::Conflict(Conflict::IdempotencyKeyUsed { .. }) => ManageErrorKind::IdempotencyKeyUsed,
            StoreErrorKind::Conflict(Conflict::Revoked) => ManageErrorKind::KeyRevoked,
            StoreErrorKind::Conflict(
                Conflict::Differs | Conflict::Guard(_) | Conflict::IdTaken | Conflict::Version,
            ) => ManageErrorKind::Conflict,
            StoreErrorKind::Conflict(Conflict::Successor) => ManageErrorKind::RotationUnderWay,
            StoreErrorKind::Corrupt => ManageErrorKind::CorruptRecord,
            StoreErrorKind::OutcomeUnknown => ManageErrorKind::OutcomeUnknown,
            StoreErrorKind::Refused => ManageErrorKind::StoreRefused,
            StoreErrorKind::Unavailable => ManageErrorKind::StoreUnavailable,
        };
        Self::new(kind).with_source(error)
    }
}

impl From<HashError> for ManageError {
    fn from(error: HashError) -> Self {
        let kind = match error.kind() {
            HashErrorKind::Crowded => ManageErrorKind::ActorBusy,
            HashErrorKind::Overloaded => ManageErrorKind::Overloaded,
            HashErrorKind::Starved => ManageErrorKind::Starved,
            HashErrorKind::Randomness => ManageErrorKind::Randomness,
            HashErrorKind::Corrupt | HashErrorKind::Failed => ManageErrorKind::HashFailed,
        };
        Self { retry_after: error.retry_after(), ..Self::new(kind).with_source(error) }
    }
}

impl Error for ManageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::AuthError,
        hash::{VerifyError, VerifyErrorKind},
        random::RandomnessError,
        time::{ClockReading, Timestamp},
    };

    /// Parts of sentences that say something alone, of an error and all its causes.
    fn told(error: &dyn Error) -> Vec<String> {
        let (mut texts, mut cause) = (error.to_string(), error.source());
        while let Some(error) = cause {
            texts = format!("{texts};{error}");
            cause = error.source();
        }
        texts.split([':', ';', ',']).map(|part| part.trim().to_owned()).collect()
    }

    fn assert_told_once(error: &dyn Error) {
        let told = told(error);
        for (place, part) in told.iter().enumerate() {
            let others = told.iter().enumerate().filter(|(other, _)| *other != place);
            assert!(!others.map(|(_, other)| other).any(|other| other.contains(part.as_str())), "{part:?} of {told:?}");
        }
    }

    #[test]
    fn what_a_cause_says_is_not_said_again_by_what_came_of_it() {
        use HashErrorKind::{Corrupt, Crowded, Failed, Overloaded, Randomness, Starved};
        let second = Duration::from_secs(1);
        for waited in [None, Some(second)] {
            for kind in [Corrupt, Crowded, Failed, Overloaded, Starved] {
                assert_told_once(&ManageError::from(HashError::not_done(kind, waited, second)));
            }
            for (kind, because) in [
                (VerifyErrorKind::Overloaded, AuthError::overloaded as fn(_, VerifyError) -> _),
                (VerifyErrorKind::Starved, AuthError::starved),
            ] {
                assert_told_once(&because(None, VerifyError::not_done(kind, waited, second)));
            }
        }
        assert_told_once(&ManageError::from(HashError::caused(Randomness, RandomnessError::injected())));
        assert_told_once(&ManageError::new(ManageErrorKind::Randomness).with_source(RandomnessError::injected()));
        let doubted = ClockReading::doubted(Timestamp::MIN, Timestamp::MAX).has_passed(Timestamp::MAX);
        assert_told_once(&ManageError::from(doubted.unwrap_err()));
    }
}
