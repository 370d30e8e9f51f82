use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use crate::{
    auth::{AuthError, AuthErrorKind},
    key::MalformedReason,
    outcome::RefusalCode,
    owner::KeyKind,
    principal::TeamRefused,
    scope::{Scope, Scopes},
};

/// How long a client waits before it retries, if no better value is known.
const DEFAULT_RETRY_SECONDS: u64 = 1;

/// A refused request: the code and its details. Holds nothing of the request.
///
/// The layers of this crate make refusals and leave them in the extensions of the response, for logs and metrics. A
/// handler makes its own for reasons that only it can know:
///
/// ```
/// use tower_api_keys::middleware::{Refusal, RefusalCode};
///
/// fn create_agent(plan: &str) -> Result<(), Refusal> {
///     if plan == "free" { Err(Refusal::new(RefusalCode::PlanRequired)) } else { Ok(()) }
/// }
///
/// let response = create_agent("free").unwrap_err().into_http::<String>();
/// assert_eq!(response.status(), 403);
/// assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), Some(RefusalCode::PlanRequired));
/// ```
///
/// An [`ApiKeyLayer`](super::ApiKeyLayer) outside the handler gives the answer the form of its own refusals: realm, and
/// the body set by [`rejection`](super::ApiKeyLayer::rejection), or the gRPC form for a gRPC call. Caching is always
/// forbidden, no matter how else its headers were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: RefusalCode,
    reason: Option<MalformedReason>,
    retry_after: Option<Duration>,
    needs: Needs,
    detail: Cow<'static, str>,
}

/// What the key lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Needs {
    Kind(KeyKind),
    Nothing,
    /// As RFC 6749 §3.3 writes them.
    Scopes(Box<str>),
}

impl Refusal {
    /// A refusal with this code and its sentence.
    #[must_use]
    pub const fn new(code: RefusalCode) -> Self {
        Self { code, reason: None, retry_after: None, needs: Needs::Nothing, detail: Cow::Borrowed(code.detail()) }
    }

    /// The refusal of a text that is no key, with the reason.
    ///
    /// ```
    /// use tower_api_keys::{key::MalformedReason, middleware::Refusal};
    ///
    /// let refusal = Refusal::malformed(MalformedReason::Truncated);
    /// assert_eq!(refusal.detail(), MalformedReason::Truncated.advice());
    /// ```
    #[must_use]
    pub const fn malformed(reason: MalformedReason) -> Self {
        Self {
            code: RefusalCode::MalformedKey,
            reason: Some(reason),
            retry_after: None,
            needs: Needs::Nothing,
            detail: Cow::Borrowed(reason.advice()),
        }
    }

    /// The refusal of a key that lacks at least one of these scopes or, if none is named, has no scope at all. The
    /// sentence, the problem document and the challenge (RFC 6750 §3) name the scopes.
    ///
    /// ```
    /// use tower_api_keys::{Principal, Refusal, Scope};
    ///
    /// fn may_write(caller: &Principal) -> Result<(), Refusal> {
    ///     let write = Scope::new("agents:write").map_err(|_| Refusal::new(tower_api_keys::RefusalCode::Misconfigured))?;
    ///     if caller.allows(&write) { Ok(()) } else { Err(Refusal::insufficient_scope([write])) }
    /// }
    /// # let write = Scope::new("agents:write")?;
    /// # let refusal = Refusal::insufficient_scope([write]);
    /// # assert_eq!(refusal.scope(), Some("agents:write"));
    /// # Ok::<(), tower_api_keys::InvalidScope>(())
    /// ```
    #[must_use]
    pub fn insufficient_scope(needed: impl IntoIterator<Item = Scope>) -> Self {
        let needed: Scopes = needed.into_iter().collect();
        let named: Vec<_> = needed.named().map(|scope| format!("`{scope}`")).collect();
        let detail = match named.as_slice() {
            [] => {
                return Self::new(RefusalCode::InsufficientScope).with_detail(
                    "The API key has no scopes, so it is not allowed to do anything here. Use a key that has the scope for this \
                     request, or ask for one.",
                );
            }
            [one] => format!(
                "This request needs the scope {one}, which the API key does not have. Use a key that has it, or ask for a \
                 new key with this scope."
            ),
            [most @ .., last] => format!(
                "This request needs the scopes {} and {last}, but the API key does not have all of them. Use a key that has \
                 them, or ask for a new key with these scopes.",
                most.join(", ")
            ),
        };
        let needs = Needs::Scopes(needed.to_string().into());
        Self { needs, ..Self::new(RefusalCode::InsufficientScope).with_detail(detail) }
    }

