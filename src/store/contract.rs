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

/// What checking keys needs of a store. [How to write one](crate::manual::stores).
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
    /// The key with exactly this id, dead or alive, and the statuses of its owner and of its organization, as of one
    /// snapshot that is never older than a read of the change log that returned before this call began.
    ///
    /// A request waits for it within its [`answer_timeout`](crate::ApiKeysBuilder::answer_timeout); then, and not when the
    /// request is dropped, the future is dropped. After one that failed the store is asked for a key that does not exist,
    /// again and again, until it says so.
    ///
    /// # Errors
    /// Unavailable, or corrupt if the row cannot be brought into the form of a [`KeyRow`].
    fn find(&self, id: &KeyId) -> impl Future<Output = Result<Option<FoundKey>, StoreError>> + Send;

    /// What was committed after `head`, in commit order; [`Changes::Reset`] if `head` is none, is unknown to this store
    /// or lies too far back to tell.
    ///
    /// The answer tells of every change committed before this call began. The log goes on for readers up to 1,000 changes
    /// behind: one that was closer and is told of a reset takes the log for another one, which lost changes, and says so
    /// in its metrics and in the service's own log.
    ///
    /// A request that is alone polls this future itself, and leaves it to a task when others wait too or it is dropped: it
    /// may go from one task to another, and stand still for as long as nobody polls that request. What it holds meanwhile,
    /// such as a connection of a pool, should be nothing that other calls have to wait for.
    ///
    /// # Errors
    /// Unavailable.
    fn changes_since(&self, head: Option<Head>) -> impl Future<Output = Result<Changes, StoreError>> + Send;

    /// The head of the change log if it can be known at once, for every change committed before this call on any node;
    /// else none, which is the default: a database behind a network has to be asked. This is called on each request, on
    /// the thread that serves it: it must not wait, and should take no more than a few microseconds.
    fn try_head(&self) -> Option<Head> {
        None
    }

    /// Waits until the store has word that its change log goes on beyond `head`.
    ///
    /// A hint, which makes [bounded](crate::auth::Freshness::Bounded) freshness notice changes sooner: it may come late
    /// or for nothing, and proves nothing. By default no such word comes, and this waits forever.
    fn wait_for_change(&self, _head: Head) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// A key and the statuses of its owner and its organization, as of one moment.
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
    /// Its owner's status; the default if there is no row of it.
    pub owner: OwnerStatusRow,
    /// Its organization's status; the default if there is no row of it.
    pub organization: OwnerStatusRow,
}

impl From<ListedKey> for FoundKey {
    fn from(ListedKey { key, owner, organization, .. }: ListedKey) -> Self {
        Self { key, owner, organization }
    }
}

impl FoundKey {
    /// What holds for the key: the status of its owner, and whatever holds for all of its organization.
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
    /// The owner's status; the default if there is no row of it.
    pub owner: OwnerStatusRow,
    /// The organization's status; the default if there is no row of it.
    pub organization: OwnerStatusRow,
}

impl FoundOwner {
    /// Whether neither of the two is suspended or closed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        *self == Self::default()
    }

    /// What holds for the owner, by itself or with all of its organization.
    pub(crate) fn status(&self) -> Result<OwnerStatus, CorruptRow> {
        Ok(OwnerStatus::try_from(&self.owner)?.within(OwnerStatus::try_from(&self.organization)?))
    }
}

