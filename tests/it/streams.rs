//! Streams wait for the end of their key. Time is paused, so that every wait is exact.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::{task::JoinHandle, time::Instant};
use tower_api_keys::{
    ApiKeys, Authenticator, Clock, ManualClock, OrganizationId, Principal, RefusalCode, Scopes,
    audit::EventRow,
    auth::{AuthErrorKind, AuthSettings, Freshness, StreamEnd},
    key::KeyId,
    manage::IssueKey,
    record::Suspension,
    store::{
        AuditedWrite, Change, ChangeId, Changes, FoundKey, Head, KeyReader, KeyStore, MemoryStore, OwnerChange,
        SqliteStore, StoreError, Write,
    },
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, secrets, system, team, user,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLIS: Duration = Duration::from_millis(1);
/// One tick, plus the time of one read in paused time.
const SOON: Duration = Duration::from_millis(30);

type Checks = Authenticator<Hooked<Arc<MemoryStore>>>;

/// A node that only checks, over a store whose head is not known at once, and a second node on the same store.
struct Node {
    keys: Checks,
    hooks: Arc<Hooks>,
    other: ApiKeys<Arc<MemoryStore>>,
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

async fn node(freshness: Freshness) -> Node {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    hooks.hides_head.store(true, Ordering::SeqCst);
    let mut settings = AuthSettings::new().with_hasher(cheap()).with_freshness(freshness);
    if freshness == Freshness::Strict {
        // Only for strict freshness: on a busy machine, a stopped clock would look like a jump to a lease.
        settings = settings.with_clock(clock.clone());
    }
    let other = self::keys(store.clone(), &clock).await;
    Node { keys: Authenticator::new(hooked, settings).unwrap(), hooks, other, clock, store }
}

impl Node {
    async fn caller(&self, request: IssueKey) -> Principal {
        let issued = self.other.manager().issue(request, &system()).await.unwrap();
        secrets::remember(issued.plaintext().expose_secret());
        self.keys.authenticate(issued.plaintext().expose_secret()).await.unwrap()
    }

    /// Keys of one user. Afterwards, time moves only while the test waits.
    async fn callers<const N: usize>(&self) -> [Principal; N] {
        let all = join_all((0..N).map(|_| self.caller(IssueKey::user(user("alice"))))).await;
        tokio::time::pause();
        all.try_into().unwrap()
    }
}

/// `count` streams of this caller, each with the time at which it ended.
fn streams<R: KeyReader>(
    of: &Authenticator<R>,
    caller: &Principal,
    count: usize,
) -> Vec<JoinHandle<(StreamEnd, Instant)>> {
    let stream = |_| {
        let end = of.until_refused(caller);
        tokio::spawn(async move { (end.await, Instant::now()) })
    };
    (0..count).map(stream).collect()
}

async fn ended(streams: Vec<JoinHandle<(StreamEnd, Instant)>>) -> Vec<(StreamEnd, Instant)> {
    join_all(streams).await.into_iter().map(Result::unwrap).collect()
}

fn refused(end: &StreamEnd) -> Option<AuthErrorKind> {
    match end {
        StreamEnd::Refused(error) => Some(error.kind()),
        _ => None,
    }
}

fn unsure(end: &StreamEnd) -> Option<AuthErrorKind> {
    match end {
        StreamEnd::Unsure(error) => Some(error.kind()),
        _ => None,
    }
}

#[tokio::test]
async fn a_thousand_streams_share_one_read_of_the_log_and_those_of_a_revoked_key_all_end_within_50_ms() {
    let node = node(Freshness::Strict).await;
    let [revoked, good] = node.callers().await;
    let authenticator = node.keys.clone();
    let (of_revoked, of_good) = (streams(&authenticator, &revoked, 500), streams(&authenticator, &good, 500));
    tokio::time::sleep(SECOND / 10).await;
    node.hooks.reset();
    tokio::time::sleep(SECOND * 10).await;
    let calls = node.hooks.calls();
    assert!(calls.iter().all(|call| *call == "changes_since"), "{calls:?}");
    // Ten seconds of reads every 25 ms, with a pause of a millisecond between two of them.
    assert!((380..=400).contains(&calls.len()), "{} reads in ten seconds", calls.len());
    node.hooks.reset();
    let begun = Instant::now();
    node.other.manager().revoke(revoked.key_id(), &system()).await.unwrap();
    for (end, at) in ended(of_revoked).await {
        assert_eq!((refused(&end), end.code()), (Some(AuthErrorKind::Revoked), RefusalCode::KeyRevoked));
        assert!(!end.is_temporary() && at - begun <= SOON, "{:?}", at - begun);
    }
    // A key is looked up only once for all its streams.
    assert!(node.hooks.count("find") == 1 && node.hooks.count("changes_since") <= 3, "{:?}", node.hooks.calls());
    tokio::time::sleep(SECOND).await;
    assert!(of_good.iter().all(|stream| !stream.is_finished()));
    assert_eq!(node.hooks.count("find"), 1, "the other key did not change");
    assert_eq!(node.keys.metrics().proof_hits, 0, "a stream is no check");
}

#[tokio::test]
async fn a_store_that_knows_its_head_is_not_read_while_nothing_changes() {
    let node = node(Freshness::Strict).await;
    let [one] = node.callers().await;
    node.hooks.hides_head.store(false, Ordering::SeqCst);
    let streams = streams(&node.keys, &one, 100);
    tokio::time::sleep(SECOND).await;
    node.hooks.reset();
    tokio::time::sleep(SECOND * 60).await;
    assert!(node.hooks.calls().is_empty(), "{:?}", node.hooks.calls());
    let begun = Instant::now();
    node.other.manager().revoke(one.key_id(), &system()).await.unwrap();
    assert!(ended(streams).await.iter().all(|(end, at)| refused(end).is_some() && *at - begun <= SOON));
    assert_eq!(node.hooks.calls(), ["changes_since", "find"]);
    node.hooks.reset();
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(node.hooks.calls(), [""; 0], "nobody waits");
}

#[tokio::test]
async fn nothing_is_counted_as_use() {
    let keys = keys(MemoryStore::new(), &clock()).await;
    let key = issue(&keys, user("alice")).await;
    let one = keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    let used = async || {
        keys.flush_usage().await.unwrap();
        keys.manager().usage(one.key_id(), 0, &system()).await.unwrap().totals
    };
    let before = used().await;
    let streams = streams(&keys.authenticator(), &one, 10);
    keys.manager().revoke(one.key_id(), &system()).await.unwrap();
    assert_eq!(ended(streams).await.len(), 10);
    assert_eq!(used().await, before);
}

#[tokio::test]
async fn what_changed_before_the_wait_is_told_at_once_whatever_is_remembered() {
    for forgets in [false, true] {
        let node = node(Freshness::Strict).await;
        let scopes: Scopes = "reports:read reports:write".parse().unwrap();
        let narrowed = node.caller(IssueKey::team(team("blue")).scopes(scopes)).await;
        let ends = node.clock.now().saturating_add(SECOND * 3_600);
        let expired = node.caller(IssueKey::team(team("blue")).expires_at(ends)).await;
        let gone = Principal::fake().build();
        let [revoked, suspended] = node.callers().await;
        let (manager, system) = (node.other.manager(), system());
        manager.revoke(revoked.key_id(), &system).await.unwrap();
        manager.suspend(&user("alice").into(), Suspension::Admin, &system).await.unwrap();
        let fewer: Scopes = "reports:read".parse().unwrap();
        manager.narrow_scopes(narrowed.key_id(), fewer.clone(), &system).await.unwrap();
        node.clock.advance(SECOND * 3_600);
        if forgets {
            node.keys.forget_proofs();
        }
        let begun = Instant::now();
        let end = async |caller: &Principal| node.keys.until_refused(caller).await;
        assert_eq!(refused(&end(&revoked).await), Some(AuthErrorKind::Revoked));
        assert_eq!(refused(&end(&suspended).await), Some(AuthErrorKind::OwnerSuspended));
        assert_eq!(refused(&end(&expired).await), Some(AuthErrorKind::Expired));
        assert_eq!(refused(&end(&gone).await), Some(AuthErrorKind::Invalid));
        let StreamEnd::Narrowed(now) = end(&narrowed).await else { panic!("it may do less") };
        assert_eq!((now.scopes(), now.key_id()), (&fewer, narrowed.key_id()));
        assert!(begun.elapsed() <= SOON * 5, "{:?}", begun.elapsed());
        // With its new scopes, the stream continues.
        assert!(tokio::time::timeout(SECOND, node.keys.until_refused(&now)).await.is_err());
        tokio::time::resume();
    }
}

#[tokio::test]
async fn fewer_scopes_end_a_stream_and_a_new_name_does_not() {
    let node = node(Freshness::Strict).await;
    let two: Scopes = "reports:read reports:write".parse().unwrap();
    let key = node.caller(IssueKey::team(team("blue")).scopes(two)).await;
    tokio::time::pause();
    let id = key.key_id();
    let mut end = Box::pin(node.keys.until_refused(&key));
    let mut waits = async || tokio::time::timeout(SECOND, &mut end).await.ok();
    node.other.manager().rename(id, "nightly", &system()).await.unwrap();
    assert!(waits().await.is_none());
    let one: Scopes = "reports:write".parse().unwrap();
    node.other.manager().narrow_scopes(id, one.clone(), &system()).await.unwrap();
    let end = waits().await.unwrap();
    assert_eq!(
        (end.code(), end.to_string().as_str()),
        (RefusalCode::InsufficientScope, "the key may do less than when the stream began")
    );
    let StreamEnd::Narrowed(now) = end else { panic!("{end:?}") };
    assert_eq!((now.scopes(), now.key_name()), (&one, "nightly"));
}

#[tokio::test]
async fn an_expiry_that_is_set_or_comes_is_noticed_within_25_ms() {
    let node = node(Freshness::Strict).await;
    let [one, two] = node.callers().await;
    let [of_one, of_two] = [&one, &two].map(|caller| streams(&node.keys, caller, 10));
    tokio::time::sleep(SECOND).await;
    let [soon, later] = [60, 120].map(|seconds| node.clock.now().saturating_add(SECOND * seconds));
    node.other.manager().expire_at(one.key_id(), soon, &system()).await.unwrap();
    node.other.manager().expire_at(two.key_id(), later, &system()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    for (streams, seconds) in [(of_one, 60), (of_two, 60)] {
        assert!(streams.iter().all(|stream| !stream.is_finished()), "{seconds}");
        node.clock.advance(SECOND * seconds);
        let begun = Instant::now();
        for (end, at) in ended(streams).await {
            assert_eq!(refused(&end), Some(AuthErrorKind::Expired));
            assert!(at - begun <= SOON, "{:?}", at - begun);
        }
    }
}

#[tokio::test]
async fn a_store_that_is_silent_for_as_long_as_a_request_waits_leaves_streams_unsure_and_not_before() {
    for fault in [Fault::Error, Fault::Hang, Fault::Panic] {
        let node = node(Freshness::Strict).await;
        let [one] = node.callers().await;
        let authenticator = node.keys.clone();
        let all = streams(&authenticator, &one, 100);
        tokio::time::sleep(SECOND).await;
        let fails = |lasting| {
            node.hooks.fail("changes_since", fault, usize::MAX);
            let hooks = node.hooks.clone();
            tokio::spawn(async move {
                tokio::time::sleep(lasting).await;
                hooks.heal();
            })
        };
        // A failure shorter than the answer timeout ends no stream.
        fails(SECOND * 6 / 10).await.unwrap();
        tokio::time::sleep(SECOND * 2).await;
        assert!(all.iter().all(|stream| !stream.is_finished()), "{fault:?}");
        let begun = Instant::now();
        let lasting = fails(SECOND * 10);
        for (end, at) in ended(all).await {
            assert_eq!(unsure(&end), Some(AuthErrorKind::StoreUnavailable), "{fault:?}");
            assert_eq!((end.code(), end.is_temporary()), (RefusalCode::StoreUnavailable, true));
            let late = at - begun;
            assert!((SECOND * 9 / 10..=SECOND * 13 / 10).contains(&late), "{fault:?} {late:?}");
        }
        // A stream that waits again ends in the same way after the same time, until the store answers again.
        let begun = Instant::now();
        let end = authenticator.until_refused(&one).await;
        assert!(unsure(&end).is_some() && begun.elapsed() >= SECOND, "{end:?} {:?}", begun.elapsed());
        lasting.await.unwrap();
        assert!(tokio::time::timeout(SECOND * 10, authenticator.until_refused(&one)).await.is_err(), "{fault:?}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_key_that_changed_and_cannot_be_looked_up_leaves_its_own_streams_unsure() {
    for (fault, kind) in
        [(Fault::Corrupt, AuthErrorKind::CorruptRecord), (Fault::Error, AuthErrorKind::StoreUnavailable)]
    {
        let node = node(Freshness::Strict).await;
        let [one, two] = node.callers().await;
        let [of_one, of_two] = [&one, &two].map(|caller| streams(&node.keys, caller, 10));
        tokio::time::sleep(SECOND).await;
        node.hooks.fail("find", fault, usize::MAX);
        let begun = Instant::now();
        node.other.manager().revoke(one.key_id(), &system()).await.unwrap();
        for (end, at) in ended(of_one).await {
            assert_eq!(unsure(&end), Some(kind), "{end:?}");
            let late = at - begun;
            assert!((SECOND..=SECOND * 12 / 10).contains(&late), "{late:?}");
        }
        assert!(of_two.iter().all(|stream| !stream.is_finished()));
        // With an answer in time, the stream gets the real end.
        node.hooks.heal();
        tokio::time::sleep(SECOND).await;
        assert_eq!(refused(&node.keys.until_refused(&one).await), Some(AuthErrorKind::Revoked));
        node.hooks.fail("find", fault, 3);
        node.other.manager().revoke(two.key_id(), &system()).await.unwrap();
        for (end, _) in ended(of_two).await {
            assert_eq!(refused(&end), Some(AuthErrorKind::Revoked), "{end:?}");
        }
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_clock_that_jumped_leaves_those_unsure_whose_end_depends_on_it() {
    let node = node(Freshness::Strict).await;
    let tomorrow = node.clock.now().saturating_add(SECOND * 86_400);
    let ends = node.caller(IssueKey::user(user("alice")).expires_at(tomorrow)).await;
    let [endless] = node.callers().await;
    let [of_ends, of_endless] = [&ends, &endless].map(|caller| streams(&node.keys, caller, 10));
    tokio::time::sleep(SECOND).await;
    let now = node.clock.now();
    node.clock.set_wall_clock(tomorrow);
    tokio::time::sleep(SECOND / 2).await;
    node.clock.set_wall_clock(now);
    tokio::time::sleep(SECOND * 2).await;
    assert!(of_ends.iter().all(|stream| !stream.is_finished()), "it was taken back");
    node.clock.set_wall_clock(tomorrow);
    assert!(ended(of_ends).await.iter().all(|(end, _)| unsure(end) == Some(AuthErrorKind::ClockUnsure)));
    assert!(of_endless.iter().all(|stream| !stream.is_finished()));
}

#[tokio::test]
async fn a_log_that_is_reset_has_each_key_looked_up_once() {
    let node = node(Freshness::Strict).await;
    let [dead, good, better] = node.callers().await;
    let authenticator = node.keys.clone();
    let of_dead = streams(&authenticator, &dead, 10);
    let of_good = [&good, &better].map(|caller| streams(&authenticator, caller, 10));
    tokio::time::sleep(SECOND).await;
    node.hooks.fail("changes_since", Fault::Hang, 1);
    tokio::time::sleep(SECOND / 10).await;
    node.hooks.reset();
    // More changes than the log keeps.
    node.other.manager().revoke(dead.key_id(), &system()).await.unwrap();
    for _ in 0..600 {
        let (manager, owner) = (node.other.manager(), user("bob").into());
        manager.suspend(&owner, Suspension::Admin, &system()).await.unwrap();
        manager.reinstate(&owner, Suspension::Admin, &system()).await.unwrap();
    }
    assert!(ended(of_dead).await.iter().all(|(end, _)| refused(end) == Some(AuthErrorKind::Revoked)));
    tokio::time::sleep(SECOND).await;
    assert!(authenticator.metrics().log_resets == 1 && node.hooks.count("find") == 3, "{}", node.hooks.count("find"));
    assert!(of_good.iter().flatten().all(|stream| !stream.is_finished()));
}

#[tokio::test]
async fn under_a_bound_streams_read_nothing_and_hear_what_requests_hear() {
    let bound = SECOND * 600;
    let node = node(Freshness::Bounded(bound)).await;
    let [one, two] = node.callers().await;
    let [of_one, of_two] = [&one, &two].map(|caller| streams(&node.keys, caller, 100));
    tokio::time::sleep(SECOND).await;
    node.hooks.reset();
    tokio::time::sleep(bound / 8).await;
    assert_eq!(node.hooks.calls(), [""; 0]);
    // A change by another node is noticed at the next read of the log, four of which happen within the bound.
    let begun = Instant::now();
    node.other.manager().revoke(one.key_id(), &system()).await.unwrap();
    assert!(ended(of_one).await.iter().all(|(end, at)| refused(end).is_some() && *at - begun <= bound / 4));
    assert_eq!(node.hooks.calls(), ["changes_since", "find"]);
    assert!(of_two.iter().all(|stream| !stream.is_finished()));
}

#[tokio::test]
async fn under_a_bound_a_change_by_the_same_node_is_heard_within_25_ms() {
    // The system clock. On a busy machine, a stopped clock would look like a jump to a lease.
    let builder = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).freshness(Freshness::Bounded(SECOND * 600));
    let keys = builder.build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    let one = keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    tokio::time::pause();
    let streams = streams(&keys.authenticator(), &one, 100);
    tokio::time::sleep(SECOND).await;
    let begun = Instant::now();
    keys.manager().revoke(one.key_id(), &system()).await.unwrap();
    assert!(ended(streams).await.iter().all(|(end, at)| refused(end).is_some() && *at - begun <= SOON));
}

/// A store without a change log.
struct NoLog(Arc<MemoryStore>);

impl KeyReader for NoLog {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.0.find(id).await
    }

    async fn changes_since(&self, _: Option<Head>) -> Result<Changes, StoreError> {
        Ok(Changes::Untracked)
    }
}

#[tokio::test]
async fn without_a_change_log_each_key_is_looked_up_once_a_second() {
    let store = Arc::new(MemoryStore::new());
    let issuing = keys(store.clone(), &clock()).await;
    let (one, two) = (issue(&issuing, user("alice")).await, issue(&issuing, user("alice")).await);
    let hooked = Hooked::new(NoLog(store));
    let hooks = hooked.hooks.clone();
    let authenticator = Authenticator::new(hooked, AuthSettings::new().with_hasher(cheap())).unwrap();
    let one = authenticator.authenticate(one.expose_secret()).await.unwrap();
    let two = authenticator.authenticate(two.expose_secret()).await.unwrap();
    tokio::time::pause();
    let [of_one, of_two] = [&one, &two].map(|caller| streams(&authenticator, caller, 100));
    tokio::time::sleep(SECOND / 10).await;
    hooks.reset();
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!((hooks.count("find"), hooks.count("changes_since")), (20, 10));
    let begun = Instant::now();
    issuing.manager().revoke(one.key_id(), &system()).await.unwrap();
    assert!(ended(of_one).await.iter().all(|(end, at)| refused(end).is_some() && *at - begun <= SECOND * 11 / 10));
    assert!(of_two.iter().all(|stream| !stream.is_finished()));
}

/// One step while streams wait.
#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Close(usize),
    Expire(usize, u64),
    Forget,
    Leave(usize),
    Narrow(usize, usize),
    Open(usize),
    Reinstate(usize),
    Revoke(usize),
    Suspend(usize),
    SuspendAll,
    ReinstateAll,
}

const OWNERS: [&str; 2] = ["alice", "bob"];
const SCOPES: [&str; 3] = ["a b", "a", "b"];
const KEYS: usize = 6;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1..100_u64).prop_map(Step::Advance),
        1 => (0..2_usize).prop_map(Step::Close),
        2 => (0..KEYS, 1..100_u64).prop_map(|(key, after)| Step::Expire(key, after)),
        1 => Just(Step::Forget),
        2 => (0..100_usize).prop_map(Step::Leave),
        2 => (0..KEYS, 0..3_usize).prop_map(|(key, scopes)| Step::Narrow(key, scopes)),
        8 => (0..KEYS).prop_map(Step::Open),
        3 => (0..2_usize).prop_map(Step::Reinstate),
        1 => (0..KEYS).prop_map(Step::Revoke),
        3 => (0..2_usize).prop_map(Step::Suspend),
        1 => Just(Step::SuspendAll),
        1 => Just(Step::ReinstateAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 400 }))]

    /// The model is `recheck`, which is called after each step for each stream.
    #[test]
    fn a_stream_waits_exactly_as_long_as_a_request_with_its_key_would_be_accepted_and_may_do_as_much(
        steps in prop::collection::vec(step(), 1..40),
        hides_head in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(follow(steps, hides_head));
    }
}

