//! Everything a service needs, configured once.

mod builder;
mod feeds;
mod keys;
#[cfg(any(test, feature = "manage"))]
mod leaked;
#[cfg(any(test, feature = "manage"))]
mod manager;
#[cfg(any(test, feature = "manage"))]
mod manager_settings;
mod peppers;
#[cfg(any(test, feature = "manage"))]
mod refusals;
mod setup_error;

pub use builder::ApiKeysBuilder;
pub use keys::ApiKeys;
pub use setup_error::SetupError;
