use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    random::random_bytes,
    time::{Clock, ClockReading, Timestamp},
};

/// The largest difference between two witnesses of the time.
const DAY: Duration = Duration::from_secs(86_400);

/// A node that was silent for this long is no witness of the present.
const SILENCE: Duration = Duration::from_secs(900);

/// After this uptime, a machine's clock has been set, if anything sets it.
const SETTLED: Duration = Duration::from_secs(3_600);

/// The most machines whose clocks are remembered.
pub(super) const MOST_CLOCKS: usize = 64;

/// This node, among the nodes that share what their clocks show.
pub(super) struct Here {
    clock: Arc<dyn Clock>,
    begun: Instant,
    /// The name of this node's clock, which all nodes on one machine share.
    name: String,
}

impl Here {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let id = clock.boot().map(|boot| boot.id).or_else(|| random_bytes().ok().map(|bytes| *bytes));
        let name = id.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { clock, begun: Instant::now(), name }
    }

    pub(super) fn reading(&self) -> ClockReading {
        self.clock.reading()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long this machine, or at least this process, has been running, by a clock that cannot be set.
    pub(super) fn ran(&self) -> Duration {
        self.clock.boot().map_or_else(|| self.begun.elapsed(), |boot| boot.age)
    }

    /// Removes the clocks of nodes that are gone, and the earliest if there are too many.
    pub(super) fn forget_the_gone(&self, witness: &Witness, clocks: &mut BTreeMap<String, i64>) {
        let ran = self.ran();
        clocks.retain(|id, _| !witness.is_gone(id, ran));
        while clocks.len() >= MOST_CLOCKS
            && let Some((oldest, _)) = clocks.iter().min_by_key(|(_, said)| **said)
        {
            let oldest = oldest.clone();
            clocks.remove(&oldest);
        }
    }
}

/// Whether another witness confirms this node's clock, so that what is old by it may be deleted.
#[derive(Debug, Default)]
pub(in crate::auth) struct Witness {
    /// What the clock showed when it last jumped, or at first, and the uptime of the machine then.
    base: Option<(Timestamp, Duration)>,
    /// The uptime of the machine when its clock jumped by more than a day.
    jumped: Option<Duration>,
    others: HashMap<String, Other>,
}

/// What is known of another node, or of this machine before a restart.
#[derive(Debug)]
struct Other {
    said: i64,
    /// The uptime of this machine when that was new.
    since: Duration,
    /// Its note has changed: it runs at the same time as this node.
    is_alive: bool,
}

/// The evidence of the time at one moment.
pub(in crate::auth) struct Testimony<'a> {
    /// What the clock of this node shows, if the node has no doubt about it.
    pub(in crate::auth) now: Timestamp,
    /// How long this machine, or at least this process, has been running, by a clock that cannot be set.
    pub(in crate::auth) ran: Duration,
    /// What the clocks of other machines showed when their nodes last wrote it, in milliseconds since 1970.
    pub(in crate::auth) others: &'a BTreeMap<String, i64>,
    /// The time of the newest event that is not the line of an attempt.
    pub(in crate::auth) newest_event: Option<Timestamp>,
}

/// Why nothing may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Contradiction {
    /// The clock was set within the last day, and there is no other node.
    Jumped,
    /// The node that was heard last showed another time.
    OtherNode,
    /// The last event is older than the uptime of this machine, or in the future.
    NewestEvent,
}

