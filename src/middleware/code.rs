//! The HTTP and gRPC answer of each refusal code.

use http::StatusCode;

use crate::outcome::RefusalCode;

/// What `WWW-Authenticate` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    RealmOnly,
    Error(&'static str),
}

/// What the answers to one kind of refusal have in common.
#[derive(Clone, Copy)]
struct Kind {
    status: StatusCode,
    /// 16 unauthenticated, 7 permission denied, 3 invalid argument, 8 resource exhausted, 14 unavailable, and 13
    /// internal where HTTP would say 500.
    grpc_status: u16,
    challenge: Challenge,
}

/// The answer to a code.
#[derive(Clone, Copy)]
struct Told {
    kind: Kind,
    detail: &'static str,
}

impl Kind {
    const AMBIGUOUS: Self = Self::new(StatusCode::BAD_REQUEST, 3, Challenge::Error("invalid_request"));
    const DEFECT: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, 13, Challenge::None);
    const FORBIDDEN: Self = Self::new(StatusCode::FORBIDDEN, 7, Challenge::Error("insufficient_scope"));
    /// A 403 without a challenge: no other scope would help.
    const ELSEWHERE: Self = Self::new(StatusCode::FORBIDDEN, 7, Challenge::None);
    const LIMITED: Self = Self::new(StatusCode::TOO_MANY_REQUESTS, 8, Challenge::None);
    /// "If the request lacks any authentication information […] the resource server SHOULD NOT include an error code"
    /// (RFC 6750 §3.1).
    const MISSING: Self = Self::new(StatusCode::UNAUTHORIZED, 16, Challenge::RealmOnly);
    const UNAVAILABLE: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, 14, Challenge::None);
    const UNPROVED: Self = Self::new(StatusCode::UNAUTHORIZED, 16, Challenge::Error("invalid_token"));

    const fn new(status: StatusCode, grpc_status: u16, challenge: Challenge) -> Self {
        Self { status, grpc_status, challenge }
    }

    const fn with(self, detail: &'static str) -> Told {
        Told { kind: self, detail }
    }
}

impl RefusalCode {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.told().kind.status
    }

    /// One sentence for the caller: what happened and what to do. Repeats nothing of the request.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        self.told().detail
    }

    /// The error code of the Bearer challenge, if the answer has one (RFC 6750 §3.1).
    pub(crate) const fn challenge(self) -> Challenge {
        self.told().kind.challenge
    }

    /// The status of a gRPC answer.
    pub(crate) const fn grpc_status(self) -> u16 {
        self.told().kind.grpc_status
    }

    const fn told(self) -> Told {
        match self {
            Self::AmbiguousCredentials => Kind::AMBIGUOUS.with(
                "The request has more than one API key, or the header with the key is there twice. Send one key, \
                 once.",
            ),
            Self::ClockUnsure => Kind::UNAVAILABLE.with(
                "The clock of the service jumped, so it is not certain whether this API key has expired. Keep the \
                 key, and try again in 30 seconds.",
            ),
            Self::CorruptRecord => Kind::UNAVAILABLE.with(
                "The stored data of this API key cannot be read at the moment. Keep the key, and try again later. If \
                 this continues, tell the operator of the service.",
            ),
            Self::Denied => Kind::FORBIDDEN
                .with("The rules of the service do not allow this. Ask an administrator of the organization."),
            Self::ExpiryTooLate => Kind::FORBIDDEN.with(
                "An API key cannot create a key that expires later than the API key itself. Choose an earlier \
                 expiry, or ask a person to create the key.",
            ),
            Self::InsufficientRole => Kind::FORBIDDEN
                .with("Your role does not allow this. Ask an administrator of the team or the organization."),
            Self::InsufficientScope => Kind::FORBIDDEN.with(
                "The API key does not have a scope that this request needs. Use a key that has it, or ask for a new \
                 key with this scope.",
            ),
            Self::InvalidKey => Kind::UNPROVED
                .with("The API key is not valid. Check that the right key is configured, or create a new one."),
            Self::KeyExpired => Kind::UNPROVED.with("The API key has expired. Use another one, or create a new one."),
            Self::KeyPaused => Kind::UNPROVED.with(
                "The API key is paused. Keep the key, and ask an administrator of the organization to resume it.",
            ),
            Self::KeyRevoked => Kind::UNPROVED.with("The API key was revoked. Use another one, or create a new one."),
            Self::LimitsTooWide => Kind::FORBIDDEN.with(
                "This API key has limits, so every key that it creates must have the same limits. Send the same \
                 limits, or ask a person to create the key.",
            ),
            Self::MalformedKey => Kind::UNPROVED.with("What was sent is not an API key. Copy the whole key again."),
            Self::Misconfigured => Kind::DEFECT.with(
                "The service is not set up to check API keys here. There is nothing wrong with the key. Tell the \
                 operator of the service.",
            ),
            Self::MissingCredentials => Kind::MISSING.with(
                "The request has no API key. Send one in the Authorization header, after the word Bearer and a \
                 space, or in the x-api-key header.",
            ),
            Self::NetworkNotAllowed => Kind::ELSEWHERE.with(
                "The API key must not be used from this network. Keep the key. Call from an allowed network, or ask \
                 an administrator of the organization to allow this one.",
            ),
            Self::NetworksTooWide => Kind::FORBIDDEN.with(
                "An API key cannot allow another key any network that it may not use itself. Choose only networks that \
                 it may use, or ask a person to do it.",
            ),
            Self::NotForKeys => Kind::FORBIDDEN.with(
                "This cannot be done with an API key. A person has to do this, signed in and without an API key.",
            ),
            Self::NotYourKey => Kind::FORBIDDEN.with(
                "Only the person who owns that personal key can do this. Ask that person to do it, or revoke that \
                 key.",
            ),
            Self::Overloaded => Kind::UNAVAILABLE
                .with("The service is busy checking API keys. Keep the key, and try again in a moment."),
            Self::OwnerClosed => Kind::UNPROVED.with(
                "The user, team or organization that this API key belongs to is closed permanently, so the key will \
                 never work again. Use another key.",
            ),
            Self::OwnerPlanSuspended => Kind::UNPROVED.with(
                "The plan does not include this API key at the moment. Keep the key, and upgrade the plan or ask an \
                 administrator of the organization to do it.",
            ),
            Self::OwnerSuspended => Kind::UNPROVED.with(
                "The user, team or organization that this API key belongs to is suspended. Keep the key: it works \
                 again when an administrator ends the suspension.",
            ),
            Self::PlanRequired => Kind::FORBIDDEN.with(
                "The plan does not include this. Upgrade the plan, or ask an administrator of the organization to do \
                 it.",
            ),
            Self::RateLimited => Kind::LIMITED.with(
                "This API key has sent too many requests. Keep the key, send fewer requests, and try again later.",
            ),
            Self::ScopesTooWide => Kind::FORBIDDEN.with(
                "An API key can give another key only scopes that it has itself, and never a scope for managing \
                 keys. Choose fewer scopes, or ask a person to create the key.",
            ),
            Self::StoreUnavailable => {
                Kind::UNAVAILABLE.with("API keys cannot be checked at the moment. Keep the key, and try again.")
            }
            Self::WrongKeyKind => Kind::FORBIDDEN.with(
                "This kind of API key is not accepted here. Use a team key instead of a personal one, or a personal \
                 key instead of a team key.",
            ),
            Self::WrongTeam => Kind::FORBIDDEN
                .with("The API key has no access to this team. Use a key of this team, or ask to become a member."),
        }
    }
}
