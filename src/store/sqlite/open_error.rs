use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use super::failure::Said;

/// Why a database file was not opened, in a sentence that says what to do.
///
/// ```
/// use tower_api_keys::store::{SqliteOpenErrorKind, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let error = SqliteStore::open("no such folder/keys.db").await.unwrap_err();
/// assert_eq!(error.kind(), SqliteOpenErrorKind::CannotOpen);
/// assert!(error.to_string().ends_with("does its folder exist, and may this process write there?"));
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
    /// Another store holds the file for itself, or it is to be held exclusively while others have it open.
    InUse,
    /// The file is something else than an SQLite database.
    NotADatabase,
    /// The file has a table of a name this store needs, which this store did not make.
    TableTaken,
    /// A newer version of this crate migrated the file, too new to work with.
    TooNew,
}

#[derive(Debug)]
pub(super) enum Reason {
    CannotOpen,
    Damaged,
    InUse,
    NotADatabase,
    TableTaken(String),
    TooNew { found: i64, newest: i64 },
}

impl SqliteOpenError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> SqliteOpenErrorKind {
        match self.reason {
            Reason::CannotOpen => SqliteOpenErrorKind::CannotOpen,
            Reason::Damaged => SqliteOpenErrorKind::Damaged,
            Reason::InUse => SqliteOpenErrorKind::InUse,
            Reason::NotADatabase => SqliteOpenErrorKind::NotADatabase,
            Reason::TableTaken(_) => SqliteOpenErrorKind::TableTaken,
            Reason::TooNew { .. } => SqliteOpenErrorKind::TooNew,
        }
    }

    pub(super) fn new(path: &Path, reason: Reason) -> Self {
        Self { path: path.to_owned(), reason, source: None }
    }

    pub(super) fn cannot_open(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path: path.to_owned(), reason: Reason::CannotOpen, source: Some(source.into()) }
    }

    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let reason = match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Reason::InUse,
            Some(ErrorCode::DatabaseCorrupt) => Reason::Damaged,
            Some(ErrorCode::NotADatabase) => Reason::NotADatabase,
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
                    "cannot open the database file `{path}`: does its folder exist, and may this process write there?"
                )
            }
            Reason::Damaged => write!(f, "the database file `{path}` is damaged: restore it from a backup"),
            Reason::InUse => {
                write!(
                    f,
                    "the database file `{path}` is in use: stop the other process, or open the file shared in both"
                )
            }
            Reason::NotADatabase => {
                write!(f, "`{path}` is no SQLite database: name another file, or one that does not exist yet")
            }
            Reason::TableTaken(name) => write!(
                f,
                "the database file `{path}` has a `{name}` of somebody else's: rename that, or name another file"
            ),
            Reason::TooNew { found, newest } => write!(
                f,
                "the database file `{path}` has schema {found}, and this version of tower-api-keys works with {newest} at \
                 most: update tower-api-keys"
            ),
        }
    }
}

impl Error for SqliteOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
