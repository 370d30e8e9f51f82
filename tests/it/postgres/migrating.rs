//! Migrations create the tables, for any role, for many nodes at once, and whatever the network does.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};
use tower_api_keys::store::{PostgresErrorKind, PostgresSettings, PostgresStore};

use super::{
    migrated, node,
    proxy::{Proxy, Weather},
    server::Server,
    settings,
};

/// Eight nodes migrate at once.
async fn all_at_once(server: &Server) {
    let url = server.url();
    let migrations = (0..8).map(|_| PostgresStore::migrate(&url, "keys"));
    for migrated in futures_util::future::join_all(migrations).await {
        migrated.unwrap();
    }
    node(server).await;
}

#[tokio::test]
async fn nodes_may_migrate_at_the_same_time() {
    all_at_once(&Server::start()).await;
}

#[tokio::test]
async fn nodes_may_migrate_at_the_same_time_whatever_the_isolation() {
    let server = Server::start();
    let stricter = "alter database postgres set default_transaction_isolation = 'repeatable read'";
    server.client().await.batch_execute(stricter).await.unwrap();
    all_at_once(&server).await;
}

#[tokio::test]
async fn who_may_make_no_schema_finds_nothing_to_do_in_one_that_is_up_to_date() {
    let server = Server::start();
    let (admin, url) = (server.client().await, server.url().replace("admin", "keeper"));
    admin.batch_execute("create role keeper login; grant create on database postgres to keeper").await.unwrap();
    PostgresStore::migrate(&url, "keys").await.unwrap();
    admin.batch_execute("revoke create on database postgres from keeper").await.unwrap();
    PostgresStore::migrate(&url, "keys").await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_silent_keeps_nobody_who_migrates() {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    proxy.set(Weather::Silent);
    let (url, begun) = (server.url_through(proxy.port()), Instant::now());
    let migrating = PostgresStore::migrate(&url, "keys");
    let refused =
        tokio::time::timeout(Duration::from_secs(6), migrating).await.expect("it waits for ever").unwrap_err();
    assert_eq!(refused.kind(), PostgresErrorKind::Unavailable, "after {:?}", begun.elapsed());
}

/// Settings that wait at most a second for a lock.
fn impatient() -> PostgresSettings {
    settings().with_migration_timeout(Duration::from_secs(4))
}

/// A role that may create schemas, and its session.
async fn stranger(server: &Server) -> (Client, i32) {
    let role = "create role stranger login; grant create on database postgres to stranger";
    server.client().await.batch_execute(role).await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(&server.url().replace("admin", "stranger"), NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let pid = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, pid)
}

#[tokio::test]
async fn no_lock_that_every_role_may_take_holds_a_migration_up() {
    let server = Server::start();
    let (stranger, _) = stranger(&server).await;
    let takes = "select pg_advisory_lock(hashtextextended('tower-api-keys migrations', 0))";
    stranger.batch_execute(takes).await.unwrap();
    PostgresStore::migrate_with(&server.url(), impatient()).await.unwrap();
    // If nothing is left to do, a migration waits for no lock.
    server.client().await.batch_execute("grant usage on schema keys to stranger").await.unwrap();
    let holder = server.client().await;
    holder.batch_execute("begin; lock table keys.api_keys, keys.api_key_head in access exclusive mode").await.unwrap();
    PostgresStore::migrate_with(&server.url(), impatient()).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_others_hold_up_says_who_they_are() {
    let server = Server::start();
    let (stranger, pid) = stranger(&server).await;
    stranger.batch_execute("begin; create schema keys").await.unwrap();
    let error = PostgresStore::migrate_with(&server.url(), impatient()).await.unwrap_err();
    assert_eq!(error.kind(), PostgresErrorKind::Locked);
    let said = error.to_string();
    assert!(said.contains(&format!("the session {pid} of the role \"stranger\"")), "{said}");
    assert!(said.contains("idle in transaction"), "{said}");
    let mend = said.split('`').nth(1).unwrap();
    assert_eq!(mend, format!("select pg_terminate_backend({pid})"));
    server.client().await.batch_execute(mend).await.unwrap();
    PostgresStore::migrate_with(&server.url(), impatient()).await.unwrap();
}

#[tokio::test]
async fn a_line_that_goes_silent_half_way_keeps_nobody_who_migrates() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    proxy.set(Weather::SilentBehind(b"create table \"keys\".api_key_schema"));
    let url = server.url_through(proxy.port());
    let migrating = PostgresStore::migrate_with(&url, impatient());
    let refused =
        tokio::time::timeout(Duration::from_secs(60), migrating).await.expect("it waits for ever").unwrap_err();
    assert_eq!(refused.kind(), PostgresErrorKind::Unavailable);
    assert!(proxy.is_fair(), "it did not come that far");
    // The server does not wait for that client either.
    PostgresStore::migrate(&url, "keys").await.unwrap();
}
