use std::{fs, io, path::Path, sync::Arc, time::Duration};

use rusqlite::Connection;

use super::{
    closing::LastLook,
    connect::{Role, connect, connect_to_memory, create_private, keep_pages},
    desk::Desk,
    files::Files,
    fitness::check,
    fresh::{FreshReaders, open_fresh},
    local_head::LocalHead,
    mark::{PATIENCE_FOR_MARK, renew_mark},
    open_error::{Reason, SqliteOpenError},
    rounds::Rounds,
    schema::{MIGRATIONS, SchemaError, migrate},
    watch::Watch,
    worker::{Threads, Worker},
};
use crate::store::Head;

/// How long a change waits while another process writes, which usually takes milliseconds. It is less than the default
/// time of a call of a store (5 s), so that the error can say that nothing was changed, and why.
const PATIENCE_OF_CHANGES: Duration = Duration::from_secs(3);

/// How long a read for a request waits for a lock: less than the request waits.
const PATIENCE_OF_REQUESTS: Duration = Duration::from_millis(500);

/// The parts of a store, the same for all ways to open it.
///
/// Fields are dropped in this order: a thread ends when all its workers are dropped. If two connections are closed at
/// the same moment, each sees the other, and neither removes the log. So the threads close theirs first, and then the
/// readers of the head are closed, one after the other.
pub(super) struct Parts {
    _rounds: Option<Rounds>,
    /// All writes.
    pub(super) writer: Worker,
    /// Look-ups of single keys, which requests wait for.
    pub(super) finder: Worker,
    /// Reads of the change log, which requests wait for, too: they wait only for each other.
    pub(super) log: Worker,
    /// Lists of keys and events, which may be long.
    pub(super) lister: Worker,
    _threads: Threads,
    head: HeadSource,
    /// None for a database without a file.
    watch: Option<Arc<Watch>>,
    /// None if others cannot have the file open.
    _last_look: Option<LastLook>,
}

enum HeadSource {
    /// Other processes write, too: the head is read from the file.
    File(FreshReaders),
    /// No other process writes.
    Process(Arc<LocalHead>),
}

impl Parts {
    /// The head of the change log if it is known without waiting.
    pub(super) fn head(&self) -> Option<Head> {
        match &self.head {
            HeadSource::File(readers) => readers.head(),
            HeadSource::Process(head) if self.watch.as_ref().is_none_or(|watch| watch.is_fine()) => head.head(),
            HeadSource::Process(_) => None,
        }
    }

