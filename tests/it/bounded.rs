//! A bound on freshness instead of a read for each request: no decision is staler than the bound.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use tower_api_keys::{
    ApiKeys, ManualClock,
    auth::{AuthErrorKind, Freshness},
    key::PlaintextKey,
    store::{KeyStore, MemoryStore},
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, system, user,
};

/// Long enough for any test to be over, so that only what a test does ends a lease.
const BOUND: Duration = Duration::from_secs(600);

struct Node {
    keys: ApiKeys<Hooked<Arc<MemoryStore>>>,
    hooks: Arc<Hooks>,
    key: PlaintextKey,
}

async fn node(store: &Arc<MemoryStore>, clock: &Arc<ManualClock>) -> Node {
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

async fn check<S: KeyStore>(keys: &ApiKeys<S>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
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
    let elsewhere = keys(store.clone(), &clock).await;
    elsewhere.manager().revoke(&node.key.id(), &system()).await.unwrap();
    assert_eq!(check(&node.keys, &node.key).await, Ok(()));
    // The machine slept: the wall clock shows it, the monotonic one does not.
    clock.advance(Duration::from_secs(30));
    assert_eq!(check(&node.keys, &node.key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_node_that_cannot_prove_currency_says_so() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    clock.advance(Duration::from_secs(30));
    node.hooks.fail("changes_since", Fault::Error, 1);
    assert_eq!(check(&node.keys, &node.key).await, Err(AuthErrorKind::StoreUnavailable));
    assert_eq!(check(&node.keys, &node.key).await, Ok(()));
}

#[tokio::test]
async fn the_lease_is_renewed_without_a_request() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let node = node(&store, &clock).await;
    // From here on the clock of the runtime jumps to whatever waits for it.
    tokio::time::pause();
    while node.hooks.count("changes_since") == 0 {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}
