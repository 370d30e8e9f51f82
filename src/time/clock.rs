use std::{fmt, time::Duration};

use super::timestamp::Timestamp;

/// The source of the time. Nothing else in this crate reads the wall clock.
///
/// An implementation is called from any thread, on every request. It should answer in nanoseconds, and move back only
/// if it was wrong before. [`SystemClock`](super::SystemClock) is the default; the feature `test-util` has a
/// `ManualClock`.
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
///
/// assert!(Frozen(Timestamp::MIN).reading().is_certain());
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present, as far as this clock trusts itself: the time that is stored.
    fn now(&self) -> Timestamp;

    /// The present, and a second time if there is doubt. By default there is no doubt.
    fn reading(&self) -> ClockReading {
        ClockReading::certain(self.now())
    }

    /// Identifies the start of this machine, if the clock knows it. Default: it does not.
    ///
    /// Two clocks of one machine are one witness of the time. Audit events are deleted only if two witnesses agree.
    fn boot(&self) -> Option<Boot> {
        None
    }
}

/// What a clock shows: one time, or two while it is unknown which is right.
///
/// ```
/// use tower_api_keys::{ClockReading, Timestamp};
///
/// let noon: Timestamp = "2026-03-01T12:00:00Z".parse()?;
/// let (one, two): (Timestamp, Timestamp) = ("2026-03-01T13:00:00Z".parse()?, "2026-03-01T14:00:00Z".parse()?);
/// let reading = ClockReading::doubted(noon, two);
/// assert_eq!(reading.now(), noon);
/// assert!(reading.has_passed(noon).is_ok_and(|passed| passed));
/// assert!(reading.has_passed(one).is_err());
/// assert!(ClockReading::certain(two).has_passed(one).is_ok_and(|passed| passed));
/// # Ok::<(), tower_api_keys::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    now: Timestamp,
    /// Equal to `now`, unless there is doubt.
    other: Timestamp,
}

impl ClockReading {
    /// A reading with one time.
    #[must_use]
    pub const fn certain(now: Timestamp) -> Self {
        Self { now, other: now }
    }

    /// A reading with two times: `now` as far as the clock trusts itself, and `other` from the wall clock.
    #[must_use]
    pub const fn doubted(now: Timestamp, other: Timestamp) -> Self {
        Self { now, other }
    }

    /// The present as far as the clock trusts itself.
    #[must_use]
    pub const fn now(self) -> Timestamp {
        self.now
    }

    /// Whether there is only one time.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self.now == self.other
    }

    /// The earlier of the two times. Use it for what may still be alive.
    #[must_use]
    pub fn earliest(self) -> Timestamp {
        self.now.min(self.other)
    }

    /// The later of the two times. Use it for what may be used for a limited time.
    #[must_use]
    pub fn latest(self) -> Timestamp {
        self.now.max(self.other)
    }

    /// Whether `time` has been reached. If a key expires at `time`: whether it has expired.
    ///
    /// # Errors
    /// [`ClockInDoubt`] if one of the two times says so and the other does not.
    pub fn has_passed(self, time: Timestamp) -> Result<bool, ClockInDoubt> {
        let passed = self.now >= time;
        if passed == (self.other >= time) { Ok(passed) } else { Err(ClockInDoubt(())) }
    }
}

/// The clock jumped, and the answer depends on which of its two times is right.
///
/// The doubt ends when the wall clock goes back to where it was, or has stayed where it is for 30 seconds.
///
/// ```
/// use tower_api_keys::{ClockReading, Timestamp};
///
/// let error = ClockReading::doubted(Timestamp::MIN, Timestamp::MAX).has_passed(Timestamp::MAX).unwrap_err();
/// assert!(error.to_string().starts_with("the clock of this node jumped"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock of this node jumped, and the right time is known within 30 seconds")]
pub struct ClockInDoubt(());

/// One start of a machine.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::Boot;
///
/// let boot = Boot { id: [7; 16], age: Duration::from_secs(3_600) };
/// assert_eq!(boot.age.as_secs(), 3_600);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Unique for this start of this machine.
    pub id: [u8; 16],
    /// How long ago it was, by a clock that cannot be set and that continues while the machine is suspended.
    pub age: Duration,
}
