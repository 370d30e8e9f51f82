use std::collections::BTreeMap;

use super::{UsageBatch, UsageRow};

/// A UTC day has none more and none less: there are no leap seconds in times since 1970.
const MILLIS_PER_DAY: i64 = 86_400_000;

/// The most days that one call reads, and the fewest that are kept: a year, and a month beside it.
pub(crate) const DAYS: i32 = 400;

/// How often a key was used on one day, as stores keep it: sums over outcomes and sources.
///
/// Requests that name no key have no days.
///
/// ```
/// use tower_api_keys::usage::UsageDayRow;
///
/// // 2026-03-01
/// let row = UsageDayRow { key: "AAAAAAAAAAAAAAAAAAAA".into(), day: 20_513, accepted: 3, refused: 1 };
/// assert_eq!(row.day % 7, 3); // a Sunday: 1970 began on a Thursday
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageDayRow {
    /// [`KeyId`](crate::key::KeyId).
    pub key: String,
    /// The day in UTC: days since 1970-01-01, 0 to 2,932,896, which is the last one of the year 9999.
    pub day: i32,
    /// Requests that were accepted.
    pub accepted: i64,
    /// Requests that were refused, or let in and then refused by what is behind the door, which are among the accepted
    /// ones too.
    pub refused: i64,
}

impl UsageRow {
    /// The day in UTC of the last of them: days since 1970-01-01. In a batch it is the day of all of them.
    ///
    /// ```
    /// use tower_api_keys::{Timestamp, usage::UsageRow};
    /// # let row = |last_at| UsageRow {
    /// #     key: None, outcome: "success".into(), label: "".into(), client: "".into(), network: "".into(),
    /// #     count: 1, first_at: last_at, last_at,
    /// # };
    ///
    /// let noon: Timestamp = "2026-03-01T12:00:00Z".parse()?;
    /// assert_eq!(row(noon.as_millis()).day(), 20_513);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn day(&self) -> i32 {
        day_of(self.last_at)
    }
}

impl UsageBatch {
    /// What it adds to the days of its keys, in the order of key and day.
    ///
    /// ```
    /// use tower_api_keys::usage::{UsageBatch, UsageDayRow, UsageRow};
    /// # let key = || Some("AAAAAAAAAAAAAAAAAAAA".into());
    /// # let row = |outcome: &str, count| UsageRow {
    /// #     key: key(), outcome: outcome.into(), label: "".into(), client: "".into(), network: "".into(),
    /// #     count, first_at: 0, last_at: 9,
    /// # };
    ///
    /// let rows = vec![row("success", 3), row("key_revoked", 2), UsageRow { key: None, ..row("invalid_key", 9) }];
    /// let batch = UsageBatch { writer: [7; 16], sequence: 1, rows };
    /// let day = UsageDayRow { key: "AAAAAAAAAAAAAAAAAAAA".into(), day: 0, accepted: 3, refused: 2 };
    /// assert_eq!(batch.days(), [day]);
    /// ```
    #[must_use]
    pub fn days(&self) -> Vec<UsageDayRow> {
        let mut days: BTreeMap<(&str, i32), (i64, i64)> = BTreeMap::new();
        for row in &self.rows {
            let Some(key) = row.key.as_deref() else { continue };
            let (accepted, refused) = days.entry((key, row.day())).or_default();
            let sum = if row.outcome == "success" { accepted } else { refused };
            *sum = sum.saturating_add(row.count);
        }
        let row = |((key, day), (accepted, refused)): ((&str, _), _)| UsageDayRow {
            key: key.to_owned(),
            day,
            accepted,
            refused,
        };
        days.into_iter().map(row).collect()
    }
}

/// The day of a time in milliseconds since 1970.
#[inline]
pub(crate) const fn day_of(millis: i64) -> i32 {
    let day = millis.div_euclid(MILLIS_PER_DAY);
    // Of a time that is none, some day: all times between 1970 and 9999 have one.
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
    use crate::time::Timestamp;

    #[test]
    fn a_day_ends_with_its_last_millisecond() {
        for (millis, day) in [(0, 0), (86_399_999, 0), (86_400_000, 1), (-1, -1), (i64::MIN, i32::MIN)] {
            assert_eq!(day_of(millis), day);
        }
        assert_eq!(day_of(Timestamp::MAX.as_millis()), 2_932_896);
        assert_eq!(bounds_of(1), (86_400_000, 172_799_999));
    }
}
