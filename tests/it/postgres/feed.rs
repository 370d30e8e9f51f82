//! Events are read in the order of their commits, whichever session writes them.

use futures_util::future::join_all;
use tokio_postgres::Client;
use tower_api_keys::{audit::EventRow, feed::Feed, store::Ledger};

use super::{connected, migrated, roles::grant, server::Server};

/// Plain SQL that takes no lock.
fn insert(mark: &str) -> String {
    format!(
        "insert into keys.api_key_events (organization, at, actor, action, owner_kind, owner, after) \
         values ('default', now(), 'user:alice', 'key.renamed', 'team', 'blue', '{mark}')"
    )
}

async fn marks(store: &impl Ledger, after: Option<i64>) -> (Vec<String>, Option<i64>) {
    let rows = store.feed(after, 1_000).await.unwrap().rows;
    let last = rows.last().map(|row| row.sequence).or(after);
    (rows.into_iter().filter_map(|row| row.after).collect(), last)
}

/// Waits until a session waits for a lock.
async fn until_somebody_waits(sql: &Client) {
    let waits = "select exists (select 1 from pg_stat_activity where wait_event_type = 'Lock')";
    while !sql.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
}

async fn sessions(server: &Server, count: usize) -> Vec<Client> {
    join_all((0..count).map(|_| server.client())).await
}

#[tokio::test]
async fn what_is_written_first_and_committed_last_is_not_passed_over() {
    let server = migrated().await;
    let store = connected(&server.url()).await;
    let [slow, other, watcher]: [Client; 3] = sessions(&server, 3).await.try_into().unwrap_or_else(|_| unreachable!());
    slow.batch_execute(&format!("begin; {}", insert("first"))).await.unwrap();
    let writes = async {
        let event = EventRow { after: Some("second".into()), ..EventRow::example() };
        store.append_events(&[event]).await.unwrap();
        other.batch_execute(&insert("third")).await.unwrap();
    };
    let looks = async {
        until_somebody_waits(&watcher).await;
        let seen = marks(&store, None).await;
        slow.batch_execute("commit").await.unwrap();
        seen
    };
    let ((), (none, after)) = tokio::join!(writes, looks);
    assert_eq!((none.len(), after), (0, None), "nobody saw a later one before the first");
    assert_eq!(marks(&store, after).await.0, ["first", "second", "third"]);
}

#[tokio::test]
async fn the_rights_of_a_notifier_are_enough_to_follow_and_for_nothing_else() {
    let server = migrated().await;
    grant(&server).await;
    connected(&server.url()).await.append_events(&[EventRow::example()]).await.unwrap();
    let url = server.url().replace("admin", "keys_notifier");
    let mut feed = Feed::over(connected(&url).await, "notifier").unwrap();
    let batch = feed.next(10).await.unwrap();
    feed.confirm(batch.cursor).await.unwrap();
    assert!(feed.try_next(10).await.unwrap().is_none());
    let (sql, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    for statement in [
        "select hash from keys.api_keys".to_owned(),
        insert("mine"),
        "delete from keys.api_key_events".into(),
        "update keys.api_key_events set after = null".into(),
        "select keys.api_key_events_in_order()".into(),
    ] {
        assert!(sql.batch_execute(&statement).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_follower_misses_nothing_of_what_plain_sql_and_nodes_write_at_once() {
    let server = migrated().await;
    let (store, writer) = (connected(&server.url()).await, connected(&server.url()).await);
    let clients = sessions(&server, 4).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let plain = clients.iter().enumerate().map(async |(number, sql)| {
        for turn in 0..40 {
            let statement = insert(&format!("{number} {turn}"));
            // Every third insert is rolled back, so its number is a gap.
            let end = if turn % 3 == 2 { "rollback" } else { "commit" };
            sql.batch_execute(&format!("begin; {statement}; select 1; {end}")).await.unwrap();
        }
    });
    let appends = async {
        for turn in 0..40 {
            let event = EventRow { after: Some(format!("node {turn}")), ..EventRow::example() };
            writer.append_events(&[event]).await.unwrap();
        }
    };
    let writes = async {
        tokio::join!(join_all(plain), appends);
        done.store(true, std::sync::atomic::Ordering::Release);
    };
    let follows = async {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let is_last = done.load(std::sync::atomic::Ordering::Acquire);
            let (more, last) = marks(&store, after).await;
            after = last;
            seen.extend(more);
            if is_last {
                return seen;
            }
        }
    };
    let ((), seen) = tokio::join!(writes, follows);
    assert_eq!(seen, marks(&store, None).await.0);
    assert_eq!(seen.len(), 4 * 27 + 40);
}
