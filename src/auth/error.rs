use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{
    key::{MalformedKey, MalformedReason},
    outcome::RefusalCode,
    record::Standing,
    store::StoreError,
    time::{ClockInDoubt, LONGEST_DOUBT},
};

/// Why a text was not accepted as a key. [`kind`](Self::kind) is what a client may be told; `source` is for logs.
///
/// ```
/// # async fn example(authenticator: tower_api_keys::Authenticator<tower_api_keys::store::MemoryStore>) {
/// use tower_api_keys::auth::AuthErrorKind;
///
/// let error = authenticator.authenticate("not a key").await.unwrap_err();
/// assert!(matches!(error.kind(), AuthErrorKind::Malformed(_)));
/// # }
/// ```
#[derive(Debug)]
pub struct AuthError {
    kind: AuthErrorKind,
    detail: Detail,
}

#[derive(Clone, Debug)]
enum Detail {
    None,
    /// Not boxed: a caller that sends no key at all costs no allocation.
    Malformed(MalformedKey),
    Caused(Box<Caused>),
}

#[derive(Clone, Debug)]
struct Caused {
    by: Arc<dyn Error + Send + Sync>,
    retry_after: Option<Duration>,
    /// Whether every request is refused because of this, and the operator was told.
    is_of_outage: bool,
}

/// The kinds of [`AuthError`].
///
/// ```
/// use tower_api_keys::auth::AuthErrorKind;
///
/// assert!(AuthErrorKind::Overloaded.is_temporary());
/// assert!(!AuthErrorKind::Revoked.is_temporary());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// The clock of this node jumped, and whether the key has expired depends on which time is right. The node finds
    /// out within 30 seconds.
    ClockUnsure,
    /// The stored record of the key cannot be read.
    CorruptRecord,
    /// The key has expired. Only a caller that has the key is told.
    Expired,
    /// The key could not be hashed: a run failed, or the system gave no thread or no memory. The key may be good.
    HashFailed,
    /// Unknown id, wrong secret, or another kind of key: the caller is not told which.
    Invalid,
    /// The text is no key, for this reason.
    Malformed(MalformedReason),
    /// The key may not be used from the caller's address, or the address is not known. Only a caller that has the key
    /// is told.
    NetworkNotAllowed,
    /// The owner is closed. Only a caller that has the key is told.
    OwnerClosed,
    /// The plan does not include the owner's keys. Only a caller that has the key is told.
    OwnerPlanSuspended,
    /// An admin suspended the owner. Only a caller that has the key is told.
    OwnerSuspended,
    /// Too many keys are being checked for the first time. This key may be good.
    Overloaded,
    /// The key is paused. Only a caller that has the key is told.
    Paused,
    /// The key was revoked. Only a caller that has the key is told.
    Revoked,
    /// No core was free to hash the key: other work keeps them all busy. The key may be good.
    Starved,
    /// The store could not say whether the key is good.
    StoreUnavailable,
}

impl AuthErrorKind {
    /// Whether the same key may be accepted a moment later: the answer is 503. Do not throw the key away.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::ClockUnsure
                | Self::CorruptRecord
                | Self::HashFailed
                | Self::Overloaded
                | Self::Starved
                | Self::StoreUnavailable
        )
    }

    /// The code that refusals and counts carry.
    #[must_use]
    pub const fn code(self) -> RefusalCode {
        match self {
            Self::ClockUnsure => RefusalCode::ClockUnsure,
            Self::CorruptRecord => RefusalCode::CorruptRecord,
            Self::Expired => RefusalCode::KeyExpired,
            Self::Invalid => RefusalCode::InvalidKey,
            Self::Malformed(_) => RefusalCode::MalformedKey,
            Self::NetworkNotAllowed => RefusalCode::NetworkNotAllowed,
            Self::OwnerClosed => RefusalCode::OwnerClosed,
            Self::OwnerPlanSuspended => RefusalCode::OwnerPlanSuspended,
            Self::OwnerSuspended => RefusalCode::OwnerSuspended,
            Self::Paused => RefusalCode::KeyPaused,
            // One code for all: a client reacts the same to each, and need not know how a node spends its cores.
            Self::HashFailed | Self::Overloaded | Self::Starved => RefusalCode::Overloaded,
            Self::Revoked => RefusalCode::KeyRevoked,
            Self::StoreUnavailable => RefusalCode::StoreUnavailable,
        }
    }
}

impl AuthError {
    pub(crate) const fn new(kind: AuthErrorKind) -> Self {
        Self { kind, detail: Detail::None }
    }

    /// A copy for another caller that waited for the same answer.
    pub(super) fn again(&self) -> Self {
        Self { kind: self.kind, detail: self.detail.clone() }
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.caused(source.into(), None, false)
    }

    /// The store answers no request.
    pub(super) fn of_outage(failure: Arc<StoreError>) -> Self {
        Self::new(AuthErrorKind::StoreUnavailable).caused(failure.into(), None, true)
    }

