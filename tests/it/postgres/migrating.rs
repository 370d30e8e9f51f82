//! The tables come into being, whoever makes them, however many at once, and whatever the network does.

use std::time::{Duration, Instant};

use tower_api_keys::store::{PostgresErrorKind, PostgresStore};

use super::{
    migrated, node,
    proxy::{Proxy, Weather},
    server::Server,
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
