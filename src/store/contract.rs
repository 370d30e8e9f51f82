use std::future::{Future, pending};

use super::{
    change::{Applied, Change},
    dead_keys::EndedKeys,
    ending::EndingQuery,
    error::StoreError,
    head::{Changes, Head},
    listed::ListedKey,
    query::{EventQuery, KeyQuery, Page, Prune, Pruned, RehashedKey, Trail, UsageScope},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    owner::OwnerRef,
    record::{CorruptRow, KeyRow, OwnerStatus, OwnerStatusRow},
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// The part of a store that checking keys needs. [How to write one](crate::manual::stores).
///
/// The futures are [`Send`]: an `async fn` that holds something else over an await point does not compile.
///
/// ```
/// use tower_api_keys::{key::KeyId, store::{KeyReader, MemoryStore}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryStore::new();
/// let absent = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// assert!(store.find(&absent).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait KeyReader: Send + Sync + 'static {
    /// The key with exactly this id, live or dead, and the statuses of its owner and of its organization, as of one
    /// snapshot. The snapshot is never older than a read of the change log that returned before this call began.
    ///
    /// A request waits for the future for its [`answer_timeout`](crate::ApiKeysBuilder::answer_timeout). After that
    /// time the future is dropped; it is not dropped with the request. After a call that failed, the crate asks the
    /// store for a key that does not exist, again and again, until the store answers that there is none.
    ///
    /// # Errors
    /// Unavailable, or corrupt if the row cannot be brought into the form of a [`KeyRow`].
    fn find(&self, id: &KeyId) -> impl Future<Output = Result<Option<FoundKey>, StoreError>> + Send;

    /// What was committed after `head`, in commit order; [`Changes::Reset`] if `head` is none, is unknown to this store
    /// or is too old for the store to list what came after it.
    ///
    /// The answer includes every change that was committed before this call began. A reader that is at most 1,000
    /// changes behind gets the changes, not a reset. If a reader less than 1,000 behind gets a reset, it concludes that
    /// this is another log, which lost changes, and reports that in its metrics and in the service's own log.
    ///
    /// If a single request waits, it polls this future itself. The future moves to a task of its own if more requests
    /// wait or the request is dropped. So the future may move from one task to another, and rest while that request is
    /// not polled. It should hold nothing meanwhile that other calls have to wait for, such as a connection of a pool.
    ///
    /// # Errors
    /// Unavailable.
    fn changes_since(&self, head: Option<Head>) -> impl Future<Output = Result<Changes, StoreError>> + Send;

    /// The head of the change log if it is known without waiting, else none. It covers every change that was committed
    /// on any node before this call. The default is none: a database behind a network has to be asked. This is called
    /// on each request, on the thread that serves it: it must not wait, and should take no more than a few
    /// microseconds.
    fn try_head(&self) -> Option<Head> {
        None
    }

    /// Waits until the store is notified that its change log continues after `head`.
    ///
    /// This is a hint, which makes [bounded](crate::auth::Freshness::Bounded) freshness notice changes sooner. It may
    /// come late or without a change, and proves nothing. The default never gets a notification: it waits forever.
    fn wait_for_change(&self, _head: Head) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// A key with the statuses of its owner and its organization, as of one moment.
///
/// ```
/// use tower_api_keys::{record::{CorruptRow, KeyRow, OwnerStatus, OwnerStatusRow}, store::FoundKey};
/// # let row = KeyRow::example();
///
/// let active = OwnerStatusRow::default();
/// let found = FoundKey { key: row, owner: active, organization: active };
/// assert!(found.owner.closed_at.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub key: KeyRow,
    /// Its owner's status; the default if there is no row for it.
    pub owner: OwnerStatusRow,
    /// Its organization's status; the default if there is no row for it.
    pub organization: OwnerStatusRow,
}

impl From<ListedKey> for FoundKey {
    fn from(ListedKey { key, owner, organization, .. }: ListedKey) -> Self {
        Self { key, owner, organization }
    }
}

impl FoundKey {
    /// The status that applies to the key: its owner's own, and that of the whole organization.
    pub(crate) fn status(&self) -> Result<OwnerStatus, CorruptRow> {
        FoundOwner { owner: self.owner, organization: self.organization }.status()
    }
}

