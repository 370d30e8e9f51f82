//! The routes, as a router for axum and as a tower service.

use axum::{Router, extract::FromRequestParts};
use tower_api_keys::{Actor, ApiKeys, store::Ledger};

use crate::{gate::Gate, service::HttpService};

/// The routes for an axum service, to be nested at a path of your choice. The extractor `A` says who asks.
pub fn router<St, A>(keys: &ApiKeys<impl Ledger>) -> Router<St>
where
    St: Clone + Send + Sync + 'static,
    A: FromRequestParts<St> + Into<Actor> + Send + 'static,
{
    Gate::new(keys).router::<St, A>(Router::new())
}

/// The routes as a tower service, for servers without axum.
#[must_use]
pub fn service(keys: &ApiKeys<impl Ledger>) -> HttpService {
    HttpService::new(Gate::new(keys).of_extensions(Router::new()))
}
