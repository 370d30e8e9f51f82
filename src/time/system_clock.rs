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

/// So long after it was held against the steady clock, the wall clock is taken at its word. Reading both for each request
/// would cost more than all the rest of this; and within such a time the wall clock cannot have jumped further than this.
const WINDOW_MILLIS: i64 = 1_000;

/// The clock of the operating system, which is doubted where it jumps.
///
/// A wall clock that is set more than 3 seconds ahead or back is not believed before it has stayed there for 30 seconds,
/// by a clock that nobody sets: on Linux `CLOCK_BOOTTIME`, which goes on while the machine is suspended. Until then this
/// clock goes on from where it was, and its [`reading`](Clock::reading) shows both times. One that is set back again within
/// the 30 seconds leaves nothing behind. A smaller step back is waited for: the time stands until the wall clock has caught
/// up. A clock that is wrong when the service starts cannot be known to be; it is followed when it is set right.
///
/// On Linux 5.18 and newer it is the kernel's clock of the last tick (`CLOCK_REALTIME_COARSE`), which is 1 to 10
/// milliseconds old, and up to 60 where a virtual processor was taken away: nodes of a fleet differ by more, and reading
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
    /// The latest time that was said to be the present.
    latest: AtomicI64,
    /// What the wall clock showed when it was held against the steady one last; [`NEVER`] while it is doubted.
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
                // Written only when the millisecond turns: cores share the line, they do not fight for it.
                self.latest.fetch_max(wall, Ordering::Relaxed);
                return ClockReading::certain(Timestamp::clamped(wall));
            }
            if wall == latest {
                return ClockReading::certain(Timestamp::clamped(wall));
            }
            // It went back, for however little: one that is set back again and again would stay within the time for which
            // it is taken at its word. Or another thread was a moment ahead, or wrote a time that is not believed any more.
        }
        self.check(wall_millis)
    }

    /// Holds the wall clock against the steady one.
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
        // As `read`, with a wall clock of the test's own.
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
        // As if it had been held against the steady clock a while ago, and shown a later time since.
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
