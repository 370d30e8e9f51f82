use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    apply::apply,
    event_rows::{append_events, events, feed},
    key_rows::{ending, find, rehash},
    list::list,
    log::changes_since,
    open_error::SqliteOpenError,
    owner_rows::find_owner,
    parts::Parts,
    upkeep::{ended_keys, prune, put_meta_if_absent, replace_note, trail},
    usage_rows::{record_usage, usage, usage_days},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{
        Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader,
        KeyStore, Ledger, ListedKey, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
    },
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// How long opening waits for each lock: a migration by another process may take some time.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long opening a file exclusively waits for a process that is just ending.
const PATIENCE_FOR_EXCLUSIVE: Duration = Duration::from_secs(1);

/// Keys in an SQLite file.
///
/// The file is created if there is none, readable and writable only by its owner, and its schema is brought up to date.
/// All tables have names that begin with `api_key`, so they may share a file with the tables of the service. The file
/// is switched to write-ahead logging. Cheap to clone; when the last clone is dropped, the file is closed before the
/// drop returns.
///
/// A change is flushed to the disk before it is answered, and so are counts of usage, which share the connection. Every
/// process that has the file open notices it, and any plain SQL on the tables `api_keys` and `api_key_owners`, because
/// triggers write the change log. To end a key by hand, set its `revoked_at` or delete its row. A hash that plain SQL
/// replaces is noticed, too.
///
/// While the disk is full or read-only, keys are still checked; changes fail as
/// [unavailable](crate::store::StoreErrorKind::Unavailable) and leave nothing behind. A change also fails so if another
/// process holds the lock for three seconds.
///
/// The file, and the two files that SQLite keeps beside it, are watched. If one of them is replaced, removed, or
/// written to by something other than SQLite, everything fails as unavailable until the file is opened again.
/// [`manual::sqlite`](crate::manual::sqlite) says how to back up and restore, and what is noticed when.
///
/// ```
/// use tower_api_keys::{key::KeyId, store::{KeyReader, SqliteStore}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = SqliteStore::in_memory().await?; // or SqliteStore::open("keys.db").await?
/// assert!(store.find(&KeyId::new("AAAAAAAAAAAAAAAAAAAA")?).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Parts>,
}

impl SqliteStore {
    /// Opens a file that several processes of this machine may use at the same time.
    ///
    /// To know whether something changed, each request reads the file and checks its name, which takes about 6 µs. The
    /// file has to be on a local disk: write-ahead logging does not work over a network (sqlite.org/wal.html).
    ///
    /// # Errors
    /// [`SqliteOpenError`], with what to do about it.
    ///
    /// # Security
    /// A file that every user may write to is refused: they could make keys. A file that a group may write to, that
    /// another user owns, or whose folder lets every user replace it, is opened with a warning in the log.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let path = path.as_ref().to_owned();
        off_thread(path, |path| Self::open_shared(path, PATIENCE)).await
    }

    /// Opens a file for only this process: to know whether something changed takes a few nanoseconds. Others cannot
    /// open the file meanwhile, as a store or with plain SQL. The store checks whether the file was replaced or removed
    /// before each change and each look-up, and four times a second for requests that need neither.
    ///
    /// # Errors
    /// [`SqliteOpenError`], with what to do about it: `InUse` if another store or process has the file open.
    pub async fn open_exclusive(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let path = path.as_ref().to_owned();
        off_thread(path, |path| Self::open_alone(path, PATIENCE_FOR_EXCLUSIVE)).await
    }

    /// A database in the memory of the process, lost when the last clone of the store is dropped: for tests.
    ///
    /// # Errors
    /// [`SqliteOpenError`] if there is no memory or no thread for it.
    pub async fn in_memory() -> Result<Self, SqliteOpenError> {
        off_thread(PathBuf::from(":memory:"), |name| Parts::in_memory(name).map(Self::of)).await
    }

    pub(super) fn open_shared(path: &Path, patience: Duration) -> Result<Self, SqliteOpenError> {
        Parts::open_shared(path, patience).map(Self::of)
    }

    pub(super) fn open_alone(path: &Path, patience: Duration) -> Result<Self, SqliteOpenError> {
        Parts::open_alone(path, patience).map(Self::of)
    }

    fn of(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.inner
    }

    /// The connection that writes, for tests that disturb it.
    #[cfg(test)]
    pub(super) async fn on_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut rusqlite::Connection) -> Result<T, super::failure::Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.writer.write(job).await
    }

    /// Checks the files until a later write would show, for tests that count what a change reads.
    #[cfg(test)]
    pub(super) async fn settle(&self) {
        while self.inner.watch().is_some_and(|watch| !watch.is_settled()) {
            let _ = self.on_writer(|_| Ok(())).await;
        }
    }
}

