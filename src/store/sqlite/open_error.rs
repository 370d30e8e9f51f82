use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use super::{
    connect::ConnectError,
    failure::Said,
    files::Files,
    files::stat,
    fitness::{Unfit, read_only_file},
    probe::Misfit,
};

/// Why a database file was not opened, in a sentence that says what to do.
///
/// ```
/// use tower_api_keys::store::{SqliteOpenErrorKind, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let error = SqliteStore::open("no such folder/keys.db").await.unwrap_err();
/// assert_eq!(error.kind(), SqliteOpenErrorKind::CannotOpen);
/// assert!(error.to_string().ends_with("check that its folder exists and that this process may write there"));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SqliteOpenError {
    path: PathBuf,
    reason: Reason,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`SqliteOpenError`].
///
/// ```
/// use tower_api_keys::store::SqliteOpenErrorKind;
///
/// assert_ne!(SqliteOpenErrorKind::InUse, SqliteOpenErrorKind::CannotOpen);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteOpenErrorKind {
    /// The operating system, or SQLite, refused to open or to create the file.
    CannotOpen,
    /// The file was a database and is damaged.
    Damaged,
    /// The log beside the file belongs to another file: it was there when a backup was restored.
    ForeignLog,
    /// Another store has opened the file exclusively, or this store wants to while others have it open.
    InUse,
    /// The file has a second name: a process that opens it by that name does not notice this one.
    Linked,
    /// The file was copied, or its log removed, while it was in use: the last changes are missing.
    NoLog,
    /// The file is not an SQLite database.
    NotADatabase,
    /// This process has no right to write to the file, or to one of the two beside it.
    ReadOnly,
    /// The file has a table with a name that this store needs, and this store did not make it.
    TableTaken,
    /// A newer version of this crate migrated the file, and this version cannot work with it.
    TooNew,
    /// Every user of the machine may write to the file, or to one of the two beside it.
    WritableByOthers,
}

#[derive(Debug)]
pub(super) enum Reason {
    CannotOpen,
    /// With its log, if there was one beside it.
    Damaged(Option<PathBuf>),
    InUse,
    Misfit(Misfit, Box<Files>),
    NotADatabase,
    TableTaken(String),
    TooNew {
        found: i64,
        newest: i64,
    },
    Unfit(Unfit),
}

impl SqliteOpenError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> SqliteOpenErrorKind {
        match self.reason {
            Reason::CannotOpen => SqliteOpenErrorKind::CannotOpen,
            Reason::Damaged(_) | Reason::Misfit(Misfit::Torn, _) => SqliteOpenErrorKind::Damaged,
            Reason::InUse => SqliteOpenErrorKind::InUse,
            Reason::Misfit(Misfit::ForeignLog | Misfit::FileIsNewer, _) => SqliteOpenErrorKind::ForeignLog,
            Reason::Misfit(Misfit::NoLog, _) => SqliteOpenErrorKind::NoLog,
            Reason::NotADatabase => SqliteOpenErrorKind::NotADatabase,
            Reason::TableTaken(_) => SqliteOpenErrorKind::TableTaken,
            Reason::TooNew { .. } => SqliteOpenErrorKind::TooNew,
            Reason::Unfit(Unfit::Linked(_)) => SqliteOpenErrorKind::Linked,
            Reason::Unfit(Unfit::ReadOnly(_)) => SqliteOpenErrorKind::ReadOnly,
            Reason::Unfit(Unfit::WritableByOthers(_)) => SqliteOpenErrorKind::WritableByOthers,
        }
    }

    pub(super) fn new(path: &Path, reason: Reason) -> Self {
        Self { path: path.to_owned(), reason, source: None }
    }

    pub(super) fn cannot_open(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path: path.to_owned(), reason: Reason::CannotOpen, source: Some(source.into()) }
    }

    pub(super) fn connect(path: &Path, files: &Files, error: ConnectError) -> Self {
        match error {
            ConnectError::Misfit(misfit) => Self::new(path, Reason::Misfit(misfit, Box::new(files.clone()))),
            ConnectError::Sqlite(error) => Self::sqlite(path, Some(files), error),
        }
    }

    pub(super) fn sqlite(path: &Path, files: Option<&Files>, source: rusqlite::Error) -> Self {
        let reason = match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Reason::InUse,
            Some(ErrorCode::DatabaseCorrupt) => {
                let log = files.map(|files| &files.log);
                Reason::Damaged(log.filter(|log| stat(log).is_ok_and(|log| log.written.length > 0)).cloned())
            }
            Some(ErrorCode::NotADatabase) => Reason::NotADatabase,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => match files.and_then(read_only_file) {
                Some(file) => Reason::Unfit(Unfit::ReadOnly(file)),
                None => Reason::CannotOpen,
            },
            _ => Reason::CannotOpen,
        };
        Self { path: path.to_owned(), reason, source: Some(Said::new(source).into()) }
    }
}

