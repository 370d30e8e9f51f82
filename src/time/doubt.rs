use std::{ops::RangeInclusive, time::Duration};

use super::{clock::ClockReading, timestamp::Timestamp};

/// How long a wall clock that was set to another time is doubted.
pub(crate) const LONGEST_DOUBT: Duration = Duration::from_secs(30);

const LONGEST_DOUBT_MILLIS: i64 = 30_000;

/// How far the wall clock may be set within [`LONGEST_DOUBT`] without a doubt: small corrections are everyday.
const TOLERANCE_MILLIS: i64 = 3_000;

/// Compares a wall clock, which can be set, with a steady one, which cannot: it counts the time since the machine
/// started, suspended or not.
///
/// A jump between the two, in either direction, is doubted until it has lasted. A jump that is undone before has no
/// effect. A wall clock that is wrong from the beginning is not noticed, but it is followed when it is corrected.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The offset when the wall clock was last trusted. It is renewed at the earliest after [`LONGEST_DOUBT`], so that
    /// many small steps are noticed like one large one.
    trusted: Option<Offset>,
    /// Where the wall clock jumped to.
    doubt: Option<Offset>,
    /// The latest time that was returned as the present.
    latest: i64,
}

/// How far the wall clock is ahead of the steady one.
#[derive(Clone, Copy, Debug)]
struct Offset {
    millis: i64,
    /// When it began, by the steady clock.
    since: i64,
}

impl Watch {
    /// The reading for a wall clock that shows `wall` at some moment within `steady`, all in milliseconds.
    pub(super) fn look(&mut self, wall: i64, steady: RangeInclusive<i64>) -> ClockReading {
        let (earliest, present) = (*steady.start(), *steady.end());
        let trusted = *self.trusted.get_or_insert(Offset { millis: wall - present, since: present });
        // Of the moments at which the wall clock may have been read, the one most in its favour.
        let offset_from = |reference: i64| wall - (wall - reference).clamp(earliest, present);

        let offset = offset_from(trusted.millis);
        if trusted.is_near(offset) {
            self.doubt = None;
            if present - trusted.since >= LONGEST_DOUBT_MILLIS {
                self.trusted = Some(Offset { millis: offset, since: present });
            }
            return ClockReading::certain(self.not_before(wall));
        }
        match self.doubt {
            Some(doubt) if doubt.is_near(offset_from(doubt.millis)) => {
                if present - doubt.since >= LONGEST_DOUBT_MILLIS {
                    self.trusted = Some(Offset { millis: offset_from(doubt.millis), since: present });
                    self.doubt = None;
                    return ClockReading::certain(self.not_before(wall));
                }
            }
            _ => self.doubt = Some(Offset { millis: offset, since: present }),
        }
        let now = self.not_before(present + trusted.millis);
        ClockReading::doubted(now, Timestamp::clamped(wall))
    }

    /// This time, or the latest returned one if this is just before it: after a small step back, the time waits.
    fn not_before(&mut self, millis: i64) -> Timestamp {
        let ahead = self.latest - millis;
        if !(0..=TOLERANCE_MILLIS).contains(&ahead) {
            self.latest = millis;
        }
        Timestamp::clamped(self.latest)
    }

    /// Notes that this time was returned as the present, just before or after the last check.
    pub(super) fn said(&mut self, millis: i64) {
        if (0..=TOLERANCE_MILLIS).contains(&millis.saturating_sub(self.latest)) {
            self.latest = millis;
        }
    }
}

