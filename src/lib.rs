//! API keys for tower services.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` (default) | extractors for axum |
//! | `sqlite` | the SQLite store |
//! | `tracing` | spans and events |
//! | `conformance` | the conformance kit for stores |
//! | `test-util` | stand-ins for tests |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod api_keys;
mod log;
mod owner;
mod principal;
mod random;
mod scope;
mod time;

pub mod audit;
pub mod auth;
#[cfg(feature = "axum")]
pub mod axum;
pub mod hash;
pub mod key;
pub mod manage;
pub mod middleware;
pub mod record;
pub mod store;
pub mod usage;

pub use api_keys::{ApiKeys, ApiKeysBuilder, SetupError};
pub use auth::Authenticator;
pub use manage::{Actor, IssueKey, IssuedKey, KeyManager};
pub use middleware::ApiKeyLayer;
pub use owner::{InvalidId, KeyKind, OrganizationId, Owner, TeamId, UserId};
#[cfg(any(test, feature = "test-util"))]
pub use principal::FakePrincipal;
pub use principal::{Principal, TeamAccess, TeamRefused};
pub use random::RandomnessError;
pub use scope::{InvalidScope, Scope, Scopes};
#[cfg(any(test, feature = "test-util"))]
pub use time::ManualClock;
pub use time::{Clock, SystemClock, Timestamp, TimestampError};
