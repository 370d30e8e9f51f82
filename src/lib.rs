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

mod owner;
mod scope;
mod time;

pub mod key;

pub mod hash;

pub use owner::{InvalidId, KeyKind, OrganizationId, Owner, TeamId, UserId};
pub use scope::{InvalidScope, Scope, Scopes};
#[cfg(any(test, feature = "test-util"))]
pub use time::ManualClock;
pub use time::{Clock, SystemClock, Timestamp, TimestampError};
