use serde::Serialize;

use crate::time::Timestamp;

/// A count of requests with the same key, outcome, label, client and network, as stores keep it.
///
/// In a batch, `count` is what came since the batch before. In a store it is the sum, `first_at` the least and `last_at`
/// the greatest of all batches.
///
/// ```
/// use tower_api_keys::usage::UsageRow;
///
/// let row = UsageRow {
///     key: Some("AAAAAAAAAAAAAAAAAAAA".into()),
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
    /// The word of an [`Outcome`](super::Outcome).
    pub outcome: String,
    /// What the layer is called that was asked; at most 128 bytes, empty if it has no name.
    pub label: String,
    /// The program that called, as [`Sources`](crate::middleware::Sources) says; at most 64 characters, empty if that is
    /// not known.
    pub client: String,
    /// The address it called from, `203.0.113.7`, or its network, `203.0.113.0/24`; empty if that is not kept.
    pub network: String,
    /// How many requests, at least 1.
    pub count: i64,
    /// When the first of them came, in milliseconds since 1970.
    pub first_at: i64,
    /// When the last of them came, in milliseconds since 1970.
    pub last_at: i64,
}

impl UsageRow {
    /// Whether the other is of the same key, outcome and source.
    pub(crate) fn is_same_count(&self, other: &Self) -> bool {
        self.key == other.key
            && self.outcome == other.outcome
            && self.label == other.label
            && self.client == other.client
            && self.network == other.network
    }
}

#[cfg(test)]
impl UsageRow {
    /// A count from here, in the shorthand of tests: `label/client@network`, where each may be left out, or a client
    /// alone. The rest is for the test to say.
    pub(crate) fn seen_from(source: &str) -> Self {
        let (named, network) = source.split_once('@').unwrap_or((source, ""));
        let (label, client) = named.split_once('/').unwrap_or(("", named));
        Self {
            key: None,
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

/// What one writer counted since its last batch. A store that sees the same `(writer, sequence)` again does nothing.
///
/// ```
/// use tower_api_keys::usage::UsageBatch;
///
/// let batch = UsageBatch { writer: [7; 16], sequence: 1, rows: Vec::new() };
/// assert_eq!(batch.sequence, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBatch {
    /// Random, new for each start of a process.
    pub writer: [u8; 16],
    /// 1 for a writer's first batch, one more for each that follows.
    pub sequence: i64,
    /// The counts: at most 10,000. All requests of a count came on one day in UTC, which is that of its `last_at`: those of
    /// two days are two rows.
    pub rows: Vec<UsageRow>,
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
    /// When the last of them came: what people call *last used*.
    pub last_success_at: Option<Timestamp>,
    /// Requests that were refused: a wrong secret, a dead key that somebody still tries, or a good one at the wrong door,
    /// which is among the successes too.
    pub failures: i64,
    /// When the last of them came.
    pub last_failure_at: Option<Timestamp>,
}
