//! The layer that asks more of a caller: a scope, a kind of key, an organization, a team.

mod question;
mod rules;

use std::{
    error::Error,
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

pub use question::MembershipQuestion;
#[cfg(feature = "axum")]
pub(crate) use rules::without_principal;

use self::{
    question::{AskedTeam, Find, Membership},
    rules::{Rules, Verdict},
};
use super::{
    body::ResponseBody,
    future::{PendingAnswer, ResponseFuture},
    path::{InvalidPathPattern, PathPattern, original_path},
    readiness::{Unready, give_back},
    settings::Finish,
};
use crate::{
    owner::{KeyKind, OrganizationId, TeamRef},
    principal::Principal,
    scope::Scope,
};

/// Lets through only principals of a kind, with some scopes, of the organization that a request is about, or with access
/// to the team that it is about.
///
/// Goes inside of an [`ApiKeyLayer`](super::ApiKeyLayer). What it was not told it does not ask; what it was told is asked
/// in the order kind, scopes, organization, team, membership, and the first no is the answer: 403. A request without a key
/// that an optional layer let through is refused as such: 401.
///
/// ```
/// use tower_api_keys::{Scope, middleware::{MembershipQuestion, RequireKeyLayer}};
///
/// async fn is_member(asked: MembershipQuestion) -> Result<bool, std::io::Error> {
///     Ok(asked.user.as_str() == "alice" && asked.team.team.as_str() == "engineering") // in your service: a query
/// }
///
/// // A service with one organization; with several: "/orgs/{organization}/teams/{team}/…".
/// let layer = RequireKeyLayer::new()
///     .scope(Scope::new("agents:read")?)
///     .team_at("/teams/{team}/…")?
///     .membership(is_member);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Functions of a request
/// Those that answer at once get the head of the request. Those that look something up also get the principal, and return
/// a future that owns what it needs:
///
/// ```
/// use tower_api_keys::{OrganizationId, middleware::RequireKeyLayer};
///
/// # #[derive(Clone)] struct Db;
/// # impl Db {
/// #     async fn organization_of(&self, host: String) -> Result<Option<OrganizationId>, std::io::Error> { Ok(None) }
/// # }
/// # fn example(db: Db) -> RequireKeyLayer {
/// RequireKeyLayer::new().find_organization(move |request, _principal| {
///     let (db, host) = (db.clone(), request.headers.get("host").and_then(|host| host.to_str().ok()).map(str::to_owned));
///     async move {
///         let Some(host) = host else { return Ok(None) };
///         db.organization_of(host).await
///     }
/// })
/// # }
/// ```
///
/// A request that is about none (`None`) is refused. If a function fails, the answer is 503 `store_unavailable` and the
/// error goes to the log. A request that waits for an answer holds no permit of the services inside.
///
/// # Security
/// An organization or a team in a path says what a request is about, and nothing of who asks. This layer compares both
/// with the key: the pair of organization and id, never an id alone. What is asked of one [`RequireKeyLayer`] is not known
/// to another one.
#[derive(Clone, Default)]
pub struct RequireKeyLayer {
    rules: Arc<Rules>,
}

impl RequireKeyLayer {
    /// Asks for a principal, of any kind, whose key has any scope at all: else 403 `insufficient_scope`.
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

    /// Keys without any scope, too. Default: they are refused, since an empty set of scopes allows nothing.
    ///
    /// # Security
    /// A key that was narrowed to nothing passes then wherever no scope is asked for. A key that has only scopes to manage
    /// keys passes there in any case: ask for a [`scope`](Self::scope) where that matters.
    #[must_use]
    pub fn allow_scopeless(mut self) -> Self {
        self.rules().scopeless = true;
        self
    }

    /// Keys of the organization that a request is about only: else 403 `wrong_team`. A handler of axum asks for it
    /// with the extractor `extract::InOrganization`.
    ///
    /// Called again, or after another method that says how to find the organization, this one is asked instead.
    ///
    /// ```
    /// use tower_api_keys::{OrganizationId, middleware::RequireKeyLayer};
    ///
    /// // <organization>.example.com
    /// let layer = RequireKeyLayer::new().organization(|request| {
    ///     let host = request.headers.get("host")?.to_str().ok()?;
    ///     OrganizationId::new(host.split_once(".example.com")?.0).ok()
    /// });
    /// ```
    #[must_use]
    pub fn organization(
        mut self,
        organization: impl Fn(&Parts) -> Option<OrganizationId> + Send + Sync + 'static,
    ) -> Self {
        self.rules().organization = Some(Find::told(organization));
        self
    }

    /// As [`organization`](Self::organization), with a function that looks it up and sees the principal.
    #[must_use]
    pub fn find_organization<F, Fut, E>(mut self, organization: F) -> Self
    where
        F: Fn(&Parts, &Principal) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<OrganizationId>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.rules().organization = Some(Find::looked_up(organization));
        self
    }

    /// As [`organization`](Self::organization), with the segment `{organization}` of a path that matches this pattern as
    /// for [`team_at`](Self::team_at): `/orgs/{organization}/…`.
    ///
    /// # Errors
    /// [`InvalidPathPattern`] if `{organization}` is not in the pattern once, or the pattern is none.
    pub fn organization_at(mut self, pattern: &str) -> Result<Self, InvalidPathPattern> {
        let pattern = PathPattern::in_organization(pattern)?;
        self.rules().organization = Some(Find::told(move |request| pattern.find(original_path(request))?.organization));
        Ok(self)
    }

    /// Principals with access to the team that a request is about only: else 403 `wrong_team`. The function says which
    /// [`TeamRef`] that is. A [`TeamId`](crate::TeamId) alone means a team of the
    /// [single](OrganizationId::single) organization, also after [`organization`](Self::organization).
    ///
    /// A request about no team (`None`) is refused. So is every personal key, unless
    /// [`membership`](Self::membership) says who may. Called again, or after another method that says how to find the
    /// team, this one is asked instead.
    ///
    /// ```
    /// use tower_api_keys::{OrganizationId, TeamId, TeamRef, middleware::RequireKeyLayer};
    ///
    /// let layer = RequireKeyLayer::new().team(|request| {
    ///     let header = |name| request.headers.get(name)?.to_str().ok();
    ///     let organization = OrganizationId::new(header("x-organization")?).ok()?;
    ///     Some(TeamRef::new(organization, TeamId::new(header("x-team")?).ok()?))
    /// });
    /// ```
    #[must_use]
    pub fn team<T: Into<TeamRef>>(mut self, team: impl Fn(&Parts) -> Option<T> + Send + Sync + 'static) -> Self {
        self.rules().team = Some(Find::told(move |request| team(request).map(Into::<TeamRef>::into)));
        self
    }

    /// As [`team`](Self::team), with a function that looks the team up, by a slug in the path, say, and sees the
    /// principal.
    #[must_use]
    pub fn find_team<F, Fut, T, E>(mut self, team: F) -> Self
    where
        F: Fn(&Parts, &Principal) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        T: Into<TeamRef>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.rules().team = Some(Find::looked_up(move |request, principal| {
            let found = team(request, principal);
            async move { Ok::<_, E>(found.await?.map(Into::<TeamRef>::into)) }
        }));
        self
    }

    /// As [`team`](Self::team), with the segment `{team}` of the path: `/teams/{team}/agents`, or `/teams/{team}/…` for
    /// whatever follows, also nothing.
    ///
    /// The whole path has to match, as the client sent it: what an axum router was nested under belongs into the pattern.
    /// Segments in braces take one segment each and are percent-decoded once, as by axum; others are compared byte by
    /// byte. What does not match is refused. So is a path in which `.` or `..` is a segment, encoded or not: behind a
    /// proxy, `/teams/blue/../red` may be a path of the team `red`.
    ///
    /// The team is of the organization in the segment `{organization}`, if the pattern has one:
    /// `/orgs/{organization}/teams/{team}/…`. Else it is of the organization that
    /// [`organization`](Self::organization) says, if this layer asks for one, and otherwise of the
    /// [single](OrganizationId::single) one.
    ///
    /// ```
    /// use tower_api_keys::middleware::RequireKeyLayer;
    ///
    /// let layer = RequireKeyLayer::new().team_at("/orgs/{organization}/teams/{team}/…")?;
    /// assert!(RequireKeyLayer::new().team_at("/teams/:team").is_err());
    /// # Ok::<(), tower_api_keys::middleware::InvalidPathPattern>(())
    /// ```
    ///
    /// # Security
    /// The path that a nested router of axum shows is what is left of it. This layer takes axum's `OriginalUri` from the
    /// request, with the feature `axum`. Without that feature, or behind something else that rewrites paths, use
    /// [`team`](Self::team) with a function that knows the path that counts.
    ///
    /// # Errors
    /// [`InvalidPathPattern`] if `{team}` is not in the pattern once, or the pattern is none.
    pub fn team_at(mut self, pattern: &str) -> Result<Self, InvalidPathPattern> {
        let pattern = PathPattern::with_team(pattern)?;
        self.rules().team = Some(Find::told(move |request| {
            let found = pattern.find(original_path(request))?;
            Some(AskedTeam { organization: found.organization, team: found.team? })
        }));
        Ok(self)
    }

    /// How to find out whether a user is a member of a team, asked for personal keys where a [`team`](Self::team) is
    /// asked for: of the team's own organization only. If it fails, the answer is 503 and the error goes to the log.
    #[must_use]
    pub fn membership<F, Fut, E>(mut self, is_member: F) -> Self
    where
        F: Fn(MembershipQuestion) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<bool, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.rules().membership = Some(Membership(Arc::new(move |question| {
            let answer = is_member(question);
            Box::pin(async move { answer.await.map_err(Into::into) })
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
        let (mut parts, body) = request.into_parts();
        match self.rules.judge(&parts) {
            Verdict::Allowed(bound) => {
                if let Some(bound) = bound {
                    bound.put_into(&mut parts.extensions);
                }
                ResponseFuture::inner(self.inner.call(Request::from_parts(parts, body)), Finish::default())
            }
            Verdict::Refused(refusal) => {
                give_back(&mut self.inner);
                ResponseFuture::refused(refusal.into_response_to(&Request::from_parts(parts, body)))
            }
            Verdict::Ask(answer) => {
                let request = Request::from_parts(parts, body);
                ResponseFuture::waiting(PendingAnswer::Bound { answer }, Unready::new(&mut self.inner, request))
            }
        }
    }
}
