use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::time::{Clock, LARGEST_LAG_MILLIS, Timestamp, monotonic_millis};

/// How far the wall clock and the monotonic clock may drift apart while a lease runs. A machine that slept, or a
/// virtual one that was moved, shows a jump: its monotonic clock may not have counted the time it was away.
const LARGEST_JUMP_MILLIS: u64 = 200;

/// The start if there is no lease.
const NONE: i64 = i64::MIN;

/// How long this node may use what it knows of the store without asking again: for a fixed time after the start of a
/// read of the change log. A change made by this node ends the lease before the change returns.
///
/// Requests only load two words. Both are about the last read: a request that sees the second word of a later read also
/// sees everything that this read brought.
#[derive(Debug)]
pub(crate) struct Lease {
    /// When the last read that was applied began, in ticks.
    start: AtomicI64,
    /// How far the wall clock was ahead of the ticks then.
    offset: AtomicI64,
    reads: Mutex<Reads>,
}

#[derive(Debug, Default)]
struct Reads {
    /// The start of the last read that was applied.
    last: Option<Instant>,
    /// When the lease ended last: a read that began earlier does not renew it.
    ended: Option<Instant>,
}

/// A moment by all clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    /// The later of the two times if the [reading](crate::time::ClockReading) is in doubt.
    pub(crate) wall: Timestamp,
    /// The same clock as `monotonic`, at its last tick, in milliseconds.
    pub(crate) ticks: i64,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        // The ticks first, so that they are never later than the other two clocks.
        let ticks = monotonic_millis();
        Self { monotonic: Instant::now(), wall: clock.reading().latest(), ticks }
    }
}

impl Lease {
    /// Renews the lease: a read of the log that began at `start` was applied.
    pub(crate) fn renew(&self, start: Moment) {
        let mut reads = self.reads();
        let is_later = reads.last.is_none_or(|last| last < start.monotonic);
        if is_later && reads.ended.is_none_or(|ended| ended < start.monotonic) {
            reads.last = Some(start.monotonic);
            self.offset.store(start.wall.as_millis() - start.ticks, Ordering::Release);
            self.start.store(start.ticks, Ordering::Release);
        }
    }

    /// Ends it: the next request asks the store.
    pub(crate) fn void(&self) {
        let mut reads = self.reads();
        *reads = Reads { last: None, ended: Some(Instant::now()) };
        self.start.store(NONE, Ordering::Release);
    }

    /// Whether a read began within the last `bound` before this moment, by the ticks and by the wall clock. `wall` is
    /// the later time if the wall clock is in doubt.
    pub(crate) fn is_valid(&self, ticks: i64, wall: Timestamp, bound: Duration) -> bool {
        let start = self.start.load(Ordering::Acquire);
        if start == NONE {
            return false;
        }
        let jumped = wall.as_millis() - ticks - self.offset.load(Ordering::Acquire);
        if jumped.unsigned_abs() > LARGEST_JUMP_MILLIS {
            self.void();
            return false;
        }
        // The longer time of the two clocks counts, and the present may be later than the last tick.
        let elapsed = (ticks - start).unsigned_abs() + jumped.max(0).unsigned_abs() + LARGEST_LAG_MILLIS;
        u128::from(elapsed) < bound.as_millis()
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self { start: AtomicI64::new(NONE), offset: AtomicI64::new(0), reads: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    fn after(start: Moment, monotonic: u64, wall: u64) -> Moment {
        let ticks = start.ticks + monotonic as i64;
        let (monotonic, wall) = (Duration::from_millis(monotonic), Duration::from_millis(wall));
        Moment { monotonic: start.monotonic + monotonic, wall: start.wall.saturating_add(wall), ticks }
    }

    fn leased() -> (Lease, Moment) {
        let wall = Timestamp::from_millis(1_772_366_400_000).unwrap();
        let start = Moment { monotonic: Instant::now(), wall, ticks: 5_000 };
        let lease = Lease::default();
        lease.renew(start);
        (lease, start)
    }

    fn is_valid(lease: &Lease, at: Moment) -> bool {
        lease.is_valid(at.ticks, at.wall, BOUND)
    }

    #[test]
    fn a_lease_runs_from_the_start_of_its_read_except_for_what_the_clock_may_lag() {
        let (lease, start) = leased();
        assert!(is_valid(&lease, after(start, 939, 939)));
        assert!(!is_valid(&lease, after(start, 940, 940)));
    }

    #[test]
    fn it_goes_by_the_clock_by_which_more_time_has_passed() {
        let (lease, start) = leased();
        assert!(is_valid(&lease, after(start, 700, 839)));
        assert!(!is_valid(&lease, after(start, 800, 940)));
        assert!(!is_valid(&lease, after(start, 940, 800)));
    }

    #[test]
    fn an_own_change_ends_it() {
        let (lease, start) = leased();
        lease.void();
        assert!(!is_valid(&lease, start));
    }

    #[test]
    fn a_read_that_began_before_an_own_change_does_not_bring_it_back() {
        let (lease, start) = leased();
        lease.void();
        lease.renew(start);
        assert!(!is_valid(&lease, start));
        let later = Moment { monotonic: Instant::now() + Duration::from_millis(1), ..start };
        lease.renew(later);
        assert!(is_valid(&lease, later));
    }

    #[test]
    fn an_older_read_does_not_shorten_it() {
        let (lease, start) = leased();
        lease.renew(after(start, 500, 500));
        lease.renew(start);
        assert!(is_valid(&lease, after(start, 1_400, 1_400)));
    }

    #[test]
    fn a_jump_between_the_clocks_ends_it_permanently() {
        let (lease, start) = leased();
        assert!(!is_valid(&lease, after(start, 10, 5_000)));
        assert!(!is_valid(&lease, after(start, 10, 10)));
    }
}
