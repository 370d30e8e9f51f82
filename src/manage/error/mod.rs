//! Why keys were not managed as asked.

mod causes;
#[cfg(test)]
mod tests;

use std::{error::Error, fmt, time::Duration};

use super::{
    denial::{Denial, DenialReason},
    info::KeyInfo,
    misconfigured::Misconfiguration,
    quota::Quota,
    verdict::RotationVerdict,
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
    /// Another request was made under this idempotency key before: a new request takes a new one.
    IdempotencyKeyReused,
    /// The same request was made under this idempotency key before, and made a key:
    /// [`ManageError::replayed`] says which.
    IdempotencyKeyUsed,
    /// What was asked for makes no sense.
    Invalid(InvalidInput),
    /// The key has expired, which is final.
    KeyExpired,
    /// The key is revoked, which is final.
    KeyRevoked,
    /// The service is not set up to manage keys like that: a defect of its code. Over HTTP it is a 500.
    Misconfigured(Misconfiguration),
    /// The key takes part in no rotation, and never did.
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
    /// The key does not have the version that was expected: somebody changed it since it was looked at. Nothing was
    /// changed, and nothing is tried again by itself. Over HTTP it is a 412.
    VersionDiffers {
        /// The version that the key has.
        current: i64,
    },
}

/// What makes no sense. The source of the error says more, where there is more to say.
///
/// ```
/// use tower_api_keys::manage::InvalidInput;
///
/// assert_eq!(InvalidInput::ExpiryPast.to_string(), "an expiry lies in the future: to end a key now, revoke it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidInput {
    /// More than 400 days of usage.
    Days,
    /// The new expiry is later than the present one. A rotation gives a later one.
    ExpiryLater,
    /// A key that acts would let a key live longer by a rotation, which people and the system can.
    ExpiryLaterByKey,
    /// The expiry is now or in the past.
    ExpiryPast,
    /// The text to look for keys in is too long.
    Fragment,
    /// The idempotency key is empty or longer than 256 bytes.
    IdempotencyKey,
    /// The labels break a rule of [`Labels`](crate::record::Labels).
    Labels,
    /// The limits have more than 1,024 bytes or contain a key.
    Limits,
    /// The name breaks a rule of [`KeyName`](crate::record::KeyName).
    Name,
    /// A page has 1 to 1,000 keys or events.
    PageSize,
    /// There are more than 64 scopes.
    Scopes,
    /// The new scopes are not within the old ones. A rotation gives wider ones.
    ScopesWider,
    /// There are more than 1,000 texts.
    Texts,
    /// The time ends before it begins.
    TimeWindow,
    /// The key is the new one of a rotation, and the old one of another.
    TwoRotations,
    /// The service knows no such scope.
    UnknownScope,
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

    /// What is stored cannot be read, for this reason.
    pub(super) fn corrupt(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ManageErrorKind::CorruptRecord).with_source(reason)
    }

    pub(super) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
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

    /// The key that the same request made when it was made before, as it is now, if the kind is
    /// [`IdempotencyKeyUsed`](ManageErrorKind::IdempotencyKeyUsed). None where the actor may not see the key any more,
    /// where its record cannot be read, and where it was removed from the store. Its text was shown once, in the first
    /// answer: if that is lost, revoke the key or rotate it.
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

    /// When to ask again, if the actor is [busy](ManageErrorKind::ActorBusy), the
    /// [clock is in doubt](ManageErrorKind::ClockUnsure), or hashing is [overloaded](ManageErrorKind::Overloaded) or
    /// [starved](ManageErrorKind::Starved).
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for ManageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ManageErrorKind::ActorBusy => {
                "too many keys are being made for this actor at once: wait for the answers, then ask again"
            }
            ManageErrorKind::ClockUnsure => {
                "whether an expiry has passed depends on a jump of this node's clock that is not explained yet, so nothing \
                 was changed: ask again in half a minute"
            }
            ManageErrorKind::Conflict => "somebody else changed the same thing meanwhile: look at it and ask again",
            ManageErrorKind::CorruptRecord => "the key cannot be managed: restore or replace its stored record",
            ManageErrorKind::Denied(denial) => return write!(f, "denied: {denial}"),
            ManageErrorKind::DirectoryUnavailable => {
                "the directory could not be asked whether the team is one of the organization's, nothing was changed: \
                 ask again"
            }
            ManageErrorKind::HashFailed => "the new key could not be hashed and was not made: ask again",
            ManageErrorKind::Invalid(what) => return what.fmt(f),
            ManageErrorKind::KeyExpired => "the key has expired, which is final: issue a new one",
            ManageErrorKind::KeyRevoked => "the key is revoked, which is final: issue a new one",
            ManageErrorKind::NoRotation => "this key was never rotated: begin a rotation",
            ManageErrorKind::NotSafeToFinish(verdict) => {
                return write!(f, "{verdict}; nothing was changed, and whoever knows better finishes the rotation anyway");
            }
            ManageErrorKind::NotFound => "there is no such key, user or team that this actor may see",
            ManageErrorKind::OutcomeUnknown => {
                "the change may have been made or not: look at the key, and if it is a new one, revoke \
                 it, before asking again"
            }
            ManageErrorKind::Overloaded => "too many keys are being made: ask again in a moment",
            ManageErrorKind::OwnerClosed => "the user or team is closed for good: it has no more keys",
            ManageErrorKind::OwnerPlanSuspended => {
                "the plan does not include keys of this user or team: upgrade it, and tell the manager by `plan_changed`"
            }
            ManageErrorKind::OwnerSuspended => "the user or team is suspended: reinstate it first",
            ManageErrorKind::PepperMissing => {
                "this node lacks the pepper of the other nodes, so the key was not made: give it their peppers"
            }
            ManageErrorKind::QuotaReached(quota) => return quota.fmt(f),
            ManageErrorKind::Randomness => "nothing can be made at random at the moment, and nothing was changed: ask again",
            ManageErrorKind::IdempotencyKeyReused => {
                "another request was made under this idempotency key before: make this one under a new idempotency key"
            }
            ManageErrorKind::IdempotencyKeyUsed => {
                "this request made a key before: if the text of that key is lost, revoke it and ask for another one under \
                 a new idempotency key"
            }
            ManageErrorKind::Misconfigured(what) => return what.fmt(f),
            ManageErrorKind::RotationOver => "the rotation was finished or aborted meanwhile: look at both keys",
            ManageErrorKind::RotationUnderWay => {
                "a rotation of this key is under way: finish or abort it first; if its other key is somebody else's, ask \
                 them, or an admin of the organization, to revoke that one"
            }
            ManageErrorKind::Starved => {
                "no core was free to hash the new key, so it was not made: ask again in a moment"
            }
            ManageErrorKind::StoreRefused => {
                "the key store does not take what was asked for, and nothing was changed: tell the operator of the service"
            }
            ManageErrorKind::StoreUnavailable => "keys cannot be managed at the moment, and nothing was changed: ask again",
            ManageErrorKind::VersionDiffers { current } => {
                return write!(f, "the key was changed meanwhile and has version {current} now: look at it and ask again");
            }
        })
    }
}