impl Witness {
    /// The earlier of two times that confirm each other.
    pub(in crate::auth) fn hear(&mut self, testimony: &Testimony<'_>) -> Result<Timestamp, Contradiction> {
        let Testimony { now, ran, newest_event, .. } = *testimony;
        self.listen(testimony);
        let said = self.others.iter().filter(|(id, _)| !self.is_gone(id, ran)).map(|(_, other)| other);
        let newest = said.max_by_key(|other| (other.said, other.is_alive));
        let (mut earlier, mut is_confirmed) = (now, false);
        if let Some(other) = newest
            && let Ok(said) = Timestamp::from_millis(other.said)
        {
            if !is_near(now, said) {
                return Err(Contradiction::OtherNode);
            }
            (earlier, is_confirmed) = (now.min(said), other.is_alive);
        }
        // A note that has not changed since this node started may be its own, from before its machine restarted.
        if is_confirmed {
            return Ok(earlier);
        }
        if self.jumped.is_some_and(|jumped| ran.saturating_sub(jumped) < DAY) {
            return Err(Contradiction::Jumped);
        }
        // Without an event there is nothing to delete either.
        let newest = newest_event.unwrap_or(now);
        let is_ahead = newest > now && !is_near(now, newest);
        let is_long_ago = newest.saturating_add(ran).saturating_add(DAY) < now;
        if is_ahead || is_long_ago { Err(Contradiction::NewestEvent) } else { Ok(earlier) }
    }

    /// The present, if it is confirmed to have come: then everything up to it has happened. Another node's clock is
    /// assumed to have run since it was heard. A clock that is behind makes warnings late, which is not false.
    pub(in crate::auth) fn present(&mut self, testimony: &Testimony<'_>) -> Result<Timestamp, Contradiction> {
        let Testimony { now, ran, newest_event, .. } = *testimony;
        self.listen(testimony);
        let (mut near, mut latest) = (now, None);
        for other in self.others.values().filter(|other| ran.saturating_sub(other.since) <= SILENCE) {
            let Ok(said) = Timestamp::from_millis(other.said) else { continue };
            let shows = said.saturating_add(ran.saturating_sub(other.since));
            if other.is_alive {
                latest = latest.max(Some(shows));
                near = if is_near(now, shows) { near.min(shows) } else { near };
            } else if shows < now && !is_near(now, shows) {
                // The other node may be dead, or it may be right: its next note, or its absence, will show.
                latest = latest.max(Some(shows));
            }
        }
        if let Some(latest) = latest {
            return if latest > now || is_near(now, latest) { Ok(near) } else { Err(Contradiction::OtherNode) };
        }
        if self.jumped.is_some_and(|jumped| ran.saturating_sub(jumped) < DAY) {
            return Err(Contradiction::Jumped);
        }
        let is_long_ago = newest_event.is_some_and(|newest| newest.saturating_add(ran).saturating_add(DAY) < now);
        if is_long_ago && ran < SETTLED { Err(Contradiction::NewestEvent) } else { Ok(now) }
    }

    /// Records what the clocks show.
    fn listen(&mut self, testimony: &Testimony<'_>) {
        let Testimony { now, ran, others, .. } = *testimony;
        self.watch(now, ran);
        self.others.retain(|id, _| others.contains_key(id));
        for (id, said) in others {
            let first = Other { said: *said, since: ran, is_alive: false };
            let known = self.others.entry(id.clone()).or_insert(first);
            if known.said != *said {
                *known = Other { said: *said, since: ran, is_alive: true };
            }
        }
    }

    /// Whether another node was silent for a day, and so counts as gone.
    pub(in crate::auth) fn is_gone(&self, id: &str, ran: Duration) -> bool {
        self.others.get(id).is_some_and(|other| ran.saturating_sub(other.since) > DAY)
    }

    fn watch(&mut self, now: Timestamp, ran: Duration) {
        let (was, then) = *self.base.get_or_insert((now, ran));
        let expected = was.saturating_add(ran.saturating_sub(then));
        if !is_near(now, expected) {
            (self.base, self.jumped) = (Some((now, ran)), Some(ran));
        }
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jumped => "the clock of this node was set by more than a day less than a day ago",
            Self::OtherNode => "the clock of another node shows another day",
            Self::NewestEvent => "the newest event is longer ago than this machine runs, or yet to come",
        })
    }
}

