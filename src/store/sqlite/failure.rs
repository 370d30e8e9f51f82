use std::{error::Error, fmt, path::Path};

use rusqlite::ErrorCode;

use super::{doubt::Doubt, files::Files, fitness::read_only_file};
use crate::store::{Conflict, StoreError, transfer::Cursor};

/// Why a job on a connection failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// `COMMIT` failed and ended the transaction.
    Commit(rusqlite::Error),
    Conflict(Conflict),
    /// The stored row differs from the imported one.
    Differs(Box<Cursor>),
    /// The files may not be those that others open by their names. Nothing was changed in them.
    Doubt(Doubt),
    /// The same, and something was changed in the files.
    DoubtfulChange(Doubt),
    /// Any other error. The transaction is rolled back.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Conflict> for Failure {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<Doubt> for Failure {
    fn from(doubt: Doubt) -> Self {
        Self::Doubt(doubt)
    }
}

impl Failure {
    /// The error of the store, with a text that names the files, if there are any.
    pub(super) fn into_store_error(self, files: Option<&Files>) -> StoreError {
        match self {
            Self::Conflict(conflict) => StoreError::conflict(conflict),
            Self::Differs(cursor) => StoreError::differs(*cursor),
            Self::Doubt(doubt) => StoreError::unavailable(doubt),
            Self::DoubtfulChange(doubt) => StoreError::outcome_unknown(doubt),
            Self::Commit(error) => {
                let fault = Fault::new(error, files);
                // SQLite rolled back. But after a failed flush, the commit may still be on the disk, and be found
                // after a crash. On a full disk, it was not written.
                match fault.code() {
                    Some(ErrorCode::DiskFull) => StoreError::unavailable(fault),
                    _ => StoreError::outcome_unknown(fault),
                }
            }
            Self::Sqlite(error) => {
                let fault = Fault::new(error, files);
                if is_corruption(&fault.source.0) {
                    StoreError::corrupt(fault)
                } else if is_refused_value(&fault.source.0) {
                    StoreError::refused(fault)
                } else {
                    StoreError::unavailable(fault)
                }
            }
        }
    }
}

/// What SQLite says, in a text that helps an operator to repair it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Fault {
    what: String,
    source: Said,
}

/// An error of SQLite that includes its cause in its text.
#[derive(Debug)]
pub(super) struct Said(rusqlite::Error);

impl Said {
    pub(super) const fn new(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rusqlite::Error::SqliteFailure(error, Some(text)) => write!(f, "{text} (code {})", error.extended_code),
            other => other.fmt(f),
        }
    }
}

impl Error for Said {}

impl Fault {
    fn new(source: rusqlite::Error, files: Option<&Files>) -> Self {
        Self { what: what_happened(&source, files), source: Said(source) }
    }

    pub(super) fn code(&self) -> Option<ErrorCode> {
        self.source.0.sqlite_error_code()
    }
}

/// Whether the error comes from the content of the files, not from the disk or another process: their structure, or a
/// value that this crate never writes.
pub(super) fn is_corruption(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
        None => is_conversion(error),
    }
}

fn what_happened(error: &rusqlite::Error, files: Option<&Files>) -> String {
    let name = |path: &Path| format!("`{}`", path.display());
    let database = files.map_or_else(|| "the database".to_owned(), |files| name(&files.database));
    match error.sqlite_error_code() {
        _ if is_refused_value(error) => format!("{database} refused a value"),
        None if is_conversion(error) => format!("a row of {database} has a value that this crate never writes"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
            "another process holds the write lock of {database}, and nothing was changed: end its transaction, for \
             example in a database shell that was left open (`fuser` lists the processes that have the file open)"
        ),
        Some(ErrorCode::ReadOnly) => match files.and_then(read_only_file) {
            Some(file) => {
                format!("this process has no permission to write to {}: change its mode or its owner", name(&file))
            }
            None => format!("{database} or its folder is read-only"),
        },
        Some(ErrorCode::DiskFull) => format!("the disk of {database} is full"),
        Some(ErrorCode::SystemIoFailure) => format!("the disk of {database} failed to read or write"),
        Some(ErrorCode::CannotOpen) => format!("{database}, or one of the two files beside it, cannot be opened"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!("{database} is damaged"),
        _ => format!("{database} refused a statement"),
    }
}

/// Whether a check, a column without null, a trigger of the embedder or a limit of SQLite refused a value; it will do
/// so again. A conflict with another row is not such a refusal.
fn is_refused_value(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    match error {
        rusqlite::Error::ToSqlConversionFailure(_) => true,
        rusqlite::Error::SqliteFailure(error, _) => [
            ffi::SQLITE_CONSTRAINT_CHECK,
            ffi::SQLITE_CONSTRAINT_DATATYPE,
            ffi::SQLITE_CONSTRAINT_NOTNULL,
            ffi::SQLITE_CONSTRAINT_TRIGGER,
            ffi::SQLITE_MISMATCH,
            ffi::SQLITE_TOOBIG,
        ]
        .contains(&error.extended_code),
        _ => false,
    }
}

fn is_conversion(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) | E::Utf8Error(..)
    )
}

/// The error for a stored value that does not fit the type it is read into.
pub(super) fn corrupt_column(column: usize, source: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, source.into())
}
