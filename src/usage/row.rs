use std::{cmp::Ordering, collections::BTreeMap};

use serde::Serialize;

use crate::time::{Timestamp, day_of};

/// The most days that one call reads, and the most that are kept: a year and a month.
pub(crate) const DAYS: i32 = 400;

/// A count as stores keep it: requests with the same key, or without a key and about the same organization, and with
/// the same outcome, label, client and network.
///
/// In a batch, `count` is the number since the batch before. In a store it is the sum, `first_at` the earliest and
/// `last_at` the latest of all batches.
///
/// ```
/// use tower_api_keys::usage::UsageRow;
///
/// let row = UsageRow {
///     key: Some("AAAAAAAAAAAAAAAAAAAA".into()),
///     organization: None,
///     outcome: "success".into(),
///     label: "intake".into(),
///     client: "curl".into(),
///     network: String::new(),
///     count: 3,
///     first_at: 1_772_366_400_000,
///     last_at: 1_772_366_401_000,
/// };
/// assert!(row.first_at <= row.last_at);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageRow {
    /// [`KeyId`](crate::key::KeyId); none for a refusal that names no key in the store.
    pub key: Option<String>,
    /// [`OrganizationId`](crate::OrganizationId): the one that a refusal without a key concerns, in a service of
    /// several. None if it concerns none of them. Always none with a key, because the key's record has it.
    pub organization: Option<String>,
    /// The word of an [`Outcome`](super::Outcome).
    pub outcome: String,
    /// The label of the layer; at most 128 bytes, empty if it has none.
    pub label: String,
    /// The program that called, as found by [`Sources`](crate::middleware::Sources); at most 64 characters, empty if
    /// not known.
    pub client: String,
    /// The address it called from, `203.0.113.7`, or its network, `203.0.113.0/24`; empty if addresses are not kept.
    pub network: String,
    /// How many requests, at least 1.
    pub count: i64,
    /// The time of the first one, in milliseconds since 1970.
    pub first_at: i64,
    /// The time of the last one, in milliseconds since 1970.
    pub last_at: i64,
}

impl UsageRow {
    /// Compares key or organization, outcome and source. Two rows that are equal in these are one count.
    pub(crate) fn compare_count(&self, other: &Self) -> Ordering {
        let Self { key, organization, outcome, label, client, network, .. } = other;
        (&self.key, &self.organization, &self.outcome, &self.label, &self.client, &self.network).cmp(&(
            key,
            organization,
            outcome,
            label,
            client,
            network,
        ))
    }
}

#[cfg(test)]
impl UsageRow {
    /// A count from this source, in the shorthand of tests: `label/client@network`, where each may be left out, or a
    /// client alone. The test sets the rest.
    pub(crate) fn seen_from(source: &str) -> Self {
        let (named, network) = source.split_once('@').unwrap_or((source, ""));
        let (label, client) = named.split_once('/').unwrap_or(("", named));
        Self {
            key: None,
            organization: None,
            outcome: "success".into(),
            label: label.into(),
            client: client.into(),
            network: network.into(),
            count: 1,
            first_at: 0,
            last_at: 0,
        }
    }
}

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
    /// The day in UTC: days since 1970-01-01, 0 to 2,932,896, the last day of the year 9999.
    pub day: i32,
    /// Requests that were accepted.
    pub accepted: i64,
    /// Requests that were refused, or accepted and then denied behind the layer. The latter are also among the accepted
    /// ones.
    pub refused: i64,
}

impl UsageRow {
    /// The day in UTC of the last request: days since 1970-01-01. All requests that a node counts in a row are of one
    /// day.
    ///
    /// ```
    /// use tower_api_keys::{Timestamp, usage::UsageRow};
    /// # let row = |last_at| UsageRow {
    /// #     key: None, organization: None, outcome: "success".into(), label: "".into(), client: "".into(), network: "".into(),
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

impl UsageDayRow {
    /// All requests of the day.
    pub(crate) const fn requests(&self) -> i64 {
        self.accepted.saturating_add(self.refused)
    }

    /// The sums of these counts by key and day, sorted by key and day.
    ///
    /// ```
    /// use tower_api_keys::usage::{UsageDayRow, UsageRow};
    /// # let key = || Some("AAAAAAAAAAAAAAAAAAAA".into());
    /// # let row = |outcome: &str, count| UsageRow {
    /// #     key: key(), organization: None, outcome: outcome.into(), label: "".into(), client: "".into(), network: "".into(),
    /// #     count, first_at: 0, last_at: 9,
    /// # };
    ///
    /// let rows = [row("success", 3), row("key_revoked", 2), UsageRow { key: None, ..row("invalid_key", 9) }];
    /// let day = UsageDayRow { key: "AAAAAAAAAAAAAAAAAAAA".into(), day: 0, accepted: 3, refused: 2 };
    /// assert_eq!(UsageDayRow::sums(&rows), [day]);
    /// ```
    #[must_use]
    pub fn sums(rows: &[UsageRow]) -> Vec<Self> {
        let mut days: BTreeMap<(&str, i32), (i64, i64)> = BTreeMap::new();
        for row in rows {
            let Some(key) = row.key.as_deref() else { continue };
            let (accepted, refused) = days.entry((key, row.day())).or_default();
            let sum = if row.outcome == "success" { accepted } else { refused };
            *sum = sum.saturating_add(row.count);
        }
        let row =
            |((key, day), (accepted, refused)): ((&str, _), _)| Self { key: key.to_owned(), day, accepted, refused };
        days.into_iter().map(row).collect()
    }
}

/// The counts of one writer since its previous batch. A store that sees the same `(writer, sequence)` again does
/// nothing.
///
/// ```
/// use tower_api_keys::usage::UsageBatch;
///
/// let batch = UsageBatch { writer: [7; 16], sequence: 1, rows: Vec::new(), days: Vec::new() };
/// assert_eq!(batch.sequence, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBatch {
    /// Random, new for each start of a process.
    pub writer: [u8; 16],
    /// 1 for a writer's first batch, one more for each that follows.
    pub sequence: i64,
    /// The counts: at most 10,000.
    pub rows: Vec<UsageRow>,
    /// Counts by day, each key and day once: at most 10,000. They are sums over this and earlier batches: a writer
    /// sends them every ten minutes.
    pub days: Vec<UsageDayRow>,
}

impl UsageBatch {
    /// How many rows it has, of counts and of days.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() + self.days.len()
    }
}

/// How a key has been used so far: sums over outcomes and sources.
///
/// ```
/// use tower_api_keys::usage::UsageTotals;
///
/// assert_eq!(UsageTotals::default().last_success_at, None); // never used
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct UsageTotals {
    /// Requests that were accepted.
    pub successes: i64,
    /// The time of the last one: what people call *last used*.
    pub last_success_at: Option<Timestamp>,
    /// Requests that were refused: a wrong secret, a dead key that is still tried, or a good key that was denied behind
    /// the layer. The last kind is also among the successes.
    pub failures: i64,
    /// The time of the last one.
    pub last_failure_at: Option<Timestamp>,
}

impl UsageTotals {
    /// The totals of two keys together.
    #[cfg_attr(not(any(test, feature = "manage")), expect(dead_code, reason = "the manager adds them up"))]
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            successes: self.successes.saturating_add(other.successes),
            last_success_at: self.last_success_at.max(other.last_success_at),
            failures: self.failures.saturating_add(other.failures),
            last_failure_at: self.last_failure_at.max(other.last_failure_at),
        }
    }
}
