use std::fmt;

use http::StatusCode;

/// What a refusal says, in one word of the protocol. The words, statuses and sentences are fixed.
///
/// ```
/// use http::StatusCode;
/// use tower_api_keys::middleware::RefusalCode;
///
/// assert_eq!(RefusalCode::KeyRevoked.as_str(), "key_revoked");
/// assert_eq!(RefusalCode::KeyRevoked.status(), StatusCode::UNAUTHORIZED);
/// assert_eq!(RefusalCode::KeyRevoked.detail(), "The API key was revoked; use another one, or create a new one.");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// 400: two different candidates, a header twice, an empty key header beside a Bearer text.
    AmbiguousCredentials,
    /// 503: the clock of this node jumped, and whether the key has expired depends on which time is right.
    ClockUnsure,
    /// 503: the stored record of the key cannot be read.
    CorruptRecord,
    /// 403: the caller's role does not allow it.
    InsufficientRole,
    /// 403: the key lacks a scope.
    InsufficientScope,
    /// 401: unknown id, wrong secret, or another kind of key, which look the same to the last byte.
    InvalidKey,
    /// 401: the key's time is over. Only a caller who has the key is told.
    KeyExpired,
    /// 401: the key was revoked. Only a caller who has the key is told.
    KeyRevoked,
    /// 401: the text is no key. The reason says why not.
    MalformedKey,
    /// 500: an extractor or [`RequireKeyLayer`](super::RequireKeyLayer) without an
    /// [`ApiKeyLayer`](super::ApiKeyLayer) outside of it. A defect of the service, for its log.
    Misconfigured,
    /// 401: no key.
    MissingCredentials,
    /// 503: too many keys are being checked for the first time.
    Overloaded,
    /// 401: the owner is held or closed. Only a caller who has the key is told.
    OwnerSuspended,
    /// 403: the plan does not include it.
    PlanRequired,
    /// 503: the store, or the embedder's directory of members, could not say how things stand.
    StoreUnavailable,
    /// 403: personal keys only, or team keys only.
    WrongKeyKind,
    /// 403: another team's key, or a user who is no member.
    WrongTeam,
}

