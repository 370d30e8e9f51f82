mod apply;
mod connect;
mod connect_error;
mod event_rows;
mod failure;
mod key_rows;
mod key_store;
mod link;
mod list;
mod listener;
mod log;
mod owner_rows;
mod schema;
mod session;
mod settings;
mod sql;
mod store;
#[cfg(feature = "postgres-tls")]
mod tls;
mod upkeep;
mod usage_rows;
mod writes;

pub use connect_error::{PostgresError, PostgresErrorKind};
pub use settings::PostgresSettings;
pub use store::PostgresStore;
