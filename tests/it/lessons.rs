//! Mistakes that other projects made with keys, caches and counters, and a few that must not happen here.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{future::join_all, poll};
use tower_api_keys::{
    Actor, ApiKeys, Authenticator,
    audit::EventRow,
    auth::{AuthErrorKind, AuthSettings},
    key::{KeyId, PlaintextKey},
    manage::{IssueKey, Rights},
    record::Suspension,
    store::{
        Changes, FoundKey, Head, KeyQuery, KeyReader, KeyStore, Ledger, MemoryStore, Prune, SqliteStore, StoreError,
    },
    usage::Source,
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, noon,
    secrets::scratch,
    system, team, user,
};

async fn check<R: KeyReader>(authenticator: &Authenticator<R>, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
    authenticator.authenticate(key.expose_secret()).await.map(|_| ()).map_err(|error| error.kind())
}

/// A node that knows the head of the log at once, and a proved key of Alice.
async fn node() -> (ApiKeys<Hooked<Arc<MemoryStore>>>, Arc<Hooks>, PlaintextKey) {
    let hooked = Hooked::new(Arc::new(MemoryStore::new()));
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock()).await;
    let key = issue(&keys, user("alice")).await;
    assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    hooks.reset();
    (keys, hooks, key)
}

/// The fault of a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Oddity {
    /// It keeps no log.
    Untracked,
    /// It never knows what changed, so every read is a reset.
    Resets,
    /// It panics when it is asked for the head.
    HeadPanics,
    /// It panics before it returns a future.
    FindPanics,
}

struct Odd(Arc<MemoryStore>, Oddity);

impl KeyReader for Odd {
    fn find(&self, id: &KeyId) -> impl Future<Output = Result<Option<FoundKey>, StoreError>> + Send {
        assert!(self.1 != Oddity::FindPanics, "the test says so");
        self.0.find(id)
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        match self.1 {
            Oddity::Untracked => Ok(Changes::Untracked),
            Oddity::Resets => self.0.changes_since(None).await,
            Oddity::HeadPanics | Oddity::FindPanics => self.0.changes_since(head).await,
        }
    }

    fn try_head(&self) -> Option<Head> {
        assert!(self.1 != Oddity::HeadPanics, "the test says so");
        None
    }
}

/// A manager over a store, and a node that reads the store through a faulty reader.
async fn odd(oddity: Oddity) -> (ApiKeys<Arc<MemoryStore>>, Authenticator<Odd>, PlaintextKey) {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let keys = keys(store.clone(), &clock).await;
    let key = issue(&keys, user("alice")).await;
    let settings = AuthSettings::new().with_hasher(cheap()).with_clock(clock);
    (keys, Authenticator::new(Odd(store, oddity), settings).unwrap(), key)
}

#[tokio::test]
async fn a_check_writes_nothing_to_the_store() {
    let (keys, hooks, key) = node().await;
    keys.authenticator().forget_proofs();
    assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    assert!(hooks.calls().iter().all(|call| ["find", "changes_since"].contains(call)), "{:?}", hooks.calls());
}

#[tokio::test]
async fn closing_an_owner_refuses_their_proved_keys_at_once() {
    let (keys, _, key) = node().await;
    keys.manager().close(&user("alice").into(), &system()).await.unwrap();
    assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::OwnerClosed));
}

#[tokio::test]
async fn a_team_key_outlives_its_creator() {
    let (keys, _, personal) = node().await;
    let alice = Actor::user(user("alice"), Rights::none().org_admin().team_keys_included_for(team("blue")));
    let request = IssueKey::team(team("blue")).named("Nightly import");
    let key = keys.manager().issue(request, &alice).await.unwrap().into_plaintext();
    assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    keys.manager().suspend(&user("alice").into(), Suspension::Admin, &system()).await.unwrap();
    keys.manager().close(&user("alice").into(), &system()).await.unwrap();
    assert_eq!(check(&keys.authenticator(), &personal).await, Err(AuthErrorKind::OwnerClosed));
    assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
}

#[tokio::test]
async fn a_revoked_key_is_not_accepted_while_the_log_cannot_be_read() {
    let (keys, hooks, key) = node().await;
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    hooks.fail("changes_since", Fault::Error, 1);
    assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::StoreUnavailable));
    assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_key_whose_row_is_gone_is_refused() {
    let folder = scratch();
    let path = folder.path().join("keys.db");
    let keys = keys(SqliteStore::open(&path).await.unwrap(), &clock()).await;
    let key = issue(&keys, user("alice")).await;
    assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    let connection = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(connection.execute("delete from api_keys", []).unwrap(), 1);
    assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::Invalid));
}

