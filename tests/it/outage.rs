//! If a store does not answer, the first requests wait at most a second, and all others do not wait. A single record
//! that cannot be read affects no other request. Time is paused, so that every wait is exact.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tower_api_keys::{
    ApiKeys, Authenticator,
    auth::{AuthErrorKind, AuthSettings, Freshness},
    key::{KeyId, PlaintextKey},
    store::{Changes, FoundKey, Head, KeyReader, MemoryStore, StoreError},
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, system, user, wrong_secret,
};

const SECOND: Duration = Duration::from_secs(1);
const UNAVAILABLE: Result<(), AuthErrorKind> = Err(AuthErrorKind::StoreUnavailable);

type Keys = ApiKeys<Hooked<Arc<MemoryStore>>>;

/// A node that reads the log for each request, a key that it has proved, and a key that it does not know. Time moves
/// only while the test waits.
async fn node(freshness: Freshness) -> (Keys, Arc<Hooks>, [PlaintextKey; 2]) {
    let store = Arc::new(MemoryStore::new());
    let fresh = issue(&keys(store.clone(), &clock()).await, user("alice")).await;
    let hooked = Hooked::new(store);
    let hooks = hooked.hooks.clone();
    hooks.hides_head.store(true, Ordering::SeqCst);
    // The system clock. On a busy machine, a stopped clock would look like a jump to a lease.
    let keys = ApiKeys::builder(hooked).hasher(cheap()).freshness(freshness).build().await.unwrap();
    let known = issue(&keys, user("alice")).await;
    assert_eq!(check(&keys.authenticator(), &known).await, Ok(()));
    tokio::time::pause();
    hooks.reset();
    (keys, hooks, [known, fresh])
}

async fn check<R: KeyReader>(authenticator: &Authenticator<R>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    authenticator.authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
}

/// The result of a check, and how long it took.
async fn timed<R: KeyReader>(keys: &Authenticator<R>, key: &PlaintextKey) -> (Result<(), AuthErrorKind>, Duration) {
    let begun = Instant::now();
    (check(keys, key).await, begun.elapsed())
}

#[tokio::test]
async fn a_log_that_hangs_costs_the_first_request_a_second_and_the_others_nothing() {
    let (keys, hooks, [known, fresh]) = node(Freshness::Strict).await;
    let authenticator = keys.authenticator();
    hooks.fail("changes_since", Fault::Hang, usize::MAX);
    let (answer, waited) = timed(&authenticator, &known).await;
    assert_eq!(answer, UNAVAILABLE);
    assert!(waited <= SECOND, "{waited:?}");
    for key in [&known, &fresh].into_iter().cycle().take(100) {
        assert_eq!(timed(&authenticator, key).await, (UNAVAILABLE, Duration::ZERO));
    }
    // Meanwhile a single task reads the log.
    tokio::time::sleep(SECOND * 10).await;
    let asked = hooks.count("changes_since");
    assert!((10..=14).contains(&asked), "asked {asked} times in ten seconds");
    hooks.heal();
    tokio::time::sleep(SECOND).await;
    assert_eq!(check(&authenticator, &known).await, Ok(()));
}

