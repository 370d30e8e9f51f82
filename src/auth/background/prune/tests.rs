use super::{super::witness::MOST_CLOCKS, *};
use crate::{
    audit::EventRow,
    owner::OrganizationId,
    record::KeyRow,
    store::{
        EventQuery, MemoryStore, UsageScope,
        transfer::{Batch, PortableStore},
    },
    time::{ManualClock, Timestamp},
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// How many events are left of one event and one access log line: events first, then lines.
async fn left(keep: Keep) -> [usize; 2] {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(ManualClock::at(Timestamp::MIN)));
    let event = EventRow { organization: OrganizationId::single().to_string(), at: 1_000, ..EventRow::example() };
    let line = EventRow { action: "attempt.accepted".to_owned(), ..event.clone() };
    store.append_events(&[event, line]).await.unwrap();
    clock.advance(Duration::from_secs(3_602));
    let pruner = Arc::new(Pruner::new(Calls::new(Arc::clone(&store), Duration::from_secs(5)), clock, keep));
    pruner.start();
    tokio::time::sleep(LATEST_START + INTERVAL).await;
    let all = EventQuery::all(OrganizationId::single());
    let lines = store.events(&EventQuery { attempts: true, ..all.clone() }).await.unwrap().rows.len();
    [store.events(&all).await.unwrap().rows.len(), lines]
}

