use std::{fmt, time::Duration};

use super::timestamp::Timestamp;

/// Where the time comes from. Nothing else in this crate reads the wall clock.
///
/// An implementation may be asked from any thread, on every request: it should answer in nanoseconds and move back only
/// where it was wrong before. [`SystemClock`](super::SystemClock) is the default; the feature `test-util` has a
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
    /// The present, as far as this clock trusts itself: the time that is written down.
    fn now(&self) -> Timestamp;

    /// The present and what speaks against it. A clock that never doubts itself is certain, which is the default.
    fn reading(&self) -> ClockReading {
        ClockReading::certain(self.now())
    }

    /// Which start of which machine this is, if the clock can tell, which it cannot by default.
    ///
    /// Two clocks of one machine are one witness of the time. Before audit events are deleted, two have to agree.
    fn boot(&self) -> Option<Boot> {
        None
    }
}

/// What a clock shows: one time, or two while nobody can say which of them is right.
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
    /// The same, unless there is doubt.
    other: Timestamp,
}

impl ClockReading {
    /// There is one time.
    #[must_use]
    pub const fn certain(now: Timestamp) -> Self {
        Self { now, other: now }
    }

    /// It is `now` as far as the clock trusts itself, but the wall clock shows `other`.
    #[must_use]
    pub const fn doubted(now: Timestamp, other: Timestamp) -> Self {
        Self { now, other }
    }

    /// The present as far as the clock trusts itself.
    #[must_use]
    pub const fn now(self) -> Timestamp {
        self.now
    }

    /// Whether there is one time only.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self.now == self.other
    }

    /// The earlier of the two times. By it, what may still live lives.
    #[must_use]
    pub fn earliest(self) -> Timestamp {
        self.now.min(self.other)
    }

    /// The later of the two times. What may be used for a limited time goes by it.
    #[must_use]
    pub fn latest(self) -> Timestamp {
        self.now.max(self.other)
    }

    /// Whether it is `time` already, or later: of a key that expires then, whether it has expired.
    ///
    /// # Errors
    /// [`ClockInDoubt`] if one of the two times says so and the other does not.
    pub fn has_passed(self, time: Timestamp) -> Result<bool, ClockInDoubt> {
        let passed = self.now >= time;
        if passed == (self.other >= time) { Ok(passed) } else { Err(ClockInDoubt(())) }
    }
}

/// The clock jumped, and what was asked depends on whether it is right now or was before.
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
#[error("the clock of this node jumped, and the right time is not known yet: try again in 30 seconds")]
pub struct ClockInDoubt(());

/// A start of a machine.
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
    /// No other start of any machine has it.
    pub id: [u8; 16],
    /// How long ago it was, by a clock that nobody sets and that goes on while the machine is suspended.
    pub age: Duration,
}
