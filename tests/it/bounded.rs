//! Bounded freshness instead of a read for each request: no decision is staler than the bound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_api_keys::{
    ApiKeys, Authenticator, Clock, SystemClock, Timestamp,
    auth::{AuthErrorKind, AuthSettings, Freshness},
    key::{KeyFormat, KeyId, PlaintextKey},
    store::{Changes, FoundKey, Head, KeyReader, Ledger, MemoryStore, StoreError},
};

use crate::support::{
    cheap,
    hooked::{Fault, Hooked, Hooks},
    issue, system, user,
};

/// Longer than any test, so that a lease ends only by what a test does.
const BOUND: Duration = Duration::from_secs(600);

/// The system clock plus the offset that the test sets. On a busy machine a stopped clock would look like a jump.
#[derive(Debug, Default)]
struct Ahead(SystemClock, AtomicU64);

impl Ahead {
    fn advance(&self, seconds: u64) {
        self.1.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().saturating_add(Duration::from_secs(self.1.load(Ordering::SeqCst)))
    }
}

fn clock() -> Arc<Ahead> {
    Arc::default()
}

struct Node {
    keys: ApiKeys<Hooked<Arc<MemoryStore>>>,
    hooks: Arc<Hooks>,
    key: PlaintextKey,
}

async fn node(store: &Arc<MemoryStore>, clock: &Arc<Ahead>) -> Node {
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    hooks.hides_head.store(true, Ordering::SeqCst);
    let builder = ApiKeys::builder(hooked).hasher(cheap()).clock(clock.clone());
    let keys = builder.freshness(Freshness::Bounded(BOUND)).build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    hooks.reset();
    Node { keys, hooks, key }
}

async fn check<S: Ledger>(keys: &ApiKeys<S>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    keys.authenticator().authenticate(key.expose_secret()).await.map(|_| ()).map_err(|error| error.kind())
}

#[tokio::test]
async fn within_the_bound_the_store_is_not_asked() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    for _ in 0..10 {
        assert_eq!(check(&node.keys, &node.key).await, Ok(()));
    }
    assert!(node.hooks.calls().is_empty());
}

#[tokio::test]
async fn a_nodes_own_revocation_is_noticed_at_once() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    node.keys.manager().revoke(&node.key.id(), &system()).await.unwrap();
    assert_eq!(check(&node.keys, &node.key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_ends_the_lease() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    let builder = ApiKeys::builder(store.clone()).hasher(cheap());
    let elsewhere = builder.clock(clock.clone()).build().await.unwrap();
    elsewhere.manager().revoke(&node.key.id(), &system()).await.unwrap();
    assert_eq!(check(&node.keys, &node.key).await, Ok(()));
    // As if the machine slept: the wall clock moves, the monotonic clock does not.
    clock.advance(30);
    assert_eq!(check(&node.keys, &node.key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_node_that_cannot_prove_currency_says_so() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    clock.advance(30);
    node.hooks.fail("changes_since", Fault::Error, 1);
    assert_eq!(check(&node.keys, &node.key).await, Err(AuthErrorKind::StoreUnavailable));
    assert_eq!(check(&node.keys, &node.key).await, Ok(()));
}

#[tokio::test]
async fn the_lease_is_renewed_without_a_request() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    // The clock of the runtime now jumps to the next timer.
    tokio::time::pause();
    while node.hooks.count("changes_since") == 0 {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn the_store_is_let_go_of_with_the_keys() {
    let store = Arc::new(MemoryStore::new());
    let builder = ApiKeys::builder(store.clone()).hasher(cheap()).clock(clock());
    let keys = builder.freshness(Freshness::Bounded(Duration::from_secs(3_600))).build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    assert_eq!(check(&keys, &key).await, Ok(()));
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(keys);
    let dropped = tokio::time::Instant::now();
    while Arc::strong_count(&store) > 1 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(dropped.elapsed() <= Duration::from_secs(2));
    }
}

/// A reader that sends hints without a change, and counts the reads of its log.
struct Eager(MemoryStore, Arc<AtomicUsize>);

impl KeyReader for Eager {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.0.find(id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.changes_since(head).await
    }

    async fn wait_for_change(&self, _head: Head) {}
}

#[tokio::test(start_paused = true)]
async fn hints_for_nothing_cost_few_reads() {
    let reads = Arc::new(AtomicUsize::new(0));
    let settings = AuthSettings::new().with_hasher(cheap()).with_freshness(Freshness::Bounded(Duration::from_secs(60)));
    let authenticator = Authenticator::new(Eager(MemoryStore::new(), reads.clone()), settings).unwrap();
    let unknown = KeyFormat::unbranded().generate(tower_api_keys::KeyKind::User).unwrap();
    let answer = authenticator.authenticate(unknown.expose_secret()).await;
    assert_eq!(answer.unwrap_err().kind(), AuthErrorKind::Invalid);
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Pauses of 1, 2, 4 milliseconds and so on up to the interval of 15 seconds.
    let reads = reads.load(Ordering::SeqCst);
    assert!((10..=25).contains(&reads), "{reads}");
}
