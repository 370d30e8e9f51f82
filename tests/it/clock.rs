//! What a wrong clock does. It leaves nothing behind.

use std::{sync::Arc, time::Duration};

use tower_api_keys::{
    ApiKeys, Clock, ManualClock, Timestamp,
    auth::AuthErrorKind,
    key::PlaintextKey,
    manage::{
        CallVerdict, InvalidInput, InventoryQuery, IssueKey, KeyFlag, ManageErrorKind, RotateKey, RotationVerdict,
    },
    middleware::{Refusal, RefusalCode},
    store::{Ledger, MemoryStore},
};

use crate::support::{clock, keys, noon, secrets, system, team};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// How long a jump stays in doubt.
const DOUBT: Duration = Duration::from_secs(30);

struct Node<S> {
    keys: ApiKeys<S>,
    clock: Arc<ManualClock>,
}

impl<S: Ledger> Node<S> {
    async fn new(store: S, clock: &Arc<ManualClock>) -> Self {
        Self { keys: keys(store, clock).await, clock: clock.clone() }
    }

    async fn issue(&self, expires_in: Option<Duration>) -> PlaintextKey {
        let request = IssueKey::team(team("blue")).named("GitHub Actions - production");
        let request = expires_in.map_or(request.clone(), |after| request.expires_at(self.after(after)));
        let issued = self.keys.manager().issue(request, &system()).await.unwrap();
        secrets::remember(issued.plaintext().expose_secret());
        issued.into_plaintext()
    }

    async fn check(&self, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
        self.keys.authenticator().authenticate(key.expose_secret()).await.map(drop).map_err(|error| error.kind())
    }

    async fn explained(&self, key: &PlaintextKey) -> CallVerdict {
        self.keys.manager().explain(&key.id(), &system()).await.unwrap().verdict
    }

    async fn flags(&self, key: &PlaintextKey) -> Vec<KeyFlag> {
        let entries = self.keys.manager().inventory(InventoryQuery::all(), &system()).await.unwrap().entries;
        entries.into_iter().find(|entry| entry.key.id == key.id()).unwrap().flags
    }

    fn after(&self, duration: Duration) -> Timestamp {
        self.clock.now().saturating_add(duration)
    }

    /// Moves the wall clock by this number of days, while no time passes.
    fn jump(&self, days: i64) {
        let by = DAY * u32::try_from(days.abs()).unwrap();
        let wall = self.clock.reading();
        // During the doubt, the wall clock shows the other time.
        let shown = if days < 0 { wall.latest() } else { wall.now() };
        self.clock.set_wall_clock(if days < 0 { shown.saturating_sub(by) } else { shown.saturating_add(by) });
    }
}

#[tokio::test]
async fn one_wrong_look_at_the_clock_leaves_nothing_behind() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let (month, forever) = (node.issue(Some(DAY * 30)).await, node.issue(None).await);
    let year = node.issue(Some(DAY * 365)).await;
    for _ in 0..2 {
        assert_eq!(node.check(&month).await, Ok(()));
        node.jump(55);
        assert_eq!(node.check(&month).await, Err(AuthErrorKind::ClockUnsure));
        assert_eq!(node.explained(&month).await, CallVerdict::ClockUnsure);
        assert_eq!((node.check(&forever).await, node.check(&year).await), (Ok(()), Ok(())));
        let made = node.issue(None).await;
        node.jump(-55);

        assert_eq!(node.check(&month).await, Ok(()));
        assert_eq!(node.explained(&month).await, CallVerdict::Accepted);
        let found = node.keys.manager().find(&made.id(), &system()).await.unwrap();
        assert_eq!(found.created_at, node.clock.now());
        node.keys.flush_usage().await.unwrap();
        for key in [&month, &forever, &year] {
            assert_eq!(node.flags(key).await, []);
        }
        node.issue(Some(DAY)).await;
        node.clock.advance(HOUR);
    }
}

#[tokio::test]
async fn a_doubt_is_unavailable_with_a_time_to_ask_again() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let key = node.issue(Some(DAY)).await;
    let cold = node.issue(Some(DAY)).await;
    node.check(&key).await.unwrap();
    node.jump(2);
    for key in [&key, &cold] {
        let error = node.keys.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
        assert!(error.kind().is_temporary());
        let refusal = Refusal::from(&error);
        assert_eq!((refusal.code(), refusal.retry_after()), (RefusalCode::ClockUnsure, Some(DOUBT)));
        assert_eq!(refusal.code().status(), 503);
    }
}

