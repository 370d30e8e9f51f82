//! Everything a service needs, configured once.

mod builder;
mod keys;

pub use builder::{ApiKeysBuilder, SetupError};
pub use keys::ApiKeys;
