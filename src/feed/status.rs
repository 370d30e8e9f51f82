//! The status of a consumer, apart from the reader.

use serde::Serialize;

use super::entry::FeedCursor;
use crate::time::Timestamp;

/// A consumer of the feed, and how far behind it is. It serializes.
///
/// ```
/// use tower_api_keys::{Timestamp, feed::FeedStatus};
///
/// fn is_abandoned(feed: &FeedStatus, a_day_ago: Timestamp) -> bool {
///     feed.oldest_unconfirmed_at.is_some_and(|at| at < a_day_ago)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FeedStatus {
    /// Its name.
    pub name: String,
    /// The position up to which it confirmed events.
    pub confirmed: FeedCursor,
    /// How many events it has not confirmed; at most 1,000 are counted.
    pub unconfirmed: u64,
    /// Whether there are more than were counted.
    pub more: bool,
    /// The time of the first of them. None if it confirmed all.
    pub oldest_unconfirmed_at: Option<Timestamp>,
}
