//! The error of a change that is blocked by open transactions names their sessions, and says how to end them.

use std::error::Error;

use tokio_postgres::{Client, Config, NoTls};
use tower_api_keys::{
    IssueKey, TeamId,
    auth::AuthErrorKind,
    manage::{RevokeMany, RotateKey},
    record::Suspension,
    store::{KeyQuery, KeyStore, Ledger, PostgresStore, StoreErrorKind},
};

use super::{
    admin, check, known_key, migrated, node_of, revoke, roles::grant, server::Server, settings, sql::usage_batch,
};

/// The messages of an error and all its causes.
fn chain(error: &dyn Error) -> String {
    let source = error.source().map(chain).unwrap_or_default();
    format!("{error}: {source}")
}

/// A person's own session.
async fn person(server: &Server) -> Client {
    let person = "do $$ begin create role alice login; exception when duplicate_object then null; end $$; \
                  grant usage on schema keys to alice; grant select, update on all tables in schema keys to alice";
    server.client().await.batch_execute(person).await.unwrap();
    let mut config: Config = server.url().replace("admin", "alice").parse().unwrap();
    let (client, connection) = config.application_name("a terminal").connect(NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

async fn pid(client: &Client) -> i32 {
    client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

/// Asserts that an error names this session and no other. A change that only waits must not be named.
fn names(error: &dyn Error, pid: i32) {
    let said = chain(error);
    assert!(said.contains(&format!("the session {pid} of the role \"alice\"")), "{said}");
    assert!(said.contains("application \"a terminal\""), "{said}");
    assert!(said.contains(&format!("`select pg_terminate_backend({pid})`")), "{said}");
    assert_eq!(said.matches("the session").count(), 1, "{said}");
    assert!(!said.contains("keys.api_key") && !said.contains("$1"), "SQL in {said}");
}

async fn node_store(server: &Server) -> PostgresStore {
    grant(server).await;
    let url = server.url().replace("admin", "keys_node");
    PostgresStore::connect_with(&url, settings().with_pool_size(10)).await.unwrap()
}

#[tokio::test]
async fn every_kind_of_change_says_whose_idle_transaction_it_waited_for() {
    let server = migrated().await;
    let keys = node_of(node_store(&server).await, tower_api_keys::auth::Freshness::Strict).await;
    let (key, other) = (known_key(&keys).await, known_key(&keys).await);
    let holder = person(&server).await;
    let holds = format!("begin; update keys.api_keys set expires_at = '2100-01-01Z' where id = '{}'", key.id());
    holder.batch_execute(&holds).await.unwrap();
    let (pid, manager, admin) = (pid(&holder).await, keys.manager(), admin());
    let team = TeamId::new("engineering").unwrap();
    let owner = team.clone().into();
    let (first, second) = (key.id(), other.id());
    let (revoked, many, suspended, issued, renamed, rotated) = tokio::join!(
        manager.revoke(&first, &admin),
        manager.revoke_many(RevokeMany::keys([first, second]), &admin),
        manager.suspend(&owner, Suspension::Admin, &admin),
        manager.issue(IssueKey::team(team), &admin),
        manager.rename(&second, "theirs", &admin),
        manager.begin_rotation(RotateKey::of(second), &admin),
    );
    names(&revoked.unwrap_err(), pid);
    names(&many.unwrap_err(), pid);
    names(&suspended.unwrap_err(), pid);
    names(&issued.unwrap_err(), pid);
    names(&renamed.unwrap_err(), pid);
    names(&rotated.unwrap_err(), pid);
    // Nothing was done, and the advice of the error works.
    assert_eq!(check(&keys, &key).await, Ok(()));
    let ends = format!("select pg_terminate_backend({pid})");
    server.client().await.batch_execute(&ends).await.unwrap();
    revoke(&keys, &key).await;
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_lock_of_a_single_key_or_of_a_whole_table_is_as_much_of_one() {
    let server = migrated().await;
    let store = node_store(&server).await;
    let keys = node_of(store.clone(), tower_api_keys::auth::Freshness::Strict).await;
    let key = known_key(&keys).await;
    let holder = person(&server).await;
    let pid = pid(&holder).await;
    for holds in [
        "select 1 from keys.api_keys for update",
        "lock table keys.api_key_head in access exclusive mode",
        "lock table keys.api_keys in share mode",
    ] {
        holder.batch_execute(&format!("begin; {holds}")).await.unwrap();
        names(&keys.manager().revoke(&key.id(), &admin()).await.unwrap_err(), pid);
        holder.batch_execute("rollback").await.unwrap();
    }
    // A call that is neither a change nor a check waits no longer, and returns the same message.
    let holds = "begin; lock table keys.api_keys, keys.api_key_usage, keys.api_key_meta in access exclusive mode";
    holder.batch_execute(holds).await.unwrap();
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let (batch, query) = (usage_batch(1, 1, &[]), KeyQuery::all(tower_api_keys::OrganizationId::single()));
    let (flushed, listed, put) = tokio::join!(
        store.record_usage(&batch),
        store.list(&query, now),
        store.put_meta_if_absent("theirs", b"value"),
    );
    let (flushed, listed, put) = (flushed.unwrap_err(), listed.unwrap_err(), put.unwrap_err());
    for error in [&flushed, &listed, &put] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        names(error, pid);
    }
    // The server has given up too: nothing waits in its lock queues.
    let waits = "select count(*) = 0 from pg_stat_activity where wait_event_type = 'Lock'";
    super::until(&server.client().await, waits).await;
}

#[tokio::test]
async fn a_store_of_somebody_s_pool_says_it_too() {
    let server = migrated().await;
    let pool = super::pools::pool_at(&server.url(), 5);
    let store = PostgresStore::from_pool(pool, settings()).await.unwrap();
    let keys = node_of(store, tower_api_keys::auth::Freshness::Strict).await;
    let key = known_key(&keys).await;
    let holder = person(&server).await;
    holder.batch_execute("begin; update keys.api_keys set revoked_at = null; select 1").await.unwrap();
    holder.batch_execute("select 1 from keys.api_key_head for update").await.unwrap();
    let error = keys.manager().revoke(&key.id(), &admin()).await.unwrap_err();
    names(&error, pid(&holder).await);
    // A superuser sees more details.
    let said = chain(&error);
    assert!(said.contains("at 127.0.0.1, idle in transaction, in a transaction since 20"), "{said}");
}

#[tokio::test]
async fn a_prepared_transaction_is_named_as_one() {
    let server = Server::start_with(&["max_prepared_transactions=1"]);
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let keys = super::node(&server).await;
    let key = known_key(&keys).await;
    let holder = server.client().await;
    holder.batch_execute("begin; select 1 from keys.api_key_head for update").await.unwrap();
    holder.batch_execute("prepare transaction 'theirs'").await.unwrap();
    let said = chain(&keys.manager().revoke(&key.id(), &admin()).await.unwrap_err());
    assert!(said.contains("a prepared transaction: find it in `pg_prepared_xacts`"), "{said}");
    holder.batch_execute("rollback prepared 'theirs'").await.unwrap();
    revoke(&keys, &key).await;
}
