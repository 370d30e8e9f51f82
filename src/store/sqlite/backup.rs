use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::{
    backup_error::SqliteBackupError, closing::leave_doubtful_log, connect::connect_once, failure::Failure,
    log::read_head, mark::mark_copy, store::SqliteStore, watch::Watch,
};

/// How long a backup waits for a lock: what it reads is rarely locked.
const PATIENCE: Duration = Duration::from_secs(5);

impl SqliteStore {
    /// Writes a copy of the database, as of one moment, into a new file, and returns its length in bytes. The copy has
    /// all rows, those in the write-ahead log included, and the tables of the service if the file has any.
    ///
    /// The service and other processes still work meanwhile; with [`open_exclusive`](SqliteStore::open_exclusive),
    /// requests that need the file wait. When this returns `Ok`, the copy is complete and on the disk, has its name,
    /// and is readable and writable only by its owner. Until then it has a name that ends with `.part`. If the call is
    /// dropped, the copy is still finished.
    ///
    /// To restore it, stop the service, see `manual::sqlite`. To move keys to another store, or into a file that
    /// already has some, use [`copy`](crate::store::transfer::copy).
    ///
    /// # Errors
    /// [`SqliteBackupError`], with what to do about it. Then nothing of the copy is left.
    ///
    /// # Security
    /// A restored backup is an older state: keys that were revoked later are live again.
    ///
    /// ```
    /// use tower_api_keys::store::SqliteStore;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let store = SqliteStore::open(folder.join("keys.db")).await?;
    /// let bytes = store.backup_to(folder.join("keys.backup.db")).await?;
    /// assert_eq!(bytes, std::fs::metadata(folder.join("keys.backup.db"))?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn backup_to(&self, path: impl AsRef<Path>) -> Result<u64, SqliteBackupError> {
        let path = path.as_ref().to_owned();
        let target = std::path::absolute(&path).map_err(|error| SqliteBackupError::cannot_write(&path, error))?;
        match self.parts().shared_watch() {
            Some(watch) => beside_the_service(target, watch, self.clone()).await,
            None => {
                let watch = self.parts().watch();
                let copied = move |connection: &mut Connection| Ok(copy(connection, &target, watch.as_deref()));
                let outcome = self.parts().writer.read(copied).await;
                outcome.unwrap_or_else(|error| Err(SqliteBackupError::store(&path, error)))
            }
        }
    }
}

/// Copies on a thread and a connection of its own: a large file takes long, and no other call should wait for it.
async fn beside_the_service(target: PathBuf, watch: Arc<Watch>, store: SqliteStore) -> Result<u64, SqliteBackupError> {
    let (answer, answered) = oneshot::channel();
    let path = target.clone();
    let work = move || {
        let connected = connect(&watch);
        // Only when this connection has the log open: the last connection that closes the file removes the log, and the
        // next one would begin another.
        drop(store);
        let outcome = match connected {
            Ok(mut connection) => {
                let outcome = copy(&mut connection, &target, Some(&watch));
                // The store may have been dropped meanwhile; then this is the last connection.
                leave_doubtful_log(&connection, &watch);
                outcome
            }
            Err(failure) => Err(failed(&target, failure, Some(&watch))),
        };
        // The caller may have been dropped.
        let _ = answer.send(outcome);
    };
    thread::Builder::new()
        .name("api-keys-backup".to_owned())
        .spawn(work)
        .map_err(|error| SqliteBackupError::cannot_write(&path, error))?;
    answered.await.unwrap_or_else(|lost| Err(SqliteBackupError::cannot_write(&path, lost)))
}

fn connect(watch: &Watch) -> Result<Connection, Failure> {
    // First, because a new connection would begin another log for a file that lost its own.
    watch.look()?;
    let connection = connect_once(watch.files(), PATIENCE)?;
    // The first read opens the log.
    read_head(&connection)?;
    Ok(connection)
}

fn copy(connection: &mut Connection, target: &Path, watch: Option<&Watch>) -> Result<u64, SqliteBackupError> {
    if target.symlink_metadata().is_ok() {
        return Err(SqliteBackupError::already_exists(target));
    }
    let part = Part::create(target)?;
    let cannot_write = |error: io::Error| SqliteBackupError::cannot_write(target, error);
    let written = part.fill(connection).map_err(|error| SqliteBackupError::cannot_write(target, error))?;
    // The copied file must be the one that others open by this name; otherwise this is no backup of it.
    if let Some(watch) = watch {
        watch.judge(connection).map_err(|failure| failed(target, failure, Some(watch)))?;
    }
    part.name(target).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SqliteBackupError::already_exists(target),
        _ => cannot_write(error),
    })?;
    Ok(written)
}

fn failed(target: &Path, failure: Failure, watch: Option<&Watch>) -> SqliteBackupError {
    SqliteBackupError::store(target, failure.into_store_error(watch.map(Watch::files)))
}

/// A copy that is not finished. Removed when dropped.
struct Part(PathBuf);

impl Part {
    fn create(target: &Path) -> Result<Self, SqliteBackupError> {
        let mut path = OsString::from(target);
        path.push(".part");
        let path = PathBuf::from(path);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SqliteBackupError::already_exists(&path)),
            Err(error) => Err(SqliteBackupError::cannot_write(target, error)),
        }
    }

    /// Writes the whole copy to the disk. Returns its length.
    fn fill(&self, connection: &Connection) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        let path = self.0.to_str().ok_or("SQLite takes names in UTF-8 only")?;
        connection.execute("vacuum into ?1", [path])?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copied = Connection::open_with_flags(&self.0, flags)?;
        mark_copy(&mut copied).map_err(|failure| failure.into_store_error(None))?;
        copied.close().map_err(|(_, error)| error)?;
        let file = fs::File::open(&self.0)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }

    /// Gives the copy its name, unless another file has that name by now.
    fn name(self, target: &Path) -> io::Result<()> {
        match fs::hard_link(&self.0, target) {
            Ok(()) => fs::remove_file(&self.0)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Not all file systems have links.
            Err(_) if target.symlink_metadata().is_err() => fs::rename(&self.0, target)?,
            Err(error) => return Err(error),
        }
        sync_folder(target)
    }
}

/// Flushes the folder, so that the name is on the disk, too.
fn sync_folder(of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let mut journal = OsString::from(&self.0);
        journal.push("-journal");
        let _ = fs::remove_file(journal);
    }
}
