use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{anonymous::Anonymous, bound::Bound};
use crate::principal::Principal;

/// A stand-in for [`ApiKeyLayer`](super::ApiKeyLayer) in tests of handlers: `principal` is the caller of every request.
///
/// ```
/// use http::Request;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_api_keys::{Principal, middleware::acting_as};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let whoami = service_fn(async |request: Request<()>| {
///     Ok::<_, std::io::Error>(request.extensions().get::<Principal>().map(|caller| caller.owner().to_string()))
/// });
/// let ci = Principal::fake().team("engineering")?.build();
/// let answer = acting_as(ci).layer(whoami).oneshot(Request::new(())).await?;
/// assert_eq!(answer.as_deref(), Some("team engineering"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub const fn acting_as(principal: Principal) -> ActingAs {
    ActingAs { principal: Some(principal), is_bound: false }
}

/// Like [`acting_as`], for requests without a key that an [optional](super::ApiKeyLayer::optional) layer lets through.
///
/// ```
/// use http::Request;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_api_keys::{Principal, middleware::acting_as_nobody};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let is_known = service_fn(async |request: Request<()>| {
///     Ok::<_, std::io::Error>(request.extensions().get::<Principal>().is_some())
/// });
/// assert!(!acting_as_nobody().layer(is_known).oneshot(Request::new(())).await?);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub const fn acting_as_nobody() -> ActingAs {
    ActingAs { principal: None, is_bound: false }
}

/// The layer that [`acting_as`] makes.
///
/// ```
/// use tower_api_keys::{Principal, middleware::{ActingAs, acting_as}};
///
/// let layer: ActingAs = acting_as(Principal::fake().build());
/// ```
#[derive(Clone, Debug)]
pub struct ActingAs {
    principal: Option<Principal>,
    is_bound: bool,
}

impl ActingAs {
    /// Acts like a layer [for](super::ApiKeyLayer::for_organization) the organization of the principal: for handlers
    /// that ask for `extract::InOrganization`.
    ///
    /// ```
    /// use tower_api_keys::{OrganizationId, Principal, middleware::acting_as};
    ///
    /// let caller = Principal::fake().team("engineering")?.organization(OrganizationId::new("acme")?).build();
    /// let layer = acting_as(caller).for_its_organization();
    /// # Ok::<(), tower_api_keys::InvalidId>(())
    /// ```
    #[must_use]
    pub const fn for_its_organization(mut self) -> Self {
        self.is_bound = true;
        self
    }
}

impl<S> Layer<S> for ActingAs {
    type Service = ActingAsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ActingAsService { inner, of: self.clone() }
    }
}

/// The service that [`ActingAs`] makes.
///
/// ```
/// use tower::Layer;
/// use tower_api_keys::middleware::{ActingAsService, acting_as_nobody};
///
/// fn for_nobody<S>(service: S) -> ActingAsService<S> {
///     acting_as_nobody().layer(service)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ActingAsService<S> {
    inner: S,
    of: ActingAs,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ActingAsService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let extensions = request.extensions_mut();
        match &self.of.principal {
            Some(principal) => {
                if self.of.is_bound {
                    Bound::of(principal.clone()).put_into(extensions);
                }
                extensions.insert(principal.clone());
            }
            None => {
                extensions.remove::<Principal>();
                extensions.insert(Anonymous);
            }
        }
        self.inner.call(request)
    }
}
