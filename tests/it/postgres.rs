//! Keys in a real PostgreSQL server.

#[path = "support/postgres.rs"]
pub(crate) mod server;

use std::time::{Duration, Instant};

use server::Server;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    auth::AuthErrorKind,
    hash::Argon2Params,
    key::PlaintextKey,
    store::{PostgresErrorKind, PostgresSettings, PostgresStore, conformance::check_store},
};

/// Keys in the schema `keys` of this server.
async fn node(server: &Server) -> ApiKeys<PostgresStore> {
    let store = PostgresStore::connect_with(&server.url(), PostgresSettings::new().schema("keys")).await.unwrap();
    ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).build().await.unwrap()
}

async fn migrated() -> Server {
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    server
}

fn admin() -> Actor {
    Actor::system("test").unwrap()
}

async fn issue(keys: &ApiKeys<PostgresStore>) -> PlaintextKey {
    let request = IssueKey::team(TeamId::new("engineering").unwrap()).named("CI deploy");
    keys.manager().issue(request, &admin()).await.unwrap().into_plaintext()
}

async fn check(keys: &ApiKeys<PostgresStore>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    keys.authenticator().authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let server = migrated().await;
    for settings in [PostgresSettings::new(), PostgresSettings::new().behind_pooler()] {
        let store = PostgresStore::connect_with(&server.url(), settings.schema("keys")).await.unwrap();
        check_store(&store).await.into_result().unwrap();
    }
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
    let key = issue(&keys).await;
    assert_eq!(check(&keys, &key).await, Ok(()));
    let runs = keys.authenticator().argon2_runs();
    server.kill();
    for _ in 0..20 {
        assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::StoreUnavailable));
    }
    server.run();
    let back = Instant::now();
    while check(&keys, &key).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2), "the node does not find back to the server");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
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

#[tokio::test]
async fn nodes_may_migrate_at_the_same_time() {
    let server = Server::start();
    let url = server.url();
    let migrations = (0..8).map(|_| PostgresStore::migrate(&url, "keys"));
    for migrated in futures_util::future::join_all(migrations).await {
        migrated.unwrap();
    }
    node(&server).await;
}
