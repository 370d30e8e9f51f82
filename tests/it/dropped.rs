//! Dropped requests cost a store no more than others: a look-up keeps its place until the store is done with it.

use std::{sync::Arc, time::Duration};

use futures_util::poll;
use tower_api_keys::{
    ApiKeys, Authenticator, KeyKind,
    auth::{AuthErrorKind, Freshness},
    key::{KeyFormat, PlaintextKey},
    store::{KeyReader, Ledger, MemoryStore, SqliteStore},
};

use crate::support::{
    cheap,
    hooked::{Fault, Hooked, Hooks},
    issue, secrets, user,
};

/// The most look-ups at a time.
const PLACES: usize = 8;

/// The number of requests that begin and are dropped.
const DROPPED: usize = 2_000;

/// How long the store takes to look up a key.
const DELAY: Duration = Duration::from_millis(50);

/// A node with few places, and a key that it does not know yet.
async fn node<S: Ledger>(store: S) -> (ApiKeys<Hooked<Arc<S>>>, Arc<Hooks>, PlaintextKey) {
    secrets::capture_log();
    let store = Arc::new(store);
    let key = issue(&ApiKeys::builder(store.clone()).hasher(cheap()).build().await.unwrap(), user("alice")).await;
    let hooked = Hooked::new(store);
    let hooks = hooked.hooks.clone();
    let builder = ApiKeys::builder(hooked).hasher(cheap()).max_concurrent_lookups(PLACES, Duration::from_secs(1));
    // So that a check waits only for the look-up.
    let keys = builder.freshness(Freshness::Bounded(Duration::from_secs(600))).build().await.unwrap();
    let known = keys.authenticator().authenticate(unknown().expose_secret()).await.unwrap_err();
    assert_eq!(known.kind(), AuthErrorKind::Invalid);
    (keys, hooks, key)
}

fn unknown() -> PlaintextKey {
    KeyFormat::unbranded().generate(KeyKind::User).unwrap()
}

async fn check<R: KeyReader>(authenticator: &Authenticator<R>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    authenticator.authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
}

/// Begins to check keys that do not exist, and drops the checks.
async fn begin_and_drop<R: KeyReader>(authenticator: &Authenticator<R>, requests: usize) {
    for _ in 0..requests {
        let text = unknown();
        let mut request = Box::pin(authenticator.authenticate(text.expose_secret()));
        assert!(poll!(&mut request).is_pending());
        drop(request);
        tokio::task::yield_now().await;
    }
}

async fn keeps_to_its_places<S: Ledger>(store: S) {
    let (keys, hooks, key) = node(store).await;
    let authenticator = keys.authenticator();
    hooks.delay("find", DELAY);
    begin_and_drop(&authenticator, DROPPED).await;
    // A first use of a valid key among them.
    assert_eq!(check(&authenticator, &key).await, Ok(()));
    begin_and_drop(&authenticator, DROPPED).await;
    assert!(hooks.count("find") > PLACES, "no request was ever let in");
    assert_eq!(hooks.most_under_way(), PLACES);
    assert_eq!(check(&authenticator, &key).await, Ok(()));
}

#[tokio::test]
async fn dropped_requests_keep_to_their_places_in_memory() {
    keeps_to_its_places(MemoryStore::new()).await;
}

#[tokio::test]
async fn dropped_requests_keep_to_their_places_in_sqlite() {
    let folder = secrets::scratch();
    keeps_to_its_places(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn dropped_requests_keep_to_their_places_in_postgres() {
    use crate::postgres::server::Server;
    use tower_api_keys::store::{PostgresSettings, PostgresStore};

    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = PostgresSettings::new().with_schema("keys");
    keeps_to_its_places(PostgresStore::connect_with(&server.url(), settings).await.unwrap()).await;
}

#[tokio::test]
async fn dropped_rechecks_keep_to_their_places() {
    let (keys, hooks, key) = node(MemoryStore::new()).await;
    let authenticator = keys.authenticator();
    let principal = authenticator.authenticate(key.expose_secret()).await.unwrap();
    // Its proof stays in the cache, but its record is no longer known to be current.
    authenticator.forget_proofs();
    hooks.delay("find", DELAY);
    for _ in 0..DROPPED {
        let mut request = Box::pin(authenticator.recheck(&principal));
        assert!(poll!(&mut request).is_pending());
        drop(request);
        tokio::task::yield_now().await;
    }
    assert_eq!(hooks.most_under_way(), PLACES);
    authenticator.recheck(&principal).await.unwrap();
}

#[tokio::test]
async fn a_store_that_panics_after_the_request_was_dropped_frees_its_place() {
    let (keys, hooks, key) = node(MemoryStore::new()).await;
    let authenticator = keys.authenticator();
    hooks.fail("find", Fault::Panic, PLACES * 10);
    for _ in 0..PLACES * 10 {
        let text = unknown();
        assert_eq!(check(&authenticator, &text).await, Err(AuthErrorKind::StoreUnavailable));
    }
    hooks.heal();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::resume();
    assert_eq!(check(&authenticator, &key).await, Ok(()));
}

#[test]
fn a_runtime_that_nobody_drives_keeps_no_places() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let idle = runtime();
    let (keys, key) = idle.block_on(async {
        let (keys, hooks, key) = node(MemoryStore::new()).await;
        hooks.fail("find", Fault::Hang, PLACES);
        begin_and_drop(&keys.authenticator(), PLACES).await;
        assert_eq!(hooks.count("find"), PLACES + 1);
        (keys, key)
    });
    runtime().block_on(async {
        tokio::time::pause();
        assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::Overloaded));
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::time::resume();
        assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    });
    drop(idle);
}