impl Error for ManageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Days => "usage is told by day of 400 days at most",
            Self::ExpiryLater => {
                "the expiry of a key can only be moved to an earlier time: for a later one, rotate the key \
                 (`begin_rotation` with `RotateKey::expires_at`)"
            }
            Self::ExpiryLaterByKey => {
                "an API key lets no key live longer by a rotation: ask a person who may rotate the key"
            }
            Self::ExpiryPast => "an expiry lies in the future: to end a key now, revoke it",
            Self::Fragment => "a text to look for keys in has at most 64 KiB",
            Self::IdempotencyKey => "an idempotency key has 1 to 256 bytes",
            Self::Limits => "limits have at most 1,024 bytes and contain no key",
            Self::Labels => {
                "a key has at most 16 labels of `a-z`, `0-9`, `-`, `_` and `.`, with values of at most 128 characters, \
                 none of them a control or text direction character, and no key in them"
            }
            Self::Name => {
                "a name has at most 100 characters, none of them a control or text direction character, and no key in it"
            }
            Self::PageSize => "a page has 1 to 1000 keys or events",
            Self::Scopes => "a key has at most 64 scopes",
            Self::ScopesWider => {
                "the scopes of a key can only become fewer: for more, rotate the key (`begin_rotation` with \
                 `RotateKey::scopes`)"
            }
            Self::Texts => "at most 1,000 texts of keys are taken at a time",
            Self::TimeWindow => "a time window ends before it begins",
            Self::TwoRotations => {
                "the key is the new one of a rotation and the old one of another: name the other by its new key"
            }
            Self::UnknownScope => "this service has no such scope: a misspelt one would allow nothing",
        })
    }
}
