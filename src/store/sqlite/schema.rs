use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Each migration brings the schema from the version that is its place in this list to the next one.
///
/// A process may run with a schema one version newer than its own. So a migration may add anything, and may remove only
/// what the version before it no longer used.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/sqlite/0001_initial.sql")];

#[derive(Debug)]
pub(super) enum SchemaError {
    Sqlite(rusqlite::Error),
    TableTaken(String),
    TooNew { found: i64, newest: i64 },
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Brings the schema up to date. Writes nothing if it is up to date or one version newer, so that a read-only file can
/// be opened. Several processes may do it at once: the first does it, the others find it done.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), SchemaError> {
    if missing(connection, migrations)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Check again: another process may have migrated before this one got the lock.
    let missing = missing(&transaction, migrations)?;
    if missing.len() == migrations.len()
        && let Some(name) = foreign_table(&transaction)?
    {
        return Err(SchemaError::TableTaken(name));
    }
    for (version, sql) in missing {
        transaction.execute_batch(sql)?;
        transaction.execute(RECORD, [version])?;
    }
    Ok(transaction.commit()?)
}

const RECORD: &str = "insert into api_key_schema (version) values (?1)";

/// The migrations still to do, each with the version it leads to.
fn missing<'a>(connection: &Connection, migrations: &[&'a str]) -> Result<Vec<(i64, &'a str)>, SchemaError> {
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = version(connection)?;
    if found > newest + 1 {
        return Err(SchemaError::TooNew { found, newest: newest + 1 });
    }
    Ok((1..).zip(migrations.iter().copied()).filter(|(version, _)| *version > found).collect())
}

const HAS_SCHEMA: &str = "select exists (select 1 from sqlite_master where type = 'table' and name = 'api_key_schema')";
const VERSION: &str = "select coalesce(max(version), 0) from api_key_schema";

/// The version of the schema in the file; 0 if there is none.
fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    let has_schema: bool = connection.query_row(HAS_SCHEMA, [], |row| row.get(0))?;
    if has_schema { connection.query_row(VERSION, [], |row| row.get(0)) } else { Ok(0) }
}

const FOREIGN_TABLE: &str = "\
    select name from sqlite_master where name in ('api_keys', 'api_key_owners', 'api_key_head', 'api_key_log', \
    'api_key_changes', 'api_key_events', 'api_key_usage', 'api_key_usage_days', 'api_key_usage_writers', 'api_key_meta', 'api_key_notes', \
    'api_key_schema', 'api_key_file_mark', 'api_key_log_mark', 'api_key_tombstones', 'api_keys_readable')";

/// A table with a name that the first migration needs.
fn foreign_table(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    connection.query_row(FOREIGN_TABLE, [], |row| row.get(0)).optional()
}
