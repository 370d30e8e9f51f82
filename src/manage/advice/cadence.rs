use std::{fmt, time::Duration};

use crate::{
    json::json_form,
    sentence::{Sentence, sentences},
    time::Timestamp,
    usage::UsageCount,
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Times between runs that people give to schedulers.
const SCHEDULES: &[i64] = &[5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY];

/// The fewest requests whose average says something of a schedule: seven intervals.
const FEWEST_OF_A_SCHEDULE: i64 = 8;

/// The shortest time over which an average says something.
const SHORTEST_SPAN: Duration = Duration::from_millis(3 * DAY as u64);

/// How often accepted requests came: what a count, a first and a last time can tell, and no more.
///
/// Told: how many there were, the time between the first and the last, the average time between two of them, and whether
/// they still come. Not told, because it is not recorded: whether they come evenly, in bursts, at night or on working
/// days. A hundred requests in one evening and one more ten days later have the same average as ten a day.
///
/// ```
/// # fn example(advice: tower_api_keys::manage::Advice) {
/// if let Some(cadence) = advice.cadence {
///     println!("{cadence}"); // 31 requests in 30 days, 24 hours apart on average, the last at ….
///     assert!(cadence.count >= 1);
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cadence {
    /// How many requests were accepted, at least 1.
    pub count: i64,
    /// When the first of them came.
    pub first_at: Timestamp,
    /// When the last of them came.
    pub last_at: Timestamp,
    /// The average time between two of them, in milliseconds; none if there was only one.
    pub average_interval_ms: Option<i64>,
    /// Whether they still come: the last is no older than three average intervals, or than a day if that is longer.
    pub is_active: bool,
}

impl Cadence {
    /// Of all these counts together; none if there are none.
    pub(super) fn of<'a>(counts: impl IntoIterator<Item = &'a UsageCount>, now: Timestamp) -> Option<Self> {
        let sum = counts.into_iter().fold(None, |sum: Option<(i64, Timestamp, Timestamp)>, count| {
            // A time in the future is that of a wrong clock, and no evidence.
            let last_at = count.last_known_at(now).unwrap_or(now);
            let first_at = count.first_at.min(last_at);
            Some(match sum {
                None => (count.count, first_at, last_at),
                Some((all, first, last)) => (all.saturating_add(count.count), first.min(first_at), last.max(last_at)),
            })
        });
        let (count, first_at, last_at) = sum?;
        let span = last_at.as_millis() - first_at.as_millis();
        let average_interval_ms = (count > 1).then(|| span / (count - 1));
        let patience = average_interval_ms.unwrap_or_default().saturating_mul(3).max(DAY);
        let is_active = now.as_millis() - last_at.as_millis() <= patience;
        Some(Self { count, first_at, last_at, average_interval_ms, is_active })
    }

    /// The time between the first request and the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        Duration::from_millis((self.last_at.as_millis() - self.first_at.as_millis()).unsigned_abs())
    }

    /// Every how long, if the average is that of a schedule, to half a percent: at least eight requests over at least three
    /// days. By chance, one average in eighty is. A job that was late or missed once is not noticed: better that than to take
    /// people for clocks.
    pub(super) fn schedule(&self) -> Option<Duration> {
        if self.count < FEWEST_OF_A_SCHEDULE || self.span() < SHORTEST_SPAN {
            return None;
        }
        let average = self.average_interval_ms?;
        let every = SCHEDULES.iter().find(|every| (average - **every).abs() <= **every / 200)?;
        Some(Duration::from_millis(every.unsigned_abs()))
    }

    /// At least 100 requests a day, every day for a week or more, on average: more than a person does by hand.
    pub(super) fn is_more_than_by_hand(&self) -> bool {
        self.span() >= Duration::from_millis(7 * DAY as u64)
            && self.average_interval_ms.is_some_and(|average| average <= DAY / 100)
    }

    /// Whether the last request is more than 90 days old.
    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        now.as_millis() - self.last_at.as_millis() > 90 * DAY
    }
}

sentences! {
    pub(in crate::manage) fn all;

    fn once(at: Timestamp) = "cadence.once": "1 request, at {at}.";
    fn repeated(count: i64, span: Duration, apart: Duration, last: Timestamp) = "cadence.repeated":
        "{count} requests in {span}, {apart} apart on average, the last at {last}.";
}

impl Cadence {
    /// The same in a sentence.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self.average_interval_ms {
            None => once(self.first_at),
            Some(average) => {
                repeated(self.count, self.span(), Duration::from_millis(average.unsigned_abs()), self.last_at)
            }
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

json_form! {
    Cadence, |cadence| Cadence { count, first_at, last_at, average_interval_ms, is_active } => {
        count: i64 = *count,
        first_at: Timestamp = *first_at,
        last_at: Timestamp = *last_at,
        average_interval_ms: Option<i64> = *average_interval_ms,
        is_active: bool = *is_active,
        sentence: Sentence = cadence.sentence(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::UsageRow;

    fn cadence(count: i64, span: i64, since: i64) -> Cadence {
        let row = UsageRow {
            key: None,
            outcome: "success".into(),
            count,
            first_at: 1_000 * DAY,
            last_at: 1_000 * DAY + span,
            ..UsageRow::seen_from("")
        };
        let now = Timestamp::from_millis(1_000 * DAY + span + since).unwrap();
        Cadence::of(&[UsageCount::try_from(&row).unwrap()], now).unwrap()
    }

    #[test]
    fn an_average_is_that_of_a_schedule_or_not() {
        for (count, span, expected) in [
            (31, 30 * DAY, Some(DAY)),
            (31, 30 * DAY + 3 * HOUR, Some(DAY)),
            (31, 30 * DAY + 12 * HOUR, None),
            (31, 31 * DAY, None),
            (8, 7 * DAY, Some(DAY)),
            (7, 6 * DAY, None),
            (73, 3 * DAY, Some(HOUR)),
            (49, 2 * DAY, None),
            (9, 8 * 7 * DAY, Some(7 * DAY)),
            (40, 13 * DAY, None),
            (1, 0, None),
        ] {
            let every = cadence(count, span, 0).schedule();
            assert_eq!(
                every,
                expected.map(|millis: i64| Duration::from_millis(millis.unsigned_abs())),
                "{count} in {span}"
            );
        }
    }

    #[test]
    fn it_goes_on_while_the_last_is_no_older_than_three_intervals() {
        assert!(cadence(31, 30 * DAY, 3 * DAY).is_active);
        assert!(!cadence(31, 30 * DAY, 3 * DAY + 1).is_active);
        assert!(cadence(1_000, HOUR, DAY).is_active);
        assert!(!cadence(1, 0, DAY + 1).is_active);
    }

    #[test]
    fn people_read_how_often() {
        assert!(
            cadence(31, 30 * DAY, 0).to_string().starts_with("31 requests in 30 days, 24 hours apart on average")
        );
        assert!(cadence(1, 0, 0).to_string().starts_with("1 request, at 19"));
        assert!(
            cadence(5_000, 3, 0).to_string().contains("5000 requests in a second or less"),
            "{}",
            cadence(5_000, 3, 0)
        );
    }
}
