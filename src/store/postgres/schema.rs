use tokio_postgres::{Client, Row, types::FromSql};

use super::{
    connect_error::PostgresError,
    exposure::refuse_exposed,
    session::{ask, is_standby},
    sql::Sql,
};

/// Each migration brings the schema from the version that is its place in this list to the next one, in a transaction
/// of its own.
///
/// A node works with a schema one version older or newer than its own. So a migration may add anything, and may remove
/// only what the version before it no longer used.
const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/postgres/0001_initial.sql")];

/// The schema that the migrations name.
const NAMED: &str = "\"api_keys\"";

/// The migrations of this schema. The caller has checked its name.
pub(super) fn migrations(schema: &str) -> impl Iterator<Item = String> {
    let schema = format!("\"{schema}\"");
    MIGRATIONS.iter().map(move |migration| migration.replace(NAMED, &schema))
}

pub(super) async fn refuse_standby(client: &Client) -> Result<(), PostgresError> {
    if !is_standby(client).await.map_err(PostgresError::unavailable)? {
        return Ok(());
    }
    Err(PostgresError::standby())
}

/// Checks that the server is no standby, that the tables exist in a version that this crate works with, and that no
/// untrusted role can change them.
pub(super) async fn check(client: &Client, schema: &str, sql: &Sql) -> Result<(), PostgresError> {
    refuse_standby(client).await?;
    let found = ask(client, &sql.version, &[]).await.and_then(|rows| value(&rows));
    let found: i32 = found.map_err(PostgresError::no_tables)?.unwrap_or(0);
    let newest = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    if found == 0 || !(newest - 1..=newest + 1).contains(&found) {
        return Err(PostgresError::other_version());
    }
    refuse_exposed(client, schema).await
}

/// The first column of the first row.
pub(super) fn value<'a, T: FromSql<'a>>(rows: &'a [Row]) -> Result<Option<T>, tokio_postgres::Error> {
    rows.first().map(|row| row.try_get(0)).transpose()
}
