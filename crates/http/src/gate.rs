//! The only generic code of this crate: the embedder's extractor says who asks, and everything behind it is concrete.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use tower_api_keys::{Actor, ApiKeys, KeyManager, OrganizationId, store::Ledger};
use tower_service::Service;

use crate::problem::{HttpError, Problem};

/// Who asks, and the manager of their organization: in the extensions of every request behind the gate.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    pub(crate) manager: KeyManager,
}

/// Lets requests through that say who asks.
#[derive(Clone)]
pub(crate) struct Gate {
    managers: Arc<dyn Managers>,
}

/// The managers of all organizations, whatever the store.
trait Managers: Send + Sync {
    fn manager_of(&self, organization: Option<&OrganizationId>) -> KeyManager;
}

impl<S: Ledger> Managers for ApiKeys<S> {
    fn manager_of(&self, organization: Option<&OrganizationId>) -> KeyManager {
        match organization {
            None => self.manager(),
            Some(organization) => self.manager_for(organization.clone()),
        }
    }
}

impl Gate {
    pub(crate) fn new<S: Ledger>(keys: &ApiKeys<S>) -> Self {
        Self { managers: Arc::new(keys.clone()) }
    }

    /// A router for the embedder: the extractor `A` runs before anything of `inner`. Its rejection is the answer, as it
    /// is.
    pub(crate) fn router<St, A>(self, inner: Router) -> Router<St>
    where
        St: Clone + Send + Sync + 'static,
        A: FromRequestParts<St> + Into<Actor> + Send + 'static,
    {
        everything(any(move |State(state): State<St>, request: Request| {
            let (gate, inner) = (self.clone(), inner.clone());
            async move {
                let (mut parts, body) = request.into_parts();
                // A rejection may be unable to go to another thread, so none may live across the next await.
                let actor: Actor = match A::from_request_parts(&mut parts, &state).await {
                    Ok(caller) => caller.into(),
                    Err(rejection) => return rejection.into_response(),
                };
                gate.enter(actor, Request::from_parts(parts, body), inner).await
            }
        }))
    }

    /// The same for services without axum: a layer outside has put an [`Actor`] into the extensions of the request.
    pub(crate) fn of_extensions(self, inner: Router) -> Router {
        everything(any(move |mut request: Request| {
            let (gate, inner) = (self.clone(), inner.clone());
            async move {
                match request.extensions_mut().remove::<Actor>() {
                    Some(actor) => gate.enter(actor, request, inner).await,
                    None => Problem::from(HttpError::NoActor).into_response(),
                }
            }
        }))
    }

    async fn enter(&self, actor: Actor, mut request: Request, mut inner: Router) -> Response {
        // The operator does not call over HTTP. An extractor that says so has a defect that would open everything.
        if actor.is_system() {
            return Problem::from(HttpError::SystemActor).into_response();
        }
        let manager = self.managers.manager_of(actor.organization());
        request.extensions_mut().insert(Caller { actor, manager });
        match inner.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Every path. A router with a fallback instead could not be nested at a path that begins with a parameter.
fn everything<St: Clone + Send + Sync + 'static>(methods: MethodRouter<St>) -> Router<St> {
    Router::new().route("/", methods.clone()).route("/{*api_keys_path}", methods)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}
