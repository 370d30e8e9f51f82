use std::{
    error::Error,
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    anonymous::Anonymous,
    body::ResponseBody,
    code::RefusalCode,
    future::{Question, ResponseFuture},
    readiness::{Unready, give_back},
    refusal::Refusal,
    report,
    settings::Finish,
};
use crate::{
    owner::{KeyKind, TeamId, UserId},
    principal::{Principal, TeamAccess},
    scope::Scope,
};

/// Lets through only principals of a kind, with some scopes, or with access to the team a request is about.
///
/// Goes inside of an [`ApiKeyLayer`](super::ApiKeyLayer). What it was not told it does not ask; what it was told is asked
/// in the order kind, scopes, team, and the first no is the answer: 403. A request without a key that an optional layer
/// let through is refused as such: 401.
///
/// ```
/// use http::request::Parts;
/// use tower_api_keys::{Scope, TeamId, UserId, middleware::RequireKeyLayer};
///
/// // /teams/{team}/agents
/// fn team_of(request: &Parts) -> Option<TeamId> {
///     TeamId::new(request.uri.path().strip_prefix("/teams/")?.split('/').next()?).ok()
/// }
///
/// async fn is_member(user: UserId, team: TeamId) -> Result<bool, std::io::Error> {
///     Ok(user.as_str() == "alice" && team.as_str() == "engineering") // a query, in earnest
/// }
///
/// let layer = RequireKeyLayer::new().scope(Scope::new("agents:read")?).team(team_of).membership(is_member);
/// # Ok::<(), tower_api_keys::InvalidScope>(())
/// ```
#[derive(Clone, Default)]
pub struct RequireKeyLayer {
    rules: Arc<Rules>,
}

#[derive(Clone, Default)]
struct Rules {
    kind: Option<KeyKind>,
    scopes: Vec<Scope>,
    team: Option<Arc<dyn TeamOf>>,
    membership: Option<Membership>,
}

/// The team that a request is about: a function of it.
trait TeamOf: Send + Sync {
    fn team_of(&self, request: &Parts) -> Option<TeamId>;
}

impl<F: Fn(&Parts) -> Option<TeamId> + Send + Sync> TeamOf for F {
    fn team_of(&self, request: &Parts) -> Option<TeamId> {
        self(request)
    }
}

/// Whether a user is a member of a team.
#[derive(Clone)]
struct Membership(Arc<dyn Fn(UserId, TeamId) -> Answer + Send + Sync>);

struct Answer(BoxFuture<'static, Result<bool, Box<dyn Error + Send + Sync>>>);

impl RequireKeyLayer {
    /// Asks for a principal, whoever it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Personal keys only, or team keys only: else 403 `wrong_key_kind`.
    #[must_use]
    pub fn kind(mut self, kind: KeyKind) -> Self {
        self.rules().kind = Some(kind);
        self
    }

    /// Keys with this scope only: else 403 `insufficient_scope`. Called again, it asks for one scope more.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.rules().scopes.push(scope);
        self
    }

    /// Principals with access to the team that a request is about only: else 403 `wrong_team`.
    ///
    /// A request about no team (`None`) is refused. So is every personal key, unless
    /// [`membership`](Self::membership) says who may. Called again, it asks another function in the place of the first.
    #[must_use]
    pub fn team(mut self, team: impl Fn(&Parts) -> Option<TeamId> + Send + Sync + 'static) -> Self {
        self.rules().team = Some(Arc::new(team));
        self
    }

    /// How to find out whether a user is a member of a team, asked for personal keys where a [`team`](Self::team) is
    /// asked for. If it fails, the answer is 503 and the error goes to the log.
    #[must_use]
    pub fn membership<F, Fut, E>(mut self, is_member: F) -> Self
    where
        F: Fn(UserId, TeamId) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<bool, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.rules().membership = Some(Membership(Arc::new(move |user, team| {
            let answer = is_member(user, team);
            Answer(Box::pin(async move { answer.await.map_err(Into::into) }))
        })));
        self
    }

    fn rules(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.rules)
    }
}

impl fmt::Debug for RequireKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules { kind, scopes, .. } = &*self.rules;
        f.debug_struct("RequireKeyLayer").field("kind", kind).field("scopes", scopes).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequireKeyLayer {
    type Service = RequireKeyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireKeyService { inner, rules: Arc::clone(&self.rules) }
    }
}

/// What [`RequireKeyLayer`] makes of a service.
///
/// ```
/// use tower::Layer;
/// use tower_api_keys::{KeyKind, middleware::{RequireKeyLayer, RequireKeyService}};
///
/// fn for_teams<S>(service: S) -> RequireKeyService<S> {
///     RequireKeyLayer::new().kind(KeyKind::Team).layer(service)
/// }
/// ```
#[derive(Clone)]
pub struct RequireKeyService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S: fmt::Debug> fmt::Debug for RequireKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, ResB> Service<Request<B>> for RequireKeyService<S>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<S, B> {
        let (parts, body) = request.into_parts();
        let verdict = self.rules.judge(&parts);
        let request = Request::from_parts(parts, body);
        match verdict {
            Verdict::Allowed => ResponseFuture::inner(self.inner.call(request), Finish::default()),
            Verdict::Refused(code) => {
                give_back(&mut self.inner);
                ResponseFuture::refused(Refusal::new(code).into_response_to(&request))
            }
            Verdict::Ask(Answer(answer)) => {
                let unready = Unready::new(&mut self.inner, request);
                ResponseFuture::waiting(Question::Membership { answer }, unready)
            }
        }
    }
}

enum Verdict {
    Allowed,
    Ask(Answer),
    Refused(RefusalCode),
}

impl Rules {
    fn judge(&self, request: &Parts) -> Verdict {
        let Some(principal) = request.extensions.get::<Principal>() else {
            return Verdict::Refused(without_principal(request, "RequireKeyLayer"));
        };
        if self.kind.is_some_and(|kind| kind != principal.kind()) {
            return Verdict::Refused(RefusalCode::WrongKeyKind);
        }
        if !self.scopes.iter().all(|scope| principal.allows(scope)) {
            return Verdict::Refused(RefusalCode::InsufficientScope);
        }
        let Some(team) = &self.team else {
            return Verdict::Allowed;
        };
        let Some(team) = team.team_of(request) else {
            return Verdict::Refused(RefusalCode::WrongTeam);
        };
        match (principal.access_to(&team), &self.membership) {
            (TeamAccess::Granted, _) => Verdict::Allowed,
            (TeamAccess::AskMembership(user), Some(Membership(is_member))) => {
                Verdict::Ask(is_member(user.clone(), team))
            }
            // Nobody to ask: a user's key does not pass unasked.
            (TeamAccess::AskMembership(_), None) | (TeamAccess::Refused, _) => Verdict::Refused(RefusalCode::WrongTeam),
        }
    }
}

/// The answer of `what`, which needs a principal, to a request that has none.
pub(crate) fn without_principal(request: &Parts, what: &'static str) -> RefusalCode {
    if request.extensions.get::<Anonymous>().is_some() {
        return RefusalCode::MissingCredentials;
    }
    report::no_layer(what);
    RefusalCode::Misconfigured
}
