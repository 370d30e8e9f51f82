//! Keys whose texts are in a configuration. There is one key, however many nodes start, and a dead key never comes
//! back. On every store.

use std::{env, path::Path, process::Command, sync::Arc, time::Duration};

use tokio::sync::Barrier;
use tower_api_keys::{
    ApiKeys, Clock, IssueKey, KeyKind, ManualClock, SystemClock,
    auth::AuthErrorKind,
    key::{KeyFormat, PlaintextKey},
    manage::{AuditQuery, Effect, KnownKeyProblem, ManageErrorKind},
    store::{DeadKeys, Ledger, MemoryStore, Prune, SqliteStore},
};

use crate::support::{cheap, clock, keys, secrets, system, team};

const DAY: Duration = Duration::from_secs(86_400);

/// A text as `KeyFormat::generate` creates it offline. The search for leaks looks for it.
fn text() -> PlaintextKey {
    let text = KeyFormat::unbranded().generate(KeyKind::Team).unwrap();
    secrets::remember(text.expose_secret());
    text
}

/// What a service does at every start, with the text from its configuration.
async fn start<S: Ledger>(keys: &ApiKeys<S>, configured: &str) -> Result<Effect, ManageErrorKind> {
    let manager = keys.manager();
    let text = manager.format().parse(configured.as_bytes()).unwrap().to_plaintext();
    let known = manager.issue_known(IssueKey::team(team("blue")).named("compose").with_text(text), &system()).await;
    known.map(|known| known.effect()).map_err(|error| {
        secrets::capture_log();
        println!("{error} {error:?}");
        error.kind()
    })
}

async fn purge<S: Ledger>(store: &S, clock: &impl Clock) -> u64 {
    let at = clock.now();
    let keys = DeadKeys { ended_before: at.saturating_sub(DAY), most: u64::MAX, at };
    store.prune(&Prune { keys: Some(keys), ..Prune::default() }).await.unwrap().keys
}

/// `again` opens the same store, as after a restart.
async fn a_dead_key_stays_dead<S: Ledger + Clone>(store: S, again: impl AsyncFn(S) -> S) {
    let (clock, text) = (clock(), text());
    let configured = text.expose_secret();
    let restart = async |store: S, clock: &Arc<ManualClock>| {
        let store = again(store).await;
        (store.clone(), keys(store, clock).await)
    };
    let first = keys(store.clone(), &clock).await;
    assert_eq!(start(&first, configured).await, Ok(Effect::Changed));
    assert_eq!(start(&first, configured).await, Ok(Effect::Unchanged));
    first.authenticator().authenticate(configured).await.unwrap();
    first.shutdown().await.unwrap();

    let (store, second) = restart(store, &clock).await;
    assert_eq!(start(&second, configured).await, Ok(Effect::Unchanged));
    second.authenticator().authenticate(configured).await.unwrap();
    let info = second.manager().find(&text.id(), &system()).await.unwrap();
    assert!(info.known_beforehand);
    second.manager().revoke(&text.id(), &system()).await.unwrap();
    let problem = |problem| Err(ManageErrorKind::KnownKey(problem));
    assert_eq!(start(&second, configured).await, problem(KnownKeyProblem::Revoked));
    second.shutdown().await.unwrap();

    let (store, third) = restart(store, &clock).await;
    assert_eq!(start(&third, configured).await, problem(KnownKeyProblem::Revoked));
    clock.advance(DAY + Duration::from_millis(1));
    assert_eq!(purge(&store, &*clock).await, 1);
    assert_eq!(start(&third, configured).await, problem(KnownKeyProblem::Purged));
    third.shutdown().await.unwrap();

    let (store, fourth) = restart(store, &clock).await;
    for _ in 0..2 {
        assert_eq!(start(&fourth, configured).await, problem(KnownKeyProblem::Purged));
        assert_eq!(fourth.authenticator().authenticate(configured).await.unwrap_err().kind(), AuthErrorKind::Invalid);
        assert_eq!(purge(&store, &*clock).await, 0);
    }
    let trail = fourth.manager().events(AuditQuery::all().of_key(text.id()), &system()).await.unwrap();
    let told: Vec<_> = trail.entries.iter().map(|entry| entry.event.action.as_str()).collect();
    assert_eq!(told, ["key.purged", "key.revoked", "key.issued"]);
    let issued = serde_json::to_value(&trail.entries[2].event).unwrap();
    assert_eq!(issued["after"]["known_beforehand"], true);
}

#[tokio::test]
async fn a_dead_key_stays_dead_in_memory() {
    a_dead_key_stays_dead(Arc::new(MemoryStore::new()), async |store| store).await;
}

