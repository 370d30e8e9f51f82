//! Faults of the network and the server: a node answers 503 in time, never 2xx or 401, and recovers by itself.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use tokio_postgres::error::SqlState;
use tower_api_keys::{
    IssueKey, TeamId,
    audit::EventRow,
    auth::{AuthErrorKind, Freshness},
    key::KeyId,
    manage::ManageErrorKind,
    record::KeyRow,
    store::{
        AuditedWrite, Change, KeyReader, KeyStore, Ledger, PostgresSettings, PostgresStore, StoreErrorKind, UsageScope,
        Write,
    },
    usage::{UsageBatch, UsageRow},
};

use super::{
    RECOVERY, check, comes_to, connected, disconnect_nodes, issue, known_key, migrated, node, node_behind_proxy,
    node_of,
    proxy::{Proxy, Weather},
    revoke, server, settings,
    sql::revocation_of,
    until,
};

const UNAVAILABLE: Result<(), AuthErrorKind> = Err(AuthErrorKind::StoreUnavailable);

/// Asserts that in this weather every check and change is refused within a time limit, and that everything works again
/// afterwards.
async fn survives(weather: Weather) {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let store = connected(&server.url_through(proxy.port())).await;
    let keys = node_of(store.clone(), Freshness::Strict).await;
    let (key, other) = (known_key(&keys).await, known_key(&keys).await);
    let runs = keys.authenticator().argon2_runs();
    proxy.set(weather);
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(check(&keys, &key).await, UNAVAILABLE);
        assert!(begun.elapsed() < Duration::from_secs(3), "a refusal took {:?}", begun.elapsed());
    }
    let (change, begun) = (revocation_of(&other.id()), Instant::now());
    let refused = store.apply(&change).await.unwrap_err();
    // Its transaction never began.
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(6), "a refusal of a change took {:?}", begun.elapsed());
    proxy.set(Weather::Fair);
    let back = comes_to(&keys, &key, Ok(())).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
    assert_eq!(keys.authenticator().argon2_runs(), runs);
    store.apply(&change).await.unwrap();
    // This look-up uses another connection, which was idle until now. Only now the node can notice that it was lost.
    let back = comes_to(&keys, &other, Err(AuthErrorKind::Revoked)).await;
    assert!(back < RECOVERY, "the node needed {back:?} to look a key up again");
}

#[tokio::test]
async fn a_network_that_is_cut_costs_503() {
    survives(Weather::Cut).await;
}

#[tokio::test]
async fn a_network_that_swallows_everything_costs_503() {
    survives(Weather::Silent).await;
}

#[tokio::test]
async fn a_network_that_is_too_slow_costs_503() {
    survives(Weather::Slow(Duration::from_secs(4))).await;
}

#[tokio::test]
async fn a_network_that_is_slow_costs_time_only() {
    let (_server, proxy, keys) = node_behind_proxy().await;
    let key = known_key(&keys).await;
    proxy.set(Weather::Slow(Duration::from_millis(50)));
    assert_eq!(check(&keys, &key).await, Ok(()));
    revoke(&keys, &key).await;
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
}

/// Asserts that a change whose connection is cut, just before or just after `commit`, is repeated until its outcome is
/// known, and is done once.
async fn is_done_once(weather: Weather) {
    let (server, proxy, keys) = node_behind_proxy().await;
    let (key, spare) = (known_key(&keys).await, issue(&keys).await);
    proxy.set(weather);
    keys.manager().revoke(&key.id(), &super::admin()).await.unwrap();
    assert!(proxy.is_fair(), "nobody committed");
    comes_to(&keys, &key, Err(AuthErrorKind::Revoked)).await;
    let client = server.client().await;
    let count = "select count(*) from keys.api_key_events where action = 'key.revoked'";
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(check(&keys, &spare).await, Ok(()));
}

#[tokio::test]
async fn a_change_whose_commit_was_not_answered_is_done_once() {
    is_done_once(Weather::CutBehind(b"commit\0")).await;
}

#[tokio::test]
async fn a_change_whose_commit_did_not_arrive_is_done_once() {
    is_done_once(Weather::CutBefore(b"commit\0")).await;
}

