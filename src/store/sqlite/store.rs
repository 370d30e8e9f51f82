use std::{
    fmt,
    future::pending,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    apply::apply,
    connect::{Role, connect, connect_to_memory, create_private},
    event_rows::{append_events, events},
    fresh::FreshReaders,
    key_rows::{find, rehash},
    list::list,
    local_head::LocalHead,
    log::changes_since,
    open_error::{Reason, SqliteOpenError},
    owner_rows::owner_status,
    schema::{MIGRATIONS, SchemaError, migrate},
    upkeep::{prune, put_meta_if_absent, replace_note, trail},
    usage_rows::{record_usage, usage},
    worker::{Threads, Worker},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::OwnerStatusRow,
    store::{
        Applied, Change, Changes, EventQuery, FoundKey, Head, KeyQuery, KeyReader, KeyStore, ListedKey, OwnerRef, Page,
        Prune, Pruned, RehashedKey, StoreError, Trail, UsageOf,
    },
    time::Timestamp,
    usage::{UsageBatch, UsageRow},
};

/// How long a statement waits while another process writes. A write takes milliseconds; a migration may take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for what requests wait for: less than they do.
const PATIENCE_OF_REQUESTS: Duration = Duration::from_millis(500);

/// How long opening a file exclusively waits for a process that is just ending.
const PATIENCE_FOR_EXCLUSIVE: Duration = Duration::from_secs(1);

/// Keys in an SQLite file.
///
/// The file is created if need be, readable and writable by its owner only, and its schema brought up to date. All
/// tables have names that begin with `api_key`: they may share a file with the service's own, which is switched to
/// write-ahead logging. Cheap to clone; when the last clone is dropped, the file is closed before the drop returns.
///
/// A change is on the disk, flushed, before it is answered; so are counts of usage, which share the connection. It is
/// noticed by every process that has the file open, and so is plain SQL on the tables `api_keys` and `api_key_owners`,
/// whoever runs it: triggers write the change log. To end a key by hand, set its `revoked_at` or delete its row; a hash
/// that is overwritten is not noticed where the key is remembered, since the key means the same under another hash.
///
/// While the disk is full or read-only, keys are still checked; changes fail as
/// [unavailable](crate::store::StoreErrorKind::Unavailable) and leave nothing behind.
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
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: threads end once no worker stands for them.
struct Inner {
    /// Whatever writes.
    writer: Worker,
    /// Single keys, which requests wait for.
    finder: Worker,
    /// Reads of the change log, which requests wait for as well: behind none but each other.
    log: Worker,
    /// Lists of keys and events, which may be long.
    lister: Worker,
    head: HeadSource,
    _threads: Threads,
}

enum HeadSource {
    /// Other processes write too: it is read from the file.
    File(FreshReaders),
    /// Nobody else writes.
    Process(Arc<LocalHead>),
}

