use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::time::Timestamp;

/// How far the wall clock and the monotonic clock may drift apart while a lease runs. A machine that slept, or a virtual
/// one that was moved, shows a jump: its monotonic clock may not have counted the time it was away.
const LARGEST_JUMP: Duration = Duration::from_millis(200);

/// How long what this node knows of the store may be used without asking again: for a stated time from the start of a
/// read of the change log. A change made by this node ends it before the change returns.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    read: Mutex<Option<Moment>>,
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    pub(crate) wall: Timestamp,
}

impl Lease {
    /// A read of the log that began at `start` was applied.
    pub(crate) fn renew(&self, start: Moment) {
        let mut read = self.lock();
        if read.is_none_or(|read| read.monotonic < start.monotonic) {
            *read = Some(start);
        }
    }

    /// Ends it: the next request asks the store.
    pub(crate) fn void(&self) {
        *self.lock() = None;
    }

    /// Whether a read began within the last `bound`.
    pub(crate) fn is_valid(&self, now: Moment, bound: Duration) -> bool {
        let mut read = self.lock();
        let Some(start) = *read else { return false };
        let elapsed = now.monotonic.saturating_duration_since(start.monotonic);
        let by_wall = now.wall.as_millis().saturating_sub(start.wall.as_millis());
        let by_monotonic = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        if u128::from(by_wall.abs_diff(by_monotonic)) > LARGEST_JUMP.as_millis() {
            *read = None;
            return false;
        }
        elapsed < bound
    }

    fn lock(&self) -> MutexGuard<'_, Option<Moment>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    fn after(start: Moment, monotonic: u64, wall: u64) -> Moment {
        let (monotonic, wall) = (Duration::from_millis(monotonic), Duration::from_millis(wall));
        Moment { monotonic: start.monotonic + monotonic, wall: start.wall.saturating_add(wall) }
    }

    fn leased() -> (Lease, Moment) {
        let start = Moment { monotonic: Instant::now(), wall: Timestamp::from_millis(1_772_366_400_000).unwrap() };
        let lease = Lease::default();
        lease.renew(start);
        (lease, start)
    }

    #[test]
    fn a_lease_runs_from_the_start_of_its_read() {
        let (lease, start) = leased();
        assert!(lease.is_valid(after(start, 999, 999), BOUND));
        assert!(!lease.is_valid(after(start, 1_000, 1_000), BOUND));
    }

    #[test]
    fn an_own_change_ends_it() {
        let (lease, start) = leased();
        lease.void();
        assert!(!lease.is_valid(start, BOUND));
    }

    #[test]
    fn an_older_read_does_not_shorten_it() {
        let (lease, start) = leased();
        lease.renew(after(start, 500, 500));
        lease.renew(start);
        assert!(lease.is_valid(after(start, 1_400, 1_400), BOUND));
    }

    #[test]
    fn a_jump_between_the_clocks_ends_it_for_good() {
        let (lease, start) = leased();
        assert!(!lease.is_valid(after(start, 10, 5_000), BOUND));
        assert!(!lease.is_valid(after(start, 10, 10), BOUND));
    }
}
