//! Points in time, and the only place that reads the clock.

use std::{
    fmt,
    num::NonZeroU64,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS_PER_MILLI: i128 = 1_000_000;

/// 9999-12-31T23:59:59.999Z, the last millisecond that RFC 3339 can write.
const LAST_MILLI: i64 = 253_402_300_799_999;

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, between the years 1970 and 9999.
///
/// Text and serde use RFC 3339 in UTC.
///
/// ```
/// use tower_api_keys::Timestamp;
///
/// let noon: Timestamp = "2026-03-01T12:00:00Z".parse()?;
/// assert_eq!(noon.as_millis(), 1_772_366_400_000);
/// assert_eq!(noon.to_string(), "2026-03-01T12:00:00Z");
/// # Ok::<(), tower_api_keys::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// One more than the milliseconds: with the zero to spare, a time that may be missing takes no more room than one.
    NonZeroU64,
);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self::clamped(0);

    /// The last millisecond of the year 9999, the last one RFC 3339 can write.
    pub const MAX: Self = Self::clamped(LAST_MILLI);

    /// A point so many milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`TimestampError`] outside of [`Timestamp::MIN`]`..=`[`Timestamp::MAX`].
    pub const fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        if millis < 0 || millis > LAST_MILLI {
            return Err(TimestampError(()));
        }
        Ok(Self::clamped(millis))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.get() as i64 - 1
    }

    /// This point moved forward, at most to [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::clamped(self.as_millis().saturating_add(millis))
    }

    /// This point moved back, at most to [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::clamped(self.as_millis().saturating_sub(millis))
    }

    const fn clamped(millis: i64) -> Self {
        // `clamp` and `max` of the standard library do not run in the compiler.
        let millis = if millis < 0 {
            0
        } else if millis > LAST_MILLI {
            LAST_MILLI
        } else {
            millis
        };
        Self(NonZeroU64::MIN.saturating_add(millis as u64))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.as_millis()) * NANOS_PER_MILLI)
            .map_err(|_| fmt::Error)?
            .format(&Rfc3339)
            .map_err(|_| fmt::Error)?;
        f.pad(&text)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError(()))?;
        let millis = time.unix_timestamp_nanos().div_euclid(NANOS_PER_MILLI);
        i64::try_from(millis).map_err(|_| TimestampError(())).and_then(Self::from_millis)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The text or number is no point in time between the years 1970 and 9999.
///
/// ```
/// use tower_api_keys::Timestamp;
///
/// let error = "+010000-01-01T00:00:00Z".parse::<Timestamp>().unwrap_err();
/// assert_eq!(error.to_string(), "not an RFC 3339 time between the years 1970 and 9999");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 time between the years 1970 and 9999")]
pub struct TimestampError(());

/// Where the time comes from. Nothing else in this crate reads the wall clock.
///
/// An implementation may be asked from any thread, on every request: it should answer in nanoseconds and never move
/// back. [`SystemClock`] is the default; the feature `test-util` has a `ManualClock`.
///
/// ```
/// use tower_api_keys::{Clock, Timestamp};
///
/// #[derive(Debug)]
/// struct Frozen(Timestamp);
///
/// impl Clock for Frozen {
///     fn now(&self) -> Timestamp {
///         self.0
///     }
/// }
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system, which on this node never moves back: where the wall clock is set to an earlier
/// time, this one stands until the wall clock has caught up. An expired key stays expired.
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
/// ```
#[derive(Debug, Default)]
pub struct SystemClock {
    latest: AtomicI64,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = wall_clock().clamp(0, LAST_MILLI);
        // Written only when the millisecond turns: cores share the line, they do not fight for it.
        let latest = self.latest.load(Ordering::Relaxed);
        if millis > latest {
            self.latest.fetch_max(millis, Ordering::Relaxed);
        }
        Timestamp::clamped(millis.max(latest))
    }
}

/// Milliseconds since 1970.
#[cfg(target_os = "linux")]
fn wall_clock() -> i64 {
    linux::millis(linux::clocks().wall)
}

