use std::fmt;

use serde::{Serialize, Serializer};

use super::Timestamp;

/// There are no leap seconds in times since 1970.
const MILLIS_PER_DAY: i64 = 86_400_000;

/// A day in UTC, between the years 1970 and 9999. Text and serde write `2026-03-01`.
///
/// ```
/// use tower_api_keys::{Timestamp, usage::Day};
///
/// let noon: Timestamp = "2026-03-01T12:00:00Z".parse()?;
/// let day = Day::of(noon);
/// assert_eq!(day.to_string(), "2026-03-01");
/// assert_eq!(day.start().to_string(), "2026-03-01T00:00:00Z");
/// # Ok::<(), tower_api_keys::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(
    /// Days since 1970-01-01.
    i32,
);

impl Day {
    /// The day that contains this time.
    #[must_use]
    pub const fn of(time: Timestamp) -> Self {
        Self(day_of(time.as_millis()))
    }

    /// The day with this number, counted from 1970-01-01, or the nearest valid one.
    pub(crate) const fn numbered(number: i32) -> Self {
        Self::of(Timestamp::clamped(bounds_of(number).0))
    }

    /// Its first millisecond.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::clamped(bounds_of(self.0).0)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_string();
        f.pad(start.split('T').next().unwrap_or_default())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({self})")
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The day of a time in milliseconds since 1970.
#[inline]
pub(crate) const fn day_of(millis: i64) -> i32 {
    let day = millis.div_euclid(MILLIS_PER_DAY);
    // An invalid time gets some day: all times between 1970 and 9999 have one.
    if day > i32::MAX as i64 {
        i32::MAX
    } else if day < i32::MIN as i64 {
        i32::MIN
    } else {
        day as i32
    }
}

/// The first and the last millisecond of a day.
pub(crate) const fn bounds_of(day: i32) -> (i64, i64) {
    let first = day as i64 * MILLIS_PER_DAY;
    (first, first + MILLIS_PER_DAY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_its_last_millisecond() {
        for (millis, day) in [(0, 0), (86_399_999, 0), (86_400_000, 1), (-1, -1), (i64::MIN, i32::MIN)] {
            assert_eq!(day_of(millis), day);
        }
        assert_eq!(day_of(Timestamp::MAX.as_millis()), 2_932_896);
        assert_eq!(bounds_of(1), (86_400_000, 172_799_999));
    }

    #[test]
    fn days_are_those_of_their_first_and_last_millisecond() {
        for (millis, text) in [
            (0, "1970-01-01"),
            (86_399_999, "1970-01-01"),
            (86_400_000, "1970-01-02"),
            (1_709_164_800_000, "2024-02-29"),
            (1_709_251_199_999, "2024-02-29"),
            (Timestamp::MAX.as_millis(), "9999-12-31"),
        ] {
            let day = Day::of(Timestamp::from_millis(millis).unwrap());
            assert_eq!((day.to_string().as_str(), Day::of(day.start())), (text, day));
        }
    }
}