#[tokio::test]
async fn a_log_that_is_refused_is_asked_for_ten_times_a_second_whatever_comes() {
    let (keys, hooks, [known, _]) = node(Freshness::Strict).await;
    let authenticator = keys.authenticator();
    for fault in [Fault::Error, Fault::Corrupt, Fault::Panic] {
        hooks.fail("changes_since", fault, usize::MAX);
        hooks.reset();
        let begun = Instant::now();
        while begun.elapsed() < SECOND * 10 {
            assert_eq!(timed(&authenticator, &known).await, (UNAVAILABLE, Duration::ZERO), "{fault:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let asked = hooks.count("changes_since");
        assert!((90..=102).contains(&asked), "{fault:?}: asked {asked} times in ten seconds");
        hooks.heal();
        tokio::time::sleep(SECOND / 5).await;
        assert_eq!(check(&authenticator, &known).await, Ok(()), "{fault:?}");
    }
}

#[tokio::test]
async fn those_who_wait_for_the_next_read_hear_of_the_one_under_way() {
    let (keys, hooks, [known, fresh]) = node(Freshness::Strict).await;
    let authenticator = keys.authenticator();
    hooks.fail("changes_since", Fault::Hang, usize::MAX);
    let late = async {
        tokio::time::sleep(SECOND * 7 / 10).await;
        timed(&authenticator, &fresh).await
    };
    let ((_, first), (answer, second)) = tokio::join!(timed(&authenticator, &known), late);
    assert_eq!(answer, UNAVAILABLE);
    assert!(first <= SECOND && second <= SECOND / 10, "{first:?} {second:?}");
}

#[tokio::test]
async fn a_stream_is_told_at_once_too() {
    let (keys, hooks, [known, _]) = node(Freshness::Strict).await;
    let authenticator = keys.authenticator();
    let principal = authenticator.authenticate(known.expose_secret()).await.unwrap();
    hooks.fail("changes_since", Fault::Hang, usize::MAX);
    check(&authenticator, &known).await.unwrap_err();
    let begun = Instant::now();
    let refused = authenticator.recheck(&principal).await.unwrap_err();
    assert_eq!((refused.kind(), begun.elapsed()), (AuthErrorKind::StoreUnavailable, Duration::ZERO));
}

#[tokio::test]
async fn what_is_known_without_the_store_is_told_in_an_outage_as_before() {
    let (keys, hooks, [known, fresh]) = node(Freshness::Bounded(SECOND * 600)).await;
    let authenticator = keys.authenticator();
    hooks.fail("changes_since", Fault::Error, usize::MAX);
    // The task that keeps the lease notices it.
    tokio::time::sleep(SECOND * 300).await;
    assert_eq!(timed(&authenticator, &known).await, (Ok(()), Duration::ZERO));
    let wrong = authenticator.authenticate(&wrong_secret(&known)).await.unwrap_err();
    assert_eq!(wrong.kind(), AuthErrorKind::Invalid);
    assert_eq!(timed(&authenticator, &fresh).await, (UNAVAILABLE, Duration::ZERO));
    assert_eq!(hooks.count("find"), 0);
}

#[tokio::test]
async fn a_record_that_cannot_be_had_is_no_outage() {
    for fault in [Fault::Hang, Fault::Error, Fault::Corrupt, Fault::Panic] {
        let (keys, hooks, [known, fresh]) = node(Freshness::Strict).await;
        let authenticator = keys.authenticator();
        authenticator.forget_proofs();
        hooks.fail("find", fault, 1);
        let (answer, waited) = timed(&authenticator, &fresh).await;
        answer.unwrap_err();
        assert!(waited <= SECOND, "{fault:?}: {waited:?}");
        tokio::time::resume();
        assert_eq!(check(&authenticator, &known).await, Ok(()), "{fault:?}");
        assert_eq!(check(&authenticator, &fresh).await, Ok(()), "{fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_finds_nothing_any_more_still_serves_those_who_are_known() {
    let (keys, hooks, [known, fresh]) = node(Freshness::Strict).await;
    let authenticator = keys.authenticator();
    hooks.fail("find", Fault::Hang, usize::MAX);
    assert_eq!(check(&authenticator, &fresh).await, UNAVAILABLE);
    // A key that does not exist is still not found.
    tokio::time::sleep(SECOND).await;
    assert_eq!(timed(&authenticator, &fresh).await, (UNAVAILABLE, Duration::ZERO));
    assert_eq!(timed(&authenticator, &known).await, (Ok(()), Duration::ZERO));
    hooks.heal();
    tokio::time::sleep(SECOND).await;
    tokio::time::resume();
    assert_eq!(check(&authenticator, &fresh).await, Ok(()));
}

#[tokio::test]
async fn a_request_waits_a_second_in_all_however_many_answers_it_needs() {
    let (keys, hooks, [_, fresh]) = node(Freshness::Strict).await;
    let authenticator = keys.authenticator();
    hooks.delay("changes_since", SECOND * 6 / 10);
    hooks.fail("find", Fault::Hang, 1);
    let (answer, waited) = timed(&authenticator, &fresh).await;
    assert_eq!(answer, UNAVAILABLE);
    assert!(waited <= SECOND + Duration::from_millis(1), "{waited:?}");
}

#[tokio::test]
async fn a_change_waits_longer_than_a_request() {
    let (keys, hooks, [known, _]) = node(Freshness::Strict).await;
    hooks.delay("apply", SECOND * 4);
    keys.manager().revoke(&known.id(), &system()).await.unwrap();
    assert_eq!(check(&keys.authenticator(), &known).await, Err(AuthErrorKind::Revoked));
}

/// A reader without a change log.
struct Unlogged {
    store: Arc<MemoryStore>,
    hangs: Arc<AtomicBool>,
    finds: Arc<AtomicUsize>,
}

impl KeyReader for Unlogged {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.finds.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        self.store.find(id).await
    }

    async fn changes_since(&self, _head: Option<Head>) -> Result<Changes, StoreError> {
        Ok(Changes::Untracked)
    }
}

#[tokio::test]
async fn a_store_without_a_log_is_given_up_and_comes_back_as_well() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&keys(store.clone(), &clock()).await, user("alice")).await;
    let (hangs, finds) = (Arc::default(), Arc::default());
    let unlogged = Unlogged { store, hangs: Arc::clone(&hangs), finds: Arc::clone(&finds) };
    let authenticator = Authenticator::new(unlogged, AuthSettings::new().with_hasher(cheap())).unwrap();
    assert_eq!(check(&authenticator, &key).await, Ok(()));
    tokio::time::pause();
    hangs.store(true, Ordering::SeqCst);
    assert_eq!(check(&authenticator, &key).await, UNAVAILABLE);
    tokio::time::sleep(SECOND).await;
    let asked = finds.load(Ordering::SeqCst);
    for _ in 0..1_000 {
        assert_eq!(timed(&authenticator, &key).await, (UNAVAILABLE, Duration::ZERO));
    }
    assert!(finds.load(Ordering::SeqCst) <= asked + 1, "refused requests ask the store");
    hangs.store(false, Ordering::SeqCst);
    tokio::time::sleep(SECOND).await;
    assert_eq!(check(&authenticator, &key).await, Ok(()));
}

#[tokio::test]
async fn nobody_asks_a_store_that_was_let_go_of() {
    let (keys, hooks, [known, _]) = node(Freshness::Strict).await;
    hooks.fail("changes_since", Fault::Error, usize::MAX);
    assert_eq!(check(&keys.authenticator(), &known).await, UNAVAILABLE);
    drop(keys);
    tokio::time::sleep(SECOND / 5).await;
    hooks.reset();
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(hooks.count("changes_since"), 0);
}

#[test]
fn a_runtime_that_nobody_drives_does_not_keep_an_outage_going() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let idle = runtime();
    let (keys, known) = idle.block_on(async {
        let (keys, hooks, [known, _]) = node(Freshness::Strict).await;
        hooks.fail("changes_since", Fault::Error, 2);
        assert_eq!(check(&keys.authenticator(), &known).await, UNAVAILABLE);
        (keys, known)
    });
    runtime().block_on(async {
        tokio::time::pause();
        tokio::time::sleep(SECOND * 5).await;
        // The task that should have asked again does not run. So this request starts another one.
        assert_eq!(check(&keys.authenticator(), &known).await, UNAVAILABLE);
        tokio::time::sleep(SECOND / 5).await;
        assert_eq!(check(&keys.authenticator(), &known).await, Ok(()));
    });
    drop(idle);
}