#[tokio::test]
async fn a_stream_is_not_ended_by_a_clock_in_doubt() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let key = node.issue(Some(DAY)).await;
    let authenticator = node.keys.authenticator();
    let principal = authenticator.authenticate(key.expose_secret()).await.unwrap();
    node.jump(2);
    let error = authenticator.recheck(&principal).await.unwrap_err();
    assert_eq!(error.kind(), AuthErrorKind::ClockUnsure);
    authenticator.forget_proofs();
    assert_eq!(authenticator.recheck(&principal).await.unwrap_err().kind(), AuthErrorKind::ClockUnsure);
    node.jump(-2);
    authenticator.recheck(&principal).await.unwrap();
}

#[tokio::test]
async fn a_jump_that_lasts_is_believed_and_one_that_was_believed_can_be_taken_back() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let key = node.issue(Some(DAY * 30)).await;
    node.check(&key).await.unwrap();
    node.jump(55);
    assert_eq!(node.check(&key).await, Err(AuthErrorKind::ClockUnsure));
    node.clock.advance(DOUBT);
    assert_eq!(node.check(&key).await, Err(AuthErrorKind::Expired));
    let used_ahead = node.issue(None).await;
    node.check(&used_ahead).await.unwrap();
    node.jump(-55);
    assert_eq!(node.check(&key).await, Err(AuthErrorKind::ClockUnsure));
    node.clock.advance(DOUBT);
    assert_eq!(node.check(&key).await, Ok(()));
    // Counted while the clock was wrong, and written after it was right again.
    node.check(&used_ahead).await.unwrap();
    node.keys.flush_usage().await.unwrap();
    let usage = node.keys.manager().usage(&used_ahead.id(), 0, &system()).await.unwrap().detail;
    assert_eq!(usage.totals().last_success_at, Some(node.clock.now()));
}

#[tokio::test]
async fn a_service_that_starts_with_a_wrong_clock_follows_it_when_it_is_set_right() {
    let store = Arc::new(MemoryStore::new());
    let key = Node::new(store.clone(), &clock()).await.issue(Some(DAY * 30)).await;
    let ahead = Arc::new(ManualClock::at(noon().saturating_add(DAY * 55)));
    let node = Node::new(store, &ahead).await;
    assert_eq!(node.check(&key).await, Err(AuthErrorKind::Expired));
    ahead.set_wall_clock(noon());
    assert_eq!(node.check(&key).await, Err(AuthErrorKind::ClockUnsure));
    ahead.advance(DOUBT);
    assert_eq!(node.check(&key).await, Ok(()));
}

#[tokio::test]
async fn a_suspend_is_no_jump_and_an_expired_key_is_told_so_at_once() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let key = node.issue(Some(DAY)).await;
    node.check(&key).await.unwrap();
    node.clock.advance(DAY * 3);
    assert_eq!(node.check(&key).await, Err(AuthErrorKind::Expired));
}

#[tokio::test]
async fn nothing_is_decided_by_an_expiry_that_only_one_reading_calls_past() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let (manager, system) = (node.keys.manager(), system());
    let old = node.issue(Some(DAY * 30)).await;
    let new = manager.begin_rotation(RotateKey::of(old.id()), &system).await.unwrap();
    let (live, lives_on) = (node.issue(None).await, node.issue(Some(DAY * 30)).await);
    let soon = node.after(DAY);
    node.jump(55);
    let unsure = |kind| assert_eq!(kind, ManageErrorKind::ClockUnsure);
    let issue = IssueKey::team(team("blue")).expires_at(soon);
    let error = manager.issue(issue.clone(), &system).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(DOUBT));
    unsure(error.kind());
    unsure(manager.expire_at(&live.id(), soon, &system).await.unwrap_err().kind());
    unsure(manager.begin_rotation(RotateKey::of(lives_on.id()), &system).await.unwrap_err().kind());
    unsure(manager.finish_rotation(&new.info().id, &system).await.unwrap_err().kind());
    unsure(manager.abort_rotation(&new.info().id, &system).await.unwrap_err().kind());
    let request = RotateKey::of(live.id()).old_key_ends_at(soon);
    unsure(manager.begin_rotation(request, &system).await.unwrap_err().kind());
    // A time that both readings call past is past.
    let past = IssueKey::team(team("blue")).expires_at(noon());
    let error = manager.issue(past, &system).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::ExpiryPast));
    // A revocation does not wait for the clock.
    manager.revoke(&lives_on.id(), &system).await.unwrap();
    node.jump(-55);
    drop(manager.issue(issue, &system).await.unwrap());
    manager.finish_rotation_anyway(&new.info().id, &system).await.unwrap();
}

