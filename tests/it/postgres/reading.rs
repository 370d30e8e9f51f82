//! What a reader gets while the log changes. It first asks only for the head, then for the changes.

use std::{collections::BTreeSet, time::Duration};

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tower_api_keys::{
    key::KeyId,
    store::{Changes, Head, KeyReader, PostgresSettings, PostgresStore, StoreError, StoreErrorKind},
};

use super::{disconnect_nodes, issue, migrated, node, pooler::Pooler, server::Server, settings, until};

/// Long enough for the test to see that a query waits.
fn patient() -> PostgresSettings {
    settings().with_answer_timeout(Duration::from_secs(30)).with_connect_timeout(Duration::from_secs(30))
}

async fn stores(server: &Server, pooler: &Pooler) -> [PostgresStore; 2] {
    let direct = PostgresStore::connect_with(&server.url(), patient()).await.unwrap();
    let pooled = PostgresStore::connect_with(pooler.url(), patient().behind_pooler()).await.unwrap();
    [direct, pooled]
}

/// Locks the rows of the log, but not the head. So only the second of the two queries has to wait.
const HOLD: &str = "begin; lock table keys.api_key_log in access exclusive mode";

const SECOND_WAITS: &str =
    "select count(*) > 0 from pg_locks where not granted and relation = 'keys.api_key_log'::regclass";

async fn head(store: &PostgresStore) -> Head {
    match store.changes_since(None).await.unwrap() {
        Changes::Reset { head } | Changes::Changed { head, .. } => head,
        other => panic!("a reader that knows nothing is told {other:?}"),
    }
}

async fn revoke(sql: &Client, key: &KeyId) {
    let revoke = format!("update keys.api_keys set revoked_at = now(), revoked_by = 'system:psql' where id = '{key}'");
    sql.batch_execute(&revoke).await.unwrap();
}

/// A reader that has sent its first query. Its second one waits until the transaction of `sql` ends.
async fn held_between(
    store: &PostgresStore,
    head: Head,
    sql: &Client,
    watcher: &Client,
) -> JoinHandle<Result<Changes, StoreError>> {
    sql.batch_execute(HOLD).await.unwrap();
    let reader = store.clone();
    let asked = tokio::spawn(async move { reader.changes_since(Some(head)).await });
    until(watcher, SECOND_WAITS).await;
    asked
}

#[tokio::test]
async fn what_changes_between_the_two_questions_is_told_with_the_head_that_it_made() {
    let server = migrated().await;
    let pooler = Pooler::before(&server).await;
    let (keys, sql, watcher) = (node(&server).await, server.client().await, server.client().await);
    for store in stores(&server, &pooler).await {
        let (first, second) = (issue(&keys).await.id(), issue(&keys).await.id());
        let before = head(&store).await;
        assert_eq!(store.changes_since(Some(before)).await.unwrap(), Changes::Unchanged);
        revoke(&sql, &first).await;
        let asked = held_between(&store, before, &sql, &watcher).await;
        revoke(&sql, &second).await;
        sql.batch_execute("commit").await.unwrap();
        let Changes::Changed { head: told, keys: changed, .. } = asked.await.unwrap().unwrap() else {
            panic!("the log goes on from there");
        };
        // Both changes, or only the first with the head of that time. Then the second comes with the next read.
        let mut all: BTreeSet<_> = changed.into_iter().collect();
        assert!(all.contains(&first));
        if let Changes::Changed { keys, .. } = store.changes_since(Some(told)).await.unwrap() {
            assert!(!all.contains(&second), "told twice");
            all.extend(keys);
        }
        assert_eq!(all, BTreeSet::from([first, second]));
        let now = head(&store).await;
        assert_eq!(store.changes_since(Some(now)).await.unwrap(), Changes::Unchanged);
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_between_the_two_questions_costs_an_error_and_no_change() {
    let server = migrated().await;
    let (keys, sql, watcher) = (node(&server).await, server.client().await, server.client().await);
    let store = PostgresStore::connect_with(&server.url(), patient()).await.unwrap();
    let key = issue(&keys).await.id();
    let before = head(&store).await;
    assert_eq!(store.changes_since(Some(before)).await.unwrap(), Changes::Unchanged);
    revoke(&sql, &key).await;
    let asked = held_between(&store, before, &sql, &watcher).await;
    disconnect_nodes(&watcher).await;
    assert_eq!(asked.await.unwrap().unwrap_err().kind(), StoreErrorKind::Unavailable);
    sql.batch_execute("rollback").await.unwrap();
    // The reader now gets the change that it missed: the head of the failed read was not stored.
    let Changes::Changed { keys: changed, .. } = store.changes_since(Some(before)).await.unwrap() else {
        panic!("the log goes on from there");
    };
    assert_eq!(changed, [key]);
}

/// Reads again and again while others change many keys, and gets each change once.
#[tokio::test]
async fn a_reader_among_changes_is_told_each_once_and_in_order() {
    const CHANGES: usize = 100;
    let server = migrated().await;
    let pooler = Pooler::before(&server).await;
    let (keys, sql) = (node(&server).await, server.client().await);
    let mut issued = Vec::new();
    for _ in 0..CHANGES {
        issued.push(issue(&keys).await.id());
    }
    for store in stores(&server, &pooler).await {
        let mut known = head(&store).await;
        let end = known.position + CHANGES as i64;
        let changes = async {
            for key in &issued {
                let prolong = "update keys.api_keys \
                               set expires_at = coalesce(expires_at, '2100-01-01Z') + interval '1 day' where id = ";
                sql.batch_execute(&format!("{prolong}'{key}'")).await.unwrap();
            }
        };
        let read = async {
            let mut told = Vec::new();
            while known.position < end {
                match store.changes_since(Some(known)).await.unwrap() {
                    Changes::Changed { head, keys, .. } => {
                        assert_eq!(head.position - known.position, keys.len() as i64);
                        told.extend(keys);
                        known = head;
                    }
                    Changes::Unchanged => {}
                    other => panic!("{other:?}"),
                }
            }
            told
        };
        let (told, ()) = tokio::join!(read, changes);
        assert_eq!(told, issued);
    }
}
