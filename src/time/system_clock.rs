use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    clock::{Boot, Clock, ClockReading},
    doubt::Watch,
    ticks::{boot_id, steady_millis, wall_millis},
    timestamp::Timestamp,
};

/// After a comparison with the steady clock, the wall clock is trusted for this long. To read both for each request
/// would cost more than everything else here; and within this time the wall clock cannot have jumped further than this.
const WINDOW_MILLIS: i64 = 1_000;

/// The clock of the operating system, which is doubted if it jumps.
///
/// A wall clock that is set more than 3 seconds forward or back is not believed until it has kept the new time for 30
/// seconds, by a clock that cannot be set: on Linux `CLOCK_BOOTTIME`, which continues while the machine is suspended.
/// Until then this clock continues from where it was, and its [`reading`](Clock::reading) shows both times. If it is
/// set back again within the 30 seconds, there is no effect. After a smaller step back the time waits until the wall
/// clock has caught up. A clock that is wrong when the service starts cannot be detected; it is followed when it is
/// corrected.
///
/// On Linux 5.18 and newer it is the kernel's clock of the last tick (`CLOCK_REALTIME_COARSE`). It is 1 to 10
/// milliseconds old, or 60 at most if a virtual processor was taken away. Nodes of a fleet differ by more, and reading
/// it takes a quarter of the time.
///
/// ```
/// use tower_api_keys::{Clock, SystemClock};
///
/// let clock = SystemClock::default();
/// let earlier = clock.now();
/// assert!(clock.now() >= earlier);
/// assert!(clock.reading().is_certain());
/// ```
pub struct SystemClock {
    /// The latest time that was returned as the present.
    latest: AtomicI64,
    /// What the wall clock showed at the last comparison with the steady one; [`NEVER`] while it is doubted.
    checked: AtomicI64,
    watch: Mutex<Watch>,
}

/// No time is near this one.
const NEVER: i64 = i64::MIN;

impl SystemClock {
    #[inline]
    fn read(&self, wall: i64) -> ClockReading {
        let (latest, checked) = (self.latest.load(Ordering::Relaxed), self.checked.load(Ordering::Relaxed));
        if is_within(wall, checked, WINDOW_MILLIS) {
            if wall > latest {
                // Written only when the millisecond changes, so that cores do not contend for the cache line.
                self.latest.fetch_max(wall, Ordering::Relaxed);
                return ClockReading::certain(Timestamp::clamped(wall));
            }
            if wall == latest {
                return ClockReading::certain(Timestamp::clamped(wall));
            }
            // It went back, if only a little: a clock that is set back again and again would stay within the time for
            // which it is trusted. Or another thread was a moment ahead, or wrote a time that is no longer believed.
        }
        self.check(wall_millis)
    }

    /// Compares the wall clock with the steady one.
    #[cold]
    #[inline(never)]
    fn check(&self, wall_millis: impl FnOnce() -> i64) -> ClockReading {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let before = steady_millis();
        let wall = wall_millis();
        watch.said(self.latest.load(Ordering::Relaxed));
        let reading = watch.look(wall, before..=steady_millis());
        self.latest.store(reading.now().as_millis(), Ordering::Relaxed);
        self.checked.store(if reading.is_certain() { wall } else { NEVER }, Ordering::Relaxed);
        reading
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.reading().now()
    }

    fn reading(&self) -> ClockReading {
        self.read(wall_millis())
    }

    fn boot(&self) -> Option<Boot> {
        let age = Duration::from_millis(steady_millis().try_into().ok()?);
        boot_id().map(|id| Boot { id, age })
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { latest: AtomicI64::new(NEVER), checked: AtomicI64::new(NEVER), watch: Mutex::default() }
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemClock").finish_non_exhaustive()
    }
}

/// Whether a time is at `start` or less than `length` after it.
const fn is_within(millis: i64, start: i64, length: i64) -> bool {
    (millis.wrapping_sub(start) as u64) < length as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn look(clock: &SystemClock, ahead: i64) -> ClockReading {
        let wall = || wall_millis() + ahead;
        let first = wall();
        // Like `read`, with the test's own wall clock.
        if is_within(first, clock.checked.load(Ordering::Relaxed), WINDOW_MILLIS) {
            clock.read(first)
        } else {
            clock.check(wall)
        }
    }

    #[test]
    fn the_system_clock_stands_while_the_wall_clock_is_a_little_behind() {
        let clock = SystemClock::default();
        let ahead = look(&clock, 2_500).now();
        assert_eq!(look(&clock, 0), ClockReading::certain(ahead));
    }

    #[test]
    fn one_wrong_reading_leaves_nothing_behind() {
        let clock = SystemClock::default();
        let before = clock.now();
        for ahead in [DAY, 55 * DAY, -DAY] {
            let wrong = look(&clock, ahead);
            assert!(!wrong.is_certain());
            assert!(wrong.now() >= before && wrong.now() < before.saturating_add(Duration::from_secs(600)));
            let right = look(&clock, 0);
            assert!(right.is_certain());
            assert!(right.now() >= before && right.now() < before.saturating_add(Duration::from_secs(600)));
        }
    }

    #[test]
    fn a_time_that_a_late_thread_writes_is_not_the_present() {
        let clock = SystemClock::default();
        let before = clock.now();
        clock.latest.store(before.as_millis() + 55 * DAY, Ordering::Relaxed);
        assert!(clock.now() < before.saturating_add(Duration::from_secs(600)));
    }

    #[test]
    fn a_wall_clock_that_goes_back_is_not_taken_at_its_word() {
        let clock = SystemClock::default();
        let before = clock.now().as_millis();
        // As if it had been compared with the steady clock a while ago, and shown a later time since.
        clock.checked.store(before - 500, Ordering::Relaxed);
        assert_eq!(clock.read(before + 400), ClockReading::certain(Timestamp::clamped(before + 400)));
        assert_eq!(clock.checked.load(Ordering::Relaxed), before - 500);
        let reading = clock.read(before - 400);
        assert!(clock.checked.load(Ordering::Relaxed) >= before, "it was not held against the steady clock");
        assert!(
            reading.is_certain() && reading.now().as_millis() >= before + 400,
            "the time does not go back by little"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_says_since_when_it_runs() {
        let (one, two) = (SystemClock::default().boot().unwrap(), SystemClock::default().boot().unwrap());
        assert_eq!(one.id, two.id);
        assert!(two.age >= one.age && one.age > Duration::ZERO);
    }
}
