use std::time::Duration;

use serde::Serialize;

use super::{Source, UsageRow, UsageTotals};
use crate::{outcome::Outcome, record::CorruptRow, sentence::told_words, time::Timestamp};

/// How often a key was used with one outcome from one source, over all time.
///
/// ```
/// use tower_api_keys::usage::{Outcome, UsageCount, UsageRow};
/// # let row = UsageRow { key: None, organization: None, outcome: "success".into(), label: "intake".into(), client: "curl".into(), network: "".into(), count: 3, first_at: 5, last_at: 9 };
///
/// let count = UsageCount::try_from(&row)?;
/// assert_eq!(count.outcome, Outcome::Accepted);
/// assert_eq!((count.source.to_string(), count.count), ("intake/curl".into(), 3));
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UsageCount {
    /// How the requests ended.
    pub outcome: Outcome,
    /// The source they came from.
    pub source: Source,
    /// How many there were, at least 1.
    pub count: i64,
    /// The time of the first one.
    pub first_at: Timestamp,
    /// The time of the last one.
    pub last_at: Timestamp,
}

/// How far the clocks of a fleet may differ without counting as wrong.
pub(crate) const LARGEST_SKEW: Duration = Duration::from_secs(5 * 60);

/// Whether a time is so far in the future that it was noted by a wrong clock.
pub(crate) fn is_of_a_wrong_clock(time: Timestamp, now: Timestamp) -> bool {
    time > now.saturating_add(LARGEST_SKEW)
}

impl UsageCount {
    /// The time of the last one, as far as it is known. A time in the future only means that a clock was wrong; then it
    /// is the time of the first one, unless that is in the future, too.
    pub(crate) fn last_known_at(&self, now: Timestamp) -> Option<Timestamp> {
        [self.last_at, self.first_at].into_iter().find(|at| !is_of_a_wrong_clock(*at, now))
    }
}

impl TryFrom<&UsageRow> for UsageCount {
    type Error = CorruptRow;

    fn try_from(row: &UsageRow) -> Result<Self, Self::Error> {
        let time = |column: &'static str, millis| Timestamp::from_millis(millis).map_err(|_| CorruptRow::new(column));
        Ok(Self {
            outcome: Outcome::of_word(&row.outcome),
            source: Source::from(row),
            count: row.count,
            first_at: time("first_at", row.first_at)?,
            last_at: time("last_at", row.last_at)?,
        })
    }
}

/// All counts of one key, or of requests without a key, by outcome and source.
///
/// ```
/// use tower_api_keys::usage::{CallHistory, UsageDetail};
///
/// assert_eq!(UsageDetail::default().call_history(), CallHistory::Never);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UsageDetail {
    /// The counts, by outcome, then source.
    pub counts: Vec<UsageCount>,
}

told_words! {
    /// Whether the holder of a key ever called with it: "the service never called" is another fault than "it called,
    /// and failed".
    ///
    /// ```
    /// use tower_api_keys::usage::CallHistory;
    ///
    /// assert!(CallHistory::Never.sentence().to_string().starts_with("No request with this key has arrived"));
    /// ```
    pub enum CallHistory as "call_history",
    /// What it means, in a sentence for the people who manage the key.
    pub sentence {
        /// It was accepted at least once.
        Accepted = "accepted": "Requests with this key have arrived, and at least one was accepted.",
        /// Requests named it, and every one was refused.
        OnlyRefused = "only_refused":
            "Requests with this key have arrived, and all were refused. The list of outcomes shows why.",
        /// No request ever named it.
        Never = "never":
            "No request with this key has arrived, accepted or refused: check that the program calls the right \
             address and sends the key.",
    }
}

impl UsageDetail {
    /// The detail from these rows, which are the rows of one key.
    ///
    /// # Errors
    /// [`CorruptRow`] if one of them cannot be read.
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a UsageRow>) -> Result<Self, CorruptRow> {
        Ok(Self { counts: rows.into_iter().map(UsageCount::try_from).collect::<Result<_, _>>()? })
    }

    /// The requests that were accepted, one count for each source.
    pub fn successes(&self) -> impl Iterator<Item = &UsageCount> {
        self.counts.iter().filter(|count| count.outcome == Outcome::Accepted)
    }

    /// The requests that were refused, or accepted and then denied behind the layer.
    pub fn refusals(&self) -> impl Iterator<Item = &UsageCount> {
        self.counts.iter().filter(|count| count.outcome != Outcome::Accepted)
    }

    /// The number of requests with this outcome, over all sources, at most [`i64::MAX`].
    #[must_use]
    pub fn with_outcome(&self, outcome: impl Into<Outcome>) -> i64 {
        let outcome = outcome.into();
        sum(self.counts.iter().filter(|count| count.outcome == outcome))
    }

    /// Whether the key was ever used in a request.
    #[must_use]
    pub fn call_history(&self) -> CallHistory {
        match (self.successes().next(), self.refusals().next()) {
            (Some(_), _) => CallHistory::Accepted,
            (None, Some(_)) => CallHistory::OnlyRefused,
            (None, None) => CallHistory::Never,
        }
    }

    /// The sums over outcomes and sources, each at most [`i64::MAX`].
    #[must_use]
    pub fn totals(&self) -> UsageTotals {
        let last = |counts: &mut dyn Iterator<Item = &UsageCount>| counts.map(|count| count.last_at).max();
        UsageTotals {
            successes: sum(self.successes()),
            last_success_at: last(&mut self.successes()),
            failures: sum(self.refusals()),
            last_failure_at: last(&mut self.refusals()),
        }
    }
}

/// At most [`i64::MAX`]: a store may hold any number.
fn sum<'a>(counts: impl Iterator<Item = &'a UsageCount>) -> i64 {
    counts.fold(0, |sum, count| sum.saturating_add(count.count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_the_greatest_number_stay_there() {
        let row = |outcome: &str, source: &str, count| UsageRow {
            key: None,
            organization: None,
            outcome: outcome.into(),
            label: source.into(),
            client: String::new(),
            network: String::new(),
            count,
            first_at: 1,
            last_at: 2,
        };
        let rows = [
            row("success", "a", i64::MAX),
            row("success", "b", 1),
            row("key_expired", "a", 1),
            row("key_revoked", "a", i64::MAX),
        ];
        let detail = UsageDetail::of(&rows).unwrap();
        let UsageTotals { successes, failures, .. } = detail.totals();
        assert_eq!((successes, failures, detail.with_outcome(Outcome::Accepted)), (i64::MAX, i64::MAX, i64::MAX));
    }
}