#[tokio::test]
async fn the_file_of_latest_writes_has_the_id_of_a_key_and_not_its_secret() {
    let folder = scratch();
    let path = folder.path().join("keys.db");
    let keys = keys(SqliteStore::open(&path).await.unwrap(), &clock()).await;
    let key = issue(&keys, user("alice")).await;
    // The file as it is while the store is open. The copy is kept for the search for leaks.
    let kept = folder.path().join("copy.db-wal");
    std::fs::copy(folder.path().join("keys.db-wal"), &kept).unwrap();
    let written = std::fs::read(kept).unwrap();
    let has = |text: &str| written.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(key.id().as_str()));
    assert!(!has(&key.expose_secret()[26..]));
}

#[tokio::test]
async fn without_a_log_a_revocation_is_noticed_and_the_proof_stands() {
    for oddity in [Oddity::Untracked, Oddity::Resets] {
        let (keys, authenticator, key) = odd(oddity).await;
        for _ in 0..3 {
            assert_eq!(check(&authenticator, &key).await, Ok(()));
        }
        assert_eq!(authenticator.argon2_runs(), 1);
        keys.manager().revoke(&key.id(), &system()).await.unwrap();
        assert_eq!(check(&authenticator, &key).await, Err(AuthErrorKind::Revoked));
    }
}

#[tokio::test]
async fn a_store_that_panics_when_asked_for_its_head_is_asked_for_its_log() {
    let (keys, authenticator, key) = odd(Oddity::HeadPanics).await;
    assert_eq!(check(&authenticator, &key).await, Ok(()));
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    assert_eq!(check(&authenticator, &key).await, Err(AuthErrorKind::Revoked));
}

#[tokio::test]
async fn a_store_that_panics_before_there_is_a_future_is_unavailable() {
    let (_, authenticator, key) = odd(Oddity::FindPanics).await;
    assert_eq!(check(&authenticator, &key).await, Err(AuthErrorKind::StoreUnavailable));
}