    pub(super) fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.clone()
    }

    /// The watch, if others may open the files, too.
    pub(super) fn shared_watch(&self) -> Option<Arc<Watch>> {
        match &self.head {
            HeadSource::File(_) => self.watch.clone(),
            HeadSource::Process(_) => None,
        }
    }

    pub(super) fn open_shared(path: &Path, patience: Duration) -> Result<Self, SqliteOpenError> {
        let files = &created(path)?;
        let before = files.stat_named().map_err(|error| SqliteOpenError::cannot_open(path, error))?;
        let refused = |error| SqliteOpenError::connect(path, files, error);
        let mut writer = connect(files, Role::Writer, patience).map_err(refused)?;
        bring_up_to_date(path, Some(files), &mut writer)?;
        let is_marked = mark(&mut writer, files);
        let reader = |patience| connect(files, Role::Reader, patience).map_err(refused);
        let of_requests = patience.min(PATIENCE_OF_REQUESTS);
        let (finder, log, lister) = (reader(of_requests)?, reader(of_requests)?, reader(patience)?);
        keep_pages(&lister).map_err(|error| refused(error.into()))?;
        let fresh = open_fresh(files, patience).map_err(refused)?;
        let watch = Watch::begin(files.clone(), before.id, &writer, is_marked)
            .map_err(|failure| SqliteOpenError::cannot_open(path, failure.into_store_error(Some(files))))?;
        let watch = Arc::new(watch);
        let last_look = LastLook::new(&watch);
        let head = HeadSource::File(FreshReaders::new(fresh, Arc::clone(&watch)));

        let mut threads = Threads::default();
        let mut start = |name, connection| {
            let desk = Desk::new(connection, None, Some(Arc::clone(&watch)));
            let (worker, thread) = Worker::start(name, desk, patience.min(PATIENCE_OF_CHANGES))
                .map_err(|error| SqliteOpenError::cannot_open(path, error))?;
            threads.push(thread);
            Ok::<_, SqliteOpenError>(worker)
        };
        let writer = start("api-keys-write", writer)?;
        let finder = start("api-keys-find", finder)?;
        let log = start("api-keys-log", log)?;
        let lister = start("api-keys-list", lister)?;
        let rounds = start_rounds(path, &watch, &writer)?;
        Ok(Self {
            _rounds: Some(rounds),
            writer,
            finder,
            log,
            lister,
            _threads: threads,
            head,
            watch: Some(watch),
            _last_look: Some(last_look),
        })
    }

    pub(super) fn open_alone(path: &Path, patience: Duration) -> Result<Self, SqliteOpenError> {
        let files = created(path)?;
        let before = files.stat_named().map_err(|error| SqliteOpenError::cannot_open(path, error))?;
        let mut connection = connect(&files, Role::Exclusive, patience)
            .map_err(|error| SqliteOpenError::connect(path, &files, error))?;
        // A process that was killed may have left it: a file that is opened exclusively has no index.
        let _ = fs::remove_file(&files.index);
        bring_up_to_date(path, Some(&files), &mut connection)?;
        let is_marked = mark(&mut connection, &files);
        let watch = Watch::begin(files.clone(), before.id, &connection, is_marked)
            .map_err(|failure| SqliteOpenError::cannot_open(path, failure.into_store_error(Some(&files))))?;
        Self::on_one_connection(path, Some(Arc::new(watch)), connection)
    }

    pub(super) fn in_memory(name: &Path) -> Result<Self, SqliteOpenError> {
        let mut connection = connect_to_memory().map_err(|error| SqliteOpenError::sqlite(name, None, error))?;
        bring_up_to_date(name, None, &mut connection)?;
        Self::on_one_connection(name, None, connection)
    }

    fn on_one_connection(
        path: &Path,
        watch: Option<Arc<Watch>>,
        connection: Connection,
    ) -> Result<Self, SqliteOpenError> {
        let files = watch.as_ref().map(|watch| watch.files().clone());
        let head =
            LocalHead::read(&connection).map_err(|error| SqliteOpenError::sqlite(path, files.as_ref(), error))?;
        let head = Arc::new(head);
        let mut threads = Threads::default();
        let desk = Desk::new(connection, Some(Arc::clone(&head)), watch.clone());
        let (worker, thread) = Worker::start("api-keys-sqlite", desk, PATIENCE_OF_CHANGES)
            .map_err(|error| SqliteOpenError::cannot_open(path, error))?;
        threads.push(thread);
        let rounds = watch.as_ref().map(|watch| start_rounds(path, watch, &worker)).transpose()?;
        Ok(Self {
            _rounds: rounds,
            writer: worker.clone(),
            finder: worker.clone(),
            log: worker.clone(),
            lister: worker,
            _threads: threads,
            head: HeadSource::Process(head),
            watch,
            _last_look: None,
        })
    }
}

/// Creates the database if there is none, and returns its files. The path is absolute, so that SQLite takes it only as
/// a path.
fn created(path: &Path) -> Result<Files, SqliteOpenError> {
    let cannot_open = |error: io::Error| SqliteOpenError::cannot_open(path, error);
    let absolute = std::path::absolute(path).map_err(cannot_open)?;
    create_private(&absolute).map_err(cannot_open)?;
    let files = Files::of(&absolute).map_err(cannot_open)?;
    check(&files).map_err(|unfit| SqliteOpenError::new(path, Reason::Unfit(unfit)))?;
    Ok(files)
}

fn bring_up_to_date(path: &Path, files: Option<&Files>, connection: &mut Connection) -> Result<(), SqliteOpenError> {
    migrate(connection, MIGRATIONS).map_err(|error| match error {
        SchemaError::Sqlite(error) => SqliteOpenError::sqlite(path, files, error),
        SchemaError::TableTaken(name) => SqliteOpenError::new(path, Reason::TableTaken(name)),
        SchemaError::TooNew { found, newest } => SqliteOpenError::new(path, Reason::TooNew { found, newest }),
    })
}

/// Makes a new mark in file and log. Returns false while another connection writes or reads, or on a full disk: keys
/// are still checked, and the mark is made later.
fn mark(connection: &mut Connection, files: &Files) -> bool {
    connection.busy_timeout(PATIENCE_FOR_MARK).is_ok() && renew_mark(connection, files).unwrap_or(false)
}

fn start_rounds(path: &Path, watch: &Arc<Watch>, writer: &Worker) -> Result<Rounds, SqliteOpenError> {
    Rounds::start(watch, writer).map_err(|error| SqliteOpenError::cannot_open(path, error))
}
