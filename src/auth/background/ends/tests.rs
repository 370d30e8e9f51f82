use super::*;
use crate::{
    audit::EventSink,
    record::Warned,
    store::{KeyUpdate, MemoryStore},
    time::ManualClock,
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn days(days: u32) -> Timestamp {
    noon().saturating_add(DAY * days)
}

/// What was told, as `day: action key`; for a warning, also how many hours before the end.
type Heard = Arc<Mutex<Vec<String>>>;

fn line(at: Timestamp, action: &str, key: &str, after: Option<&str>) -> String {
    let millis = at.as_millis() - noon().as_millis();
    let told: serde_json::Value = after.and_then(|after| serde_json::from_str(after).ok()).unwrap_or_default();
    let before = told["before_ms"].as_i64().map(|before| format!(" {} h", before / 3_600_000));
    format!("{}: {action} {}{}", millis.div_euclid(86_400_000), &key[..1], before.unwrap_or_default())
}

struct Sink(Heard);

impl EventSink for Sink {
    fn committed(&self, events: &[Event]) {
        let told = events.iter().map(|event| {
            let Subject::Key(id, _) = &event.subject else { panic!("{event:?}") };
            line(event.at, event.action.as_str(), id.as_str(), event.after.as_deref())
        });
        self.0.lock().unwrap().extend(told);
    }
}

struct World {
    store: Arc<MemoryStore>,
    heard: Heard,
}

impl World {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), heard: Heard::default() }
    }

    fn node(&self, clock: &Arc<ManualClock>) -> EndTeller<MemoryStore> {
        self.node_with(clock, EndWarnings::default())
    }

    fn node_with(&self, clock: &Arc<ManualClock>, warnings: EndWarnings) -> EndTeller<MemoryStore> {
        let store = Calls::new(Arc::clone(&self.store), Duration::from_secs(5));
        EndTeller::new(store, Arc::clone(clock) as _, warnings, Notifier::new(Sink(Arc::clone(&self.heard))))
    }

    /// Adds a key named by this letter, with its event.
    async fn plant(&self, letter: char, end: Option<Timestamp>) -> KeyRow {
        let id = letter.to_string().repeat(20);
        let expires_at = end.map(Timestamp::as_millis);
        let row =
            KeyRow { id: id.clone(), lineage: id, expires_at, created_at: noon().as_millis(), ..KeyRow::example() };
        self.apply(Write::Insert(row.clone())).await;
        row
    }

    async fn apply(&self, write: Write) {
        let event = EventRow { at: noon().as_millis(), ..EventRow::example() };
        let change = Change {
            id: ChangeId::from_bytes(*random_bytes().unwrap()),
            at: noon(),
            writes: vec![AuditedWrite { write, event }],
            guards: Vec::new(),
            idempotency: None,
        };
        self.store.apply(&change).await.unwrap();
    }

    async fn move_end(&self, row: &KeyRow, version: i64, end: Timestamp) {
        self.apply(Write::Update(KeyUpdate {
            organization: OrganizationId::single(),
            id: KeyId::new(&row.id).unwrap(),
            expected_version: version,
            name: row.name.clone(),
            labels: row.labels.clone(),
            allowed_networks: None,
            responsible: None,
            scopes: row.scopes.clone(),
            expires_at: Some(end.as_millis()),
        }))
        .await;
    }

    /// The events of the trail, in order.
    async fn trail(&self) -> Vec<String> {
        let query = EventQuery { limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
        let rows = self.store.events(&query).await.unwrap().rows;
        let told = rows.iter().filter(|row| row.action != "key.issued");
        told.map(|row| {
            assert_eq!((row.actor.as_str(), row.audience.as_str()), ("system:clock", "subject"));
            let at = Timestamp::from_millis(row.at).unwrap();
            line(at, &row.action, row.key.as_deref().unwrap(), row.after.as_deref())
        })
        .collect()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Asserts that the trail and the sink both have exactly this.
    async fn assert_told(&self, expected: &[&str]) {
        assert_eq!(self.trail().await, expected);
        assert_eq!(self.heard(), expected);
    }
}

async fn turns(node: &EndTeller<MemoryStore>) {
    while node.take_turn().await.unwrap() {}
}

const OF_A_MONTH: [&str; 3] = ["23: key.ends_soon A 168 h", "29: key.ends_soon A 24 h", "30: key.expired A"];

#[tokio::test]
async fn two_nodes_tell_each_word_once() {
    let world = World::new();
    world.plant('A', Some(days(30))).await;
    world.plant('N', None).await;
    let clocks = [(); 2].map(|()| Arc::new(ManualClock::at(noon())));
    let nodes = clocks.each_ref().map(|clock| world.node(clock));
    for _ in 0..32 * 24 {
        for (clock, node) in clocks.iter().zip(&nodes) {
            clock.advance(HOUR);
            turns(node).await;
        }
    }
    world.assert_told(&OF_A_MONTH).await;
}

#[tokio::test]
async fn a_node_that_starts_again_tells_nothing_twice() {
    let world = World::new();
    world.plant('A', Some(days(30))).await;
    let clock = Arc::new(ManualClock::at(noon()));
    for _ in 0..32 * 4 {
        clock.advance(6 * HOUR);
        turns(&world.node(&clock)).await;
    }
    world.assert_told(&OF_A_MONTH).await;
}

#[tokio::test]
async fn of_two_words_that_are_due_the_nearer_one_is_told() {
    let world = World::new();
    world.plant('A', Some(days(30))).await;
    world.plant('B', Some(days(20))).await;
    let clock = Arc::new(ManualClock::at(noon()));
    let node = world.node(&clock);
    turns(&node).await;
    clock.advance(DAY * 29 + HOUR);
    turns(&node).await;
    clock.advance(DAY);
    turns(&node).await;
    world.assert_told(&["29: key.expired B", "29: key.ends_soon A 24 h", "30: key.expired A"]).await;
}

#[tokio::test]
async fn an_end_that_is_moved_has_words_of_its_own() {
    let world = World::new();
    let row = world.plant('A', Some(days(300))).await;
    let clock = Arc::new(ManualClock::at(noon()));
    let node = world.node(&clock);
    turns(&node).await;
    for (version, end) in [(1, 5), (2, 6), (3, 1)] {
        world.move_end(&row, version, days(end)).await;
        turns(&node).await;
        turns(&node).await;
    }
    world.assert_told(&["0: key.ends_soon A 168 h", "0: key.ends_soon A 168 h", "0: key.ends_soon A 24 h"]).await;
}

#[tokio::test]
async fn of_a_key_that_is_revoked_nothing_is_told_and_of_one_that_is_noted_only_what_is_nearer() {
    let world = World::new();
    let row = world.plant('A', Some(days(3))).await;
    world
        .apply(Write::Revoke {
            organization: OrganizationId::single(),
            id: KeyId::new(&row.id).unwrap(),
            by: "user:a".into(),
        })
        .await;
    let Warned { end, before_ms } = EndWarnings::default().of_new_key(Some(days(3)), noon());
    let id = "B".repeat(20);
    let noted =
        KeyRow { id: id.clone(), lineage: id, expires_at: end, warned_end: end, warned_before_ms: before_ms, ..row };
    world.apply(Write::Insert(noted)).await;
    let clock = Arc::new(ManualClock::at(noon()));
    let node = world.node(&clock);
    for _ in 0..4 * 24 {
        turns(&node).await;
        clock.advance(HOUR);
    }
    world.assert_told(&["2: key.ends_soon B 24 h", "3: key.expired B"]).await;
}

#[tokio::test]
async fn it_is_told_when_the_service_says() {
    for (before, expected) in [
        (vec![], vec![]),
        (vec![Duration::ZERO], vec!["10: key.expired A"]),
        (vec![2 * HOUR], vec!["9: key.ends_soon A 2 h"]),
    ] {
        let world = World::new();
        world.plant('A', Some(days(10))).await;
        let clock = Arc::new(ManualClock::at(noon()));
        let node = world.node_with(&clock, EndWarnings::new(&before).unwrap());
        for _ in 0..12 * 24 {
            clock.advance(HOUR);
            turns(&node).await;
        }
        world.assert_told(&expected).await;
    }
}

#[tokio::test]
async fn a_hundred_ends_at_once_are_told_in_several_changes() {
    let world = World::new();
    let row = world.plant('A', None).await;
    for number in 0..120 {
        let id = format!("B{number:019}");
        let row = KeyRow { id: id.clone(), lineage: id, expires_at: Some(days(1).as_millis()), ..row.clone() };
        world.apply(Write::Insert(row)).await;
    }
    // The owner of this key is unknown: it must not block others.
    let id = "C".repeat(20);
    let row = KeyRow { id: id.clone(), lineage: id, kind: "robot".into(), expires_at: Some(noon().as_millis()), ..row };
    world.apply(Write::Insert(row)).await;
    let clock = Arc::new(ManualClock::at(noon()));
    turns(&world.node(&clock)).await;
    assert_eq!(world.trail().await, vec!["0: key.ends_soon B 24 h"; 120]);
    assert_eq!(world.heard().len(), 120);
}

/// What remains when a node dies between the commit and the sink, or before the commit.
#[tokio::test]
async fn what_a_node_did_not_tell_another_one_tells_and_writes_nothing_twice() {
    for was_written in [true, false] {
        let world = World::new();
        let row = world.plant('A', Some(days(5))).await;
        let clock = Arc::new(ManualClock::at(noon()));
        let dead = world.node(&clock);
        let due = dead.due(noon()).await.unwrap().remove(0);
        assert_eq!(due.end, (row.id.clone(), days(5).as_millis(), 7 * 86_400_000));
        let batch = Batch { name: "dead".into(), at: noon().as_millis(), ends: vec![due.end] };
        let note = Note { batch: Some(batch), ..Note::default() };
        assert!(dead.replace(&[], &note).await.unwrap());
        if was_written {
            let change = Change {
                id: ChangeId::from_bytes([7; 16]),
                at: noon(),
                writes: vec![AuditedWrite { write: due.write, event: EventRow::from(&due.event) }],
                guards: Vec::new(),
                idempotency: None,
            };
            world.store.apply(&change).await.unwrap();
        }
        let node = world.node(&clock);
        turns(&node).await;
        assert_eq!(world.heard(), [""; 0], "it may still be at it");
        turns(&node).await;
        turns(&node).await;
        world.assert_told(&["0: key.ends_soon A 168 h"]).await;
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_tells_nothing() {
    let world = World::new();
    world.plant('A', Some(days(30))).await;
    let (right, wrong) = (Arc::new(ManualClock::at(noon())), Arc::new(ManualClock::at(days(100))));
    let nodes = [world.node(&right), world.node(&wrong)];
    for _ in 0..24 * 12 {
        for (clock, node) in [&right, &wrong].into_iter().zip(&nodes) {
            turns(node).await;
            clock.advance(INTERVAL);
        }
    }
    world.assert_told(&[]).await;
    // With a clock set forward, ends are told as soon as it is no longer doubted, unless another witness contradicts.
    right.set_wall_clock(days(200));
    for _ in 0..3 {
        turns(&nodes[0]).await;
        right.advance(INTERVAL);
    }
    world.assert_told(&[]).await;
}