impl Offset {
    const fn is_near(self, millis: i64) -> bool {
        (millis - self.millis).abs() <= TOLERANCE_MILLIS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_772_366_400_000;
    const DAY: i64 = 86_400_000;

    /// Two clocks, and their watch.
    #[derive(Default)]
    struct Clocks {
        watch: Watch,
        wall: i64,
        steady: i64,
    }

    impl Clocks {
        fn started() -> Self {
            let mut clocks = Self { wall: START, steady: 5_000, ..Self::default() };
            assert!(clocks.look().is_certain());
            clocks
        }

        fn look(&mut self) -> ClockReading {
            self.watch.look(self.wall, self.steady..=self.steady)
        }

        fn pass(&mut self, millis: i64) -> ClockReading {
            self.wall += millis;
            self.steady += millis;
            self.look()
        }

        fn set(&mut self, by: i64) -> ClockReading {
            self.wall += by;
            self.look()
        }
    }

    fn millis(reading: ClockReading) -> (i64, bool) {
        (reading.now().as_millis() - START, reading.is_certain())
    }

    #[test]
    fn a_jump_ahead_that_is_taken_back_leaves_nothing_behind() {
        let mut clocks = Clocks::started();
        for by in [4_000, 55 * DAY, 9_000 * DAY] {
            let before = millis(clocks.pass(0)).0;
            let ahead = clocks.set(by);
            assert_eq!(millis(ahead), (before, false));
            assert_eq!(ahead.latest().as_millis(), START + before + by);
            assert_eq!(millis(clocks.pass(29_000)), (before + 29_000, false));
            assert_eq!(millis(clocks.set(-by)), (before + 29_000, true));
        }
    }

    #[test]
    fn a_jump_that_lasts_is_believed_after_half_a_minute_in_both_directions() {
        for by in [DAY, -DAY] {
            let mut clocks = Clocks::started();
            assert_eq!(millis(clocks.set(by)), (0, false));
            assert_eq!(millis(clocks.pass(29_999)), (29_999, false));
            assert_eq!(millis(clocks.pass(1)), (30_000 + by, true));
        }
    }

    #[test]
    fn each_jump_has_to_last_by_itself() {
        let mut clocks = Clocks::started();
        clocks.set(DAY);
        clocks.pass(20_000);
        clocks.set(-DAY);
        clocks.pass(5_000);
        assert_eq!(millis(clocks.set(DAY)), (25_000, false));
        assert_eq!(millis(clocks.pass(20_000)), (45_000, false), "the time right in between does not count");
        clocks.set(DAY);
        assert_eq!(millis(clocks.pass(20_000)), (65_000, false), "nor does the first jump for the second");
        assert_eq!(millis(clocks.pass(10_000)), (75_000 + 2 * DAY, true));
    }

    #[test]
    fn a_jump_that_was_believed_is_undone_when_it_is_taken_back() {
        let mut clocks = Clocks::started();
        clocks.set(55 * DAY);
        assert!(clocks.pass(30_000).is_certain());
        assert_eq!(millis(clocks.set(-55 * DAY)), (30_000 + 55 * DAY, false));
        assert_eq!(millis(clocks.pass(30_000)), (60_000, true));
    }

    #[test]
    fn many_small_steps_are_a_jump() {
        let mut clocks = Clocks::started();
        let certain = (0..100).filter(|_| clocks.set(1_000).is_certain()).count();
        assert_eq!(certain, 3);
    }

    #[test]
    fn small_corrections_are_followed_and_the_present_never_goes_back_by_them() {
        let mut clocks = Clocks::started();
        assert_eq!(millis(clocks.set(2_000)), (2_000, true));
        assert_eq!(millis(clocks.set(-2_000)), (2_000, true));
        assert_eq!(millis(clocks.pass(1_500)), (2_000, true));
        assert_eq!(millis(clocks.pass(600)), (2_100, true));
        for _ in 0..100 {
            clocks.pass(30_000);
            assert!(clocks.set(2_900).is_certain());
        }
    }

    #[test]
    fn a_suspend_which_both_clocks_count_is_no_jump() {
        let mut clocks = Clocks::started();
        assert_eq!(millis(clocks.pass(300 * DAY)), (300 * DAY, true));
    }

    #[test]
    fn a_reader_that_was_interrupted_between_the_clocks_doubts_nothing() {
        let mut clocks = Clocks::started();
        let reading = clocks.watch.look(START + 60_000, 65_000..=125_000);
        assert!(reading.is_certain());
        let reading = clocks.watch.look(START + 120_000, 65_000..=125_000);
        assert_eq!(millis(reading), (120_000, true));
    }

    #[test]
    fn the_present_stays_near_the_steady_clock_whatever_the_wall_clock_does_for_less_than_half_a_minute() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: i64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as i64
        };
        let (mut clocks, mut lasting) = (Clocks::started(), 0);
        for _ in 0..100_000 {
            let passed = random(5_000);
            lasting += passed;
            clocks.steady += passed;
            clocks.wall += passed;
            if lasting >= 20_000 {
                let by = random(2 * DAY) - DAY;
                clocks.wall = START + clocks.steady - 5_000 + if random(2) == 0 { 0 } else { by };
                lasting = 0;
            }
            let reading = clocks.look();
            let off = (reading.now().as_millis() - (START + clocks.steady - 5_000)).abs();
            assert!(off <= TOLERANCE_MILLIS, "{off}");
        }
    }
}