/// The statuses of an owner and of its organization, as of one moment.
///
/// ```
/// use tower_api_keys::{record::OwnerStatusRow, store::FoundOwner};
///
/// let suspended = OwnerStatusRow { suspended_at: Some(1_772_366_400_000), ..OwnerStatusRow::default() };
/// let found = FoundOwner { owner: OwnerStatusRow::default(), organization: suspended };
/// assert!(!found.is_active());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoundOwner {
    /// The owner's status; the default if there is no row for it.
    pub owner: OwnerStatusRow,
    /// The organization's status; the default if there is no row for it.
    pub organization: OwnerStatusRow,
}

impl FoundOwner {
    /// Whether neither of the two is suspended or closed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        *self == Self::default()
    }

    /// The status that applies to the owner: its own, and that of the whole organization.
    pub(crate) fn status(&self) -> Result<OwnerStatus, CorruptRow> {
        Ok(OwnerStatus::try_from(&self.owner)?.within(OwnerStatus::try_from(&self.organization)?))
    }
}

/// The part of a store that changing keys needs, in addition to reading. There are no default bodies, so that no
/// method is forgotten. Any call with a value that the database does not accept is [refused](StoreError::refused).
/// The events that it writes are read through [`Ledger`]. [How to write one](crate::manual::stores).
///
/// ```
/// use tower_api_keys::store::{KeyStore, MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryStore::new();
/// assert_eq!(store.put_meta_if_absent("colour", b"blue").await?, b"blue");
/// assert_eq!(store.put_meta_if_absent("colour", b"red").await?, b"blue");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait KeyStore: KeyReader {
    /// Does the 1 to 50 writes of a change and writes their events, all or none, if every guard holds at the moment of
    /// commit. A change whose id was applied before is not applied again: the answer is the first one's.
    ///
    /// The store takes the lock that orders the change log, then reads the guards, then does the writes in order under
    /// that lock. Each write sees those before it.
    ///
    /// # Errors
    /// [`Conflict`](super::Conflict) if a guard or a write does not fit what is stored; refused if the database does
    /// not accept a value, or the store does not know such a write; unavailable if nothing was done; outcome unknown if
    /// the change may have been done: then repeat the same change.
    fn apply(&self, change: &Change) -> impl Future<Output = Result<Applied, StoreError>> + Send;

    /// Replaces hash, tag, pepper id and proof of a key if the stored hash is still `old` and the key is not revoked.
    /// Returns whether they were replaced. The key means the same as before: there is no new version, no event, and
    /// nothing in the change log.
    ///
    /// # Errors
    /// Unavailable.
    fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey)
    -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Lists keys of one organization in the order of the [query](super::KeyOrder), as of one snapshot. Each key comes
    /// with the statuses of its owner, its organization and the user who made it, its usage, its live successor, and
    /// whether its predecessor is live. By key, owner, creator, predecessor and lineage, the list is strong: a key
    /// whose `apply` returned is found.
    ///
    /// The keys of several owners come in one order, as if there were one owner. Whether a name
    /// [has a part in it](crate::record::NamePart) is decided letter by letter; no character of the part is a wildcard.
    ///
    /// What comes with a key is looked up by primary key, or by the key that it replaces: a page far down the list
    /// should take no longer than the first one. For several owners, read no more keys than fill a page and one of each
    /// owner, or a page of each owner. In the order of their ends, all keys of these owners may be read.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn list(
        &self,
        query: &KeyQuery,
        now: Timestamp,
    ) -> impl Future<Output = Result<Page<ListedKey>, StoreError>> + Send;

    /// Finds keys of all organizations whose end is near or past and still has to be announced: by end, then id;
    /// strong. It returns no more than the limit; the next ones are found once these have their
    /// [note](super::Write::WarnOfEnd). It is called every few minutes, and few keys end within days: keep an index of
    /// the keys whose end is not fully announced.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn ending(&self, query: &EndingQuery) -> impl Future<Output = Result<Vec<KeyRow>, StoreError>> + Send;

    /// The status of a user or a team, with or without keys, and that of its organization; the default where there is
    /// no row. Strong: it includes what an `apply` that returned did.
    ///
    /// # Errors
    /// Unavailable.
    fn owner_status(&self, owner: &OwnerRef) -> impl Future<Output = Result<FoundOwner, StoreError>> + Send;

    /// Stores these bytes under this name unless there are some already. Returns what is stored after the call.
    ///
    /// # Errors
    /// Unavailable.
    fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Replaces `old` with `new` among the notes that nodes leave each other, if the note of this name is `old`.
    /// Returns the note after the call. A note that was never written is empty. Notes are not exported: they are about
    /// this store.
    ///
    /// If two nodes replace the same note at once, only one of them succeeds. If `old` equals `new`, this only reads.
    ///
    /// # Errors
    /// Unavailable.
    fn replace_note(
        &self,
        name: &str,
        old: &[u8],
        new: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Counts the keys of all organizations that have an end, and those that ended before a time.
    ///
    /// # Errors
    /// Unavailable.
    fn ended_keys(&self, before: Timestamp) -> impl Future<Output = Result<EndedKeys, StoreError>> + Send;

    /// Deletes what is old: events, the access log, rows of the change log, results of changes, counts by day, counts
    /// of keys that are gone, keys that [ended](super::DeadKeys) long ago. One call deletes about 10,000 of each kind
    /// at most, so that it does not delay others for long: call again until nothing was deleted. A store in which more
    /// at once is no burden may delete more.
    ///
    /// # Errors
    /// Unavailable.
    fn prune(&self, prune: &Prune) -> impl Future<Output = Result<Pruned, StoreError>> + Send;
}

