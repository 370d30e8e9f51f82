//! Which ends of keys to announce. A worker asks this for all organizations; lists do not.

use crate::{record::KeyRow, time::Timestamp};

/// Which keys to find whose end is not announced yet, in all organizations.
///
/// ```
/// use tower_api_keys::{Timestamp, record::KeyRow, store::EndingQuery};
/// # let row = KeyRow::example();
///
/// let query = EndingQuery { after: None, until: Timestamp::from_millis(5_000)?, before_ms: 0, limit: 100 };
/// assert!(query.finds(&KeyRow { expires_at: Some(5_000), ..row.clone() }));
/// assert!(!query.finds(&KeyRow { expires_at: Some(5_001), ..row }));
/// # Ok::<(), tower_api_keys::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndingQuery {
    /// Keys with an end after this time; if none, with any past end, too.
    pub after: Option<Timestamp>,
    /// Keys with an end at or before this time.
    pub until: Timestamp,
    /// Keys that [want a warning](KeyRow::wants_warning) this number of milliseconds before their end.
    pub before_ms: i64,
    /// The most keys in the answer, 1 to 1,000.
    pub limit: u16,
}

impl EndingQuery {
    /// Whether the query finds this key.
    #[must_use]
    pub fn finds(&self, key: &KeyRow) -> bool {
        key.expires_at.is_some_and(|end| {
            self.after.is_none_or(|after| end > after.as_millis())
                && end <= self.until.as_millis()
                && key.wants_warning(end, self.before_ms)
        })
    }
}
