//! Keys in an SQLite file, of one process or of several.

mod apply;
mod backup;
mod backup_error;
mod closing;
mod connect;
mod desk;
mod doubt;
mod erase;
mod event_rows;
mod export;
mod failure;
mod files;
mod fitness;
mod fresh;
mod import;
mod key_rows;
mod list;
mod list_sql;
mod local_head;
mod log;
mod mark;
mod open_error;
mod owner_rows;
mod parts;
mod portable;
mod probe;
mod rewrite;
mod rounds;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod transaction;
mod upkeep;
mod usage_rows;
mod watch;
mod worker;
mod writes;

pub use backup_error::{SqliteBackupError, SqliteBackupErrorKind};
pub use open_error::{SqliteOpenError, SqliteOpenErrorKind};
pub use store::SqliteStore;