/// What changing keys needs of a store, beside reading. There are no default bodies, so that an implementation has
/// thought of everything in it. A call with a value that the database does not take is [refused](StoreError::refused),
/// whichever call it is. What it writes down of uses and events is read through [`Ledger`].
/// [How to write one](crate::manual::stores).
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
    /// Writes are done in order, each seeing those before it, under the lock that orders the change log, taken before
    /// the guards are read.
    ///
    /// # Errors
    /// [`Conflict`](super::Conflict) if a guard or a write does not fit what stands; refused if the database does not take
    /// a value, or the store does not know such a write; unavailable if nothing was done; outcome unknown if it may have
    /// been: then repeat the same change.
    fn apply(&self, change: &Change) -> impl Future<Output = Result<Applied, StoreError>> + Send;

    /// Replaces hash, tag, pepper id and proof of a key if the stored hash is still `old` and the key is not revoked. No
    /// version, no event, nothing in the change log: the key means the same as before. Whether it was replaced.
    ///
    /// # Errors
    /// Unavailable.
    fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey)
    -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Keys of one organization by time of creation, then id, or the other way round if the newest are to come first, each
    /// with the status of its owner and of the user who made it, its usage, its live successor and whether its predecessor
    /// is live, as of one snapshot; strong by key, owner, creator, predecessor and lineage: a key whose `apply` returned is
    /// found.
    ///
    /// The keys of several owners come in one order, as if there were one owner. What a name
    /// [has in it](crate::record::NamePart) is decided letter by letter, and no character of the part is a wildcard.
    ///
    /// What comes with a key is looked up by primary key, or by the key it replaces: a page should take no longer far
    /// down the list than at its beginning. Of several owners, no more keys should be looked at than fill a page, and one
    /// of each owner, or a page of each; by their ends, all keys of these owners may be.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn list(
        &self,
        query: &KeyQuery,
        now: Timestamp,
    ) -> impl Future<Output = Result<Page<ListedKey>, StoreError>> + Send;

    /// Keys of all organizations whose end comes, or came, and is to be told: by end, then id; strong. At most as many as
    /// the limit says: those that follow are found once these have their [note](super::Write::WarnOfEnd). It is asked every
    /// few minutes, and few keys end within days: let an index know those of whose end not all was told.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn ending(&self, query: &EndingQuery) -> impl Future<Output = Result<Vec<KeyRow>, StoreError>> + Send;

    /// The status of a user or a team, whether they have keys or not, and that of its organization; the default where
    /// there is no row. Strong: what an `apply` that returned did is in it.
    ///
    /// # Errors
    /// Unavailable.
    fn owner_status(&self, owner: &OwnerRef) -> impl Future<Output = Result<FoundOwner, StoreError>> + Send;

    /// Keeps these bytes under this name unless there are some already. What stands then.
    ///
    /// # Errors
    /// Unavailable.
    fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Replaces `old` by `new` among the notes that nodes leave each other, if `old` stands under this name; a note
    /// that was never written is empty. What stands then. Notes are not exported: they are about this store.
    ///
    /// Of two nodes that replace the same note at once, one does. Where both are the same, this only reads.
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

    /// Forgets what is old: events, the access log, rows of the change log, results of changes, counts by day, counts
    /// of keys that are gone, keys that [ended](super::DeadKeys) long ago. At most 10,000 or so of each kind, so that no call holds up others for long: call again
    /// until nothing was forgotten. A store in which more at once is no burden may forget more.
    ///
    /// # Errors
    /// Unavailable.
    fn prune(&self, prune: &Prune) -> impl Future<Output = Result<Pruned, StoreError>> + Send;
}

/// What counting uses and keeping an audit trail needs of a store, beside its keys: the last of the three traits, and the
/// bound of a whole store. As in [`KeyStore`], there are no default bodies.
/// [How to write one](crate::manual::stores).
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
    /// Adds counts and counts by day, at most 10,000 rows of each, all or none; nothing if this writer's sequence was added
    /// before. The two come apart: a batch has either of them as a rule. Never touches a key's record.
    ///
    /// Counts are the same count if key, organization, outcome, label, client and network are the same. The organization
    /// stands on refusals without a key only, which nothing but itself keeps apart.
    ///
    /// # Errors
    /// Unavailable; outcome unknown: then repeat the same batch; refused if the database does not take a value of a row:
    /// then its halves come instead, until that row is alone, which is dropped.
    fn record_usage(&self, batch: &UsageBatch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The counts of use as they stand, by the bytes of key, organization, outcome, label, client and network, with every
    /// batch that was recorded before this call began. A key or an organization that is named twice is answered once, one
    /// without counts not at all. Refusals of one organization are found without a look at those of the others.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn usage(&self, of: &UsageScope) -> impl Future<Output = Result<Vec<UsageRow>, StoreError>> + Send;

    /// How often these keys, 1 to 1,000 of them, were used by day: the 400 days in UTC that begin with `from`, which is
    /// in days since 1970-01-01; by the bytes of the key, then by day, with every batch that was recorded before this
    /// call began. A key that is named twice is answered once, a day without requests not at all.
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
    /// Unavailable, or refused, as a batch of counts is.
    fn append_events(&self, events: &[EventRow]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Events of one organization in log order, or the other way round if the newest are to come first: its lines of
    /// attempts, or all others. Millions of entries of the access log of one key must not slow down a page of the others: let an
    /// index know which is which.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn events(&self, query: &EventQuery) -> impl Future<Output = Result<Page<EventRow>, StoreError>> + Send;

    /// Events of all organizations with a greater place than this one, or all of them, in log order; none of the access log.
    ///
    /// A place is greater than any that was seen before, so that a reader who goes on behind the last one misses nothing:
    /// not what was written first and committed last, not while many write at once, and not after the last events were
    /// forgotten, for no place is given twice. Where numbers are given before the commit, as by sequences, writers take
    /// the lock that orders the change log before theirs. It is asked again and again, with nothing behind the place as a
    /// rule: let an index know.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn feed(&self, after: Option<i64>, limit: u16) -> impl Future<Output = Result<Page<EventRow>, StoreError>> + Send;

    /// Counts the access log, or all other events, of all organizations, and those of them before a time.
    ///
    /// # Errors
    /// Unavailable, or corrupt.
    fn trail(&self, attempts: bool, before: Timestamp) -> impl Future<Output = Result<Trail, StoreError>> + Send;
}
