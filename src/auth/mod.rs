//! Checking a key: from a text to a [`Principal`](crate::Principal).
//!
//! Argon2id runs once for each key a node meets, then the node remembers the proof: that this text matched that hash.
//! A proof is not a permission. Whether the key is revoked, expired or held is judged on every request, against a
//! record that a read of the store's change log, begun after the request arrived, shows to be current.

mod authenticator;
mod cache;
mod digest;
mod error;
mod flusher;
mod lease_keeper;
mod log_reader;
mod settings;
mod slow;
mod upkeep;

pub use authenticator::Authenticator;
pub(crate) use authenticator::{Check, Wiring};
pub use error::{AuthError, AuthErrorKind};
pub(crate) use flusher::UsageFlusher;
pub use settings::{AuthSettings, AuthSetupError, Freshness};
pub(crate) use upkeep::StoreUpkeep;
