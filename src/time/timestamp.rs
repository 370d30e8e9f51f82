use std::{fmt, num::NonZeroU64, time::Duration};

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS_PER_MILLI: i128 = 1_000_000;

/// 9999-12-31T23:59:59.999Z, the last millisecond that RFC 3339 can write.
pub(super) const LAST_MILLI: i64 = 253_402_300_799_999;

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
    /// One more than the milliseconds: because zero is unused, an optional time takes no more memory than a time.
    NonZeroU64,
);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self::clamped(0);

    /// The last millisecond of the year 9999, the last one RFC 3339 can write.
    pub const MAX: Self = Self::clamped(LAST_MILLI);

    /// The point this many milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`TimestampError`] outside [`Timestamp::MIN`]`..=`[`Timestamp::MAX`].
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

    /// Whether this time is less than this long before `now`. A time in the future is not: it was noted by a wrong
    /// clock.
    pub(crate) fn is_recent(self, length: Duration, now: Self) -> bool {
        (self..self.saturating_add(length)).contains(&now)
    }

    pub(super) const fn clamped(millis: i64) -> Self {
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

/// The text or number is not a point in time between the years 1970 and 9999.
///
/// ```
/// use tower_api_keys::Timestamp;
///
/// let error = "+010000-01-01T00:00:00Z".parse::<Timestamp>().unwrap_err();
/// assert_eq!(error.to_string(), "this is no RFC 3339 time between the years 1970 and 9999");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("this is no RFC 3339 time between the years 1970 and 9999")]
pub struct TimestampError(());

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

    #[test]
    fn a_time_to_come_is_not_recent() {
        let (then, second) = (Timestamp::from_millis(5_000).unwrap(), Duration::from_secs(1));
        for (now, is_recent) in [(4_999, false), (5_000, true), (5_999, true), (6_000, false)] {
            assert_eq!(then.is_recent(second, Timestamp::from_millis(now).unwrap()), is_recent, "{now}");
        }
    }
}
