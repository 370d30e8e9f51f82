//! Stores over a pool or over clients of the service.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;
use tower_api_keys::{
    auth::{AuthErrorKind, Freshness},
    store::{PostgresErrorKind, PostgresSettings, PostgresStore},
};
use tower_api_keys_conformance::check_store;

use super::{
    RECOVERY, check, comes_to, known_key, migrated, node, node_of,
    proxy::{Proxy, Weather},
    revoke,
    server::Server,
    settings, until,
};

fn pool(server: &Server) -> Pool {
    pool_at(&server.url(), 4)
}

pub(super) fn pool_at(url: &str, size: usize) -> Pool {
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(url.parse().unwrap(), NoTls, manager_config);
    Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1).build().unwrap()
}

#[tokio::test]
async fn a_store_over_somebody_s_pool_keeps_the_contract() {
    let server = Server::start();
    let pool = pool(&server);
    PostgresStore::migrate_pool(&pool, "keys").await.unwrap();
    let store = PostgresStore::from_pool(pool, settings()).await.unwrap();
    check_store(&store).await.into_result().unwrap();
}

/// Asserts that another node's revocation counts at once, and that the store recovers after it lost all connections.
async fn serves(server: &Server, store: PostgresStore) {
    let (keys, other) = (node_of(store, Freshness::Strict).await, node(server).await);
    let (key, live) = (known_key(&keys).await, known_key(&keys).await);
    revoke(&other, &key).await;
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
    let ends = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() \
                and backend_type = 'client backend'";
    server.client().await.batch_execute(ends).await.unwrap();
    assert!(comes_to(&keys, &live, Ok(())).await < RECOVERY);
    revoke(&keys, &live).await;
    assert_eq!(check(&keys, &live).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_store_over_somebody_s_pool_serves() {
    let server = migrated().await;
    serves(&server, PostgresStore::from_pool(pool(&server), settings()).await.unwrap()).await;
}

#[tokio::test]
async fn a_store_over_somebody_s_clients_serves() {
    let server = migrated().await;
    let url = server.url();
    let connect = move || {
        let url = url.clone();
        async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    };
    serves(&server, PostgresStore::from_connector(connect, settings()).await.unwrap()).await;
}

#[tokio::test]
async fn ten_dead_lines_in_a_pool_are_given_up_at_once() {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let pool = pool_at(&server.url_through(proxy.port()), 10);
    let store = PostgresStore::from_pool(pool.clone(), settings()).await.unwrap();
    let keys = node_of(store, Freshness::Strict).await;
    let key = known_key(&keys).await;
    // All connections of the pool, each idle.
    let all = futures_util::future::join_all((0..10).map(|_| pool.get())).await;
    assert!(all.iter().all(Result::is_ok));
    drop(all);
    proxy.set(Weather::Silent);
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::StoreUnavailable));
    proxy.set(Weather::Fair);
    let back = comes_to(&keys, &key, Ok(())).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
}

#[tokio::test]
async fn a_migration_that_was_given_up_half_way_leaves_no_open_transaction_in_the_pool() {
    let server = Server::start();
    let (pool, holder, watcher) = (pool_at(&server.url(), 1), server.client().await, server.client().await);
    holder.batch_execute("create table theirs (number integer)").await.unwrap();
    holder.batch_execute("begin; create schema keys").await.unwrap();
    let waits = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'";
    tokio::select! {
        _ = PostgresStore::migrate_pool(&pool, "keys") => panic!("somebody else makes the schema"),
        () = until(&watcher, waits) => {}
    }
    holder.batch_execute("rollback").await.unwrap();
    pool.get().await.unwrap().execute("insert into theirs values (1)", &[]).await.unwrap();
    let seen = holder.query_one("select count(*) from theirs", &[]).await.unwrap();
    assert_eq!(seen.get::<_, i64>(0), 1, "it was written in a transaction that nobody commits");
}

#[tokio::test]
async fn a_pool_that_has_gone_silent_keeps_nobody_who_starts() {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let pool = pool_at(&server.url_through(proxy.port()), 2);
    drop(pool.get().await.unwrap());
    proxy.set(Weather::Silent);
    let starting = PostgresStore::from_pool(pool, settings());
    let refused = tokio::time::timeout(Duration::from_secs(6), starting).await.expect("it waits for ever").unwrap_err();
    assert_eq!(refused.kind(), PostgresErrorKind::Unavailable);
}

#[tokio::test]
async fn settings_out_of_their_range_are_refused_by_name() {
    let cases = [
        (settings().with_schema("no schema"), "schema"),
        (settings().with_schema(""), "schema"),
        (settings().with_pool_size(0), "1 to 100 connections"),
        (settings().with_connect_timeout(Duration::ZERO), "connect timeout"),
        (settings().with_answer_timeout(Duration::from_secs(61)), "answer timeout"),
        (settings().with_change_timeout(Duration::from_millis(999)), "change timeout"),
        (settings().with_migration_timeout(Duration::from_secs(3)), "migration timeout"),
        (settings().with_schema("public"), "schema of their own"),
        (settings().with_schema("pg_catalog"), "schema of their own"),
        (settings().with_schema("pg_temp"), "schema of their own"),
        (settings().with_schema("information_schema"), "schema of their own"),
    ];
    for (settings, word) in cases {
        let error = PostgresStore::connect_with("postgres://127.0.0.1/keys", settings).await.unwrap_err();
        assert_eq!(error.kind(), PostgresErrorKind::Settings);
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = PostgresStore::connect_with("no url", PostgresSettings::new()).await.unwrap_err();
    assert_eq!(error.kind(), PostgresErrorKind::Settings);
}

#[tokio::test]
async fn no_password_is_in_what_a_store_says_of_itself() {
    let settings = settings().with_listen_url("postgres://keys:hunter2@127.0.0.1/keys");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let url = "postgres://keys:hunter2@127.0.0.1:1/keys";
    let error = PostgresStore::connect_with(url, settings).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
}
