mod apply;
mod connect_error;
mod event_rows;
mod failure;
mod key_rows;
mod link;
mod list;
mod log;
mod schema;
mod settings;
mod sql;
mod store;
mod upkeep;
mod usage_rows;
mod writes;

pub use connect_error::{PostgresError, PostgresErrorKind};
pub use settings::PostgresSettings;
pub use store::PostgresStore;
