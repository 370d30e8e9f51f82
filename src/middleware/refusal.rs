use std::{borrow::Cow, time::Duration};

use super::code::RefusalCode;
use crate::{
    auth::{AuthError, AuthErrorKind},
    key::MalformedReason,
};

/// A request that was refused: the code, and what belongs to it. Holds nothing of the request.
///
/// The layers of this crate make refusals and leave them in the extensions of the response, for logs and metrics. A
/// handler makes its own for what only it can know:
///
/// ```
/// use tower_api_keys::middleware::{Refusal, RefusalCode};
///
/// fn create_agent(plan: &str) -> Result<(), Refusal> {
///     if plan == "free" { Err(Refusal::new(RefusalCode::PlanRequired)) } else { Ok(()) }
/// }
///
/// let response = create_agent("free").unwrap_err().into_response::<String>();
/// assert_eq!(response.status(), 403);
/// assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), Some(RefusalCode::PlanRequired));
/// ```
///
/// An [`ApiKeyLayer`](super::ApiKeyLayer) outside of the handler gives the answer the shape of its own refusals: realm,
/// and body as told by [`with_rejection`](super::ApiKeyLayer::with_rejection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: RefusalCode,
    reason: Option<MalformedReason>,
    retry_after: Option<Duration>,
    detail: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with this code and its sentence.
    #[must_use]
    pub const fn new(code: RefusalCode) -> Self {
        Self { code, reason: None, retry_after: None, detail: Cow::Borrowed(code.detail()) }
    }

    /// A text that is no key, and why not.
    ///
    /// ```
    /// use tower_api_keys::{key::MalformedReason, middleware::Refusal};
    ///
    /// let refusal = Refusal::malformed(MalformedReason::Truncated);
    /// assert_eq!(refusal.detail(), MalformedReason::Truncated.advice());
    /// ```
    #[must_use]
    pub const fn malformed(reason: MalformedReason) -> Self {
        let detail = Cow::Borrowed(reason.advice());
        Self { code: RefusalCode::MalformedKey, reason: Some(reason), retry_after: None, detail }
    }

    /// When to ask again. Sent in whole seconds, rounded up, with status 503 only, whose default is one second.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        self.code
    }

    /// Why the text is no key, for [`RefusalCode::MalformedKey`].
    #[must_use]
    pub const fn reason(&self) -> Option<MalformedReason> {
        self.reason
    }

    /// One sentence for the caller: what happened and what to do. Repeats nothing of the request.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// When to ask again, if there is a guess.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// No key, where these are the headers that are read.
    pub(crate) fn missing(advice: String) -> Self {
        Self { detail: Cow::Owned(advice), ..Self::new(RefusalCode::MissingCredentials) }
    }
}

/// What a client may be told of the error.
impl From<&AuthError> for Refusal {
    fn from(error: &AuthError) -> Self {
        let refusal = match error.kind() {
            AuthErrorKind::CorruptRecord => Self::new(RefusalCode::CorruptRecord),
            AuthErrorKind::Expired => Self::new(RefusalCode::KeyExpired),
            AuthErrorKind::Invalid => Self::new(RefusalCode::InvalidKey),
            AuthErrorKind::Malformed(reason) => Self::malformed(reason),
            AuthErrorKind::OwnerSuspended => Self::new(RefusalCode::OwnerSuspended),
            AuthErrorKind::Overloaded => Self::new(RefusalCode::Overloaded),
            AuthErrorKind::Revoked => Self::new(RefusalCode::KeyRevoked),
            AuthErrorKind::StoreUnavailable => Self::new(RefusalCode::StoreUnavailable),
        };
        Self { retry_after: error.retry_after(), ..refusal }
    }
}
