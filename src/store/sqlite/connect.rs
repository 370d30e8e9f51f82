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

/// How long a process that brings its log into the file may take, as others see it.
const PATIENCE_FOR_MARKS: Duration = Duration::from_secs(1);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything, in a file nobody else may open meanwhile.
    Exclusive,
    Reader,
    Writer,
}

/// Creates the file, readable and writable by its owner only, unless there is one. SQLite gives the two files beside it
/// the same mode.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    // To close a file ends all locks this process has on it, those of other connections too. Only a file that was just
    // made is opened here, and nobody of this store opens it before it is closed.
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
            // A wall: nothing on this connection is meant to write.
            connection.execute_batch("pragma query_only = on")?;
            // The first look opens the log: it is the one that the others have open, or somebody notices.
            read_head(&connection)?;
            Ok(connection)
        }
        Role::Writer => {
            let connection = open(files, patience)?;
            // Before anything is written, since the log may be of another file.
            patiently(patience.min(PATIENCE_FOR_MARKS), || Ok(fit_together(&connection, files)?))?;
            // SQLite does not wait for the lock this takes: two processes that make the file together meet here.
            patiently(patience, || Ok(use_wal(&connection)?))?;
            prepare_to_write(&connection)?;
            Ok(connection)
        }
    }
}

/// One attempt to take the file. A failed one keeps the lock it has got, in the way of whoever has got more: it has to
/// be closed, and begun anew.
fn connect_alone(files: &Files) -> Result<Connection, ConnectError> {
    let connection = open(files, Duration::ZERO)?;
    // Before the first look into the file: then SQLite takes the lock at that look and keeps it.
    connection.query_row("pragma locking_mode = exclusive", [], |_| Ok(()))?;
    fit_together(&connection, files)?;
    use_wal(&connection)?;
    prepare_to_write(&connection)?;
    keep_pages(&connection)?;
    Ok(connection)
}

/// A connection for one long job beside all others.
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
    // A commit is on the disk before it is answered. Counts of usage share the connection and its fsync: one a flush.
    // The log is brought into the file with a new mark only. What is deleted is overwritten: a name that was replaced
    // long ago is nowhere once its owner is erased.
    connection.execute_batch("pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma secure_delete = on")
}

/// A database in the memory of the process.
pub(super) fn connect_to_memory() -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    add_functions(&connection)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// The keys of a list, and what is told beside each, lie all over the file. What does not fit into the two megabytes
/// that a connection keeps by itself is read from the system again for each list.
pub(super) fn keep_pages(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch("pragma cache_size = -16384")
}

/// Room for every statement the store has. Each is planned once: SQLite would plan a list again for each other
/// organization or time that it is asked for, though the index is named.
fn keep_statements(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Write-ahead logging: readers never wait for the writer. A property of the file, set once.
fn use_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mode: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(without_wal()) }
}

/// Tries again while somebody else has a lock, or seems to be half-way through something.
fn patiently<T>(patience: Duration, mut attempt: impl FnMut() -> Result<T, ConnectError>) -> Result<T, ConnectError> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(error) if error.may_pass() && Instant::now() < deadline => pause(),
            attempted => return attempted,
        }
    }
}

/// Waits for a few milliseconds. Pauses differ, so that two who are in each other's way do not stay in step.
pub(super) fn pause() {
    thread::sleep(Duration::from_micros(1_000 + RandomState::new().hash_one(()) % 10_000));
}

fn without_wal() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    rusqlite::Error::SqliteFailure(code, Some("the file system does not support write-ahead logging".to_owned()))
}
