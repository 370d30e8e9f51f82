use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::store::StoreError;

/// Why there is no backup, in a sentence that says what to do.
///
/// ```
/// use tower_api_keys::store::{SqliteBackupErrorKind, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = SqliteStore::in_memory().await.unwrap();
/// let error = store.backup_to("no such folder/keys.db").await.unwrap_err();
/// assert_eq!(error.kind(), SqliteBackupErrorKind::CannotWrite);
/// assert!(error.to_string().ends_with("that this process may write there, and that the disk has room"));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SqliteBackupError {
    path: PathBuf,
    kind: SqliteBackupErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`SqliteBackupError`].
///
/// ```
/// use tower_api_keys::store::SqliteBackupErrorKind;
///
/// assert_ne!(SqliteBackupErrorKind::AlreadyExists, SqliteBackupErrorKind::CannotWrite);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteBackupErrorKind {
    /// There is a file with this name, or one that an interrupted backup left. Nothing is overwritten.
    AlreadyExists,
    /// The copy could not be written.
    CannotWrite,
    /// The store could not be read. Its error is the source.
    Store,
}

impl SqliteBackupError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> SqliteBackupErrorKind {
        self.kind
    }

    pub(super) fn already_exists(path: &Path) -> Self {
        let source = Some(io::Error::from(io::ErrorKind::AlreadyExists).into());
        Self { path: path.to_owned(), kind: SqliteBackupErrorKind::AlreadyExists, source }
    }

    pub(super) fn cannot_write(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path: path.to_owned(), kind: SqliteBackupErrorKind::CannotWrite, source: Some(source.into()) }
    }

    pub(super) fn store(path: &Path, source: StoreError) -> Self {
        Self { path: path.to_owned(), kind: SqliteBackupErrorKind::Store, source: Some(source.into()) }
    }
}

impl fmt::Display for SqliteBackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            SqliteBackupErrorKind::AlreadyExists => {
                write!(
                    f,
                    "`{path}` already exists, and a backup never overwrites a file: choose another name, or \
                 remove the file"
                )
            }
            SqliteBackupErrorKind::CannotWrite => write!(
                f,
                "cannot write the backup `{path}`: check that its folder exists, that this process may write there, \
                 and that the disk has room"
            ),
            SqliteBackupErrorKind::Store => {
                write!(f, "cannot write the backup `{path}`, because the store cannot be read")
            }
        }
    }
}

impl Error for SqliteBackupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
