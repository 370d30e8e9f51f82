//! The layer that requires more of a caller: a scope, a kind of key, an organization, a team.

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

/// Lets through only principals of a kind, with some scopes, of the organization that a request is about, or with
/// access to the team that it is about.
///
/// Goes inside an [`ApiKeyLayer`](super::ApiKeyLayer). It checks only what you set, in the order kind, scopes,
/// organization, team, membership. The first check that fails is the answer: 403. A request without a key that an
/// optional layer let through is refused as one: 401.
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
/// Functions that answer at once get the head of the request. Functions that look something up also get the principal,
/// and return a future that owns what it needs:
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
/// A request that is about no organization or team (`None`) is refused. If a function fails, the answer is 503
/// `store_unavailable` and the error goes to the log. A request that waits for an answer holds no permit of the
/// services inside.
///
/// # Security
/// An organization or a team in a path says what a request is about, not who the caller is. This layer compares both
/// with the key: the pair of organization and id, never an id alone. One [`RequireKeyLayer`] does not know what another
/// one requires.
#[derive(Clone, Default)]
pub struct RequireKeyLayer {
    rules: Arc<Rules>,
}

impl RequireKeyLayer {
    /// Requires a principal, of any kind, whose key has at least one scope: else 403 `insufficient_scope`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts only personal keys, or only team keys: else 403 `wrong_key_kind`.
    #[must_use]
    pub fn kind(mut self, kind: KeyKind) -> Self {
        self.rules().kind = Some(kind);
        self
    }

    /// Accepts only keys with this scope: else 403 `insufficient_scope`. Each call adds one more scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.rules().scopes.push(scope);
        self
    }

    /// Also accepts keys without any scope. Default: they are refused, since an empty set of scopes allows nothing.
    ///
    /// # Security
    /// A key whose scopes were all removed then passes where no scope is required. A key that has only scopes to manage
    /// keys passes there in any case: require a [`scope`](Self::scope) if that matters.
    #[must_use]
    pub fn allow_scopeless(mut self) -> Self {
        self.rules().scopeless = true;
        self
    }

    /// Accepts only keys of the organization that a request is about: else 403 `wrong_team`. An axum handler reads the
    /// organization with the extractor `extract::InOrganization`.
    ///
    /// If you call this again, or after another method that finds the organization, the last one counts.
    ///
    /// ```
    /// use tower_api_keys::{OrganizationId, middleware::RequireKeyLayer};
    ///
    /// // <organization>.example.com
    /// let layer = RequireKeyLayer::new().organization(|request| {
    ///     let header = || request.headers.get("host")?.to_str().ok()?.split(':').next();
    ///     // HTTP/2 has the host in the URI.
    ///     let host = request.uri.host().or_else(header)?;
    ///     OrganizationId::new(host.strip_suffix(".example.com")?).ok()
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

    /// Like [`organization`](Self::organization), with a function that looks it up and sees the principal.
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

    /// Like [`organization`](Self::organization), with the segment `{organization}` of a path that matches this pattern
    /// as for [`team_at`](Self::team_at): `/orgs/{organization}/…`.
    ///
    /// # Errors
    /// [`InvalidPathPattern`] if `{organization}` is not in the pattern once, or the pattern is not valid.
    pub fn organization_at(mut self, pattern: &str) -> Result<Self, InvalidPathPattern> {
        let pattern = PathPattern::in_organization(pattern)?;
        self.rules().organization = Some(Find::told(move |request| pattern.find(original_path(request))?.organization));
        Ok(self)
    }

    /// Accepts only principals with access to the team that a request is about: else 403 `wrong_team`. The function
    /// returns the [`TeamRef`] of that team. A [`TeamId`](crate::TeamId) alone means a team of the
    /// [single](OrganizationId::single) organization, also after [`organization`](Self::organization).
    ///
    /// A request about no team (`None`) is refused. So is every personal key, unless [`membership`](Self::membership)
    /// decides who may. If you call this again, or after another method that finds the team, the last one counts.
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

    /// Like [`team`](Self::team), with a function that looks the team up, for example by a slug in the path, and sees
    /// the principal.
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

    /// Like [`team`](Self::team), with the segment `{team}` of the path: `/teams/{team}/agents`, or `/teams/{team}/…`
    /// for anything that follows, or nothing.
    ///
    /// The whole path has to match, as the client sent it: the pattern includes the path that an axum router is nested
    /// under. A segment in braces takes one segment and is percent-decoded once, as in axum; other segments are
    /// compared byte by byte. A path that does not match is refused. So is a path in which `.` or `..` is a segment,
    /// encoded or not: behind a proxy, `/teams/blue/../red` may be a path of the team `red`.
    ///
    /// The team belongs to the organization in the segment `{organization}`, if the pattern has one:
    /// `/orgs/{organization}/teams/{team}/…`. Otherwise it belongs to the organization that
    /// [`organization`](Self::organization) finds, if this layer requires one, and else to the
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
    /// A nested axum router shows only the rest of the path. With the feature `axum`, this layer takes axum's
    /// `OriginalUri` from the request. Without that feature, or behind other code that rewrites paths, use
    /// [`team`](Self::team) with a function that knows the path that counts.
    ///
    /// # Errors
    /// [`InvalidPathPattern`] if `{team}` is not in the pattern once, or the pattern is not valid.
    pub fn team_at(mut self, pattern: &str) -> Result<Self, InvalidPathPattern> {
        let pattern = PathPattern::with_team(pattern)?;
        self.rules().team = Some(Find::told(move |request| {
            let found = pattern.find(original_path(request))?;
            Some(AskedTeam { organization: found.organization, team: found.team? })
        }));
        Ok(self)
    }

    /// How to find out whether a user is a member of a team. Asked for personal keys if a [`team`](Self::team) is
    /// required, and only about the team's own organization. If it fails, the answer is 503 and the error goes to the
    /// log.
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

/// The service that [`RequireKeyLayer`] makes.
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