impl RefusalCode {
    /// Every code, by name.
    pub const ALL: &'static [Self] = &[
        Self::AmbiguousCredentials,
        Self::ClockUnsure,
        Self::CorruptRecord,
        Self::InsufficientRole,
        Self::InsufficientScope,
        Self::InvalidKey,
        Self::KeyExpired,
        Self::KeyRevoked,
        Self::MalformedKey,
        Self::Misconfigured,
        Self::MissingCredentials,
        Self::Overloaded,
        Self::OwnerSuspended,
        Self::PlanRequired,
        Self::StoreUnavailable,
        Self::WrongKeyKind,
        Self::WrongTeam,
    ];

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::AmbiguousCredentials => StatusCode::BAD_REQUEST,
            Self::InvalidKey
            | Self::KeyExpired
            | Self::KeyRevoked
            | Self::MalformedKey
            | Self::MissingCredentials
            | Self::OwnerSuspended => StatusCode::UNAUTHORIZED,
            Self::InsufficientRole
            | Self::InsufficientScope
            | Self::PlanRequired
            | Self::WrongKeyKind
            | Self::WrongTeam => StatusCode::FORBIDDEN,
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ClockUnsure | Self::CorruptRecord | Self::Overloaded | Self::StoreUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The stable word in the member `code` of the body, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmbiguousCredentials => "ambiguous_credentials",
            Self::ClockUnsure => "clock_unsure",
            Self::CorruptRecord => "corrupt_record",
            Self::InsufficientRole => "insufficient_role",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidKey => "invalid_key",
            Self::KeyExpired => "key_expired",
            Self::KeyRevoked => "key_revoked",
            Self::MalformedKey => "malformed_key",
            Self::Misconfigured => "misconfigured",
            Self::MissingCredentials => "missing_credentials",
            Self::Overloaded => "overloaded",
            Self::OwnerSuspended => "owner_suspended",
            Self::PlanRequired => "plan_required",
            Self::StoreUnavailable => "store_unavailable",
            Self::WrongKeyKind => "wrong_key_kind",
            Self::WrongTeam => "wrong_team",
        }
    }

    /// One sentence for the caller: what happened and what to do. Repeats nothing of the request.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::AmbiguousCredentials => {
                "The request has more than one API key or sends a header twice; send one key, once."
            }
            Self::ClockUnsure => {
                "The service cannot tell at the moment whether this API key has expired, because its clock jumped; keep \
                 the key and try again in half a minute."
            }
            Self::CorruptRecord => {
                "The record of this API key cannot be read at the moment; keep the key, try again later, and tell the \
                 operator of the service if it goes on."
            }
            Self::InsufficientRole => {
                "Your role does not allow this; ask an administrator of the team or the organization."
            }
            Self::InsufficientScope => {
                "The API key lacks a scope that this request needs; use a key that has it, or have one made."
            }
            Self::InvalidKey => {
                "The API key is not valid; check that the right key is configured, or create a new one."
            }
            Self::KeyExpired => "The API key has expired; use another one, or create a new one.",
            Self::KeyRevoked => "The API key was revoked; use another one, or create a new one.",
            Self::MalformedKey => "What was sent is not an API key; copy the whole key again.",
            Self::Misconfigured => {
                "The service is not set up to check API keys here; this is no fault of the key, so tell the operator \
                 of the service."
            }
            Self::MissingCredentials => {
                "The request has no API key; send one in the header Authorization, after the word Bearer and a space, \
                 or in the header x-api-key."
            }
            Self::Overloaded => "The service is busy checking API keys; keep the key and try again in a moment.",
            Self::OwnerSuspended => {
                "The user or team that owns this API key is suspended; ask an administrator of the organization."
            }
            Self::PlanRequired => {
                "The plan does not include this; upgrade it, or ask an administrator of the organization."
            }
            Self::StoreUnavailable => "API keys cannot be checked at the moment; keep the key and try again.",
            Self::WrongKeyKind => {
                "This kind of API key is not accepted here; use a personal key in the place of a team key, or a team \
                 key in the place of a personal one."
            }
            Self::WrongTeam => {
                "The API key does not reach this team; use one of the team's own keys, or ask to become a member."
            }
        }
    }

    /// The error code of the Bearer challenge, if the answer has one (RFC 6750 §3.1).
    pub(crate) const fn challenge(self) -> Challenge {
        match self {
            Self::AmbiguousCredentials => Challenge::Error("invalid_request"),
            // "If the request lacks any authentication information […] the resource server SHOULD NOT include an error
            // code" (RFC 6750 §3.1).
            Self::MissingCredentials => Challenge::RealmOnly,
            Self::InvalidKey | Self::KeyExpired | Self::KeyRevoked | Self::MalformedKey | Self::OwnerSuspended => {
                Challenge::Error("invalid_token")
            }
            Self::InsufficientRole
            | Self::InsufficientScope
            | Self::PlanRequired
            | Self::WrongKeyKind
            | Self::WrongTeam => Challenge::Error("insufficient_scope"),
            Self::ClockUnsure
            | Self::CorruptRecord
            | Self::Misconfigured
            | Self::Overloaded
            | Self::StoreUnavailable => Challenge::None,
        }
    }

    /// The status of a gRPC answer: 16 unauthenticated, 7 permission denied, 3 invalid argument, 14 unavailable, and 13
    /// internal where HTTP would say 500.
    pub(crate) const fn grpc_status(self) -> u16 {
        match self {
            Self::AmbiguousCredentials => 3,
            Self::InvalidKey
            | Self::KeyExpired
            | Self::KeyRevoked
            | Self::MalformedKey
            | Self::MissingCredentials
            | Self::OwnerSuspended => 16,
            Self::InsufficientRole
            | Self::InsufficientScope
            | Self::PlanRequired
            | Self::WrongKeyKind
            | Self::WrongTeam => 7,
            Self::Misconfigured => 13,
            Self::ClockUnsure | Self::CorruptRecord | Self::Overloaded | Self::StoreUnavailable => 14,
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What `WWW-Authenticate` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    RealmOnly,
    Error(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_are_listed_once_in_the_order_of_their_words() {
        let words: Vec<_> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(words.is_sorted_by(|one, next| one < next), "{words:?}");
        // A new code does not compile here before it is in the list.
        let last = |code: RefusalCode| match code {
            RefusalCode::AmbiguousCredentials
            | RefusalCode::ClockUnsure
            | RefusalCode::CorruptRecord
            | RefusalCode::InsufficientRole
            | RefusalCode::InsufficientScope
            | RefusalCode::InvalidKey
            | RefusalCode::KeyExpired
            | RefusalCode::KeyRevoked
            | RefusalCode::MalformedKey
            | RefusalCode::Misconfigured
            | RefusalCode::MissingCredentials
            | RefusalCode::Overloaded
            | RefusalCode::OwnerSuspended
            | RefusalCode::PlanRequired
            | RefusalCode::StoreUnavailable
            | RefusalCode::WrongKeyKind
            | RefusalCode::WrongTeam => code as usize,
        };
        assert!(RefusalCode::ALL.iter().enumerate().all(|(index, code)| last(*code) == index));
        assert_eq!(last(RefusalCode::WrongTeam) + 1, RefusalCode::ALL.len());
    }
}
