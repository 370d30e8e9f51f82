//! The routes: list, create, edit, rotate, pause and revoke keys, and ask about them.
//!
//! [`OPENAPI_JSON`] describes each route: parameters, bodies, answers, and codes of errors. `GET /openapi.json` answers
//! with it, without asking who asks. Everything else is behind your extractor.
//!
//! - **JSON.** Answers have the [form of the manager's answers](tower_api_keys::manage). Unknown fields of an answer are
//!   to be ignored; those of a request are refused.
//! - **Errors** are [problem documents](tower_api_keys::manage::Problem). What the actor may not see is answered as if
//!   it did not exist.
//! - **Pages.** `limit` is 1 to 1,000, and 100 by default. `next` is an opaque cursor: send it as `after`. The header
//!   `Link` has the whole address of the next page.
//! - **Versions.** A key comes with an `ETag`. A change with `If-Match` is only made if the key still has that version;
//!   otherwise the answer is 412.
//! - **Repeats.** With an `Idempotency-Key`, a request that creates a key can be repeated. The key is made once, and
//!   its text is in the first answer only. A repeat is answered with 409 and the key that was made: if its text is
//!   lost, revoke that key.
//! - **Content type.** Every `POST` and `PATCH` says `Content-Type: application/json`, even without a body, so that no
//!   form of another site can send it with the cookies of your user.
//!
//! # Security
//! The text of a key is in the answers to `POST /keys` and `POST /keys/{key}/rotation`, and nowhere else. Identifying a
//! key runs Argon2id, and an export reads all keys: limit how often one caller may ask.

mod edit;
mod export;
mod filter;
mod inventory;
mod keys;
mod leak;
mod me;
mod new_key;
mod people;
mod rotation;
mod trail;
mod why;

use axum::{
    Router,
    extract::FromRequestParts,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    response::IntoResponse,
    routing::get,
};
use tower_api_keys::{Actor, ApiKeys, store::Ledger};

use crate::{
    gate::Gate,
    service::HttpService,
    table::{Route, method_not_allowed, router as router_of},
};

/// The OpenAPI 3.1 document of the routes, as `GET /openapi.json` answers.
///
/// ```
/// use tower_api_keys_http::routes::OPENAPI_JSON;
///
/// assert!(OPENAPI_JSON.contains("\"/keys/{key}/rotation\""));
/// ```
pub const OPENAPI_JSON: &str = include_str!("../../openapi.json");

/// The routes for an axum service, to be nested at a path of your choice.
///
/// The extractor `A` says who asks, on each request. If it refuses, its rejection is the answer, as it is. An extractor
/// that says the system asks is answered with 500 `misconfigured`.
///
/// ```
/// use axum::{Router, extract::FromRequestParts, http::{StatusCode, request::Parts}};
/// use tower_api_keys::{Actor, ApiKeys, Principal, manage::Rights, store::MemoryStore};
/// use tower_api_keys_http::routes;
///
/// /// Software that manages keys with a key of its own: `keys:read`, `keys:manage`.
/// struct Caller(Principal);
///
/// impl<St: Sync> FromRequestParts<St> for Caller {
///     type Rejection = StatusCode;
///
///     async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, StatusCode> {
///         // The layer has put it there.
///         parts.extensions.get::<Principal>().cloned().map(Self).ok_or(StatusCode::UNAUTHORIZED)
///     }
/// }
///
/// impl From<Caller> for Actor {
///     fn from(Caller(principal): Caller) -> Self {
///         // Your service knows which rights the owner of the key has.
///         Self::key(&principal, Rights::none())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = ApiKeys::new(MemoryStore::new())?;
/// let routes = routes::router::<(), Caller>(&keys);
/// let app: Router = Router::new().nest("/api/api-keys", routes).layer(keys.layer());
/// # drop(app);
/// # Ok(())
/// # }
/// ```
pub fn router<St, A>(keys: &ApiKeys<impl Ledger>) -> Router<St>
where
    St: Clone + Send + Sync + 'static,
    A: FromRequestParts<St> + Into<Actor> + Send + 'static,
{
    Gate::new(keys).router::<St, A>(inner()).route(DOCUMENT, get(document).fallback(method_not_allowed))
}

/// The routes as a tower service, for servers without axum: see [`HttpService`].
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower::ServiceExt;
/// use tower_api_keys::{Actor, ApiKeys, UserId, manage::Rights, store::MemoryStore};
/// use tower_api_keys_http::routes;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let routes = routes::service(&ApiKeys::new(MemoryStore::new())?);
/// let mut request = http::Request::new(Full::<Bytes>::default());
/// *request.uri_mut() = "/me".parse()?;
/// request.extensions_mut().insert(Actor::user(UserId::new("alice")?, Rights::none()));
/// assert_eq!(routes.oneshot(request).await?.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn service(keys: &ApiKeys<impl Ledger>) -> HttpService {
    let gated = Gate::new(keys).of_extensions(inner());
    HttpService::new(gated.route(DOCUMENT, get(document).fallback(method_not_allowed)))
}

const DOCUMENT: &str = "/openapi.json";

/// The document is the same for everyone.
async fn document() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, OPENAPI_JSON)
}

fn inner() -> Router {
    router_of(all())
}

/// The whole table. Rows with the same path are adjacent.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    let keys = me::ROUTES.iter().chain(&keys::ROUTES).chain(&rotation::ROUTES);
    let questions = inventory::ROUTES.iter().chain(&people::ROUTES);
    keys.chain(questions).chain(&leak::ROUTES).chain(&trail::ROUTES)
}
