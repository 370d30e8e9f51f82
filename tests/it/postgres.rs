//! Keys in a real PostgreSQL server.

mod bounded;
mod erased;
mod failover;
mod faults;
mod feed;
#[cfg(unix)]
mod killed;
mod leaks;
mod lists;
mod migrating;
mod outage;
mod paused;
mod pooler;
mod pools;
#[path = "support/proxy.rs"]
pub(crate) mod proxy;
mod reading;
mod roles;
#[path = "support/postgres.rs"]
pub(crate) mod server;
mod sql;
mod strangers;
mod streams;
#[cfg(feature = "postgres-tls")]
mod tls;
mod waiting;

use std::time::{Duration, Instant};

use proxy::Proxy;
use server::Server;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    auth::{AuthErrorKind, Freshness},
    hash::Argon2Params,
    key::PlaintextKey,
    store::{PostgresErrorKind, PostgresSettings, PostgresStore},
};
use tower_api_keys_conformance::{check_pair, check_store};

type Keys = ApiKeys<PostgresStore>;

fn settings() -> PostgresSettings {
    PostgresSettings::new().with_schema("keys")
}

pub(crate) async fn connected(url: &str) -> PostgresStore {
    PostgresStore::connect_with(url, settings()).await.unwrap()
}

/// A node whose keys are in the schema `keys` of this server.
async fn node(server: &Server) -> Keys {
    node_at(&server.url()).await
}

async fn node_at(url: &str) -> Keys {
    node_of(connected(url).await, Freshness::Strict).await
}

async fn node_of(store: PostgresStore, freshness: Freshness) -> Keys {
    ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).freshness(freshness).build().await.unwrap()
}

/// A server, a network in front of it, and a node that uses the network.
async fn node_behind_proxy() -> (Server, Proxy, Keys) {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let keys = node_at(&server.url_through(proxy.port())).await;
    (server, proxy, keys)
}

pub(crate) async fn migrated() -> Server {
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    server
}

fn admin() -> Actor {
    Actor::system("test").unwrap()
}

async fn issue(keys: &Keys) -> PlaintextKey {
    let request = IssueKey::team(TeamId::new("engineering").unwrap()).named("CI deploy");
    let key = keys.manager().issue(request, &admin()).await.unwrap().into_plaintext();
    crate::support::secrets::remember(key.expose_secret());
    key
}

/// A key that this node has proved.
async fn known_key(keys: &Keys) -> PlaintextKey {
    let key = issue(keys).await;
    assert_eq!(check(keys, &key).await, Ok(()));
    key
}

async fn revoke(keys: &Keys, key: &PlaintextKey) {
    keys.manager().revoke(&key.id(), &admin()).await.unwrap();
}

async fn check(keys: &Keys, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    keys.authenticator().authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
}

/// How long it takes until the check has this result. Until then the only result is that the store is unavailable.
async fn comes_to(keys: &Keys, key: &PlaintextKey, expected: Result<(), AuthErrorKind>) -> Duration {
    let begun = Instant::now();
    loop {
        let seen = check(keys, key).await;
        if seen == expected {
            return begun.elapsed();
        }
        assert_eq!(seen, Err(AuthErrorKind::StoreUnavailable));
        assert!(begun.elapsed() < Duration::from_secs(30), "the node does not find back to the server");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until this query returns true.
async fn until(client: &tokio_postgres::Client, is_so: &str) {
    let begun = Instant::now();
    while !client.query_one(is_so, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not come to be: {is_so}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether no store has a connection to this server.
const NO_NODE: &str = "select count(*) = 0 from pg_stat_activity where application_name = 'tower-api-keys'";

/// Ends the connections that stores have to this server, and waits until they are gone.
async fn disconnect_nodes(client: &tokio_postgres::Client) {
    let ends = "select coalesce(array_agg(pid) filter (where pg_terminate_backend(pid)), '{}')::text \
                from pg_stat_activity where application_name = 'tower-api-keys'";
    let ended: String = client.query_one(ends, &[]).await.unwrap().get(0);
    until(client, &format!("select count(*) = 0 from pg_stat_activity where pid = any ('{ended}')")).await;
}

/// A node has to reconnect to its server within this time.
const RECOVERY: Duration = Duration::from_secs(2);

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let server = migrated().await;
    for settings in [PostgresSettings::new(), PostgresSettings::new().behind_pooler()] {
        let store = PostgresStore::connect_with(&server.url(), settings.with_schema("keys")).await.unwrap();
        check_store(&store).await.into_result().unwrap();
    }
}

#[tokio::test]
async fn two_stores_onto_one_server_keep_the_contract() {
    let server = migrated().await;
    let direct = PostgresStore::connect_with(&server.url(), PostgresSettings::new().with_schema("keys")).await.unwrap();
    let settings = PostgresSettings::new().with_schema("keys").behind_pooler();
    let pooled = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    check_pair(&direct, &pooled).await.into_result().unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_on_the_other_node() {
    let server = migrated().await;
    let (one, other) = (node(&server).await, node(&server).await);
    for _ in 0..20 {
        let key = issue(&one).await;
        assert_eq!(check(&other, &key).await, Ok(()));
        assert_eq!(check(&other, &key).await, Ok(()));
        one.manager().revoke(&key.id(), &admin()).await.unwrap();
        assert_eq!(check(&other, &key).await, Err(AuthErrorKind::Revoked));
    }
}

#[tokio::test]
async fn a_server_that_crashes_costs_503_until_it_is_back_and_no_hash() {
    let mut server = migrated().await;
    let keys = node(&server).await;
    let key = known_key(&keys).await;
    let runs = keys.authenticator().argon2_runs();
    server.kill();
    for _ in 0..20 {
        assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::StoreUnavailable));
    }
    server.run();
    assert!(comes_to(&keys, &key, Ok(())).await < RECOVERY);
    assert_eq!(keys.authenticator().argon2_runs(), runs);
    assert!(keys.manager().revoke(&key.id(), &admin()).await.is_ok());
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn tables_that_are_not_there_are_an_error_that_says_so() {
    let server = Server::start();
    let error = PostgresStore::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), PostgresErrorKind::Schema);
    assert!(error.to_string().contains("PostgresStore::migrate"), "{error}");
}
