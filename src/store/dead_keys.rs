use crate::time::Timestamp;

/// Which dead keys to purge. A purge is final.
///
/// A [`Tombstone`](super::transfer::Tombstone) of each key is left, so that its id is never used again, and its
/// [event](crate::audit::EventRow::of_purge) is written in the same transaction. The change log names the key.
///
/// A dead key stays while another key needs it, so that answers about the keys that are left have no holes: a key that
/// it replaces, or that replaces it, unless that one ended before the time, too; or any key that was made with it.
///
/// ```
/// use tower_api_keys::{Timestamp, store::{DeadKeys, KeyStore, MemoryStore, Prune}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (ended_before, at) = (Timestamp::from_millis(1_772_366_400_000)?, Timestamp::from_millis(1_774_958_400_000)?);
/// let prune = Prune { keys: Some(DeadKeys { ended_before, most: 500, at }), ..Prune::default() };
/// assert_eq!(MemoryStore::new().prune(&prune).await?.keys, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadKeys {
    /// Keys that were revoked, or expired, before this time: [`ended_at`](crate::record::KeyRow::ended_at) is less.
    pub ended_before: Timestamp,
    /// The most keys to purge, those that ended first. A call purges no more than [`MOST`](Self::MOST).
    pub most: u64,
    /// The present time, which becomes the time of their events.
    pub at: Timestamp,
}

impl DeadKeys {
    /// The most keys that one call purges. Each is in the change log, and readers more than 1,000 changes behind start
    /// over.
    pub const MOST: u64 = 500;

    /// How many keys a call purges at most.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        if self.most < Self::MOST { self.most } else { Self::MOST }
    }
}

/// How many keys have an end, and how many of them ended before a time.
///
/// ```
/// use tower_api_keys::store::EndedKeys;
///
/// let ended = EndedKeys { all: 100, before: 10 };
/// assert!(ended.before <= ended.all);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedKeys {
    /// Keys that are revoked or have an expiry, of all organizations.
    pub all: u64,
    /// Those of them that ended before the time of the call.
    pub before: u64,
}
