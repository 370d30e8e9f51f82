//! HTTP for [`tower_api_keys`]: routes that list, create, rotate and revoke keys, and answer questions about them, as
//! JSON.
//!
//! Your own extractor says who asks. Nothing in a path, a query or a body names the actor or the organization.
//!
//! ```
//! use axum::{Router, extract::FromRequestParts, http::{StatusCode, request::Parts}};
//! use tower_api_keys::{Actor, ApiKeys, UserId, manage::Rights, store::MemoryStore};
//! use tower_api_keys_http::routes;
//!
//! /// A stand-in for your session: with a real one, look up the user, their roles and their plan.
//! struct CurrentUser(UserId);
//!
//! impl<St: Sync> FromRequestParts<St> for CurrentUser {
//!     type Rejection = StatusCode;
//!
//!     async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, StatusCode> {
//!         let user = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
//!         user.and_then(|name| UserId::new(name).ok()).map(Self).ok_or(StatusCode::UNAUTHORIZED)
//!     }
//! }
//!
//! impl From<CurrentUser> for Actor {
//!     fn from(CurrentUser(user): CurrentUser) -> Self {
//!         Self::user(user, Rights::none())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = ApiKeys::new(MemoryStore::new())?;
//! let app: Router = Router::new().nest("/api/api-keys", routes::router::<(), CurrentUser>(&keys));
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! How to mount and call the routes, step by step: [Manage keys over HTTP](manage_over_http).
//!
#![cfg_attr(
    feature = "page",
    doc = "[`page`] is the same for people: a settings page to mount under any path of your service.\n"
)]
//! # What is not here
//!
//! Sessions, rate limits, CORS headers and TLS: those are layers of your service. Setting a plan, acting as the
//! operator, and erasing: your code calls [`KeyManager`](tower_api_keys::KeyManager) for these.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod answer;
mod body;
mod call;
mod gate;
// Its pictures are not in the package, so the documentation does not have the guide. Its code is tested.
#[cfg(all(doctest, feature = "page"))]
#[doc = include_str!("../../../docs/settings_page.md")]
mod guide {}
mod headers;
#[doc = include_str!("../docs/manage_over_http.md")]
pub mod manage_over_http {}
#[cfg(test)]
mod openapi;
#[cfg(feature = "page")]
pub mod page;
mod problem;
mod query;
pub mod routes;
mod service;
mod table;

pub use problem::sentences;
pub use service::{HttpBody, HttpFuture, HttpService, InvalidMount};
