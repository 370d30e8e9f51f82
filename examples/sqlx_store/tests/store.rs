//! `SqlxStore` against a real server: alone, beside another pool, and beside the crate's own store.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the tests of the crate do more with a server")]
#[path = "../../../tests/it/support/postgres.rs"]
mod server;

use std::{pin::pin, time::Duration};

use futures_util::poll;
use server::Server;
use sqlx::{PgPool, postgres::PgPoolOptions};
use sqlx_store::SqlxStore;
use tokio::{task::yield_now, time::timeout};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, TeamId, Timestamp,
    audit::EventRow,
    auth::AuthErrorKind,
    hash::Argon2Params,
    key::PlaintextKey,
    record::KeyRow,
    store::{AuditedWrite, Change, ChangeId, KeyStore, PostgresSettings, PostgresStore, Write},
};
use tower_api_keys_conformance::{check_pair, check_store};

async fn pool(server: &Server) -> PgPool {
    PgPoolOptions::new().max_connections(8).connect(&server.url()).await.unwrap()
}

/// A server with the tables, and two pools to it.
async fn migrated() -> (Server, PgPool, PgPool) {
    let server = Server::start();
    let (one, other) = (pool(&server).await, pool(&server).await);
    SqlxStore::migrate(&one).await.unwrap();
    (server, one, other)
}

async fn node(pool: PgPool) -> ApiKeys<SqlxStore> {
    ApiKeys::builder(SqlxStore::new(pool)).params(Argon2Params::MACHINE_SECRET).build().await.unwrap()
}

async fn check(keys: &ApiKeys<SqlxStore>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    keys.authenticator().authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let (_server, pool, _) = migrated().await;
    check_store(&SqlxStore::new(pool)).await.into_result().unwrap();
}

#[tokio::test]
async fn two_pools_keep_the_contract() {
    let (_server, one, other) = migrated().await;
    check_pair(&SqlxStore::new(one), &SqlxStore::new(other)).await.into_result().unwrap();
}

#[tokio::test]
async fn it_keeps_the_contract_beside_the_crate_s_own_store() {
    let (server, pool, _) = migrated().await;
    let settings = PostgresSettings::new().with_schema("keys");
    let own = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    check_pair(&SqlxStore::new(pool), &own).await.into_result().unwrap();
}

#[tokio::test]
async fn nodes_may_migrate_at_the_same_time_and_again() {
    let (_server, one, other) = migrated().await;
    let (first, second) = tokio::join!(SqlxStore::migrate(&one), SqlxStore::migrate(&other));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_on_the_other_node() {
    let (_server, one, other) = migrated().await;
    let (one, other) = (node(one).await, node(other).await);
    let actor = Actor::system("test").unwrap();
    for _ in 0..10 {
        let request = IssueKey::team(TeamId::new("engineering").unwrap());
        let key = one.manager().issue(request, &actor).await.unwrap().into_plaintext();
        assert_eq!(check(&other, &key).await, Ok(()));
        one.manager().revoke(&key.id(), &actor).await.unwrap();
        assert_eq!(check(&other, &key).await, Err(AuthErrorKind::Revoked));
    }
}

#[tokio::test]
async fn an_owner_is_suspended_in_the_service_s_own_transaction_or_not_at_all() {
    let (_server, one, other) = migrated().await;
    let (issuer, checker) = (node(one.clone()).await, node(other).await);
    let (organization, team) = (OrganizationId::single(), TeamId::new("engineering").unwrap());
    let actor = Actor::system("test").unwrap();
    let key = issuer.manager().issue(IssueKey::team(team.clone()), &actor).await.unwrap().into_plaintext();
    for (commits, expected) in [(false, Ok(())), (true, Err(AuthErrorKind::OwnerSuspended))] {
        let mut transaction = one.begin().await.unwrap();
        let suspended = sqlx::query("select keys.api_key_suspend_owner($1, 'team', $2, 'admin')")
            .bind(organization.as_str())
            .bind(team.as_str());
        suspended.execute(&mut *transaction).await.unwrap();
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
        assert_eq!(check(&checker, &key).await, expected);
    }
}

/// Dropped at every await point there is: no connection goes back to the pool with a transaction open, and nobody waits
/// for the lock it would hold.
#[tokio::test]
async fn a_dropped_change_leaves_no_transaction_open() {
    let (_server, one, other) = migrated().await;
    let store = SqlxStore::new(one);
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    for polls in 0..100_u32 {
        let row = KeyRow { id: format!("{polls:0>20}"), ..KeyRow::example() };
        let change = Change {
            id: ChangeId::from_bytes(u128::from(polls).to_be_bytes()),
            at: Timestamp::from_millis(row.created_at).unwrap(),
            writes: vec![AuditedWrite { write: Write::Insert(row), event: EventRow::example() }],
            guards: vec![],
            idempotency: None,
        };
        {
            let mut applied = pin!(store.apply(&change));
            for _ in 0..polls {
                if poll!(&mut applied).is_ready() {
                    break;
                }
                yield_now().await;
            }
        }
        // Repeated through another pool, it gets the lock and its answer.
        let repeated = timeout(Duration::from_secs(10), async { SqlxStore::new(other.clone()).apply(&change).await });
        assert!(repeated.await.expect("the lock of the log is free").is_ok());
        let none_open = async {
            while sqlx::query_scalar::<_, i64>(open).fetch_one(&other).await.unwrap() > 0 {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), none_open).await.expect("no transaction is open");
    }
}
