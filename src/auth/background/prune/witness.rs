use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use crate::time::Timestamp;

/// How far two witnesses of the time may be apart.
const DAY: Duration = Duration::from_secs(86_400);

/// Whether somebody else confirms what the clock of this node shows, so that what is old by it may be deleted.
#[derive(Debug, Default)]
pub(in crate::auth) struct Witness {
    /// What the clock showed when it was last known to have jumped, or first; and how long the machine ran then.
    base: Option<(Timestamp, Duration)>,
    /// How long the machine ran when its clock jumped by more than a day.
    jumped: Option<Duration>,
    others: HashMap<String, Other>,
}

/// What is known of another node, or of this machine before it started again.
#[derive(Debug)]
struct Other {
    said: i64,
    /// How long this machine ran when that was new.
    since: Duration,
    /// It said something else before: it runs while this node does.
    is_alive: bool,
}

/// What is known of the time at one moment.
pub(in crate::auth) struct Testimony<'a> {
    /// What the clock of this node shows, which it does not doubt.
    pub(in crate::auth) now: Timestamp,
    /// How long this machine, or at least this process, runs, by a clock that nobody sets.
    pub(in crate::auth) ran: Duration,
    /// What the clocks of other machines showed when their nodes last said so, in milliseconds since 1970.
    pub(in crate::auth) others: &'a BTreeMap<String, i64>,
    /// The time of the newest event that is not the line of an attempt.
    pub(in crate::auth) newest_event: Option<Timestamp>,
}

/// Why nothing may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Contradiction {
    /// The clock was set within the last day, and there is no other node.
    Jumped,
    /// The node that spoke last showed another time.
    OtherNode,
    /// The last event is longer ago than this machine runs, or yet to come.
    NewestEvent,
}

impl Witness {
    /// The earlier of two times that confirm each other.
    pub(in crate::auth) fn hear(&mut self, testimony: &Testimony<'_>) -> Result<Timestamp, Contradiction> {
        let Testimony { now, ran, others, newest_event } = *testimony;
        self.watch(now, ran);
        self.others.retain(|id, _| others.contains_key(id));
        for (id, said) in others {
            let first = Other { said: *said, since: ran, is_alive: false };
            let known = self.others.entry(id.clone()).or_insert(first);
            if known.said != *said {
                *known = Other { said: *said, since: ran, is_alive: true };
            }
        }
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
        // What did not change since this node started may be what it said itself, before its machine started again.
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

    /// Whether another node has said nothing for a day, so that it is none any more.
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
        // One that goes on is another one.
        let mut witness = Witness::default();
        assert_eq!(hear(&mut witness, 4_800, 0, &before), Err(Contradiction::NewestEvent));
        let after = BTreeMap::from([("before".to_owned(), time(4_801).as_millis())]);
        assert_eq!(hear(&mut witness, 4_801, 1, &after), Ok(time(4_801)));
    }
}
