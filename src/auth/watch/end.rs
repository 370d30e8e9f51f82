use std::{error::Error, fmt};

use crate::{
    auth::{AuthError, AuthErrorKind},
    outcome::RefusalCode,
    principal::Principal,
    store::StoreError,
};

/// Why a stream should not continue as it is: the result of
/// [`Authenticator::until_refused`](crate::Authenticator::until_refused).
///
/// ```
/// use tower_api_keys::auth::StreamEnd;
///
/// /// What a socket is closed with, by the numbers of RFC 6455 and of IANA's list of close codes.
/// fn close_code(end: &StreamEnd) -> u16 {
///     match end {
///         _ if end.is_temporary() => 1013, // try again later
///         _ => 1008,                       // policy violation
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The key may do less than the principal could, or has other limits; requests with it are accepted. This is the
    /// current principal: close the stream; or, if this principal may do all that the stream needs, continue and wait
    /// with it.
    Narrowed(Principal),
    /// Requests with the key are refused with this error: it was revoked or paused, it expired, its owner is
    /// suspended or closed, or it may no longer be used from this network. Never
    /// [temporary](AuthErrorKind::is_temporary). Close the stream, and tell the client the [code](Self::code): after
    /// some of them, such as `key_paused` and `network_not_allowed`, it keeps the key.
    Refused(AuthError),
    /// For longer than a request waits for the store, it is unknown whether the key is good: requests get 503. The key
    /// may be good, and its holder should keep it. Close the stream with a code that makes the client come back later.
    /// To continue for some time, wait again: while the state lasts, this answer comes again after the same time.
    Unsure(AuthError),
}

impl StreamEnd {
    pub(super) fn of(error: AuthError) -> Self {
        if error.kind().is_temporary() { Self::Unsure(error) } else { Self::Refused(error) }
    }

    pub(super) fn unavailable(why: &'static str) -> Self {
        Self::Unsure(AuthError::new(AuthErrorKind::StoreUnavailable).with_source(StoreError::unavailable(why)))
    }

    /// The code that a request would be refused with. For a narrowed key: the code of requests that need more than it
    /// may do.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::Narrowed(_) => RefusalCode::InsufficientScope,
            Self::Refused(error) | Self::Unsure(error) => error.kind().code(),
        }
    }

    /// Whether the same key may be accepted a moment later, with all its former permissions.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unsure(_))
    }
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Narrowed(_) => f.write_str("the key may do less than when the stream began"),
            Self::Refused(error) | Self::Unsure(error) => error.fmt(f),
        }
    }
}

impl Error for StreamEnd {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Narrowed(_) => None,
            Self::Refused(error) | Self::Unsure(error) => error.source(),
        }
    }
}