impl fmt::Display for SqliteOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::CannotOpen => {
                write!(
                    f,
                    "cannot open the database file `{path}`: check that its folder exists and that this process may \
                     write there"
                )
            }
            Reason::Damaged(None) => write!(f, "the database file `{path}` is damaged: restore it from a backup"),
            Reason::Damaged(Some(log)) => write!(
                f,
                "the database file `{path}` is damaged, or `{log}` does not belong to it: restore a backup, after you \
                 removed `{log}` and the file that ends with `-shm`, and start again",
                log = log.display()
            ),
            Reason::InUse => {
                write!(
                    f,
                    "the database file `{path}` is in use: stop the other process, or open the file in shared mode in \
                     both"
                )
            }
            Reason::Misfit(misfit, files) => write_misfit(f, *misfit, files),
            Reason::NotADatabase => {
                write!(f, "`{path}` is not an SQLite database: choose another file, or a name that does not exist yet")
            }
            Reason::TableTaken(name) => write!(
                f,
                "the database file `{path}` already has a table or view `{name}` that belongs to another program: \
                 rename it, or choose another file"
            ),
            Reason::TooNew { found, newest } => write!(
                f,
                "the database file `{path}` has schema {found}, but this version of tower-api-keys supports at most \
                 schema {newest}: update tower-api-keys"
            ),
            Reason::Unfit(Unfit::Linked(names)) => write!(
                f,
                "the database file `{path}` has {names} names (hard links), and a process that opens it under another \
                 name does not see the changes of this process: remove the other names (`find / -xdev -samefile \
                 {path}` lists them), or replace them with copies"
            ),
            Reason::Unfit(Unfit::ReadOnly(file)) => write!(
                f,
                "this process has no permission to write to `{file}`: change its mode or its owner (`chmod u+w \
                 {file}`)",
                file = file.display()
            ),
            Reason::Unfit(Unfit::WritableByOthers(file)) => write!(
                f,
                "every user of this machine can write to `{file}`, and so create or restore keys: remove that \
                 permission (`chmod o-w {file}`)",
                file = file.display()
            ),
        }
    }
}

fn write_misfit(f: &mut fmt::Formatter<'_>, misfit: Misfit, files: &Files) -> fmt::Result {
    let [database, log, index] = [&files.database, &files.log, &files.index].map(|path| path.display());
    match misfit {
        Misfit::FileIsNewer => write!(
            f,
            "`{database}` was replaced or changed after `{log}`, and `{log}` would undo that change: if you restored \
             a backup, remove `{log}` and `{index}` and start again; if you did not, run `sqlite3 {database} 'pragma \
             wal_checkpoint(truncate)'` to write the log into the file"
        ),
        Misfit::ForeignLog => write!(
            f,
            "`{log}` and `{index}` do not belong to `{database}`: if you restored a backup, remove both and start \
             again; if you did not, restore a backup"
        ),
        Misfit::Torn => write!(
            f,
            "`{database}` is damaged: it was copied while SQLite wrote to it, or another program wrote to it; restore \
             a backup, or copy the original again while no service runs"
        ),
        Misfit::NoLog => write!(
            f,
            "`{database}` was in use when it was copied or when `{log}` was removed, so its last changes are missing, \
             and keys that they revoked would be accepted: copy both files while no service runs, or use \
             `SqliteStore::backup_to`; to continue without those changes, run `sqlite3 {database} 'update \
             api_key_log_mark set is_whole = 1'`"
        ),
    }
}

impl Error for SqliteOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
