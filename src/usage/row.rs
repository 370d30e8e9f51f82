use serde::Serialize;

use crate::time::Timestamp;

/// A count of requests with the same key, outcome and source, as stores keep it.
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
///     source: "intake".into(),
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
    /// From where: a label, a client, or `<label>/<client>`, as [`Sources`](crate::middleware::Sources) says; at most 128
    /// bytes, empty if neither is known.
    pub source: String,
    /// How many requests, at least 1.
    pub count: i64,
    /// When the first of them came, in milliseconds since 1970.
    pub first_at: i64,
    /// When the last of them came, in milliseconds since 1970.
    pub last_at: i64,
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
    /// The counts: at most 10,000.
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