#[tokio::test(start_paused = true)]
async fn events_older_than_asked_for_are_forgotten_and_lines_of_attempts_with_them() {
    assert_eq!(left(Keep { events: Some(HOUR), attempts: None, ..Keep::default() }).await, [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn events_are_kept_forever_unless_asked() {
    assert_eq!(left(Keep::default()).await, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn lines_of_attempts_go_sooner_than_other_events_if_asked() {
    assert_eq!(left(Keep { events: None, attempts: Some(HOUR), ..Keep::default() }).await, [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn lines_of_attempts_stay_longer_than_other_events_if_asked() {
    assert_eq!(left(Keep { events: Some(HOUR), attempts: Some(HOUR * 24), ..Keep::default() }).await, [0, 1]);
}

const DAY: Duration = Duration::from_secs(86_400);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A node with its own clock, and a store that it may share.
struct Node {
    clock: Arc<ManualClock>,
    pruner: Pruner<MemoryStore>,
}

impl Node {
    fn new(store: &Arc<MemoryStore>, now: Timestamp, keep: Duration) -> Self {
        let clock = Arc::new(ManualClock::at(now));
        Self { pruner: Self::pruner(store, &clock, keep), clock }
    }

    fn pruner(store: &Arc<MemoryStore>, clock: &Arc<ManualClock>, keep: Duration) -> Pruner<MemoryStore> {
        let keep = Keep { events: Some(keep), attempts: None, ..Keep::default() };
        Pruner::new(Calls::new(Arc::clone(store), Duration::from_secs(5)), Arc::clone(clock) as _, keep)
    }

    /// Runs all turns of an hour.
    async fn turn(&self) {
        while self.pruner.prune().await {}
    }

    async fn hours(&self, hours: u32) {
        for _ in 0..hours {
            self.clock.advance(HOUR);
            self.turn().await;
        }
    }
}

async fn append(store: &MemoryStore, at: Timestamp, count: usize) {
    let organization = OrganizationId::single().to_string();
    let event = EventRow { organization, at: at.as_millis(), ..EventRow::example() };
    store.append_events(&vec![event; count]).await.unwrap();
}

async fn events(store: &MemoryStore) -> u64 {
    store.trail(false, Timestamp::MIN).await.unwrap().events
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_one_turn_goes_in_many() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    let node = Node::new(&store, now, DAY);
    node.turn().await;
    append(&store, now, 25_000).await;
    node.hours(24).await;
    assert_eq!(events(&store).await, 25_000);
    node.hours(1).await;
    assert_eq!(events(&store).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_trail_that_was_kept_goes_by_a_tenth_a_day_when_it_no_longer_is_to_be() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    append(&store, now.saturating_sub(DAY * 200), 900).await;
    append(&store, now, 100).await;
    let node = Node::new(&store, now, DAY * 90);
    node.turn().await;
    assert_eq!(events(&store).await, 900);
    node.hours(23).await;
    assert_eq!(events(&store).await, 900);
    let again = Node { pruner: Node::pruner(&store, &node.clock, DAY * 90), clock: Arc::clone(&node.clock) };
    again.turn().await;
    assert_eq!(events(&store).await, 900, "a restart gives no other tenth");
    again.hours(1).await;
    assert_eq!(events(&store).await, 810);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_time_to_keep_deletes_no_more_than_a_tenth_a_day() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    append(&store, now.saturating_sub(DAY * 50), 990).await;
    append(&store, now, 10).await;
    let node = Node::new(&store, now, DAY * 90);
    node.turn().await;
    let shorter = Node { pruner: Node::pruner(&store, &node.clock, DAY * 2), clock: Arc::clone(&node.clock) };
    shorter.hours(20).await;
    assert_eq!(events(&store).await, 900);
    shorter.hours(24).await;
    assert_eq!(events(&store).await, 810);
}

#[tokio::test(start_paused = true)]
async fn a_clock_moved_ahead_and_back_deletes_nothing() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    append(&store, now, 20).await;
    for lasts in [0_u32, 1, 20, 31, 3_600, 86_000] {
        let node = Node::new(&store, now, DAY * 90);
        node.turn().await;
        node.clock.set_wall_clock(now.saturating_add(DAY * 200));
        node.turn().await;
        node.clock.advance(Duration::from_secs(lasts.into()));
        node.turn().await;
        node.clock.set_wall_clock(now.saturating_add(Duration::from_secs(lasts.into())));
        node.turn().await;
        node.clock.advance(Duration::from_secs(240));
        node.turn().await;
        node.hours(3).await;
        assert_eq!(events(&store).await, 20, "{lasts} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_with_its_clock_ahead_deletes_nothing_however_long_it_runs() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    append(&store, now, 20).await;
    let node = Node::new(&store, now.saturating_add(DAY * 200), DAY * 90);
    node.hours(100).await;
    assert_eq!(events(&store).await, 20);
    // Also not after a restart of the service or of the machine.
    let pruner = Node::pruner(&store, &node.clock, DAY * 90);
    pruner.prune().await;
    for _ in 0..3 {
        Node::new(&store, node.clock.now(), DAY * 90).hours(30).await;
    }
    assert_eq!(events(&store).await, 20);
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_neither_deletes_while_one_is_ahead() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    append(&store, now.saturating_sub(DAY * 100), 100).await;
    append(&store, now, 900).await;
    let right = Node::new(&store, now, DAY * 99);
    let wrong = Node::new(&store, now.saturating_add(DAY * 200), DAY * 99);
    right.turn().await;
    assert_eq!(events(&store).await, 900, "alone as yet");
    for _ in 0..50 {
        wrong.hours(1).await;
        // The wrong node acts at its own time.
        append(&store, wrong.clock.now(), 1).await;
        right.hours(1).await;
    }
    assert_eq!(events(&store).await, 950);
    wrong.clock.set_wall_clock(right.clock.now());
    wrong.clock.advance(Duration::from_secs(30));
    append(&store, right.clock.now().saturating_sub(DAY * 100), 10).await;
    wrong.turn().await;
    assert_eq!(events(&store).await, 950, "both agree");
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_no_evidence_go_though_the_clock_is_in_doubt() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    let node = Node::new(&store, now, DAY);
    let organization = OrganizationId::single();
    let owner = crate::owner::OwnerRef { organization, owner: crate::owner::Owner::User(1_u32.into()) };
    let suspension = crate::store::OwnerChange::Suspend(crate::record::Suspension::Plan);
    let writes = vec![crate::store::AuditedWrite {
        write: crate::store::Write::Owner(owner, suspension),
        event: EventRow::example(),
    }];
    let id = crate::store::ChangeId::from_bytes([1; 16]);
    let change = crate::store::Change { id, at: now, idempotency: None, guards: Vec::new(), writes };
    store.apply(&change).await.unwrap();
    node.clock.advance(RESULTS + HOUR);
    node.clock.set_wall_clock(now.saturating_add(DAY * 200));
    assert!(!node.clock.reading().is_certain());
    assert!(node.pruner.prune().await, "a result was forgotten");
    assert_eq!(events(&store).await, 1);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_owner() {
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::at(Timestamp::MIN));
    let pruner = Arc::new(Pruner::new(Calls::new(Arc::clone(&store), Duration::from_secs(5)), clock, Keep::default()));
    pruner.start();
    drop(pruner);
    tokio::time::sleep(LATEST_START + INTERVAL).await;
    assert_eq!(Arc::strong_count(&store), 1);
}

#[test]
fn an_access_log_stays_for_a_month_unless_something_shorter_or_else_is_set() {
    const DAY: Duration = Duration::from_secs(86_400);
    let kept = |events: Option<u32>, attempts: Option<u32>| {
        let keep = Keep {
            events: events.map(|days| DAY * days),
            attempts: attempts.map(|days| DAY * days),
            ..Keep::default()
        };
        keep.with_access_log().attempts
    };
    assert_eq!(kept(None, None), Some(DAY * 30));
    assert_eq!(kept(Some(7), None), Some(DAY * 7));
    assert_eq!(kept(Some(365), None), Some(DAY * 30));
    assert_eq!(kept(Some(7), Some(90)), Some(DAY * 90));
}

#[tokio::test(start_paused = true)]
async fn counts_of_keys_that_are_gone_are_forgotten_without_being_asked_for() {
    let store = Arc::new(MemoryStore::new());
    let row = |key: Option<&str>, organization: Option<&str>| UsageRow {
        key: key.map(str::to_owned),
        organization: organization.map(str::to_owned),
        outcome: "success".into(),
        label: String::new(),
        client: "curl".into(),
        network: String::new(),
        count: 1,
        first_at: 1,
        last_at: 1,
    };
    let rows = vec![row(Some("BBBBBBBBBBBBBBBBBBBB"), None), row(None, None), row(None, Some("acme"))];
    store.record_usage(&UsageBatch { writer: [1; 16], sequence: 1, rows, days: Vec::new() }).await.unwrap();
    let pruner = Arc::new(Pruner::new(
        Calls::new(Arc::clone(&store), Duration::from_secs(5)),
        Arc::new(ManualClock::at(Timestamp::MIN)),
        Keep::default(),
    ));
    pruner.start();
    tokio::time::sleep(LATEST_START + INTERVAL).await;
    let gone = UsageScope::Keys(vec![KeyId::new("BBBBBBBBBBBBBBBBBBBB").unwrap()]);
    assert!(store.usage(&gone).await.unwrap().is_empty());
    let without_key = UsageScope::NoKey(vec![None, Some(OrganizationId::new("acme").unwrap())]);
    assert_eq!(store.usage(&without_key).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn counts_by_day_stay_for_as_many_days_as_was_said() {
    let key = KeyId::new("BBBBBBBBBBBBBBBBBBBB").unwrap();
    for (usage_days, left) in [(1, 100..=100), (30, 71..=100), (90, 11..=100), (400, 1..=100)] {
        let store = Arc::new(MemoryStore::new());
        // The key exists; otherwise all counts would be deleted.
        let row = KeyRow { id: key.as_str().into(), ..KeyRow::example() };
        store.import(&Batch::Keys(vec![row])).await.unwrap();
        let day = |day| UsageDayRow { key: key.as_str().into(), day, accepted: 1, refused: 0 };
        let days = (1..=100).map(day).collect();
        store.record_usage(&UsageBatch { writer: [1; 16], sequence: 1, rows: Vec::new(), days }).await.unwrap();
        // In the last millisecond of day 100.
        let clock = ManualClock::at(Timestamp::from_millis(101 * 86_400_000 - 1).unwrap());
        let keep = Keep { usage_days, ..Keep::default() };
        let pruner = Pruner::new(Calls::new(Arc::clone(&store), Duration::from_secs(5)), Arc::new(clock), keep);
        pruner.prune().await;
        let kept = store.usage_days(&[key], 0).await.unwrap();
        assert!(kept.iter().map(|row| row.day).eq(left), "{usage_days}: {kept:?}");
    }
    assert_eq!(Keep::default().usage_days, 90);
}

/// A store may not have room for more.
#[test]
fn the_longest_note_fits_its_column() {
    let clocks = (0..MOST_CLOCKS).map(|number| (format!("{number:0>32}"), Timestamp::MAX.as_millis())).collect();
    let note = Note { clocks, ..Note::default() };
    // The two rations are some numbers each.
    assert!(serde_json::to_vec(&note).unwrap().len() + 1_000 < crate::lengths::NOTE.bytes());
}

/// A node that purges keys this long after they ended.
fn purger(store: &Arc<MemoryStore>, now: Timestamp, keep: Duration) -> Node {
    let clock = Arc::new(ManualClock::at(now));
    let keep = Keep { dead_keys: Some(keep), ..Keep::default() };
    let pruner = Pruner::new(Calls::new(Arc::clone(store), Duration::from_secs(5)), Arc::clone(&clock) as _, keep);
    Node { clock, pruner }
}

/// Adds this many keys that expire at this time.
async fn plant(store: &MemoryStore, first: usize, count: usize, end: Timestamp) {
    let row = |number: usize| {
        let id = format!("{:0>20}", first + number);
        KeyRow { lineage: id.clone(), id, expires_at: Some(end.as_millis()), created_at: 0, ..KeyRow::example() }
    };
    store.import(&Batch::Keys((0..count).map(row).collect())).await.unwrap();
}

async fn keys(store: &MemoryStore) -> u64 {
    store.ended_keys(Timestamp::MAX).await.unwrap().all
}

#[tokio::test(start_paused = true)]
async fn dead_keys_are_kept_forever_unless_asked() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    plant(&store, 0, 5, now.saturating_sub(DAY * 3_000)).await;
    append(&store, now, 1).await;
    Node::new(&store, now, DAY).hours(100).await;
    assert_eq!(keys(&store).await, 5);
}

#[tokio::test(start_paused = true)]
async fn dead_keys_go_as_long_after_their_end_as_was_said_with_their_use() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    let node = purger(&store, now, DAY * 30);
    append(&store, now, 1).await;
    node.turn().await;
    plant(&store, 0, 3, now.saturating_add(DAY)).await;
    let id = KeyId::new(&format!("{:0>20}", 0)).unwrap();
    let today = day_of(now.as_millis());
    let day = UsageDayRow { key: id.as_str().into(), day: today + 25, accepted: 1, refused: 0 };
    store.record_usage(&UsageBatch { writer: [1; 16], sequence: 1, rows: Vec::new(), days: vec![day] }).await.unwrap();
    // The end is then exactly 30 days ago, not more.
    node.hours(24 * 31).await;
    assert_eq!(keys(&store).await, 3);
    assert_eq!(store.usage_days(&[id], today).await.unwrap().len(), 1);
    node.hours(2).await;
    assert_eq!(keys(&store).await, 0);
    assert!(store.usage_days(&[id], today).await.unwrap().is_empty());
    let purges = EventQuery { action: Some("key.purged".into()), ..EventQuery::all(OrganizationId::single()) };
    let purges = store.events(&purges).await.unwrap().rows;
    assert_eq!(purges.len(), 3);
    assert!(purges.iter().all(|event| event.actor == "system:pruner" && event.at > now.as_millis()));
}

#[tokio::test(start_paused = true)]
async fn many_dead_keys_go_by_a_tenth_a_day_and_so_many_a_turn() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    append(&store, now, 1).await;
    plant(&store, 0, 900, now.saturating_sub(DAY * 200)).await;
    plant(&store, 900, 100, now.saturating_add(DAY * 200)).await;
    let node = purger(&store, now, DAY * 90);
    node.turn().await;
    assert_eq!(keys(&store).await, 900, "a tenth of all that have an end");
    node.hours(23).await;
    assert_eq!(keys(&store).await, 900);
    node.hours(1).await;
    assert_eq!(keys(&store).await, 810);
    // Keys that become old while it runs are purged at once.
    plant(&store, 1_000, 1_200, node.clock.now().saturating_sub(DAY * 90).saturating_add(HOUR)).await;
    node.hours(2).await;
    assert_eq!(keys(&store).await, 810);
}

#[tokio::test(start_paused = true)]
async fn one_broken_clock_erases_no_key() {
    let now = time("2026-03-01T00:00:00Z");
    // A clock set forward and back, for any time.
    let store = Arc::new(MemoryStore::new());
    append(&store, now, 20).await;
    plant(&store, 0, 10, now.saturating_add(DAY * 20)).await;
    for lasts in [0_u32, 1, 20, 31, 3_600, 86_000] {
        let node = purger(&store, now, DAY * 30);
        node.turn().await;
        node.clock.set_wall_clock(now.saturating_add(DAY * 200));
        node.turn().await;
        node.clock.advance(Duration::from_secs(lasts.into()));
        node.turn().await;
        node.clock.set_wall_clock(now.saturating_add(Duration::from_secs(lasts.into())));
        node.turn().await;
        node.hours(3).await;
        assert_eq!(keys(&store).await, 10, "{lasts} s");
    }
    // Wrong from the start.
    let wrong = purger(&store, now.saturating_add(DAY * 200), DAY * 30);
    wrong.hours(100).await;
    assert_eq!(keys(&store).await, 10);
    // Of two nodes, one is wrong, and acts at its own time.
    let right = purger(&store, now, DAY * 30);
    for _ in 0..50 {
        wrong.hours(1).await;
        append(&store, wrong.clock.now(), 1).await;
        right.hours(1).await;
    }
    assert_eq!(keys(&store).await, 10);
}

#[tokio::test(start_paused = true)]
async fn without_an_event_no_clock_is_believed() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    plant(&store, 0, 10, now).await;
    purger(&store, now.saturating_add(DAY * 200), DAY).hours(100).await;
    assert_eq!(keys(&store).await, 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_of_the_feed_has_not_confirmed_stays() {
    let store = Arc::new(MemoryStore::new());
    let now = time("2026-03-01T00:00:00Z");
    let node = Node::new(&store, now, DAY);
    node.turn().await;
    append(&store, now, 10).await;
    let calls = Calls::new(Arc::clone(&store), Duration::from_secs(5));
    let mut feed = crate::feed::Feed::new(Register::new(calls.clone()), "notifier").unwrap();
    let batch = feed.next(4).await.unwrap();
    node.hours(30).await;
    assert_eq!(events(&store).await, 10);
    feed.confirm(batch.cursor).await.unwrap();
    node.hours(24).await;
    assert_eq!(events(&store).await, 6);
    assert_eq!(feed.next(10).await.unwrap().entries.len(), 6);
    // With an unreadable note nothing is deleted; a forgotten consumer holds nothing back.
    let standing = store.replace_note("feeds", &[], &[]).await.unwrap();
    store.replace_note("feeds", &standing, b"?").await.unwrap();
    node.hours(24).await;
    assert_eq!(events(&store).await, 6);
    store.replace_note("feeds", b"?", &standing).await.unwrap();
    Register::new(calls).forget("notifier").await.unwrap();
    node.hours(24).await;
    // As many as may be deleted in a day.
    assert_eq!(events(&store).await, 5);
}
