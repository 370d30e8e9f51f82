//! API keys for tower services.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod owner;
mod principal;
mod scope;
mod time;

pub mod audit;
#[cfg(feature = "axum")]
pub mod axum;
pub mod hash;
pub mod key;
pub mod middleware;
pub mod record;
pub mod store;
pub mod usage;

pub use middleware::ApiKeyLayer;
pub use owner::{InvalidId, KeyKind, OrganizationId, Owner, TeamId, UserId};
#[cfg(any(test, feature = "test-util"))]
pub use principal::FakePrincipal;
pub use principal::{Principal, TeamAccess, TeamRefused};
pub use scope::{InvalidScope, Scope, Scopes};
#[cfg(any(test, feature = "test-util"))]
pub use time::ManualClock;
pub use time::{Clock, SystemClock, Timestamp, TimestampError};