/// The wrong clock was believed and is then corrected: keys that expired meanwhile are valid again.
#[tokio::test]
async fn no_second_successor_is_made_where_only_one_reading_calls_the_first_one_expired() {
    let node = Node::new(MemoryStore::new(), &clock()).await;
    let (manager, system) = (node.keys.manager(), system());
    let old = node.issue(None).await;
    let rotate = || RotateKey::of(old.id());
    let first = rotate().expires_at(node.after(DAY * 30));
    secrets::remember(manager.begin_rotation(first, &system).await.unwrap().plaintext().expose_secret());
    node.jump(55);
    node.clock.advance(DOUBT);
    node.jump(-55);
    for request in [rotate(), rotate().idempotency_key("once")] {
        let error = manager.begin_rotation(request, &system).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::ClockUnsure);
    }
    node.clock.advance(DOUBT);
    let error = manager.begin_rotation(rotate(), &system).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::RotationUnderWay);
}

/// Two nodes on one store. The clock of the first is 55 days ahead.
async fn fleet() -> (Node<Arc<MemoryStore>>, Node<Arc<MemoryStore>>) {
    let store = Arc::new(MemoryStore::new());
    let ahead = Arc::new(ManualClock::at(noon().saturating_add(DAY * 55)));
    (Node::new(store.clone(), &ahead).await, Node::new(store, &clock()).await)
}

#[tokio::test]
async fn a_use_that_lies_in_the_future_is_no_evidence_and_a_flag() {
    let (wrong, right) = fleet().await;
    let key = right.issue(None).await;
    right.check(&key).await.unwrap();
    right.keys.flush_usage().await.unwrap();
    wrong.check(&key).await.unwrap();
    wrong.keys.flush_usage().await.unwrap();
    assert_eq!(right.flags(&key).await, [KeyFlag::WrongClock]);
    right.clock.advance(DAY * 50);
    let month = tower_api_keys::manage::FlagSettings::new().with_unused_after(DAY * 30);
    let query = InventoryQuery::all().flag_settings(month);
    let entries = right.keys.manager().inventory(query, &system()).await.unwrap().entries;
    assert_eq!(entries[0].flags, [KeyFlag::Unused, KeyFlag::WrongClock]);
}

#[tokio::test]
async fn no_verdict_waits_for_a_use_that_lies_in_the_future() {
    let (wrong, right) = fleet().await;
    let key = right.issue(None).await;
    wrong.check(&key).await.unwrap();
    wrong.keys.flush_usage().await.unwrap();
    let manager = right.keys.manager();
    let new = manager.begin_rotation(RotateKey::of(key.id()), &system()).await.unwrap();
    secrets::remember(new.plaintext().expose_secret());
    let verdict = async || manager.rotation(&new.info().id, &system()).await.unwrap().verdict;
    assert_eq!(verdict().await, RotationVerdict::NotStarted);
    right.clock.advance(HOUR);
    right.check(new.plaintext()).await.unwrap();
    right.keys.flush_usage().await.unwrap();
    assert_eq!(verdict().await, RotationVerdict::SafeToFinish);
}

#[tokio::test]
async fn a_use_on_the_node_that_is_ahead_is_no_move_of_a_source_that_was_seen_since() {
    let (wrong, right) = fleet().await;
    let key = right.issue(None).await;
    let manager = right.keys.manager();
    let new = manager.begin_rotation(RotateKey::of(key.id()), &system()).await.unwrap();
    secrets::remember(new.plaintext().expose_secret());
    wrong.check(new.plaintext()).await.unwrap();
    wrong.keys.flush_usage().await.unwrap();
    right.check(&key).await.unwrap();
    right.keys.flush_usage().await.unwrap();
    let status = manager.rotation(&new.info().id, &system()).await.unwrap();
    assert_eq!(status.verdict, RotationVerdict::StillUsedBy(1));
    right.clock.advance(HOUR * 2);
    let status = manager.rotation(&new.info().id, &system()).await.unwrap();
    assert!(matches!(status.verdict, RotationVerdict::QuietSince(_)), "{}", status.verdict);
}
