//! The notifier is killed again and again while events are written. The receiver still gets every event, in order.
#![cfg(unix)]
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

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use notifier::Secret;
use server::Server;
use tokio::{sync::watch, time::timeout};
use tower_api_keys::{
    audit::EventRow,
    store::{Ledger, PostgresStore, SqliteStore},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENTS: usize = 10_000;
const KILLS: usize = 20;

/// The most events that are written and not yet received, so that events are still written while the notifier is
/// killed.
const AHEAD: usize = 400;

/// The receiver refuses these two events. It asks to try later, once, at every thousandth.
const REFUSED: [usize; 2] = [777, 9_000];

/// What the receiver got, in this order: id, key, mark, and the whole body.
type Got = Arc<Mutex<Vec<(String, String, usize, Vec<u8>)>>>;

struct Receiver {
    secret: Secret,
    got: Got,
    /// Events received so far, each once.
    seen: Mutex<BTreeSet<usize>>,
    count: watch::Sender<usize>,
    put_off: Mutex<BTreeSet<usize>>,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> (u16, [(String, String); 1]) {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let (id, seconds): (_, u64) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(seconds) < 300, "{seconds}");
    assert_eq!(header("webhook-signature"), receiver.secret.sign(&id, seconds, &body));
    assert_eq!(header("content-type"), "application/json");
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mark: usize = event["after"]["name"].as_str().unwrap().parse().unwrap();
    let key = event["subject"]["key"].as_str().unwrap().to_owned();
    let answer = |status: u16| (status, [("retry-after".to_owned(), "0".to_owned())]);
    if mark.is_multiple_of(1_000) && receiver.put_off.lock().unwrap().insert(mark) {
        return answer(503);
    }
    receiver.got.lock().unwrap().push((id, key, mark, body.to_vec()));
    let count = {
        let mut seen = receiver.seen.lock().unwrap();
        seen.insert(mark);
        seen.len()
    };
    receiver.count.send_replace(count);
    if REFUSED.contains(&mark) { answer(422) } else { answer(200) }
}

fn start(database: &str, url: &str, dead_letters: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_notifier"))
        .env("DATABASE_URL", database)
        .env("NOTIFIER_URL", url)
        .env("NOTIFIER_SECRET", SECRET)
        .env("NOTIFIER_DEAD_LETTERS", dead_letters)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// An event of one of a hundred keys, in turn.
fn event(mark: usize) -> EventRow {
    EventRow {
        action: "key.renamed".into(),
        key: Some(format!("{:0>20}", mark % 100)),
        after: Some(mark.to_string()),
        ..EventRow::example()
    }
}

async fn killed_again_and_again(store: impl Ledger, database: String) {
    let folder = tempfile::tempdir().unwrap();
    let dead_letters = folder.path().join("dead_letters.jsonl");
    let (count, mut counted) = watch::channel(0);
    let receiver = Arc::new(Receiver {
        secret: Secret::new(SECRET).unwrap(),
        got: Got::default(),
        seen: Mutex::default(),
        count,
        put_off: Mutex::default(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let router = Router::new()
        .route(
            "/events",
            post(|state: State<Arc<Receiver>>, headers: HeaderMap, body: Bytes| async move {
                let (status, headers) = receive(state, headers, body).await;
                (axum::http::StatusCode::from_u16(status).unwrap(), axum::response::AppendHeaders(headers))
            }),
        )
        .with_state(Arc::clone(&receiver));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mut received = counted.clone();
    let writes = async {
        for first in (0..EVENTS).step_by(20) {
            received.wait_for(|count| first <= count + AHEAD).await.unwrap();
            store.append_events(&(first..first + 20).map(event).collect::<Vec<_>>()).await.unwrap();
        }
    };
    let kills = async {
        let mut child = start(&database, &url, &dead_letters);
        for kill in 1..=KILLS {
            // Kills follow progress and not time: each process delivers some events, and dies with others still to
            // deliver.
            counted.wait_for(|count| *count >= kill * EVENTS / (KILLS + 1)).await.unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            child = start(&database, &url, &dead_letters);
        }
        counted.wait_for(|count| *count == EVENTS).await.unwrap();
        // The last batch may not be confirmed. That can cause a duplicate, but not a gap.
        child.kill().unwrap();
        child.wait().unwrap();
    };
    timeout(Duration::from_secs(300), async { tokio::join!(writes, kills) }).await.expect("all events in time");
    serving.abort();

    let got = receiver.got.lock().unwrap();
    let (mut bodies, mut last) = (HashMap::<&str, &[u8]>::new(), BTreeMap::<&str, usize>::new());
    let mut first_times = Vec::new();
    for (id, key, mark, body) in got.iter() {
        match bodies.insert(id, body) {
            Some(before) => assert_eq!(before, body, "one id, one event"),
            None => {
                assert!(last.insert(key, *mark).is_none_or(|before| before < *mark), "{mark} of {key} came late");
                first_times.push(*mark);
            }
        }
    }
    // Every event came once under its own id, in the order of the log. All other posts were repeats.
    assert_eq!(first_times, (0..EVENTS).collect::<Vec<_>>());
    let repeats = got.len() - EVENTS;
    println!("{} posts of {EVENTS} events, {KILLS} kills, {repeats} repeats", got.len());
    assert!(repeats <= (KILLS + 1) * 20 + 2 * 5 * (KILLS + 1), "{repeats}");
    let dead = std::fs::read_to_string(&dead_letters).unwrap();
    let dead: BTreeSet<usize> = dead
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["event"]["after"]["name"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(dead, REFUSED.into(), "what was refused, and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_postgresql() {
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "api_keys").await.unwrap();
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    killed_again_and_again(store, server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.db");
    let store = SqliteStore::open(&file).await.unwrap();
    killed_again_and_again(store, file.to_str().unwrap().to_owned()).await;
}
