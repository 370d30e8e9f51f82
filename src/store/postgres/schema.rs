use tokio_postgres::Client;

use super::{
    connect_error::{PostgresError, PostgresErrorKind},
    link::ask,
    sql::Sql,
};

/// Each brings the schema from the version that is its place in this list to the next, in a transaction of its own.
///
/// A node works with the schema one version older and newer than its own. So a migration adds, and what it takes away
/// was not used by the version before it either.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/postgres/0001_initial.sql")];

/// Nodes that migrate at once stand in line: the first does it, the others find it done.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('tower-api-keys migrations', 0))";

pub(super) async fn migrate(client: &mut Client, schema: &str, sql: &Sql) -> Result<(), PostgresError> {
    let refused = |error| {
        PostgresError::caused(PostgresErrorKind::Schema, "the server refused a migration: see what it says", error)
    };
    let transaction = client.transaction().await.map_err(PostgresError::unavailable)?;
    transaction.batch_execute(LOCK).await.map_err(refused)?;
    transaction
        .batch_execute(&format!("create schema if not exists \"{schema}\"; set local search_path to \"{schema}\""))
        .await
        .map_err(refused)?;
    let has_schema: bool = transaction
        .query_one("select to_regclass('api_key_schema') is not null", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(refused)?;
    let found = if has_schema {
        let row = transaction.query_one(&sql.version.text, &[]).await.map_err(refused)?;
        row.try_get::<_, i32>(0).map_err(refused)?
    } else {
        0
    };
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        transaction.batch_execute(migration).await.map_err(refused)?;
        transaction.execute(&sql.record_version.text, &[&version]).await.map_err(refused)?;
    }
    transaction.commit().await.map_err(refused)
}

/// Whether the tables are there, and of a version that this one works with; and whether the server is no standby.
pub(super) async fn check(client: &Client, sql: &Sql) -> Result<(), PostgresError> {
    let row = client.query_one("select pg_is_in_recovery()", &[]).await.map_err(PostgresError::unavailable)?;
    if row.try_get(0).map_err(PostgresError::unavailable)? {
        return Err(PostgresError::new(
            PostgresErrorKind::Standby,
            "the server is a standby, whose data may be behind: connect to the primary",
        ));
    }
    let absent = "the tables of keys are not there: call `PostgresStore::migrate` first, or name their schema";
    let rows = ask(client, &sql.version, &[])
        .await
        .map_err(|error| PostgresError::caused(PostgresErrorKind::Schema, absent, error))?;
    let found: i32 = match rows.first() {
        Some(row) => row.try_get(0).map_err(PostgresError::unavailable)?,
        None => 0,
    };
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
