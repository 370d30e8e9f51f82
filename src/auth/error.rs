use std::{error::Error, fmt, time::Duration};

use crate::key::{MalformedKey, MalformedReason};

/// Why a text was not accepted as a key. What a client may be told is in [`kind`](Self::kind); `source` is for logs.
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

#[derive(Debug)]
enum Detail {
    None,
    /// In place: whoever sends no key at all costs no allocation.
    Malformed(MalformedKey),
    Caused(Box<Caused>),
}

#[derive(Debug)]
struct Caused {
    by: Box<dyn Error + Send + Sync>,
    retry_after: Option<Duration>,
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
    /// The stored record of the key cannot be read.
    CorruptRecord,
    /// The key's time is over. Only a caller who has the key is told.
    Expired,
    /// Unknown id, wrong secret, or another kind of key: nobody is told which.
    Invalid,
    /// The text is no key, and why.
    Malformed(MalformedReason),
    /// The owner is held or closed. Only a caller who has the key is told.
    OwnerSuspended,
    /// Too many keys are being checked for the first time. Nothing is wrong with this one, as far as is known.
    Overloaded,
    /// The key was revoked. Only a caller who has the key is told.
    Revoked,
    /// No core was free to hash the key: other work keeps them all busy. Nothing is wrong with the key, as far as is known.
    Starved,
    /// The store could not say how things stand.
    StoreUnavailable,
}

impl AuthErrorKind {
    /// Whether the same key may be accepted a moment later: the answer is 503, and no reason to throw the key away.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::CorruptRecord | Self::Overloaded | Self::Starved | Self::StoreUnavailable)
    }

    /// The code that refusals and counts carry.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CorruptRecord => "corrupt_record",
            Self::Expired => "key_expired",
            Self::Invalid => "invalid_key",
            Self::Malformed(_) => "malformed_key",
            Self::OwnerSuspended => "owner_suspended",
            // One for both: a client does the same about them, and how a node spends its cores is not for it to know.
            Self::Overloaded | Self::Starved => "overloaded",
            Self::Revoked => "key_revoked",
            Self::StoreUnavailable => "store_unavailable",
        }
    }
}

impl AuthError {
    pub(crate) const fn new(kind: AuthErrorKind) -> Self {
        Self { kind, detail: Detail::None }
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.until(None, source)
    }

    /// Too much is going on, until then as far as anybody can tell.
    pub(crate) fn overloaded(retry_after: Option<Duration>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::Overloaded).until(retry_after, source)
    }

    /// No core is free, until then as far as anybody can tell.
    pub(crate) fn starved(retry_after: Option<Duration>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(AuthErrorKind::Starved).until(retry_after, source)
    }

    fn until(self, retry_after: Option<Duration>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: self.kind, detail: Detail::Caused(Box::new(Caused { by: source.into(), retry_after })) }
    }

    pub(crate) const fn malformed(key: MalformedKey) -> Self {
        Self { kind: AuthErrorKind::Malformed(key.reason()), detail: Detail::Malformed(key) }
    }

    /// What a client may be told.
    #[must_use]
    pub const fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// When to ask again, if it is temporary and there is a guess.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.detail {
            Detail::Caused(caused) => caused.retry_after,
            Detail::None | Detail::Malformed(_) => None,
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AuthErrorKind::CorruptRecord => "the stored record of the key cannot be read: restore or replace it",
            AuthErrorKind::Expired => "the key has expired: use another one",
            AuthErrorKind::Invalid => "the key is not valid: check that it is the right one for this service",
            AuthErrorKind::Malformed(reason) => return write!(f, "the text is not a key: {reason}"),
            AuthErrorKind::OwnerSuspended => "the owner of the key is held or closed: an admin can lift a hold",
            AuthErrorKind::Overloaded => "too many keys are being checked: ask again in a moment",
            AuthErrorKind::Revoked => "the key was revoked: use another one",
            AuthErrorKind::Starved => {
                "no core was free to hash the key: other work keeps them all busy; ask again in a moment"
            }
            AuthErrorKind::StoreUnavailable => "the key store is unavailable: ask again",
        })
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.detail {
            Detail::None => None,
            Detail::Malformed(malformed) => Some(malformed),
            Detail::Caused(caused) => Some(&*caused.by),
        }
    }
}