    /// The refusal of a key of the wrong kind. The sentence and the problem document name the kind that is needed.
    ///
    /// ```
    /// use tower_api_keys::{KeyKind, Refusal};
    ///
    /// let refusal = Refusal::wrong_key_kind(KeyKind::Team);
    /// assert_eq!(refusal.kind(), Some(KeyKind::Team));
    /// assert!(refusal.detail().starts_with("This request needs a team API key, but this is a personal key"));
    /// ```
    #[must_use]
    pub const fn wrong_key_kind(needed: KeyKind) -> Self {
        let detail = match needed {
            KeyKind::Team => "This request needs a team API key, but this is a personal key. Use a key of the team.",
            KeyKind::User => "This request needs a personal API key, but this is a team key. Use a key of your own.",
        };
        Self {
            code: RefusalCode::WrongKeyKind,
            reason: None,
            retry_after: None,
            needs: Needs::Kind(needed),
            detail: Cow::Borrowed(detail),
        }
    }

    /// When to retry. Sent in whole seconds, rounded up, and only with status 503 and 429. Default: one second.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_api_keys::middleware::{Refusal, RefusalCode};
    ///
    /// // In a limiter inside the layer, where the principal says whose request it is.
    /// let refusal = Refusal::new(RefusalCode::RateLimited).with_retry_after(Duration::from_millis(2_500));
    /// let response = refusal.into_http::<String>();
    /// assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"3".parse()?));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
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

    /// The scopes that the request needs, separated by spaces, if the key lacks one and the scopes are known.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        match &self.needs {
            Needs::Scopes(scopes) => Some(scopes),
            Needs::Kind(_) | Needs::Nothing => None,
        }
    }

    /// The kind of key that the request needs, if the key is of the other kind.
    #[must_use]
    pub const fn kind(&self) -> Option<KeyKind> {
        match self.needs {
            Needs::Kind(kind) => Some(kind),
            Needs::Nothing | Needs::Scopes(_) => None,
        }
    }

    /// One sentence for the caller: what happened and what to do. Repeats nothing of the request.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// When to retry, if there is an estimate.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// How many whole seconds a client should wait, if a retry can help: one, if no better value is known. Rounded up,
    /// so that a client that waits as long as told is not refused again without need.
    pub(crate) fn retry_seconds(&self) -> Option<u64> {
        let in_seconds = |after: Duration| after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1);
        let helps = matches!(self.code.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        helps.then(|| self.retry_after.map_or(DEFAULT_RETRY_SECONDS, in_seconds))
    }

    /// This refusal with another sentence, which repeats nothing of the request either.
    pub(super) fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The refusal of a request without a key, for the headers that are read.
    pub(crate) fn missing(advice: String) -> Self {
        Self::new(RefusalCode::MissingCredentials).with_detail(advice)
    }
}

/// What a client may learn of the error.
impl From<&AuthError> for Refusal {
    fn from(error: &AuthError) -> Self {
        let refusal = match error.kind() {
            AuthErrorKind::Malformed(reason) => {
                let refusal = Self::malformed(reason);
                match error.as_malformed() {
                    Some(key) => refusal.with_detail(key.advice()),
                    None => refusal,
                }
            }
            kind => Self::new(kind.code()),
        };
        Self { retry_after: error.retry_after(), ..refusal }
    }
}

/// 403 `wrong_team`, or 503 `store_unavailable` if the team's members could not be looked up. The cause stays with the
/// error, for the service's log.
///
/// ```
/// use tower_api_keys::{Principal, TeamId, UserId, middleware::Refusal};
///
/// # async fn is_member(_: UserId) -> Result<bool, std::io::Error> { Ok(true) }
/// async fn deploy(caller: Principal, team: TeamId) -> Result<(), Refusal> {
///     caller.authorize_team(&team, is_member).await.map_err(|refused| Refusal::from(&refused))
/// }
/// ```
impl<E> From<&TeamRefused<E>> for Refusal {
    fn from(refused: &TeamRefused<E>) -> Self {
        Self::new(match refused {
            TeamRefused::NotAllowed => RefusalCode::WrongTeam,
            TeamRefused::Unknown(_) => RefusalCode::StoreUnavailable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_knowing_the_members_is_no_permanent_refusal() {
        let code = |refused: TeamRefused<&str>| Refusal::from(&refused).code();
        assert_eq!(code(TeamRefused::NotAllowed), RefusalCode::WrongTeam);
        assert_eq!(code(TeamRefused::Unknown("down")), RefusalCode::StoreUnavailable);
    }
}