fn is_near(one: Timestamp, other: Timestamp) -> bool {
    u128::from(one.as_millis().abs_diff(other.as_millis())) <= DAY.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_772_366_400_000;
    const HOUR: i64 = 3_600_000;

    fn time(hours: i64) -> Timestamp {
        Timestamp::from_millis(START + hours * HOUR).unwrap()
    }

    fn ran(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    fn alone(witness: &mut Witness, now: i64, hours: u64, newest: i64) -> Result<Timestamp, Contradiction> {
        let others = BTreeMap::new();
        let newest_event = Some(time(newest));
        witness.hear(&Testimony { now: time(now), ran: ran(hours), others: &others, newest_event })
    }

    fn beside(witness: &mut Witness, now: i64, hours: u64, other: i64) -> Result<Timestamp, Contradiction> {
        let others = BTreeMap::from([("other".to_owned(), time(other).as_millis())]);
        let newest_event = Some(time(now));
        let testimony = Testimony { now: time(now), ran: ran(hours), others: &others, newest_event };
        witness.hear(&testimony)
    }

    #[test]
    fn alone_the_newest_event_and_the_time_since_boot_confirm_the_clock() {
        let hear = |now, hours, newest| alone(&mut Witness::default(), now, hours, newest);
        assert_eq!(hear(0, 1, 0), Ok(time(0)));
        assert_eq!(hear(1_000, 990, 0), Ok(time(1_000)), "a quiet service");
        assert_eq!(hear(4_800, 1, 0), Err(Contradiction::NewestEvent), "200 days ahead");
        assert_eq!(hear(0, 1_000, 25), Err(Contradiction::NewestEvent), "behind");
        assert_eq!(hear(25, 1, 0), Ok(time(25)), "off for a day");
    }

    #[test]
    fn alone_a_clock_that_was_set_is_trusted_after_a_day() {
        let mut witness = Witness::default();
        assert!(alone(&mut witness, 0, 9_000, 0).is_ok());
        for hours in 1..=24 {
            let heard = alone(&mut witness, 4_800 + hours as i64, 9_000 + hours, 0);
            assert_eq!(heard, Err(Contradiction::Jumped));
        }
        assert!(alone(&mut witness, 4_825, 9_025, 4_800).is_ok());
    }

    #[test]
    fn a_suspend_is_no_jump() {
        let mut witness = Witness::default();
        assert!(alone(&mut witness, 0, 10, 0).is_ok());
        assert!(alone(&mut witness, 1_000, 1_010, 0).is_ok());
    }

    #[test]
    fn another_node_confirms_the_clock_or_contradicts_it() {
        let hear = |now, other| beside(&mut Witness::default(), now, 1, other);
        assert_eq!(hear(24, 0), Ok(time(0)), "the earlier one counts");
        assert_eq!(hear(0, 24), Ok(time(0)));
        assert_eq!(hear(25, 0), Err(Contradiction::OtherNode));
        assert_eq!(hear(0, 25), Err(Contradiction::OtherNode));
    }

    #[test]
    fn another_node_that_falls_silent_is_no_witness_after_a_day() {
        let mut witness = Witness::default();
        for hours in 0..=24 {
            assert_eq!(beside(&mut witness, 48 + hours, hours as u64, 0), Err(Contradiction::OtherNode));
        }
        assert!(beside(&mut witness, 73, 25, 0).is_ok());
        assert_eq!(beside(&mut witness, 74, 26, 1), Err(Contradiction::OtherNode), "it speaks again");
    }

    fn present(
        witness: &mut Witness,
        now: i64,
        minutes: u64,
        other: Option<i64>,
        newest: i64,
    ) -> Result<i64, Contradiction> {
        let others = other.map(|other| ("other".to_owned(), other)).into_iter().collect();
        let [now, newest] = [now, newest].map(|millis| Timestamp::from_millis(START + millis).unwrap());
        let testimony =
            Testimony { now, ran: Duration::from_secs(minutes * 60), others: &others, newest_event: Some(newest) };
        witness.present(&testimony).map(|heard| heard.as_millis() - START)
    }

    #[test]
    fn the_present_is_the_earlier_of_two_clocks_that_go_on() {
        let (mut witness, minute) = (Witness::default(), 60_000);
        let said = |millis: i64| Some(START + millis);
        assert_eq!(present(&mut witness, 0, 1_000, said(-7), 0), Ok(0), "alone until the other speaks again");
        assert_eq!(present(&mut witness, minute, 1_001, said(-5), 0), Ok(-5));
        assert_eq!(present(&mut witness, 9 * minute, 1_009, said(-5), 0), Ok(8 * minute - 5), "it goes on");
        assert_eq!(present(&mut witness, 17 * minute, 1_017, said(-5), 0), Ok(17 * minute), "it is silent");
    }

    #[test]
    fn a_clock_that_is_ahead_of_others_tells_nothing() {
        let said = |hours: i64| Some(START + hours * HOUR);
        let mut witness = Witness::default();
        for (minutes, other) in [(1_000, 0), (1_010, 0), (1_011, 1)] {
            let told = present(&mut witness, 30 * HOUR, minutes, said(other), 0);
            assert_eq!(told, Err(Contradiction::OtherNode), "{minutes}");
        }
        // A node that fell silent before this one started is no witness; a clock that is behind is late.
        let mut witness = Witness::default();
        let told = [1_000, 1_015, 1_016].map(|minutes| present(&mut witness, 30 * HOUR, minutes, said(0), 0));
        assert_eq!(told, [Err(Contradiction::OtherNode), Err(Contradiction::OtherNode), Ok(30 * HOUR)]);
        let mut witness = Witness::default();
        for other in [100, 101] {
            assert_eq!(present(&mut witness, 0, 1_000, said(other), 100 * HOUR), Ok(0));
        }
    }

    #[test]
    fn alone_the_present_is_what_a_settled_machine_shows() {
        let alone = |now: i64, minutes| present(&mut Witness::default(), now * HOUR, minutes, None, 0);
        assert_eq!(alone(25, 60), Ok(25 * HOUR), "off for a day");
        assert_eq!(alone(60, 59), Err(Contradiction::NewestEvent), "off for a weekend, or ahead");
        assert_eq!(alone(60, 60), Ok(60 * HOUR));
        assert_eq!(alone(-60, 1), Ok(-60 * HOUR), "behind, and late");
        let mut witness = Witness::default();
        assert_eq!(present(&mut witness, 0, 1_000, None, 0), Ok(0));
        assert_eq!(present(&mut witness, 100 * HOUR, 1_001, None, 0), Err(Contradiction::Jumped));
        assert_eq!(present(&mut witness, 125 * HOUR, 2_500, None, 0), Ok(125 * HOUR), "a day later");
    }

    #[test]
    fn a_machine_that_starts_again_does_not_confirm_what_it_said_itself() {
        let before = BTreeMap::from([("before".to_owned(), time(4_800).as_millis())]);
        let hear = |witness: &mut Witness, now, hours, others| {
            witness.hear(&Testimony { now: time(now), ran: ran(hours), others, newest_event: Some(time(0)) })
        };
        let mut witness = Witness::default();
        for hours in 0..30 {
            let heard = hear(&mut witness, 4_800 + hours as i64, hours, &before);
            assert_eq!(heard, Err(Contradiction::NewestEvent), "{hours} hours after its start");
        }
        // A clock that still moves is another node.
        let mut witness = Witness::default();
        assert_eq!(hear(&mut witness, 4_800, 0, &before), Err(Contradiction::NewestEvent));
        let after = BTreeMap::from([("before".to_owned(), time(4_801).as_millis())]);
        assert_eq!(hear(&mut witness, 4_801, 1, &after), Ok(time(4_801)));
    }
}
