//! Everything a service needs, configured once.

mod builder;
mod keys;
mod setup_error;

pub use builder::ApiKeysBuilder;
pub use keys::ApiKeys;
pub use setup_error::SetupError;
