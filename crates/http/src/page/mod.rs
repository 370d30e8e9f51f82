//! The settings page: people list, create, edit, pause, rotate and delete keys in a browser, and look at what the keys
//! do.
//!
//! The page is made on the server. Every dialog has an address of its own and works without script; with script it
//! opens over the list. Mount it at any path:
//!
//! ```
//! use axum::{Router, extract::FromRequestParts, http::{StatusCode, request::Parts}};
//! use tower_api_keys::{Actor, ApiKeys, UserId, manage::Rights, store::MemoryStore};
//! use tower_api_keys_http::page::{self, Page};
//!
//! /// A stand-in for your session: with a real one, look up the user, their roles and their plan.
//! struct CurrentUser(UserId);
//! #
//! # impl<St: Sync> FromRequestParts<St> for CurrentUser {
//! #     type Rejection = StatusCode;
//! #
//! #     async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, StatusCode> {
//! #         let user = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
//! #         user.and_then(|name| UserId::new(name).ok()).map(Self).ok_or(StatusCode::UNAUTHORIZED)
//! #     }
//! # }
//! #
//! # impl From<CurrentUser> for Actor {
//! #     fn from(CurrentUser(user): CurrentUser) -> Self {
//! #         Self::user(user, Rights::none())
//! #     }
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = ApiKeys::new(MemoryStore::new())?;
//! let page = Page::new("Auxot").api_at("https://api.example.com/whoami")?.upgrade_at("/settings/license")?;
//! let app: Router = Router::new().nest("/settings/api-keys", page::router::<(), CurrentUser>(&keys, page));
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! # What your service does
//!
//! - It signs people in. The extractor says who asks, as for the [routes](crate::routes).
//! - It gives names, with a [`Directory`](tower_api_keys::manage::Directory). Without one, people see ids.
//!
//! Three things adapt the page: a [frame](Page::frame) around it, a [stylesheet](Page::brand_css), and
//! [words](Page::words).
//!
//! # Security
//! Forms of other sites are refused with 403, by `Sec-Fetch-Site` and `Origin`. Proxies must pass `Host` and `Origin`
//! on unchanged. Every screen has a strict `Content-Security-Policy` and is stored by no cache. The text of a key is in
//! one answer, the one to the form that created it.

mod answer;
mod assets;
mod contacts;
mod english;
mod render;
mod request;
mod screens;
mod settings;
mod site;
mod times;
mod views;
mod words;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    routing::get,
};
use tower_api_keys::{Actor, ApiKeys, store::Ledger};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use self::site::Site;
pub use self::{
    settings::{Page, PageError},
    words::Words,
};
use crate::{gate::Gate, service::HttpService};

/// The page as a router of yours. The extractor `A` says who asks; its rejection is answered as it is.
///
/// The stylesheet and the script are public, everything else is behind the extractor.
pub fn router<St, A>(keys: &ApiKeys<impl Ledger>, page: Page) -> Router<St>
where
    St: Clone + Send + Sync + 'static,
    A: FromRequestParts<St> + Into<Actor> + Send + 'static,
{
    let site = Arc::new(Site::new(page));
    around(Gate::new(keys).router::<St, A>(screens(&site)), &site)
}

/// The page as a tower service, for servers without axum. [`HttpService::mounted_at`] names the path that it is served
/// at.
pub fn service(keys: &ApiKeys<impl Ledger>, page: Page) -> HttpService {
    let site = Arc::new(Site::new(page));
    HttpService::new(around(Gate::new(keys).of_extensions(screens(&site)), &site))
}

/// Everything that needs to know who asks.
fn screens(site: &Arc<Site>) -> Router {
    let site = Arc::clone(site);
    Router::new().fallback(move |request: Request| answer::answer(Arc::clone(&site), request))
}

/// Everything that does not.
fn around<St: Clone + Send + Sync + 'static>(router: Router<St>, site: &Arc<Site>) -> Router<St> {
    let (assets, forged) = (Arc::clone(site), Arc::clone(site));
    router
        .route(
            "/assets/{file}",
            get(move |request: Request| {
                let site = Arc::clone(&assets);
                async move { site.asset(request.uri().path()) }
            }),
        )
        .layer(CsrfLayer::new().with_rejection_response(move |_: ProtectionError| answer::forged(&forged)))
}
