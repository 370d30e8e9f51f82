//! Which ends are to be told, for a worker that asks of all organizations: no part of what lists are asked for.

use crate::{record::KeyRow, time::Timestamp};

/// Which keys to find of whose end nothing was told yet, in all organizations.
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
    /// With an end after this time; none: however long ago it was.
    pub after: Option<Timestamp>,
    /// With an end that is not after this time.
    pub until: Timestamp,
    /// That [want a word](KeyRow::wants_warning) so many milliseconds before it.
    pub before_ms: i64,
    /// At most so many, 1 to 1,000.
    pub limit: u16,
}

impl EndingQuery {
    /// Whether it finds this key.
    #[must_use]
    pub fn finds(&self, key: &KeyRow) -> bool {
        key.expires_at.is_some_and(|end| {
            self.after.is_none_or(|after| end > after.as_millis())
                && end <= self.until.as_millis()
                && key.wants_warning(end, self.before_ms)
        })
    }
}
