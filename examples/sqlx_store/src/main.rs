//! A service that has its keys in the database of its own pool:
//!
//! ```text
//! DATABASE_URL=postgres://localhost/service cargo run --manifest-path examples/sqlx_store/Cargo.toml
//! ```

use std::{
    env,
    error::Error,
    io::{Write, stdout},
};

use sqlx::postgres::PgPoolOptions;
use sqlx_store::SqlxStore;
use tower_api_keys::{Actor, ApiKeys, IssueKey, TeamId, key::PlaintextKey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL has to name a PostgreSQL database")?;
    let pool = PgPoolOptions::new().max_connections(10).connect(&url).await?;
    SqlxStore::migrate(&pool).await?;

    let keys = ApiKeys::builder(SqlxStore::new(pool.clone())).build().await?;
    let (team, actor) = (TeamId::new("engineering")?, Actor::system("sqlx example")?);
    let issued = keys.manager().issue(IssueKey::team(team.clone()).named("CI deploy"), &actor).await?;
    let key = issued.into_plaintext();
    tell("a new key", &keys, &key).await?;

    // The service changes a team and suspends its keys in one transaction of its own.
    let mut transaction = pool.begin().await?;
    suspend(&mut transaction, &team).await?;
    transaction.commit().await?;
    tell("its team suspended", &keys, &key).await?;

    keys.manager().revoke(&key.id(), &actor).await?;
    tell("the key revoked", &keys, &key).await?;
    keys.shutdown().await?;
    Ok(())
}

/// Suspends a team of a service that has one organization.
async fn suspend(transaction: &mut sqlx::PgTransaction<'_>, team: &TeamId) -> Result<(), Box<dyn Error>> {
    const SQL: &str = "select keys.api_key_suspend_owner($1, 'team', $2, 'admin')";
    let organization = tower_api_keys::OrganizationId::single();
    let suspended = sqlx::query(SQL).bind(organization.as_str()).bind(team.as_str());
    suspended.execute(&mut **transaction).await?;
    Ok(())
}

async fn tell(when: &str, keys: &ApiKeys<SqlxStore>, key: &PlaintextKey) -> std::io::Result<()> {
    match keys.authenticator().authenticate(key.expose_secret()).await {
        Ok(principal) => writeln!(stdout(), "{when}: {}", principal.owner()),
        Err(error) => writeln!(stdout(), "{when}: {error}"),
    }
}