/// Milliseconds since 1970.
#[cfg(not(target_os = "linux"))]
fn wall_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How far [`monotonic_millis`] may be behind. Where the processor that counts Linux's ticks is taken away, another one
/// does so after `MAX_STALLED_JIFFIES`, 5 ticks (kernel/time/tick-sched.c, since 5.18): the sixth makes up for it, and
/// there are at least a hundred a second.
pub(crate) const LARGEST_LAG_MILLIS: u64 = 60;

/// Milliseconds by a clock that nobody sets, as of the last tick.
#[cfg(target_os = "linux")]
pub(crate) fn monotonic_millis() -> i64 {
    linux::millis(linux::clocks().monotonic)
}

/// Milliseconds by a clock that nobody sets.
#[cfg(not(target_os = "linux"))]
pub(crate) fn monotonic_millis() -> i64 {
    static BEGUN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    i64::try_from(BEGUN.get_or_init(std::time::Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;

    use rustix::{
        system::uname,
        time::{ClockId, clock_gettime},
    };

    /// The clocks this kernel has for those who ask often.
    #[derive(Clone, Copy)]
    pub(super) struct Clocks {
        pub(super) wall: ClockId,
        pub(super) monotonic: ClockId,
    }

    const OF_TICKS: Clocks = Clocks { wall: ClockId::RealtimeCoarse, monotonic: ClockId::MonotonicCoarse };
    const PRECISE: Clocks = Clocks { wall: ClockId::Realtime, monotonic: ClockId::Monotonic };

    pub(super) fn clocks() -> Clocks {
        static CLOCKS: OnceLock<Clocks> = OnceLock::new();
        *CLOCKS.get_or_init(|| {
            let is_bounded = uname().release().to_str().is_ok_and(bounds_ticks);
            if is_bounded { OF_TICKS } else { PRECISE }
        })
    }

    /// Whether a kernel of this release, `6.8.0-45-generic` say, bounds how late a tick may come: since 5.18.
    pub(super) fn bounds_ticks(release: &str) -> bool {
        let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
        matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (5, 18))
    }

    pub(super) fn millis(clock: ClockId) -> i64 {
        let now = clock_gettime(clock);
        now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
    }
}

/// A clock that moves only when told to: no test needs to sleep.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at("2026-03-01T12:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().to_string(), "2026-03-01T12:01:30Z");
/// # Ok::<(), tower_api_keys::TimestampError>(())
/// ```
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicI64,
}

#[cfg(any(test, feature = "test-util"))]
impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self { millis: AtomicI64::new(start.as_millis()) }
    }

    /// Moves the clock forward, at most to [`Timestamp::MAX`].
    pub fn advance(&self, duration: Duration) {
        let moved = self.now().saturating_add(duration);
        self.millis.store(moved.as_millis(), Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::clamped(self.millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_outside_of_1970_to_9999_are_refused() {
        for text in ["1969-12-31T23:59:59Z", "+010000-01-01T00:00:00Z", "tomorrow", ""] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert!(Timestamp::from_millis(-1).is_err());
        assert!(Timestamp::from_millis(Timestamp::MAX.as_millis() + 1).is_err());
    }

    #[test]
    fn the_last_millisecond_survives_its_text() {
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::MAX.to_string().parse::<Timestamp>().unwrap(), Timestamp::MAX);
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_sub(Duration::MAX), Timestamp::MIN);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_clock_of_ticks_is_that_of_kernels_that_bound_its_lag() {
        for release in ["5.18.0", "5.18", "6.1.0-18-amd64", "6.8.0-45-generic", "10.0.0"] {
            assert!(linux::bounds_ticks(release), "{release}");
        }
        for release in ["", "5", "4.19.0", "5.4.0-1009-aws", "5.17.99", "5.x.18", "unknown", "-5.18"] {
            assert!(!linux::bounds_ticks(release), "{release}");
        }
    }

    #[test]
    fn the_system_clock_stands_when_the_wall_clock_goes_back() {
        let clock = SystemClock::default();
        let ahead = clock.now().saturating_add(Duration::from_secs(3600));
        clock.latest.store(ahead.as_millis(), Ordering::Relaxed);
        assert_eq!(clock.now(), ahead);
    }
}