#[tokio::test]
async fn a_dead_key_stays_dead_in_a_file() {
    let folder = secrets::scratch();
    let path = folder.path().join("keys.db");
    let again = async |store: SqliteStore| {
        drop(store);
        SqliteStore::open(&path).await.unwrap()
    };
    a_dead_key_stays_dead(SqliteStore::open(&path).await.unwrap(), again).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_dead_key_stays_dead_in_postgresql() {
    let server = crate::postgres::migrated().await;
    let again = async |store| {
        drop(store);
        Arc::new(crate::postgres::connected(&server.url()).await)
    };
    a_dead_key_stays_dead(Arc::new(crate::postgres::connected(&server.url()).await), again).await;
}

/// The number of nodes that start at once.
const NODES: usize = 8;

async fn nodes_that_start_at_once_make_one_key<S: Ledger>(stores: [Arc<S>; NODES], rounds: u32) {
    let mut nodes = Vec::new();
    for store in stores {
        nodes.push(Arc::new(
            ApiKeys::builder(store).hasher(cheap()).max_live_keys_per_team(rounds).build().await.unwrap(),
        ));
    }
    for round in 0..rounds {
        let (text, barrier) = (Arc::new(text()), Arc::new(Barrier::new(NODES)));
        let starts = nodes.iter().map(|node| {
            let (node, text, barrier) = (Arc::clone(node), Arc::clone(&text), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                start(&node, text.expose_secret()).await
            })
        });
        let started = futures_util::future::join_all(starts.collect::<Vec<_>>()).await;
        let started: Vec<_> = started.into_iter().map(|started| started.unwrap().unwrap()).collect();
        let makers = started.iter().filter(|effect| **effect == Effect::Changed).count();
        assert_eq!(makers, 1, "{started:?} in round {round}");
        for node in &nodes {
            node.authenticator().authenticate(text.expose_secret()).await.unwrap();
        }
        let events = nodes[0].manager().events(AuditQuery::all().of_key(text.id()), &system()).await.unwrap();
        assert_eq!(events.entries.len(), 1);
    }
    // The quota is full. The keys that exist are still found.
    assert!(matches!(start(&nodes[0], text().expose_secret()).await, Err(ManageErrorKind::QuotaReached(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_in_memory_make_one_key() {
    let store = Arc::new(MemoryStore::new());
    nodes_that_start_at_once_make_one_key([(); NODES].map(|()| Arc::clone(&store)), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_in_sqlite_make_one_key() {
    let folder = secrets::scratch();
    let mut stores = Vec::new();
    for _ in 0..NODES {
        stores.push(Arc::new(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()));
    }
    nodes_that_start_at_once_make_one_key(stores.try_into().unwrap_or_else(|_| panic!()), 10).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_in_postgresql_make_one_key() {
    let server = crate::postgres::migrated().await;
    let mut stores = Vec::new();
    for _ in 0..NODES {
        stores.push(Arc::new(crate::postgres::connected(&server.url()).await));
    }
    nodes_that_start_at_once_make_one_key(stores.try_into().unwrap_or_else(|_| panic!()), 10).await;
}

/// The order for a process of the test below: what to do, in which file, with which text.
const ORDER: &str = "TOWER_API_KEYS_TEST_KNOWN_KEY";
const FILE: &str = "TOWER_API_KEYS_TEST_KNOWN_KEY_FILE";
const TEXT: &str = "TOWER_API_KEYS_TEST_KNOWN_KEY_TEXT";

/// An empty test when run alone, and the processes of the test below. Each process opens the file, and ends without a
/// shutdown.
#[tokio::test]
async fn a_process_carries_out_its_order() {
    let Ok(order) = env::var(ORDER) else { return };
    let (file, text) = (env::var_os(FILE).unwrap(), env::var(TEXT).unwrap());
    let store = SqliteStore::open(Path::new(&file)).await.unwrap();
    let keys = ApiKeys::builder(store.clone()).hasher(cheap()).build().await.unwrap();
    match order.as_str() {
        "revoke" => {
            let id = keys.manager().format().parse(text.as_bytes()).unwrap().id();
            keys.manager().revoke(&id, &system()).await.unwrap();
        }
        "purge" => {
            let at = SystemClock::default().now().saturating_add(DAY);
            assert_eq!(purge(&store, &ManualClock::at(at.saturating_add(Duration::from_secs(1)))).await, 1);
        }
        _ => {}
    }
    let accepted = keys.authenticator().authenticate(&text).await.is_ok();
    println!("\nstarted: {:?}, accepted before: {accepted}", start(&keys, &text).await);
    std::process::exit(0);
}

#[test]
fn a_key_is_found_and_stays_dead_when_the_process_starts_again() {
    let (folder, text) = (secrets::scratch(), text());
    let process = |order: &str| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "known_key::a_process_carries_out_its_order"])
            .env(ORDER, order)
            .env(FILE, folder.path().join("keys.db"))
            .env(TEXT, text.expose_secret())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let line = said.lines().find_map(|line| line.strip_prefix("started: "));
        line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
    };
    let said = ["start", "start", "revoke", "start", "purge", "start"].map(process);
    assert_eq!(
        said,
        [
            "Ok(Changed), accepted before: false",
            "Ok(Unchanged), accepted before: true",
            "Err(KnownKey(Revoked)), accepted before: false",
            "Err(KnownKey(Revoked)), accepted before: false",
            "Err(KnownKey(Purged)), accepted before: false",
            "Err(KnownKey(Purged)), accepted before: false",
        ]
    );
}
