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
pub(crate) struct Lease(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The start of the last read that was applied.
    read: Option<Moment>,
    /// When the lease was ended last: a read that began before does not bring it back.
    ended: Option<Instant>,
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
        let mut state = self.lock();
        let is_later = state.read.is_none_or(|read| read.monotonic < start.monotonic);
        if is_later && state.ended.is_none_or(|ended| ended < start.monotonic) {
            state.read = Some(start);
        }
    }

    /// Ends it: the next request asks the store.
    pub(crate) fn void(&self) {
        *self.lock() = State { read: None, ended: Some(Instant::now()) };
    }

    /// Whether a read began within the last `bound`.
    pub(crate) fn is_valid(&self, now: Moment, bound: Duration) -> bool {
        let mut state = self.lock();
        let Some(start) = state.read else { return false };
        let elapsed = now.monotonic.saturating_duration_since(start.monotonic);
        let by_wall = now.wall.as_millis().saturating_sub(start.wall.as_millis());
        let by_monotonic = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        if u128::from(by_wall.abs_diff(by_monotonic)) > LARGEST_JUMP.as_millis() {
            state.read = None;
            return false;
        }
        elapsed < bound
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_read_that_began_before_an_own_change_does_not_bring_it_back() {
        let (lease, start) = leased();
        lease.void();
        lease.renew(start);
        assert!(!lease.is_valid(start, BOUND));
        let later = Moment { monotonic: Instant::now() + Duration::from_millis(1), ..start };
        lease.renew(later);
        assert!(lease.is_valid(later, BOUND));
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
