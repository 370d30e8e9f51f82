use std::ops::Deref;

use ::axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{
    middleware::{Bound, Refusal, RefusalCode, no_organization},
    owner::TeamRef,
    principal::Principal,
};

/// A caller of the organization that the request is about, as judged by a layer outside the handler: a
/// [`RequireKeyLayer`](crate::middleware::RequireKeyLayer) that requires an organization or a team, or an
/// [`ApiKeyLayer`](crate::ApiKeyLayer) [for](crate::ApiKeyLayer::for_organization) one.
///
/// `P` is the kind of caller: [`Principal`], [`UserPrincipal`](super::UserPrincipal) or
/// [`TeamPrincipal`](super::TeamPrincipal). If no layer compared the organization of the key with that of the request,
/// the answer is 500 and the reason goes to the log (feature `tracing`): a handler with this extractor cannot be
/// reached unguarded.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_api_keys::{ApiKeys, extract::InOrganization, middleware::RequireKeyLayer, store::MemoryStore};
///
/// async fn agents(caller: InOrganization) -> String {
///     format!("agents of {}", caller.organization())
/// }
///
/// # fn app(keys: ApiKeys<MemoryStore>) -> Result<Router, Box<dyn std::error::Error>> {
/// let guard = RequireKeyLayer::new().organization_at("/orgs/{organization}/…")?;
/// let app: Router = Router::new().route("/orgs/{organization}/agents", get(agents)).layer(guard).layer(keys.layer());
/// # Ok(app)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct InOrganization<P = Principal> {
    caller: P,
    team: Option<TeamRef>,
}

impl<P> InOrganization<P> {
    /// The team that the request is about, if a layer judged that, too.
    #[must_use]
    pub const fn team_of_request(&self) -> Option<&TeamRef> {
        self.team.as_ref()
    }

    /// The caller.
    #[must_use]
    pub fn into_caller(self) -> P {
        self.caller
    }
}

impl<P> Deref for InOrganization<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.caller
    }
}

impl<S, P> FromRequestParts<S> for InOrganization<P>
where
    S: Sync,
    P: IsCaller + FromRequestParts<S, Rejection = Refusal> + Send,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let caller = P::from_request_parts(parts, state).await?;
        let Some(bound) = parts.extensions.get::<Bound>() else {
            no_organization("the extractor InOrganization");
            return Err(Refusal::new(RefusalCode::Misconfigured));
        };
        if !bound.is_for(caller.principal()) {
            return Err(Refusal::new(RefusalCode::WrongTeam));
        }
        Ok(Self { caller, team: bound.team().cloned() })
    }
}

/// One of the extractors of callers.
pub trait IsCaller {
    fn principal(&self) -> &Principal;
}

impl IsCaller for Principal {
    fn principal(&self) -> &Self {
        self
    }
}
