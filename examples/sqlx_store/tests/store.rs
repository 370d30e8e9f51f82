//! `SqlxStore` against a real server: alone, with another pool, and with the crate's own store.
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

#[allow(dead_code, reason = "the tests of the crate do more with a network")]
#[path = "../../../tests/it/support/proxy.rs"]
mod proxy;

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::poll;
use proxy::{Proxy, Weather};
use server::Server;
use sqlx::{PgPool, postgres::PgPoolOptions};
use sqlx_store::SqlxStore;
use tokio::{task::yield_now, time::timeout};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, TeamId, Timestamp,
    audit::EventRow,
    auth::AuthErrorKind,
    hash::Argon2Params,
    key::{KeyId, PlaintextKey},
    record::KeyRow,
    store::{
        AuditedWrite, Change, ChangeId, KeyReader, KeyStore, PostgresSettings, PostgresStore, StoreErrorKind, Write,
    },
};
use tower_api_keys_conformance::{check_pair, check_store};

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn pool(server: &Server) -> PgPool {
    pool_at(&server.url()).await
}

async fn pool_at(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(8).connect(url).await.unwrap()
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

/// An insert of a new key.
fn insert(number: u32) -> Change {
    let row = KeyRow { id: format!("{number:0>20}"), ..KeyRow::example() };
    Change {
        id: ChangeId::from_bytes(u128::from(number).to_be_bytes()),
        at: Timestamp::from_millis(row.created_at).unwrap(),
        writes: vec![AuditedWrite { write: Write::Insert(row), event: EventRow::example() }],
        guards: vec![],
        idempotency: None,
    }
}

/// A node whose connection goes silent while it holds the lock of the log stops the changes of others only as long as
/// the server waits for it. It does not stop their checks. The number of both does not matter.
#[tokio::test]
async fn a_node_that_is_cut_off_in_a_change_does_not_stop_the_others() {
    let (server, healthy, _) = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let (lost, healthy) = (SqlxStore::new(pool_at(&server.url_through(proxy.port())).await), SqlxStore::new(healthy));
    healthy.apply(&insert(0)).await.unwrap();
    let known = KeyId::new(&format!("{:0>20}", 0)).unwrap();

    proxy.set(Weather::SilentBehind(b"for update"));
    let cut: Vec<_> = (1..=6)
        .map(|number| {
            let lost = lost.clone();
            // The crate waits for five seconds, too.
            tokio::spawn(async move { timeout(Duration::from_secs(5), lost.apply(&insert(number))).await.is_ok() })
        })
        .collect();
    let is_cut = async {
        while !proxy.is_fair() {
            yield_now().await;
        }
    };
    timeout(PATIENCE, is_cut).await.expect("a change has the lock, and its line goes silent");
    // The other five wait in the queue of their node, and none on the server. Checks have their connections already.
    assert!(healthy.find(&known).await.unwrap().is_some());
    healthy.changes_since(None).await.unwrap();
    let begun = Instant::now();
    let changes = (7..=26).map(|number| {
        let healthy = healthy.clone();
        tokio::spawn(async move { healthy.apply(&insert(number)).await })
    });
    let changes: Vec<_> = changes.collect();
    let mut checks_before_changes = 0;
    while changes.iter().any(|change| !change.is_finished()) {
        assert!(healthy.find(&known).await.unwrap().is_some());
        healthy.changes_since(None).await.unwrap();
        checks_before_changes += u32::from(changes.iter().all(|change| !change.is_finished()));
        assert!(begun.elapsed() < PATIENCE, "the lock is not free after {:?}", begun.elapsed());
        yield_now().await;
    }
    // A check that needed the same lock would be answered only after the first change.
    assert!(checks_before_changes > 0, "checks waited for changes");
    for change in changes {
        change.await.unwrap().unwrap();
    }
    // The first gave up when its time was over, and the others while they waited for their turn after it.
    let done: usize =
        futures_util::future::join_all(cut).await.into_iter().map(|done| usize::from(done.unwrap())).sum();
    assert_eq!(done, 0);
    // The next one gets another connection.
    lost.apply(&insert(27)).await.unwrap();
}

#[tokio::test]
async fn a_value_that_the_server_refuses_is_told_as_such_and_not_repeated() {
    let (_server, pool, _) = migrated().await;
    sqlx::query("alter table keys.api_keys alter column name type varchar(3)").execute(&pool).await.unwrap();
    let store = SqlxStore::new(pool);
    for (name, source, why) in [("nightly job", None, "character varying(3)"), ("job", Some("a\0nightly job"), "22021")]
    {
        let mut change = insert(1);
        let event = EventRow { source: source.map(str::to_owned), ..EventRow::example() };
        let row = KeyRow { id: format!("{:0>20}", 1), name: name.to_owned(), ..KeyRow::example() };
        change.writes = vec![AuditedWrite { write: Write::Insert(row), event }];
        let error = store.apply(&change).await.unwrap_err();
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{told}");
        assert!(told.contains(why) && !told.contains("nightly"), "{told}");
    }
}

#[tokio::test]
async fn a_value_that_a_trigger_of_the_service_keeps_out_is_told_as_refused_without_its_text() {
    let (_server, pool, _) = migrated().await;
    for statement in [
        "create function public.keep_out() returns trigger language plpgsql as \
             $$ begin raise exception 'not this one: %', new.hash; end $$",
        "create trigger keep_out before insert on keys.api_keys for each row execute function public.keep_out()",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let error = SqlxStore::new(pool).apply(&insert(1)).await.unwrap_err();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{told}");
    assert_eq!(told, "the server refused a value (SQLSTATE P0001)");
}

/// A change is dropped at every await point: no connection goes back to the pool with an open transaction, and no other
/// change waits for a lock that it would hold.
#[tokio::test]
async fn a_dropped_change_leaves_no_transaction_open() {
    let (_server, one, other) = migrated().await;
    let store = SqlxStore::new(one);
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    for polls in 0..100_u32 {
        let change = insert(polls);
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
