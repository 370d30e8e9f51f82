//! Rewrites pages, so that they hold only rows that exist.
//!
//! `pragma secure_delete` overwrites a deleted row where it is. But when pages are split or joined, rows move from one
//! page to another, and a copy stays in the free space of the first. SQLite does not know that copy when the row is
//! deleted.

use rusqlite::{Connection, config::DbConfig};

/// The tables that name users, teams or organizations.
const TABLES: [&str; 7] = [
    "api_key_changes",
    "api_key_events",
    "api_key_log",
    "api_key_owners",
    "api_key_tombstones",
    "api_key_usage",
    "api_keys",
];

/// Puts all rows of these tables into new pages, in the open transaction. The old pages are overwritten.
///
/// It takes as long as writing all these rows; readers do not wait meanwhile. `vacuum` could give rows of the service's
/// own tables new numbers.
pub(super) fn rewrite(connection: &Connection) -> Result<(), rusqlite::Error> {
    // The rows stay the same, so triggers must not fire: nothing to log, and no deleted key.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let rewritten = TABLES.iter().try_for_each(|table| rewrite_table(connection, table));
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    rewritten?;
    forget_samples(connection)
}

fn rewrite_table(connection: &Connection, table: &str) -> Result<(), rusqlite::Error> {
    // Without generated columns, which cannot be written.
    let mut columns = connection.prepare(&format!("pragma table_info({table})"))?;
    let columns: Vec<String> = columns.query_map([], |row| row.get(1))?.collect::<Result<_, _>>()?;
    let columns = columns.join(", ");
    connection.execute_batch(&format!(
        "create temp table api_key_rows as select {columns} from main.{table};
         delete from main.{table};
         insert into main.{table} ({columns}) select {columns} from temp.api_key_rows order by rowid;
         drop table temp.api_key_rows"
    ))
}

/// Deletes the samples of rows that `analyze` noted, if it was run. Samples of the service's own tables stay.
fn forget_samples(connection: &Connection) -> Result<(), rusqlite::Error> {
    const ARE_THERE: &str = "select exists (select 1 from sqlite_master where name = 'sqlite_stat4')";
    if !connection.query_row(ARE_THERE, [], |row| row.get(0))? {
        return Ok(());
    }
    connection.execute_batch(
        "create temp table api_key_rows as select * from main.sqlite_stat4 where substr(tbl, 1, 7) <> 'api_key';
         delete from main.sqlite_stat4;
         insert into main.sqlite_stat4 select * from temp.api_key_rows order by rowid;
         drop table temp.api_key_rows",
    )
}
