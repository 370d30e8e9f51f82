mod apply;
mod connect;
mod event_rows;
mod export;
mod failure;
mod fresh;
mod import;
mod key_rows;
mod list;
mod local_head;
mod log;
mod open_error;
mod owner_rows;
mod portable;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod transaction;
mod upkeep;
mod usage_rows;
mod worker;
mod writes;

pub use open_error::{SqliteOpenError, SqliteOpenErrorKind};
pub use store::SqliteStore;
