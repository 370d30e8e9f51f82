use super::*;
use crate::{
    auth::cache::ProofCache,
    hash::{Hasher, HasherConfig},
    owner::{OrganizationId, OwnerRef, UserId},
    time::{Clock, ManualClock},
    usage::Label,
};

struct Bench {
    clock: Arc<ManualClock>,
    log: AccessLog,
    owner: Arc<SharedOwner>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_772_366_400_000).unwrap()));
        let hasher = Hasher::new(HasherConfig::new().with_threads(1)).unwrap();
        let meter = Meter::new(hasher, Arc::new(ProofCache::new(1)), 1, clock.clone());
        let owner = OwnerRef { organization: OrganizationId::single(), owner: UserId::new("alice").unwrap().into() };
        Self { clock, log: AccessLog::new(Arc::new(meter)), owner: SharedOwner::new(owner) }
    }

    fn refused(&self, key: KeyId, code: RefusalCode, agent: &str) {
        let tried = Tried { key, owner: Some(&self.owner) };
        let label = Label::default();
        self.log.refused(&tried, code, Origin::Agent(&label, Some(agent.as_bytes())), self.clock.now());
    }

    /// An attempt with a good key.
    fn accepted(&self, key: KeyId) {
        let (owner, at) = (Arc::clone(&self.owner), self.clock.now());
        let line = Entry { key, owner, refused: None, source: Source::default(), count: 1, first_at: at, last_at: at };
        self.log.add(|queue| queue.push(line));
    }

    /// Writes now. Returns the rows that were written.
    fn written(&self, at_the_end: bool) -> Vec<EventRow> {
        self.log.take(at_the_end).0.iter().filter_map(Item::row).collect()
    }

    fn dropped(&self) -> u64 {
        self.log.meter.read().access_log_dropped
    }
}

fn key(number: u32) -> KeyId {
    KeyId::new(&format!("{number:0>20}")).unwrap()
}

/// How many attempts these rows report.
fn told(rows: &[EventRow]) -> u64 {
    let of = |row: &EventRow| match row.action.as_str() {
        "attempt.accepted" | "attempt.refused" => 1,
        _ => {
            serde_json::from_str::<serde_json::Value>(row.after.as_deref().unwrap()).unwrap()["count"].as_u64().unwrap()
        }
    };
    rows.iter().map(of).sum()
}

fn count(rows: &[EventRow], action: &str) -> usize {
    rows.iter().filter(|row| row.action == action).count()
}

#[test]
fn who_is_refused_takes_no_line_from_who_is_accepted() {
    let bench = Bench::new();
    // The ids of many keys, with a wrong secret and with the right one of a dead key, each once, and one of them many
    // times.
    for number in 0..20_000 {
        bench.refused(key(number), RefusalCode::InvalidKey, "curl");
        bench.refused(key(number), RefusalCode::KeyRevoked, "curl");
        bench.refused(key(7), RefusalCode::InvalidKey, "curl");
    }
    for _ in 0..MOST_LINES {
        bench.accepted(key(7));
    }
    let rows = bench.written(true);
    assert_eq!(count(&rows, "attempt.accepted"), MOST_LINES);
    assert_eq!(count(&rows, "attempt.refused"), 2 * MOST_REFUSED);
    assert_eq!(told(&rows), MOST_LINES as u64 + 60_000, "nothing is missing without a word");
}

#[test]
fn who_guesses_takes_no_line_from_who_has_a_dead_key() {
    let bench = Bench::new();
    for number in 0..20_000 {
        bench.refused(key(number), RefusalCode::InvalidKey, "curl");
    }
    for number in 0..10 {
        bench.refused(key(number), RefusalCode::KeyExpired, "job");
    }
    let rows = bench.written(true);
    assert_eq!(rows.iter().filter(|row| row.after.as_deref() == Some("key_expired")).count(), 10);
}

#[test]
fn of_refused_attempts_ten_a_minute_have_a_line_and_the_rest_is_added_up() {
    let bench = Bench::new();
    for _ in 0..1_000 {
        bench.refused(key(1), RefusalCode::InvalidKey, "curl/8");
    }
    let first = bench.written(false);
    assert_eq!((first.len(), told(&first)), (10, 10));
    bench.clock.advance(Duration::from_secs(59));
    assert!(bench.written(false).is_empty(), "the minute is not over");
    bench.clock.advance(Duration::from_secs(1));
    let rows = bench.written(false);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.action.as_str(), row.actor.as_str()), ("attempt.repeated", "system:unproved caller"));
    assert_eq!(row.source.as_deref(), Some("curl"));
    let said =
        r#"{"code":"invalid_key","count":990,"first_at":"2026-03-01T12:00:00Z","last_at":"2026-03-01T12:00:00Z"}"#;
    assert_eq!(row.after.as_deref(), Some(said));
    assert_eq!(bench.dropped(), 0);
}

#[test]
fn a_dead_key_is_the_actor_of_what_was_added_up_and_has_lines_of_its_own() {
    let bench = Bench::new();
    for code in [RefusalCode::InvalidKey, RefusalCode::KeyRevoked] {
        for _ in 0..12 {
            bench.refused(key(1), code, "job");
        }
    }
    let rows = bench.written(true);
    assert_eq!((count(&rows, "attempt.refused"), count(&rows, "attempt.repeated")), (20, 2));
    let of_key = format!("key:{}", key(1));
    assert_eq!(rows.iter().filter(|row| row.actor == of_key).count(), 11);
}

#[test]
fn sources_that_a_stranger_invents_are_few_lines() {
    let bench = Bench::new();
    for number in 0..1_000 {
        bench.refused(key(1), RefusalCode::InvalidKey, &format!("agent-{number}"));
    }
    let rows = bench.written(true);
    assert_eq!((rows.len(), told(&rows)), (10 + 17, 1_000));
    let of_others = rows.iter().find(|row| row.source.as_deref() == Some("other")).unwrap();
    assert!(of_others.after.as_ref().unwrap().contains("\"count\":974"), "{of_others:?}");
}

#[test]
fn a_minute_that_is_over_is_written_before_the_next_begins() {
    let bench = Bench::new();
    for _ in 0..3 {
        for _ in 0..20 {
            bench.refused(key(1), RefusalCode::InvalidKey, "curl");
        }
        bench.clock.advance(Duration::from_secs(60));
    }
    let rows = bench.written(true);
    assert_eq!((count(&rows, "attempt.refused"), count(&rows, "attempt.repeated"), told(&rows)), (30, 3, 60));
}

#[test]
fn a_minute_that_began_by_a_clock_that_was_ahead_is_over_when_the_clock_is_right() {
    let bench = Bench::new();
    let right = bench.clock.now();
    bench.clock.advance(Duration::from_secs(86_400));
    for _ in 0..20 {
        bench.refused(key(1), RefusalCode::InvalidKey, "curl");
    }
    bench.written(false);
    assert_eq!(bench.log.lock().close_windows(right, false), 0, "there was room");
    assert_eq!(told(&bench.written(false)), 10);
}
