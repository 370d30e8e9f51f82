use tokio_postgres::{Client, Row, types::FromSql};

use super::{
    connect_error::{PostgresError, PostgresErrorKind},
    session::ask,
    sql::Sql,
};

/// Each brings the schema from the version that is its place in this list to the next, in a transaction of its own.
///
/// A node works with the schema one version older and newer than its own. So a migration adds, and what it takes away
/// was not used by the version before it either.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/postgres/0001_initial.sql")];

/// Nodes that migrate at once stand in line: the first does it, the others find it done.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('tower-api-keys migrations', 0))";

pub(super) async fn migrate(client: &Client, schema: &str, sql: &Sql) -> Result<(), PostgresError> {
    client.batch_execute("begin").await.map_err(PostgresError::unavailable)?;
    let migrated = migrate_to_newest(client, schema, sql).await.map_err(|error| {
        PostgresError::caused(PostgresErrorKind::Schema, "the server refused a migration: see what it says", error)
    });
    let end = if migrated.is_ok() { "commit" } else { "rollback" };
    let ended = client.batch_execute(end).await;
    migrated.and(ended.map_err(PostgresError::unavailable))
}

async fn migrate_to_newest(client: &Client, schema: &str, sql: &Sql) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(LOCK).await?;
    let enter = format!("create schema if not exists \"{schema}\"; set local search_path to \"{schema}\"");
    client.batch_execute(&enter).await?;
    let is_there = value(&client.query_typed("select to_regclass('api_key_schema') is not null", &[]).await?)?;
    let found = if is_there == Some(true) { value(&ask(client, &sql.version, &[]).await?)?.unwrap_or(0) } else { 0 };
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        client.batch_execute(migration).await?;
        ask(client, &sql.record_version, &[&version]).await?;
    }
    Ok(())
}

/// Whether the tables are there, and of a version that this one works with; and whether the server is no standby.
pub(super) async fn check(client: &Client, sql: &Sql) -> Result<(), PostgresError> {
    let asked = client.query_typed("select pg_is_in_recovery()", &[]).await;
    let is_standby = asked.and_then(|rows| value(&rows)).map_err(PostgresError::unavailable)?;
    if is_standby != Some(false) {
        return Err(PostgresError::new(
            PostgresErrorKind::Standby,
            "the server is a standby, whose data may be behind: connect to the primary",
        ));
    }
    let absent = "the tables of keys are not there, or may not be read: call `PostgresStore::migrate` first, name their \
                  schema, or grant the rights of a node";
    let found = ask(client, &sql.version, &[]).await.and_then(|rows| value(&rows));
    let found: i32 =
        found.map_err(|error| PostgresError::caused(PostgresErrorKind::Schema, absent, error))?.unwrap_or(0);
    let newest = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if (newest - 1..=newest + 1).contains(&found) && found > 0 {
        Ok(())
    } else {
        Err(PostgresError::new(
            PostgresErrorKind::Schema,
            "the tables of keys are of a version that this one cannot use: migrate them, or update this service",
        ))
    }
}

/// What the first row has in its first column.
fn value<'a, T: FromSql<'a>>(rows: &'a [Row]) -> Result<Option<T>, tokio_postgres::Error> {
    rows.first().map(|row| row.try_get(0)).transpose()
}
