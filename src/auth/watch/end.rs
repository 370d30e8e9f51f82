use std::{error::Error, fmt};

use crate::{
    auth::{AuthError, AuthErrorKind},
    outcome::RefusalCode,
    principal::Principal,
    store::StoreError,
};

/// Why a stream should not go on as it is: the answer of [`Authenticator::until_refused`](crate::Authenticator::until_refused).
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
    /// The key may do less than the principal could, or its limits are others; requests with it are accepted. This is
    /// who calls now: close the stream, or go on if this one is allowed what the stream needs, and wait with it.
    Narrowed(Principal),
    /// Requests with the key are refused, as this says: it was revoked or paused, or it expired, or its owner is
    /// suspended or closed. Never [temporary](AuthErrorKind::is_temporary). Close the stream, and let the client not
    /// come back with this key.
    Refused(AuthError),
    /// For longer than a request waits for the store, nobody could say whether the key is good: requests get 503.
    /// Nothing is known against the key, and its holder should keep it. Close the stream with a code that makes
    /// the client come back later. To go on for some time nevertheless, wait again: while it is so, this comes again
    /// after the same time.
    Unsure(AuthError),
}

impl StreamEnd {
    pub(super) fn of(error: AuthError) -> Self {
        if error.kind().is_temporary() { Self::Unsure(error) } else { Self::Refused(error) }
    }

    pub(super) fn unavailable(why: &'static str) -> Self {
        Self::Unsure(AuthError::new(AuthErrorKind::StoreUnavailable).with_source(StoreError::unavailable(why)))
    }

    /// The code that a request would be refused with; of a key that may do less, the one for requests that it is not
    /// enough for.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::Narrowed(_) => RefusalCode::InsufficientScope,
            Self::Refused(error) | Self::Unsure(error) => error.kind().code(),
        }
    }

    /// Whether the same key may be accepted a moment later, with all that it could do.
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
