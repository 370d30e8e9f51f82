//! Keys in PostgreSQL, for many nodes.

mod apply;
mod blockers;
mod connect;
mod connect_error;
mod day;
mod event_rows;
mod export;
mod exposure;
mod failure;
mod import;
mod key_rows;
mod key_store;
mod link;
mod list;
mod listener;
mod log;
mod migrate;
mod owner_rows;
mod portable;
mod portable_sql;
mod schema;
mod session;
mod settings;
mod sql;
mod store;
mod time;
#[cfg(feature = "postgres-tls")]
mod tls;
mod upkeep;
mod usage_rows;
mod writes;

pub use connect_error::{PostgresError, PostgresErrorKind};
pub use settings::PostgresSettings;
pub use store::PostgresStore;
