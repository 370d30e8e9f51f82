use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Row, types::FromSql};

use super::{
    connect_error::{PostgresError, PostgresErrorKind},
    session::{ask, is_standby},
    sql::Sql,
};

/// Each brings the schema from the version that is its place in this list to the next, in a transaction of its own.
///
/// A node works with the schema one version older and newer than its own. So a migration adds, and what it takes away
/// was not used by the version before it either.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/postgres/0001_initial.sql")];

/// Nodes that migrate at once stand in line: the first does it, the others find it done.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('tower-api-keys migrations', 0))";

/// Takes as long as it takes, once the server has answered a first question within this time.
pub(super) async fn migrate(
    client: &Client,
    schema: &str,
    sql: &Sql,
    first_answer: Duration,
) -> Result<(), PostgresError> {
    timeout(first_answer, refuse_standby(client)).await.map_err(PostgresError::unavailable)??;
    // Whatever the database's default is: who waited for the lock must see what was done under it.
    client.batch_execute("begin isolation level read committed").await.map_err(PostgresError::unavailable)?;
    let migrated = migrate_to_newest(client, schema, sql).await.map_err(|error| {
        PostgresError::caused(PostgresErrorKind::Schema, "the server refused a migration: see what it says", error)
    });
    let end = if migrated.is_ok() { "commit" } else { "rollback" };
    let ended = client.batch_execute(end).await;
    migrated.and(ended.map_err(PostgresError::unavailable))
}

async fn migrate_to_newest(client: &Client, schema: &str, sql: &Sql) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(LOCK).await?;
    let table = format!("select to_regclass('\"{schema}\".api_key_schema') is not null");
    let is_there = value(&client.query_typed(&table, &[]).await?)?;
    let found = if is_there == Some(true) { value(&ask(client, &sql.version, &[]).await?)?.unwrap_or(0) } else { 0 };
    let missing: Vec<_> = (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found).collect();
    if missing.is_empty() {
        // A role without the right to make anything may ask for it all the same.
        return Ok(());
    }
    let namespace = format!("select to_regnamespace('\"{schema}\"') is not null");
    if value(&client.query_typed(&namespace, &[]).await?)? != Some(true) {
        client.batch_execute(&format!("create schema \"{schema}\"")).await?;
    }
    client.batch_execute(&format!("set local search_path to \"{schema}\"")).await?;
    for (version, migration) in missing {
        client.batch_execute(migration).await?;
        ask(client, &sql.record_version, &[&version]).await?;
    }
    Ok(())
}

async fn refuse_standby(client: &Client) -> Result<(), PostgresError> {
    if !is_standby(client).await.map_err(PostgresError::unavailable)? {
        return Ok(());
    }
    Err(PostgresError::new(
        PostgresErrorKind::Standby,
        "the server is a standby, whose data may be behind: connect to the primary",
    ))
}

/// Whether the tables are there, and of a version that this one works with; and whether the server is no standby.
pub(super) async fn check(client: &Client, sql: &Sql) -> Result<(), PostgresError> {
    refuse_standby(client).await?;
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