impl SqliteStore {
    /// Opens a file that several processes of this machine may use at the same time.
    ///
    /// Knowing whether something changed costs each request a look into the file, about 2 µs. The file has to be on a
    /// local disk: write-ahead logging does not work over a network (sqlite.org/wal.html).
    ///
    /// # Errors
    /// [`SqliteOpenError`], with what to do about it.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let path = path.as_ref().to_owned();
        off_thread(path, |path| Self::open_shared(path, PATIENCE)).await
    }

    /// Opens a file for this process alone: knowing whether something changed costs a few nanoseconds. Whoever opens
    /// the file meanwhile, as a store or with plain SQL, is refused.
    ///
    /// # Errors
    /// [`SqliteOpenError`], with what to do about it: `InUse` if anybody has the file open.
    pub async fn open_exclusive(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let path = path.as_ref().to_owned();
        off_thread(path, |path| Self::open_alone(path, PATIENCE_FOR_EXCLUSIVE)).await
    }

    /// A database in the memory of the process, gone when the last clone of the store is dropped: for tests.
    ///
    /// # Errors
    /// [`SqliteOpenError`] if there is no memory or no thread for it.
    pub async fn in_memory() -> Result<Self, SqliteOpenError> {
        off_thread(PathBuf::from(":memory:"), |path| {
            let mut connection = connect_to_memory().map_err(|error| SqliteOpenError::sqlite(path, error))?;
            bring_up_to_date(path, &mut connection)?;
            Self::on_one_connection(path, connection)
        })
        .await
    }

    pub(super) fn open_shared(path: &Path, patience: Duration) -> Result<Self, SqliteOpenError> {
        let path = &created(path)?;
        let refused = |error| SqliteOpenError::sqlite(path, error);
        let mut writer = connect(path, Role::Writer, patience).map_err(refused)?;
        bring_up_to_date(path, &mut writer)?;

        let mut threads = Threads::default();
        let mut start = |name, connection| {
            let (worker, thread) =
                Worker::start(name, connection, None).map_err(|error| SqliteOpenError::cannot_open(path, error))?;
            threads.push(thread);
            Ok::<_, SqliteOpenError>(worker)
        };
        let reader = |patience| connect(path, Role::Reader, patience).map_err(refused);
        let patience_of_requests = patience.min(PATIENCE_OF_REQUESTS);
        let inner = Inner {
            writer: start("api-keys-write", writer)?,
            finder: start("api-keys-find", reader(patience_of_requests)?)?,
            log: start("api-keys-log", reader(patience_of_requests)?)?,
            lister: start("api-keys-list", reader(patience)?)?,
            head: HeadSource::File(FreshReaders::open(path).map_err(refused)?),
            _threads: threads,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn open_alone(path: &Path, patience: Duration) -> Result<Self, SqliteOpenError> {
        let path = &created(path)?;
        let mut connection =
            connect(path, Role::Exclusive, patience).map_err(|error| SqliteOpenError::sqlite(path, error))?;
        bring_up_to_date(path, &mut connection)?;
        Self::on_one_connection(path, connection)
    }

    fn on_one_connection(path: &Path, connection: Connection) -> Result<Self, SqliteOpenError> {
        let head = LocalHead::read(&connection).map_err(|error| SqliteOpenError::sqlite(path, error))?;
        let head = Arc::new(head);
        let mut threads = Threads::default();
        let (worker, thread) = Worker::start("api-keys-sqlite", connection, Some(Arc::clone(&head)))
            .map_err(|error| SqliteOpenError::cannot_open(path, error))?;
        threads.push(thread);
        let inner = Inner {
            writer: worker.clone(),
            finder: worker.clone(),
            log: worker.clone(),
            lister: worker,
            head: HeadSource::Process(head),
            _threads: threads,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn lister(&self) -> &Worker {
        &self.inner.lister
    }

    pub(super) fn writer(&self) -> &Worker {
        &self.inner.writer
    }

    /// The connection that writes, for tests that put something in its way.
    #[cfg(test)]
    pub(super) async fn on_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, super::failure::Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.writer.write(job).await
    }
}

/// Opening waits for locks and the disk: not on a thread that serves others.
async fn off_thread(
    path: PathBuf,
    open: impl FnOnce(&Path) -> Result<SqliteStore, SqliteOpenError> + Send + 'static,
) -> Result<SqliteStore, SqliteOpenError> {
    let (answer, answered) = oneshot::channel();
    let name = path.clone();
    let work = move || {
        // Who asked may be gone: then the store is dropped here.
        let _ = answer.send(open(&path));
    };
    thread::Builder::new()
        .name("api-keys-open".to_owned())
        .spawn(work)
        .map_err(|error| SqliteOpenError::cannot_open(&name, error))?;
    answered.await.unwrap_or_else(|lost| Err(SqliteOpenError::cannot_open(&name, lost)))
}

/// The path of a file that exists now, from the root, so that SQLite takes it for nothing but a path.
fn created(path: &Path) -> Result<PathBuf, SqliteOpenError> {
    let absolute = std::path::absolute(path).map_err(|error| SqliteOpenError::cannot_open(path, error))?;
    create_private(&absolute).map_err(|error| SqliteOpenError::cannot_open(path, error))?;
    Ok(absolute)
}

fn bring_up_to_date(path: &Path, connection: &mut Connection) -> Result<(), SqliteOpenError> {
    migrate(connection, MIGRATIONS).map_err(|error| match error {
        SchemaError::Sqlite(error) => SqliteOpenError::sqlite(path, error),
        SchemaError::TableTaken(name) => SqliteOpenError::new(path, Reason::TableTaken(name)),
        SchemaError::TooNew { found, newest } => SqliteOpenError::new(path, Reason::TooNew { found, newest }),
    })
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

    fn head_now(&self) -> Option<Head> {
        match &self.inner.head {
            HeadSource::File(readers) => readers.head(),
            HeadSource::Process(head) => head.head(),
        }
    }

    async fn moved_beyond(&self, _head: Head) {
        // Nobody tells, and nobody has to: reading the log takes microseconds.
        pending().await
    }
}

impl KeyStore for SqliteStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        let change = change.clone();
        self.inner.writer.write(move |connection| apply(connection, &change)).await
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let (id, old, new) = (*id, old.to_owned(), new.clone());
        self.inner.writer.write(move |connection| rehash(connection, &id, &old, &new)).await
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        let query = query.clone();
        self.inner.lister.read(move |connection| list(connection, &query, now)).await
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<OwnerStatusRow, StoreError> {
        let owner = owner.clone();
        self.inner.lister.read(move |connection| Ok(owner_status(connection, &owner)?.unwrap_or_default())).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let batch = batch.clone();
        self.inner.writer.write(move |connection| record_usage(connection, &batch)).await
    }

    async fn usage(&self, of: &UsageOf) -> Result<Vec<UsageRow>, StoreError> {
        let of = of.clone();
        self.inner.lister.read(move |connection| usage(connection, &of)).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        let events = events.to_vec();
        self.inner.writer.write(move |connection| append_events(connection, &events)).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        let query = query.clone();
        self.inner.lister.read(move |connection| events(connection, &query)).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, value) = (name.to_owned(), value.to_vec());
        self.inner.writer.write(move |connection| put_meta_if_absent(connection, &name, &value)).await
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, old, new) = (name.to_owned(), old.to_vec(), new.to_vec());
        self.inner.writer.write(move |connection| replace_note(connection, &name, &old, &new)).await
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        self.inner.lister.read(move |connection| trail(connection, attempts, before)).await
    }

    async fn prune(&self, prune_what: &Prune) -> Result<Pruned, StoreError> {
        let what = *prune_what;
        self.inner.writer.write(move |connection| prune(connection, &what)).await
    }
}