#[tokio::test]
async fn a_value_that_the_server_refuses_is_told_as_such_and_keeps_back_no_other() {
    let server = migrated().await;
    let client = server.client().await;
    for (table, column) in [("api_keys", "name"), ("api_key_usage", "client")] {
        let sql = format!("alter table keys.{table} alter column {column} type varchar(3)");
        client.batch_execute(&sql).await.unwrap();
    }
    let store = connected(&server.url()).await;
    let keys = node_of(store.clone(), Freshness::Strict).await;
    let named = IssueKey::team(TeamId::new("blue").unwrap()).named("nightly job");
    let error = keys.manager().issue(named, &super::admin()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::StoreRefused);
    let refused = error.source().unwrap();
    let told = refused.source().unwrap().to_string();
    assert_eq!(told, "the server refused a value (22001): value too long for type character varying(3)");

    let nul = EventRow { source: Some("a\0nightly job".to_owned()), ..EventRow::example() };
    let error = store.append_events(&[EventRow::example(), nul]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert_eq!(
        error.source().unwrap().to_string(),
        "the server refused a value (22021): the server cannot store this value"
    );

    // The error of a check constraint shows the whole row, which holds the hash of a key.
    let old = KeyRow { name: "job".into(), created_at: -1, ..KeyRow::example() };
    let id = super::sql::revocation_of(&KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap());
    let write = AuditedWrite { write: Write::Insert(old), event: EventRow::example() };
    let error = store.apply(&Change { writes: vec![write], ..id }).await.unwrap_err();
    let told = error.source().unwrap().to_string();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{told}");
    assert!(told.contains("(23514)") && !told.contains("argon2"), "{told}");

    let row = |client: &str| UsageRow {
        key: None,
        organization: None,
        outcome: "success".into(),
        label: String::new(),
        client: client.into(),
        network: String::new(),
        count: 1,
        first_at: 0,
        last_at: 0,
    };
    let batch = |rows| UsageBatch { writer: [1; 16], sequence: 1, rows, days: Vec::new() };
    let error = store.record_usage(&batch(vec![row("cli"), row("nightly job")])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    store.record_usage(&batch(vec![row("cli")])).await.unwrap();
    assert_eq!(store.usage(&UsageScope::NoKey(vec![None])).await.unwrap(), [row("cli")]);
}

#[tokio::test]
async fn a_value_that_a_trigger_of_the_service_keeps_out_is_told_as_refused_without_its_text() {
    let server = migrated().await;
    for (table, value) in [("api_keys", "new.hash"), ("api_key_events", "new.actor"), ("api_key_usage", "new.key_id")] {
        let trigger = format!(
            "create function public.keep_out_{table}() returns trigger language plpgsql as $$ begin \
                 raise exception 'not this one: %', {value}; end $$; \
             create trigger keep_out before insert on keys.{table} for each row \
                 execute function public.keep_out_{table}()"
        );
        server.client().await.batch_execute(&trigger).await.unwrap();
    }
    let store = connected(&server.url()).await;
    let revocation = super::sql::revocation_of(&KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap());
    let write = AuditedWrite { write: Write::Insert(KeyRow::example()), event: EventRow::example() };
    for error in [
        store.apply(&Change { writes: vec![write], ..revocation }).await.unwrap_err(),
        store.append_events(&[EventRow::example()]).await.unwrap_err(),
        store.record_usage(&super::sql::usage_batch(1, 1, &[])).await.unwrap_err(),
    ] {
        let told = error.source().unwrap().to_string();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{told}");
        assert_eq!(told, "the server refused a value (P0001): a function raised an exception");
    }
}

#[tokio::test]
async fn a_store_says_that_it_does_not_know_what_came_of_a_commit() {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let store = connected(&server.url_through(proxy.port())).await;
    let keys = node_of(store.clone(), Freshness::Strict).await;
    let key = issue(&keys).await;
    let change = revocation_of(&key.id());
    proxy.set(Weather::CutBehind(b"commit\0"));
    let unknown = store.apply(&change).await.unwrap_err();
    assert_eq!(unknown.kind(), StoreErrorKind::OutcomeUnknown);
    let repeated = store.apply(&change).await.unwrap();
    let revoked = store.find(&key.id()).await.unwrap().unwrap().key.revoked_at;
    assert_eq!((repeated.effects.len(), revoked), (1, Some(change.at.as_millis())));
}

/// Takes every connection that the server can give.
async fn exhausted(server: &server::Server) -> Vec<tokio_postgres::Client> {
    let mut taken = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await {
        tokio::spawn(async move { drop(connection.await) });
        taken.push(client);
    }
    taken
}

#[tokio::test]
async fn a_server_out_of_connections_costs_503_to_nodes_that_have_none() {
    const CONNECTIONS: usize = 12;
    let most = format!("max_connections={CONNECTIONS}");
    let server = server::Server::start_with(&[&most, "superuser_reserved_connections=0"]);
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let keys = node(&server).await;
    let key = known_key(&keys).await;
    let mut taken = exhausted(&server).await;
    // Open connections stay open.
    assert_eq!(check(&keys, &key).await, Ok(()));
    // Repeats until all are taken, because the node's own tasks may take one first.
    let begun = Instant::now();
    loop {
        disconnect_nodes(taken.first().unwrap()).await;
        taken.extend(exhausted(&server).await);
        if taken.len() == CONNECTIONS {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the node always gets a connection");
    }
    for _ in 0..20 {
        assert_eq!(check(&keys, &key).await, UNAVAILABLE);
    }
    drop(taken);
    let back = comes_to(&keys, &key, Ok(())).await;
    assert!(back < RECOVERY, "the node needed {back:?} to come back");
}

#[tokio::test]
async fn a_server_that_became_read_only_still_checks() {
    let server = migrated().await;
    let keys = node(&server).await;
    let key = known_key(&keys).await;
    let client = server.client().await;
    client.batch_execute("alter database postgres set default_transaction_read_only = on").await.unwrap();
    disconnect_nodes(&client).await;
    comes_to(&keys, &key, Ok(())).await;
    let refused = keys.manager().revoke(&key.id(), &super::admin()).await.unwrap_err();
    assert_eq!(refused.kind(), ManageErrorKind::StoreUnavailable);
    assert!(keys.flush_usage().await.is_err());
    assert_eq!(check(&keys, &key).await, Ok(()));
    // A service can also start on it.
    assert_eq!(check(&node(&server).await, &key).await, Ok(()));
    let writable = "set default_transaction_read_only = off; \
                    alter database postgres reset default_transaction_read_only";
    client.batch_execute(writable).await.unwrap();
    disconnect_nodes(&client).await;
    comes_to(&keys, &key, Ok(())).await;
    keys.flush_usage().await.unwrap();
    revoke(&keys, &key).await;
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_node_that_goes_silent_in_a_change_holds_up_the_others_for_so_long_only() {
    let (server, proxy, keys) = node_behind_proxy().await;
    let (key, spare) = (known_key(&keys).await, issue(&keys).await);
    let doomed = PostgresStore::connect_with(&server.url_through(proxy.port()), impatient()).await.unwrap();
    let healthy = node(&server).await;
    // This node holds the lock that orders the log when its connection dies. The server gets nothing more from it, not
    // even a close.
    proxy.set(Weather::SilentBehind(b"update \"keys\".api_keys set revoked_at"));
    let change = revocation_of(&spare.id());
    let dying = tokio::spawn(async move { doomed.apply(&change).await.unwrap_err().kind() });
    let begun = Instant::now();
    while !proxy.is_fair() {
        assert!(begun.elapsed() < RECOVERY, "nobody revokes");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let begun = Instant::now();
    revoke(&healthy, &key).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "the others waited {:?}", begun.elapsed());
    assert_eq!(check(&healthy, &key).await, Err(AuthErrorKind::Revoked));
    assert_eq!(dying.await.unwrap(), StoreErrorKind::Unavailable);
    assert_eq!(check(&healthy, &spare).await, Ok(()));
}

/// A change may take a second, and the server cancels it after three quarters of that.
fn impatient() -> PostgresSettings {
    settings().with_change_timeout(Duration::from_secs(1))
}

/// The SQLSTATE of the server's error.
fn sql_state(error: &(dyn Error + 'static)) -> Option<SqlState> {
    let here = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    here.cloned().or_else(|| error.source().and_then(sql_state))
}

#[tokio::test]
async fn a_change_waits_for_the_lock_only_so_long_and_checks_do_not() {
    let server = migrated().await;
    // The server cancels the change after three quarters of that, a second before the node does.
    let settings = settings().with_change_timeout(Duration::from_secs(4));
    let store = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
    let keys = node_of(store.clone(), Freshness::Strict).await;
    let key = known_key(&keys).await;
    let holder = server.client().await;
    holder.batch_execute("begin; select 1 from keys.api_key_head for update").await.unwrap();
    let refused = store.apply(&revocation_of(&key.id())).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    // The server itself cancelled it, so nothing waits in its lock queue.
    assert_eq!(sql_state(&refused), Some(SqlState::LOCK_NOT_AVAILABLE));
    assert_eq!(check(&keys, &key).await, Ok(()));
    holder.batch_execute("rollback").await.unwrap();
    revoke(&keys, &key).await;
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
}

/// Whether a look-up in this store succeeds within this time.
async fn finds_within(store: &PostgresStore, patience: Duration) -> bool {
    let id = KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap();
    matches!(tokio::time::timeout(patience, store.find(&id)).await, Ok(Ok(None)))
}

#[tokio::test]
async fn requests_whose_clients_left_do_not_keep_a_node_from_connecting_again() {
    let server = migrated().await;
    let proxy = Proxy::to(server.port()).await;
    let store = connected(&server.url_through(proxy.port())).await;
    let (client, patience) = (server.client().await, Duration::from_millis(300));
    // An answer takes 200 ms, which the callers wait for. A new connection takes at least 200 ms more, which they do
    // not wait for.
    assert!(finds_within(&store, RECOVERY).await);
    proxy.set(Weather::Slow(Duration::from_millis(100)));
    disconnect_nodes(&client).await;
    let mut requests = 1;
    while !finds_within(&store, patience).await {
        requests += 1;
        assert!(requests <= 20, "the node does not find back to the server");
    }
}

#[tokio::test]
async fn a_change_that_meets_somebody_s_sql_in_a_deadlock_is_done() {
    let server = migrated().await;
    let keys = node(&server).await;
    let key = known_key(&keys).await;
    let (sql, watcher) = (server.client().await, server.client().await);
    // The other session holds the key and waits for the log. The revocation holds the log and waits for the key.
    sql.batch_execute("begin; update keys.api_keys set name = 'theirs'").await.unwrap();
    let revoked = tokio::spawn({
        let (keys, id) = (keys.clone(), key.id());
        async move { keys.manager().revoke(&id, &super::admin()).await.map(drop) }
    });
    let waits =
        "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and query like 'update%revoked_at%'";
    until(&watcher, waits).await;
    drop(sql.batch_execute("select keys.api_key_suspend_owner('default', 'team', 'sales', 'plan', 1); commit").await);
    drop(sql.batch_execute("rollback").await);
    revoked.await.unwrap().unwrap();
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn usage_of_ten_thousand_keys_is_written_beside_revocations() {
    let server = migrated().await;
    let store = connected(&server.url()).await;
    let keys = node_of(store.clone(), Freshness::Strict).await;
    let mut victims = Vec::new();
    for _ in 0..20 {
        victims.push(issue(&keys).await);
    }
    let flushes = (1..=5).map(|sequence| {
        let (store, batch) = (store.clone(), super::sql::usage_batch(10_000, sequence, &victims));
        async move { store.record_usage(&batch).await }
    });
    let revocations = victims.iter().map(|key| revoke(&keys, key));
    let (flushed, ()) = tokio::join!(futures_util::future::join_all(flushes), async {
        futures_util::future::join_all(revocations).await;
    });
    flushed.into_iter().for_each(Result::unwrap);
    for key in &victims {
        assert_eq!(check(&keys, key).await, Err(AuthErrorKind::Revoked));
    }
}