/// Opens on a thread of its own, because opening waits for locks and the disk.
async fn off_thread(
    path: PathBuf,
    open: impl FnOnce(&Path) -> Result<SqliteStore, SqliteOpenError> + Send + 'static,
) -> Result<SqliteStore, SqliteOpenError> {
    let (answer, answered) = oneshot::channel();
    let name = path.clone();
    let work = move || {
        // The caller may have been dropped; then so is the store.
        let _ = answer.send(open(&path));
    };
    thread::Builder::new()
        .name("api-keys-open".to_owned())
        .spawn(work)
        .map_err(|error| SqliteOpenError::cannot_open(&name, error))?;
    answered.await.unwrap_or_else(|lost| Err(SqliteOpenError::cannot_open(&name, lost)))
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl KeyReader for SqliteStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        let id = *id;
        self.inner.finder.read(move |connection| find(connection, &id)).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        self.inner.log.read(move |connection| changes_since(connection, head)).await
    }

    fn try_head(&self) -> Option<Head> {
        self.inner.head()
    }
}

impl KeyStore for SqliteStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        change.erases_alone()?;
        let (change, erases) = (change.clone(), change.writes.iter().any(|audited| audited.write.erases()));
        let job = move |connection: &mut Connection| apply(connection, &change);
        if erases { self.inner.writer.erase(job).await } else { self.inner.writer.write(job).await }
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let (id, old, new) = (*id, old.to_owned(), new.clone());
        self.inner.writer.write(move |connection| rehash(connection, &id, &old, &new)).await
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        let query = query.clone();
        self.inner.lister.read(move |connection| list(connection, &query, now)).await
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        let query = *query;
        self.inner.lister.read(move |connection| ending(connection, &query)).await
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        let owner = owner.clone();
        self.inner.lister.read(move |connection| find_owner(connection, &owner)).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, value) = (name.to_owned(), value.to_vec());
        self.inner.writer.write(move |connection| put_meta_if_absent(connection, &name, &value)).await
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, old, new) = (name.to_owned(), old.to_vec(), new.to_vec());
        self.inner.writer.write(move |connection| replace_note(connection, &name, &old, &new)).await
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        self.inner.lister.read(move |connection| ended_keys(connection, before)).await
    }

    async fn prune(&self, prune_what: &Prune) -> Result<Pruned, StoreError> {
        let what = *prune_what;
        self.inner.writer.write(move |connection| prune(connection, &what)).await
    }
}

impl Ledger for SqliteStore {
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let batch = batch.clone();
        self.inner.writer.write(move |connection| record_usage(connection, &batch)).await
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        let of = of.clone();
        self.inner.lister.read(move |connection| usage(connection, &of)).await
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        let keys = keys.to_vec();
        self.inner.lister.read(move |connection| usage_days(connection, &keys, from)).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        let events = events.to_vec();
        self.inner.writer.write(move |connection| append_events(connection, &events)).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        let query = query.clone();
        self.inner.lister.read(move |connection| events(connection, &query)).await
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        self.inner.lister.read(move |connection| feed(connection, after, limit)).await
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        self.inner.lister.read(move |connection| trail(connection, attempts, before)).await
    }
}