/// The part of a store that counts uses and keeps the audit trail: the last of the three traits, and the bound of a
/// whole store. As in [`KeyStore`], there are no default bodies. [How to write one](crate::manual::stores).
///
/// ```
/// use tower_api_keys::{Timestamp, store::{Ledger, MemoryStore, UsageScope}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = MemoryStore::new();
/// assert!(store.usage(&UsageScope::NoKey(vec![None])).await?.is_empty());
/// assert_eq!(store.trail(false, Timestamp::MAX).await?.events, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Ledger: KeyStore {
    /// Adds counts and counts by day, at most 10,000 rows of each, all or none. A batch whose writer and sequence were
    /// added before adds nothing. A batch usually has only one of the two. This never touches a key's record.
    ///
    /// Two counts are the same count if key, organization, outcome, label, client and network are the same. Only counts
    /// of refusals without a key have an organization, which is what keeps those of several organizations apart.
    ///
    /// # Errors
    /// Unavailable; outcome unknown: then the same batch comes again; refused if the database does not accept a value
    /// of a row: then the halves of the batch come instead, until that row is alone, and is dropped.
    fn record_usage(&self, batch: &UsageBatch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The counts of use, ordered by the bytes of key, organization, outcome, label, client and network. They include
    /// every batch that was recorded before this call began. A key or an organization that is named twice is answered
    /// once, one without counts not at all. Refusals of one organization are found without reading those of the others.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn usage(&self, of: &UsageScope) -> impl Future<Output = Result<Vec<UsageRow>, StoreError>> + Send;

    /// How often each of these 1 to 1,000 keys was used on each day, for the 400 days in UTC that begin with `from`, in
    /// days since 1970-01-01. Ordered by the bytes of the key, then by day, with every batch that was recorded before
    /// this call began. A key that is named twice is answered once, a day without requests not at all.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn usage_days(
        &self,
        keys: &[KeyId],
        from: i32,
    ) -> impl Future<Output = Result<Vec<UsageDayRow>, StoreError>> + Send;

    /// Writes events that accompany no change, all or none.
    ///
    /// # Errors
    /// Unavailable; or refused, after which the events come in halves, like a batch of counts.
    fn append_events(&self, events: &[EventRow]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lists events of one organization in log order, or in reverse if the newest come first: the entries of its access
    /// log, or all others. Millions of access log entries of one key must not slow down a page of the others: keep them
    /// apart in an index.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn events(&self, query: &EventQuery) -> impl Future<Output = Result<Page<EventRow>, StoreError>> + Send;

    /// Lists events of all organizations with a place greater than `after`, or all events if that is none, in log
    /// order, without the access log.
    ///
    /// Each new event has a greater place than any that was visible before. So a reader that continues after the last
    /// one misses nothing: no event that was written first and committed last, none while many callers write at once,
    /// and none after the last events were deleted, because no place is given twice. If numbers are given before the
    /// commit, as by sequences, writers first take the lock that orders the change log. This is called again and again,
    /// usually with nothing after the place: keep an index.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn feed(&self, after: Option<i64>, limit: u16) -> impl Future<Output = Result<Page<EventRow>, StoreError>> + Send;

    /// Counts the access log, or all other events, of all organizations, and how many of them lie before a time.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn trail(&self, attempts: bool, before: Timestamp) -> impl Future<Output = Result<Trail, StoreError>> + Send;
}
