use std::{
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything, in a file nobody else may open meanwhile.
    Exclusive,
    Reader,
    Writer,
}

/// How long to wait before asking again whether a lock is free, where SQLite itself does not wait.
const PAUSE: Duration = Duration::from_millis(5);

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

/// Opens a file that exists. `patience` is how long each statement waits for a lock.
pub(super) fn connect(path: &Path, role: Role, patience: Duration) -> Result<Connection, rusqlite::Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(patience)?;
    match role {
        // A wall: nothing on this connection is meant to write.
        Role::Reader => connection.execute_batch("pragma query_only = on")?,
        Role::Writer => use_wal(&connection, patience)?,
        Role::Exclusive => {
            // Before the first look into the file: then SQLite takes the lock at that look and keeps it.
            connection.query_row("pragma locking_mode = exclusive", [], |_| Ok(()))?;
            use_wal(&connection, patience)?;
        }
    }
    if role != Role::Reader {
        keep_statements(&connection);
        // A commit is on the disk before it is answered. Counts of usage share the connection and its fsync: one a flush.
        connection.execute_batch("pragma synchronous = full")?;
    }
    Ok(connection)
}

/// A database in the memory of the process.
pub(super) fn connect_to_memory() -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    keep_statements(&connection);
    Ok(connection)
}

/// Room for every statement the store has.
fn keep_statements(connection: &Connection) {
    connection.set_prepared_statement_cache_capacity(64);
}

/// Write-ahead logging: readers never wait for the writer. A property of the file, set once.
fn use_wal(connection: &Connection, patience: Duration) -> Result<(), rusqlite::Error> {
    let deadline = Instant::now() + patience;
    loop {
        // SQLite does not wait for this lock itself: two processes that make the file together meet here.
        match connection.query_row("pragma journal_mode = wal", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(without_wal()),
            Err(error) if is_busy(&error) && Instant::now() < deadline => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn without_wal() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    rusqlite::Error::SqliteFailure(code, Some("the file system does not support write-ahead logging".to_owned()))
}