async fn follow(steps: Vec<Step>, hides_head: bool) {
    let node = node(Freshness::Strict).await;
    let mut number = 0;
    let mut all = async |change| {
        number += 1;
        let write = Write::Organization(OrganizationId::single(), change);
        let writes = vec![AuditedWrite { write, event: EventRow::example() }];
        let (id, at) = (ChangeId::from_bytes([number; 16]), node.clock.now());
        node.store.apply(&Change { id, at, writes, guards: Vec::new(), idempotency: None }).await.unwrap();
    };
    node.hooks.hides_head.store(hides_head, Ordering::SeqCst);
    let request = |number: usize| IssueKey::user(user(OWNERS[number % 2])).scopes(SCOPES[number % 3].parse().unwrap());
    let callers = join_all((0..KEYS).map(|number| node.caller(request(number)))).await;
    tokio::time::pause();
    let (manager, system, authenticator) = (node.other.manager(), system(), &node.keys);
    let mut open: Vec<(Principal, JoinHandle<StreamEnd>)> = Vec::new();
    for step in steps {
        // A refused call changes nothing.
        match &step {
            Step::Advance(seconds) => node.clock.advance(SECOND * u32::try_from(*seconds).unwrap()),
            Step::Close(owner) => drop(manager.close(&user(OWNERS[*owner]).into(), &system).await),
            Step::Expire(key, after) => {
                let at = node.clock.now().saturating_add(Duration::from_secs(*after));
                drop(manager.expire_at(callers[*key].key_id(), at, &system).await);
            }
            Step::Forget => authenticator.forget_proofs(),
            Step::Leave(number) if !open.is_empty() => {
                let (_, stream) = open.swap_remove(number % open.len());
                stream.abort();
            }
            Step::Leave(_) => {}
            Step::Narrow(key, scopes) => {
                let scopes: Scopes = SCOPES[*scopes].parse().unwrap();
                drop(manager.narrow_scopes(callers[*key].key_id(), scopes, &system).await);
            }
            Step::Open(key) => {
                let caller = callers[*key].clone();
                let stream = tokio::spawn(authenticator.until_refused(&caller));
                open.push((caller, stream));
            }
            Step::Reinstate(owner) => {
                drop(manager.reinstate(&user(OWNERS[*owner]).into(), Suspension::Admin, &system).await);
            }
            Step::Revoke(key) => drop(manager.revoke(callers[*key].key_id(), &system).await),
            Step::Suspend(owner) => {
                drop(manager.suspend(&user(OWNERS[*owner]).into(), Suspension::Admin, &system).await);
            }
            Step::SuspendAll => all(OwnerChange::Suspend(Suspension::Plan)).await,
            Step::ReinstateAll => all(OwnerChange::Reinstate(Suspension::Plan)).await,
        }
        tokio::time::sleep(SOON).await;
        let mut left = Vec::new();
        for (caller, stream) in open {
            let now = authenticator.recheck(&caller).await.map_err(|error| error.kind());
            let goes_on = now.as_ref().is_ok_and(|now| caller.scopes().is_within(now.scopes()));
            assert_eq!(stream.is_finished(), !goes_on, "{step:?}: {caller:?} {now:?}");
            if goes_on {
                left.push((caller, stream));
                continue;
            }
            match (stream.await.unwrap(), now) {
                (StreamEnd::Refused(error), Err(kind)) => assert_eq!(error.kind(), kind),
                (StreamEnd::Narrowed(told), Ok(now)) => assert_eq!(told.scopes(), now.scopes()),
                (end, now) => panic!("{step:?}: {end:?} {now:?}"),
            }
        }
        open = left;
        tokio::time::sleep(MILLIS).await;
    }
}

/// Two nodes that share a file, in real time.
#[tokio::test]
async fn a_stream_over_a_file_ends_when_another_process_would_change_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let open = async || keys(SqliteStore::open(&path).await.unwrap(), &clock()).await;
    let (ours, other) = (open().await, open().await);
    let key = issue(&ours, user("alice")).await;
    let caller = ours.authenticator().authenticate(key.expose_secret()).await.unwrap();
    let before = ours.authenticator().metrics().freshness_reads;
    let streams = streams(&ours.authenticator(), &caller, 1_000);
    tokio::time::sleep(SECOND / 5).await;
    assert_eq!(ours.authenticator().metrics().freshness_reads, before, "the head is known without a read");
    other.manager().revoke(&key.id(), &system()).await.unwrap();
    let ends = tokio::time::timeout(SECOND * 60, ended(streams)).await.unwrap();
    assert!(ends.iter().all(|(end, _)| refused(end) == Some(AuthErrorKind::Revoked)));
}
