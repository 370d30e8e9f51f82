use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{
    files::Files,
    list::add_functions,
    log::read_head,
    probe::{Misfit, Unproved, fit_together},
};

/// How long to wait while another process brings its log into the file.
const PATIENCE_FOR_MARKS: Duration = Duration::from_secs(1);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything, in a file that others cannot open meanwhile.
    Exclusive,
    Reader,
    Writer,
}

/// Creates the file, readable and writable only by its owner, unless it exists. SQLite gives the two files beside it
/// the same mode.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    // Closing a file ends all locks that this process has on it, also those of other connections. Only a file that was
    // just made is opened here, and no connection of this store opens it before it is closed.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        opened => opened.map(drop),
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Misfit(Misfit),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for ConnectError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Unproved> for ConnectError {
    fn from(unproved: Unproved) -> Self {
        match unproved {
            Unproved::Misfit(misfit) => Self::Misfit(misfit),
            Unproved::Sqlite(error) => Self::Sqlite(error),
        }
    }
}

impl ConnectError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Misfit(_) => true,
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
            }
        }
    }
}

/// Opens a file that exists. `patience` is how long each statement waits for a lock.
pub(super) fn connect(files: &Files, role: Role, patience: Duration) -> Result<Connection, ConnectError> {
    match role {
        Role::Exclusive => patiently(patience, || connect_alone(files)),
        Role::Reader => {
            let connection = open(files, patience)?;
            // A guard: no statement on this connection may write.
            connection.execute_batch("pragma query_only = on")?;
            // The first read opens the log: if it is not the one that the others have open, the watch notices.
            read_head(&connection)?;
            Ok(connection)
        }
        Role::Writer => {
            let connection = open(files, patience)?;
            // Before anything is written, since the log may be of another file.
            patiently(patience.min(PATIENCE_FOR_MARKS), || Ok(fit_together(&connection, files)?))?;
            // SQLite does not wait for this lock: two processes that make the file at once collide here.
            patiently(patience, || Ok(use_wal(&connection)?))?;
            prepare_to_write(&connection)?;
            Ok(connection)
        }
    }
}

/// One attempt to take the file. A failed attempt keeps the locks that it has, and blocks another process that has more
/// of them: so it has to be closed before the next attempt.
fn connect_alone(files: &Files) -> Result<Connection, ConnectError> {
    let connection = open(files, Duration::ZERO)?;
    // Before the first read of the file: then SQLite takes the lock at that read and keeps it.
    connection.query_row("pragma locking_mode = exclusive", [], |_| Ok(()))?;
    fit_together(&connection, files)?;
    use_wal(&connection)?;
    prepare_to_write(&connection)?;
    keep_pages(&connection)?;
    Ok(connection)
}

/// A connection for one long job, in addition to all others.
pub(super) fn connect_once(files: &Files, patience: Duration) -> Result<Connection, rusqlite::Error> {
    open(files, patience)
}

fn open(files: &Files, patience: Duration) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&files.database, flags)?;
    connection.busy_timeout(patience)?;
    add_functions(&connection)?;
    keep_statements(&connection)?;
    Ok(connection)
}

fn prepare_to_write(connection: &Connection) -> Result<(), rusqlite::Error> {
    // A commit is on the disk before it is answered. Counts of usage share the connection and its fsync: one for each
    // flush. The log is brought into the file only with a new mark. Deleted data is overwritten: when an owner is
    // erased, a name that was replaced long ago is in no page.
    connection.execute_batch("pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma secure_delete = on")
}

/// A database in the memory of the process.
pub(super) fn connect_to_memory() -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    add_functions(&connection)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Makes the page cache larger. The keys of a list, and the rows around them, are spread over the file. Pages that do
/// not fit into the default cache of two megabytes would be read from the system again for each list.
pub(super) fn keep_pages(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch("pragma cache_size = -16384")
}

/// Caches every statement of the store, and plans each only once: otherwise SQLite would plan a list again for each
/// other organization or time, although the index is named.
fn keep_statements(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Switches to write-ahead logging, so that readers never wait for the writer. It is a property of the file, set once.
fn use_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mode: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(without_wal()) }
}

/// Tries again while another process has a lock, or seems to be in the middle of a mark.
fn patiently<T>(patience: Duration, mut attempt: impl FnMut() -> Result<T, ConnectError>) -> Result<T, ConnectError> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(error) if error.may_pass() && Instant::now() < deadline => pause(),
            attempted => return attempted,
        }
    }
}

/// Waits for a few milliseconds. The time is random, so that two processes do not collide again and again.
pub(super) fn pause() {
    thread::sleep(Duration::from_micros(1_000 + RandomState::new().hash_one(()) % 10_000));
}

fn without_wal() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    rusqlite::Error::SqliteFailure(code, Some("the file system does not support write-ahead logging".to_owned()))
}