    /// Too much is going on, until the given time as far as is known.
    pub(crate) fn overloaded(retry_after: Option<Duration>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::Overloaded).caused(source.into(), retry_after, false)
    }

    fn caused(self, by: Box<dyn Error + Send + Sync>, retry_after: Option<Duration>, is_of_outage: bool) -> Self {
        Self { kind: self.kind, detail: Detail::Caused(Box::new(Caused { by: by.into(), retry_after, is_of_outage })) }
    }

    /// By one reading of the clock the key has expired, by another one it has not.
    pub(crate) fn clock_unsure(source: ClockInDoubt) -> Self {
        Self::new(AuthErrorKind::ClockUnsure).caused(source.into(), Some(LONGEST_DOUBT), false)
    }

    /// No core is free, until the given time as far as is known.
    pub(crate) fn starved(retry_after: Option<Duration>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::Starved).caused(source.into(), retry_after, false)
    }

    pub(crate) const fn malformed(key: MalformedKey) -> Self {
        Self { kind: AuthErrorKind::Malformed(key.reason()), detail: Detail::Malformed(key) }
    }

    fn fmt_malformed(&self, reason: MalformedReason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text is not a key: {reason}")?;
        match self.as_malformed().and_then(MalformedKey::issuer) {
            Some(issuer) => write!(f, " ({issuer})"),
            None => Ok(()),
        }
    }

    /// Why the text is no key, if it is none.
    pub(crate) const fn as_malformed(&self) -> Option<&MalformedKey> {
        match &self.detail {
            Detail::Malformed(key) => Some(key),
            Detail::None | Detail::Caused(_) => None,
        }
    }

    /// The kind, which a client may be told.
    #[must_use]
    pub const fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// Whether the operator was told of it as a failure that concerns every request.
    pub(super) fn is_of_outage(&self) -> bool {
        matches!(&self.detail, Detail::Caused(caused) if caused.is_of_outage)
    }

    /// When to retry, if it is temporary and there is an estimate.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.detail {
            Detail::Caused(caused) => caused.retry_after,
            Detail::None | Detail::Malformed(_) => None,
        }
    }
}

/// What a caller is told of the key's state. If the clock cannot decide it, the key must not be thrown away.
#[inline]
pub(super) fn judged(standing: Standing) -> Result<(), AuthError> {
    match standing {
        Standing::Good => Ok(()),
        Standing::Expired => Err(AuthError::new(AuthErrorKind::Expired)),
        Standing::ClockUnsure(doubt) => Err(AuthError::clock_unsure(doubt)),
        Standing::OwnerClosed => Err(AuthError::new(AuthErrorKind::OwnerClosed)),
        Standing::OwnerPlanSuspended => Err(AuthError::new(AuthErrorKind::OwnerPlanSuspended)),
        Standing::OwnerSuspended => Err(AuthError::new(AuthErrorKind::OwnerSuspended)),
        Standing::Paused => Err(AuthError::new(AuthErrorKind::Paused)),
        Standing::Revoked => Err(AuthError::new(AuthErrorKind::Revoked)),
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AuthErrorKind::ClockUnsure => {
                "the clock of this node jumped, so it is not known yet whether the key has expired: try again in 30 \
                 seconds"
            }
            AuthErrorKind::CorruptRecord => {
                "the stored record of the key cannot be read: restore it, or replace the key"
            }
            AuthErrorKind::Expired => "the key has expired: use another one",
            AuthErrorKind::HashFailed => "the key could not be hashed: keep the key, and try again",
            AuthErrorKind::Invalid => "the key is not valid: check that it is the right one for this service",
            AuthErrorKind::Malformed(reason) => return self.fmt_malformed(reason, f),
            AuthErrorKind::NetworkNotAllowed => {
                "the key must not be used from this network: keep the key, and call from an allowed network"
            }
            AuthErrorKind::OwnerClosed => {
                "the owner of the key or its organization is closed permanently: use another key"
            }
            AuthErrorKind::OwnerPlanSuspended => "the plan does not include API keys: upgrade the plan",
            AuthErrorKind::OwnerSuspended => {
                "the owner of the key or its organization is suspended: an admin can reinstate it"
            }
            AuthErrorKind::Overloaded => "too many keys are being checked: try again in a moment",
            AuthErrorKind::Paused => "the key is paused: keep the key until an admin resumes it",
            AuthErrorKind::Revoked => "the key was revoked: use another one",
            AuthErrorKind::Starved => "no CPU core was free to hash the key: try again in a moment",
            AuthErrorKind::StoreUnavailable => "the key cannot be checked at the moment: keep the key, and try again",
        })
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.detail {
            // The sentence includes what is wrong with a text.
            Detail::None | Detail::Malformed(_) => None,
            Detail::Caused(caused) => Some(&*caused.by),
        }
    }
}
