use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{store::Trail, time::Timestamp};

/// Of the events of one kind, one part in this many may be deleted in a day, no matter how many are old: an attacker
/// who misleads the clocks of a service must not be able to delete its trail.
const SHARE: u64 = 10;

const DAY: Duration = Duration::from_secs(86_400);

/// The most that are deleted in one turn: no store deletes more at a time.
pub(in crate::auth) const PER_TURN: u64 = 10_000;

/// How many events of a kind may still be deleted. The store keeps it for all nodes, also across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct Ration {
    /// The last time this was read, and the start of the day; in milliseconds since 1970, 0 for never.
    at: i64,
    day: i64,
    /// For this day.
    allowed: u64,
    /// The time before which events were old then, and how many of those were kept.
    before: i64,
    left: u64,
}

impl Ration {
    /// How many events of a trail to delete now, given how many are older than a time. For each day it is the larger of
    /// two amounts: a tenth of the trail, or what became old since the last turn. Events that became old all at once do
    /// not count as the latter: because a clock moved forward by more than a day, or because the time to keep events
    /// was shortened.
    pub(in crate::auth) fn take(&mut self, trail: Trail, before: Timestamp, now: Timestamp) -> u64 {
        self.take_up_to(PER_TURN, trail, before, now)
    }

    /// The same, with at most `most` a turn.
    pub(in crate::auth) fn take_up_to(&mut self, most: u64, trail: Trail, before: Timestamp, now: Timestamp) -> u64 {
        let is_on_time = self.at > 0 && is_within_a_day(self.at, now);
        let is_as_before = is_on_time && is_within_a_day(self.before, before);
        let new = if is_as_before { trail.before.saturating_sub(self.left) } else { 0 };
        if self.at == 0 || !is_within_a_day(self.day, now) {
            self.day = now.as_millis();
            self.allowed = trail.events.div_ceil(SHARE);
        }
        self.allowed = self.allowed.max(new);
        let taken = self.allowed.min(trail.before).min(most);
        self.allowed -= taken;
        if is_on_time && !is_as_before && before.as_millis() < self.before {
            // Another node keeps them longer: for the other nodes, what is old does not change.
            self.left = self.left.saturating_sub(taken);
        } else {
            (self.before, self.left) = (before.as_millis(), trail.before.saturating_sub(taken));
        }
        // If clocks of nodes differ a little, the one that is ahead counts.
        self.at = if is_on_time { self.at.max(now.as_millis()) } else { now.as_millis() };
        taken
    }
}

fn is_within_a_day(millis: i64, now: Timestamp) -> bool {
    u128::from(now.as_millis().abs_diff(millis)) < DAY.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_772_366_400_000;

    fn hour(hours: i64) -> Timestamp {
        Timestamp::from_millis(START + hours * 3_600_000).unwrap()
    }

    const fn trail(events: u64, before: u64) -> Trail {
        Trail { events, before, newest_at: None }
    }

    /// With events kept for 90 days.
    fn take(ration: &mut Ration, trail: Trail, now: Timestamp) -> u64 {
        ration.take(trail, now.saturating_sub(90 * DAY), now)
    }

    #[test]
    fn an_old_trail_goes_by_a_tenth_a_day() {
        let mut ration = Ration::default();
        let mut left = 1_000;
        for day in 0..3 {
            let expected = u64::div_ceil(left, 10);
            for hours in 0..24 {
                let taken = take(&mut ration, trail(left, left), hour(day * 24 + hours));
                assert_eq!(taken, if hours == 0 { expected } else { 0 });
                left -= taken;
            }
        }
    }

    #[test]
    fn what_becomes_old_hour_by_hour_goes_hour_by_hour() {
        let mut ration = Ration::default();
        assert_eq!(take(&mut ration, trail(1_000, 0), hour(0)), 0);
        let taken: u64 = (1..=100).map(|hours| take(&mut ration, trail(1_000, 50), hour(hours))).sum();
        assert_eq!(taken, 5_000);
    }

    #[test]
    fn more_than_one_turn_can_take_goes_in_many() {
        let mut ration = Ration::default();
        take(&mut ration, trail(30_000, 0), hour(0));
        let mut left = 25_000;
        for expected in [10_000, 10_000, 5_000, 0] {
            let taken = take(&mut ration, trail(30_000, left), hour(1));
            assert_eq!(taken, expected);
            left -= taken;
        }
    }

    #[test]
    fn what_a_jump_of_the_clock_made_old_goes_by_a_tenth_a_day() {
        let mut ration = Ration::default();
        take(&mut ration, trail(1_000, 0), hour(0));
        assert_eq!(take(&mut ration, trail(1_000, 1_000), hour(200 * 24)), 100);
        assert_eq!(take(&mut ration, trail(900, 900), hour(200 * 24 + 1)), 0);
        assert_eq!(take(&mut ration, trail(900, 0), hour(0)), 0, "the clock is right again");
        assert_eq!(take(&mut ration, trail(900, 10), hour(1)), 10);
    }

    #[test]
    fn what_was_not_deleted_though_it_was_to_be_is_taken_again() {
        let mut ration = Ration::default();
        take(&mut ration, trail(1_000, 0), hour(0));
        assert_eq!(take(&mut ration, trail(1_000, 200), hour(1)), 200);
        assert_eq!(take(&mut ration, trail(1_000, 200), hour(2)), 200);
    }

    #[test]
    fn what_a_shorter_time_to_keep_made_old_goes_by_a_tenth_a_day() {
        let mut ration = Ration::default();
        take(&mut ration, trail(1_000, 0), hour(0));
        let mut shorter = |trail, hours| ration.take(trail, hour(hours).saturating_sub(30 * DAY), hour(hours));
        assert_eq!(shorter(trail(1_000, 600), 1), 100, "the tenth of this day");
        assert_eq!(shorter(trail(900, 510), 2), 10, "what became old since");
        assert_eq!(shorter(trail(890, 500), 24), 89);
    }

    #[test]
    fn a_node_that_keeps_events_longer_does_not_hide_what_is_old_for_others() {
        let mut ration = Ration::default();
        ration.take(trail(1_000, 0), hour(0).saturating_sub(DAY), hour(0));
        for hours in 1..100 {
            assert_eq!(take(&mut ration, trail(1_000, 0), hour(hours)), 0);
            assert_eq!(ration.take(trail(1_000, 300), hour(hours).saturating_sub(DAY), hour(hours)), 300);
        }
    }
}
