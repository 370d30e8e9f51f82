use std::{borrow::Cow, fmt};

use serde::Serialize;

use crate::{key::MalformedReason, time::Timestamp};

/// How a request ended: `success`, or the code of its refusal, such as `key_revoked`, for a text that is no key with the
/// reason: `malformed_key.truncated`. A request without a key is `missing_credentials`.
///
/// A good key at the wrong door is counted twice: as a `success`, for it was accepted, and as what the service behind the
/// layer said: `wrong_team`, `wrong_key_kind`, `insufficient_scope`, `insufficient_role` or `plan_required`. That is known
/// from the [`Refusal`](crate::middleware::Refusal) in the extensions of the answer, where the layers and extractors of
/// this crate leave one, and whoever answers with one. A 403 of a handler's own is no such outcome.
///
/// ```
/// use tower_api_keys::usage::Outcome;
///
/// assert_eq!(Outcome::SUCCESS.as_str(), "success");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Outcome(Cow<'static, str>);

impl Outcome {
    /// The key was accepted.
    pub const SUCCESS: Self = Self(Cow::Borrowed("success"));

    pub(crate) fn refused(code: &'static str, reason: Option<MalformedReason>) -> Self {
        Self(match reason {
            Some(reason) => Cow::Owned(format!("{code}.{}", reason.code())),
            None => Cow::Borrowed(code),
        })
    }

    /// The word as a store has it.
    pub(crate) fn stored(word: &str) -> Self {
        Self(Cow::Owned(word.to_owned()))
    }

    /// Whether the key was accepted.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::SUCCESS
    }

    /// The word as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
    /// [`Outcome`].
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
