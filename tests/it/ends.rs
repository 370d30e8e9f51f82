//! The end of a key is announced once, for any number of nodes, through restarts and crashes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_api_keys::{
    ApiKeys, ManualClock, OrganizationId,
    audit::Event,
    manage::IssueKey,
    store::{EventQuery, Ledger, MemoryStore, SqliteStore, StoreErrorKind},
};

use crate::support::{
    cheap,
    hooked::{Fault, Hooked},
    noon,
    secrets::scratch,
    system, team,
};

const HOUR: Duration = Duration::from_secs(3_600);

type Heard = Arc<Mutex<Vec<String>>>;

async fn node<S: Ledger>(store: S, clock: &Arc<ManualClock>, heard: &Heard) -> ApiKeys<S> {
    let heard = Arc::clone(heard);
    let sink = move |events: &[Event]| {
        let told = events.iter().filter(|event| event.actor.to_string() == "system:clock");
        heard.lock().unwrap().extend(told.map(|event| said(event.action.as_str(), event.after.as_deref())));
    };
    ApiKeys::builder(store).hasher(cheap()).clock(clock.clone()).event_sink(sink).build().await.unwrap()
}

/// The action, with the number of hours before the end.
fn said(action: &str, after: Option<&str>) -> String {
    let told: serde_json::Value = after.and_then(|after| serde_json::from_str(after).ok()).unwrap_or_default();
    told["before_ms"].as_i64().map_or(action.to_owned(), |before| format!("{action} {} h", before / 3_600_000))
}

/// The events about ends in the trail, in order.
async fn trail(store: &impl Ledger) -> Vec<String> {
    let query = EventQuery { limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
    let rows = store.events(&query).await.unwrap().rows;
    let told = rows.iter().filter(|row| row.actor == "system:clock");
    told.map(|row| said(&row.action, row.after.as_deref())).collect()
}

/// Two nodes at once, restarted at each step, and one that dies between the commit and its sink.
async fn assert_told_once<S: Ledger>(open: impl AsyncFn() -> S) {
    let clocks = [(); 2].map(|()| Arc::new(ManualClock::at(noon())));
    let heard = Heard::default();
    let [first, second] = &clocks;
    let keys = node(open().await, first, &heard).await;
    let end = noon().saturating_add(24 * 30 * HOUR);
    for request in [IssueKey::team(team("blue")).expires_at(end), IssueKey::team(team("blue"))] {
        drop(keys.manager().issue(request, &system()).await.unwrap());
    }
    drop(keys);
    for day in 1..=31 {
        clocks.iter().for_each(|clock| clock.advance(24 * HOUR));
        let before = heard.lock().unwrap().len();
        let store = Hooked::new(open().await);
        store.hooks.fail("apply", Fault::DoneUnsaid, 1);
        let dead = node(store, first, &heard).await;
        let told = dead.tell_of_ends().await.map_err(|error| error.kind());
        let is_due = [23, 29, 30].contains(&day);
        assert_eq!(told, if is_due { Err(StoreErrorKind::OutcomeUnknown) } else { Ok(()) }, "day {day}");
        assert_eq!(heard.lock().unwrap().len(), before, "it died before it told the sink");
        let (one, two) = (node(open().await, first, &heard).await, node(open().await, second, &heard).await);
        for _ in 0..3 {
            let (told, too) = tokio::join!(one.tell_of_ends(), two.tell_of_ends());
            told.and(too).unwrap();
        }
        assert_eq!(heard.lock().unwrap().len() > before, is_due, "day {day}");
    }
    let expected = ["key.ends_soon 168 h", "key.ends_soon 24 h", "key.expired"];
    assert_eq!(trail(&open().await).await, expected);
    let mut heard = heard.lock().unwrap().clone();
    heard.dedup();
    assert_eq!(heard, expected, "the sink is told at least once");
}

#[tokio::test]
async fn nodes_of_one_memory_store_tell_each_word_once() {
    let store = Arc::new(MemoryStore::new());
    assert_told_once(async || Arc::clone(&store)).await;
}

#[tokio::test]
async fn nodes_of_one_file_tell_each_word_once() {
    let folder = scratch();
    assert_told_once(async || SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn nodes_of_one_server_tell_each_word_once() {
    use tower_api_keys::store::{PostgresSettings, PostgresStore};
    let server = crate::postgres::server::Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = || PostgresSettings::new().with_schema("keys");
    assert_told_once(async || PostgresStore::connect_with(&server.url(), settings()).await.unwrap()).await;
}

#[tokio::test]
async fn ends_are_told_in_the_background() {
    let (store, heard) = (Arc::new(MemoryStore::new()), Heard::default());
    let clock = Arc::new(ManualClock::at(noon()));
    let keys = node(Arc::clone(&store), &clock, &heard).await;
    let end = noon().saturating_add(24 * 30 * HOUR);
    drop(keys.manager().issue(IssueKey::team(team("blue")).expires_at(end), &system()).await.unwrap());
    tokio::time::pause();
    clock.advance(24 * 24 * HOUR);
    tokio::time::sleep(Duration::from_secs(360)).await;
    assert_eq!(*heard.lock().unwrap(), ["key.ends_soon 168 h"]);
}