#[tokio::test]
async fn requests_share_reads_of_the_log() {
    let (keys, hooks, key) = node().await;
    hooks.hides_head.store(true, Ordering::SeqCst);
    // A read that is answered at once cannot be shared.
    hooks.delay("changes_since", Duration::from_millis(1));
    let authenticator = keys.authenticator();
    let answers = join_all((0..1_000).map(|_| check(&authenticator, &key))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(hooks.count("changes_since") <= 2, "{}", hooks.count("changes_since"));
}

#[tokio::test]
async fn a_dropped_look_up_keeps_its_place_until_it_ends() {
    let hooked = Hooked::new(MemoryStore::new());
    let hooks = hooked.hooks.clone();
    let builder = ApiKeys::builder(hooked).hasher(cheap()).clock(clock()).max_concurrent_lookups(1, Duration::ZERO);
    let keys = builder.build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    hooks.fail("find", Fault::Hang, 1);
    let authenticator = keys.authenticator();
    let mut hanging = Box::pin(check(&authenticator, &key));
    while hooks.count("find") == 0 {
        assert!(poll!(&mut hanging).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(check(&authenticator, &key).await, Err(AuthErrorKind::Overloaded));
    drop(hanging);
    // The store still works on the look-up, even if no caller waits for the answer.
    assert_eq!(check(&authenticator, &key).await, Err(AuthErrorKind::Overloaded));
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(check(&authenticator, &key).await, Ok(()));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A node that reads the log for each request, after a delay, and a proved key of Alice.
async fn coalescing(delay: Duration) -> (ApiKeys<Hooked<Arc<MemoryStore>>>, Arc<Hooks>, PlaintextKey) {
    let hooked = Hooked::new(Arc::new(MemoryStore::new()));
    let hooks = hooked.hooks.clone();
    let keys = ApiKeys::builder(hooked).hasher(cheap()).clock(clock()).coalescing(delay).build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    // The task that read the log ends if no request joined it.
    tokio::time::sleep(delay * 2).await;
    hooks.reset();
    hooks.hides_head.store(true, Ordering::SeqCst);
    (keys, hooks, key)
}

/// The same, where a task of a runtime that is not driven reads the log.
async fn left_in_the_lurch(delay: Duration) -> (ApiKeys<Hooked<Arc<MemoryStore>>>, Arc<Hooks>, PlaintextKey) {
    let (keys, hooks, key) = coalescing(delay).await;
    let authenticator = keys.authenticator();
    if delay.is_zero() {
        // With a delay, the task already waits for others to join.
        hooks.fail("changes_since", Fault::Hang, 1);
    }
    let mut dropped = Box::pin(check(&authenticator, &key));
    assert!(poll!(&mut dropped).is_pending());
    drop(dropped);
    (keys, hooks, key)
}

#[test]
fn a_runtime_that_nobody_drives_does_not_block_others_forever() {
    let idle = runtime();
    let (keys, hooks, key) = idle.block_on(left_in_the_lurch(Duration::ZERO));
    runtime().block_on(async {
        tokio::time::pause();
        assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::StoreUnavailable));
        assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    });
    // The old task does no harm when it runs again.
    assert_eq!(idle.block_on(check(&keys.authenticator(), &key)), Ok(()));
    hooks.heal();
}

#[test]
fn who_asks_after_another_gave_up_is_served() {
    let idle = runtime();
    let (keys, _, key) = idle.block_on(left_in_the_lurch(Duration::from_millis(100)));
    runtime().block_on(async {
        tokio::time::pause();
        assert_eq!(check(&keys.authenticator(), &key).await, Err(AuthErrorKind::StoreUnavailable));
        // Meanwhile the task that took over still waits for others to join.
        for _ in 0..10 {
            let asked = tokio::time::Instant::now();
            assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
            assert!(asked.elapsed() < Duration::from_secs(1));
        }
    });
}

#[test]
fn nobody_relies_on_a_timer_in_a_runtime_that_nobody_drives() {
    let idle = runtime();
    let (keys, key) = idle.block_on(async {
        let (keys, hooks, key) = left_in_the_lurch(Duration::ZERO).await;
        assert_eq!(hooks.count("changes_since"), 1);
        // One request waits for the next read, and is never polled again.
        let (authenticator, text) = (keys.authenticator(), key.expose_secret().to_owned());
        tokio::spawn(async move { authenticator.authenticate(&text).await });
        tokio::task::yield_now().await;
        (keys, key)
    });
    runtime().block_on(async {
        tokio::time::pause();
        let hour = Duration::from_secs(3_600);
        let answer = tokio::time::timeout(hour, check(&keys.authenticator(), &key)).await.unwrap();
        assert_eq!(answer, Err(AuthErrorKind::StoreUnavailable));
        assert_eq!(check(&keys.authenticator(), &key).await, Ok(()));
    });
}

#[test]
fn a_runtime_without_time_is_refused_for_now() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Hooked::new(MemoryStore::new());
    let hooks = store.hooks.clone();
    let authenticator = Authenticator::new(store, AuthSettings::new().with_hasher(cheap())).unwrap();
    let unknown = tower_api_keys::key::KeyFormat::unbranded().generate(tower_api_keys::KeyKind::User).unwrap();
    hooks.fail("changes_since", Fault::Hang, 1);
    assert_eq!(runtime.block_on(check(&authenticator, &unknown)), Err(AuthErrorKind::StoreUnavailable));
}

#[tokio::test]
async fn recheck_notices_that_a_key_expired() {
    let clock = clock();
    let keys = keys(MemoryStore::new(), &clock).await;
    let request = IssueKey::user(user("alice")).expires_at(noon().saturating_add(Duration::from_secs(1)));
    let key = keys.manager().issue(request, &system()).await.unwrap().into_plaintext();
    let principal = keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys.authenticator().recheck(&principal).await.unwrap_err().kind(), AuthErrorKind::Expired);
}

#[tokio::test]
async fn a_use_is_counted_though_its_proof_was_pushed_out() {
    let store = Arc::new(MemoryStore::new());
    let builder = ApiKeys::builder(store.clone()).hasher(cheap()).clock(clock()).cache_capacity(1);
    let keys = builder.build().await.unwrap();
    let mut issued = Vec::new();
    for _ in 0..20 {
        issued.push(issue(&keys, user("alice")).await);
    }
    for key in issued.iter().chain(&issued) {
        assert_eq!(check(&keys.authenticator(), key).await, Ok(()));
    }
    keys.shutdown().await.unwrap();
    let query = KeyQuery::all(tower_api_keys::OrganizationId::single());
    let listed = store.list(&query, noon()).await.unwrap();
    assert!(listed.rows.iter().all(|key| key.usage.unwrap().successes == 2));
    assert_eq!(listed.rows.len(), 20);
}

#[tokio::test]
async fn a_batch_names_each_count_once() {
    let (store, clock) = (Hooked::new(MemoryStore::new()), clock());
    let hooks = store.hooks.clone();
    let builder = ApiKeys::builder(store).hasher(cheap()).clock(clock).cache_capacity(1);
    let keys = builder.build().await.unwrap();
    let mut issued = Vec::new();
    for _ in 0..5 {
        issued.push(issue(&keys, user("alice")).await);
    }
    for key in issued.iter().chain(&issued) {
        assert_eq!(check(&keys.authenticator(), key).await, Ok(()));
    }
    keys.flush_usage().await.unwrap();
    let batches = hooks.usage.lock().unwrap();
    let mut places: Vec<_> = batches[0].rows.iter().map(|row| (&row.key, &row.outcome, Source::from(row))).collect();
    let rows = places.len();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), rows);
}

#[tokio::test]
async fn a_flush_ends_though_requests_keep_coming() {
    let (keys, hooks, key) = node().await;
    let text: Arc<str> = key.expose_secret().into();
    // One more request is counted just before each batch is written.
    fn use_again(hooks: &Arc<Hooks>, keys: &ApiKeys<Hooked<Arc<MemoryStore>>>, text: &Arc<str>) {
        let (again, keys, text) = (hooks.clone(), keys.clone(), text.clone());
        hooks.before("record_usage", 0, move || {
            use futures_util::FutureExt;
            keys.authenticator().authenticate(&text).now_or_never().unwrap().unwrap();
            assert!(again.count("record_usage") < 10, "the flush does not end");
            use_again(&again, &keys, &text);
        });
    }
    use_again(&hooks, &keys, &text);
    keys.flush_usage().await.unwrap();
    // One call for the counts, and one for the counts by day.
    assert_eq!(hooks.count("record_usage"), 2);
}

#[tokio::test]
async fn a_log_that_is_where_it_was_or_far_ahead_lost_nothing() {
    let (keys, odd, key) = odd(Oddity::Resets).await;
    for _ in 0..3 {
        assert_eq!(check(&odd, &key).await, Ok(()));
    }
    assert!(odd.metrics().log_resets > 0);
    assert_eq!(odd.metrics().log_losses, 0);
    for _ in 0..500 {
        keys.manager().suspend(&user("bob").into(), Suspension::Plan, &system()).await.unwrap();
        keys.manager().reinstate(&user("bob").into(), Suspension::Plan, &system()).await.unwrap();
    }
    assert_eq!(check(&odd, &key).await, Ok(()));
    assert_eq!(odd.metrics().log_losses, 0);
    keys.manager().suspend(&user("bob").into(), Suspension::Plan, &system()).await.unwrap();
    assert_eq!(check(&odd, &key).await, Ok(()));
    assert_eq!(odd.metrics().log_losses, 1);
}

#[tokio::test]
async fn a_node_a_thousand_changes_behind_goes_on() {
    let store = Arc::new(MemoryStore::new());
    let (node, elsewhere) = (keys(store.clone(), &clock()).await, keys(store.clone(), &clock()).await);
    let key = issue(&node, user("alice")).await;
    assert_eq!(check(&node.authenticator(), &key).await, Ok(()));
    for _ in 0..500 {
        elsewhere.manager().suspend(&user("bob").into(), Suspension::Plan, &system()).await.unwrap();
        elsewhere.manager().reinstate(&user("bob").into(), Suspension::Plan, &system()).await.unwrap();
    }
    assert_eq!(check(&node.authenticator(), &key).await, Ok(()));
    assert_eq!(node.authenticator().metrics().log_resets, 0);
}

#[tokio::test]
async fn requests_within_the_delay_share_a_read() {
    let (keys, hooks, key) = coalescing(Duration::from_millis(100)).await;
    tokio::time::pause();
    let authenticator = keys.authenticator();
    let begun = tokio::time::Instant::now();
    let answers = join_all((0..10).map(|cursor| {
        let (authenticator, key) = (&authenticator, &key);
        async move {
            tokio::time::sleep(Duration::from_millis(cursor * 9)).await;
            check(authenticator, key).await
        }
    }));
    assert!(answers.await.iter().all(Result::is_ok));
    // Timers are a millisecond or two late.
    assert!((100..110).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(hooks.count("changes_since"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_store_is_pruned_though_nobody_asks_for_anything() {
    let store = Hooked::new(MemoryStore::new());
    let hooks = store.hooks.clone();
    let _keys = keys(store, &clock()).await;
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(hooks.count("prune"), 1);
}

async fn forgets_in_turns(store: impl Ledger) {
    store.append_events(&vec![EventRow { at: 1, ..EventRow::example() }; 10_001]).await.unwrap();
    let prune = Prune { events_before: Some(noon()), ..Prune::default() };
    for expected in [10_000, 1, 0] {
        assert_eq!(store.prune(&prune).await.unwrap().events, expected);
    }
}

#[tokio::test]
async fn no_call_forgets_more_than_ten_thousand_events() {
    forgets_in_turns(MemoryStore::new()).await;
    forgets_in_turns(SqliteStore::in_memory().await.unwrap()).await;
}
