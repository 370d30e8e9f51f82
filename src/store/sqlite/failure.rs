use std::{error::Error, fmt};

use rusqlite::ErrorCode;

use crate::store::{Conflict, Place, StoreError};

/// Why a job on a connection did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// `COMMIT` failed and ended the transaction.
    Commit(rusqlite::Error),
    Conflict(Conflict),
    /// Another row than the imported one stands there.
    Differs(Place),
    /// Anything else. What was begun is rolled back.
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

impl Failure {
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Conflict(conflict) => StoreError::conflict(conflict),
            Self::Differs(place) => StoreError::differs(place),
            Self::Commit(error) => {
                let fault = Fault::new(error);
                // SQLite rolled back. But after a failed flush the record of the commit may be on the disk all the same,
                // to be found after a crash. Not so where there was no room to write it.
                match fault.code() {
                    Some(ErrorCode::DiskFull) => StoreError::unavailable(fault),
                    _ => StoreError::outcome_unknown(fault),
                }
            }
            Self::Sqlite(error) => {
                let fault = Fault::new(error);
                if fault.is_corruption() { StoreError::corrupt(fault) } else { StoreError::unavailable(fault) }
            }
        }
    }
}

/// What SQLite says, in words for whoever has to repair it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Fault {
    what: &'static str,
    source: Said,
}

/// An error of SQLite, which says its cause itself.
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
    pub(super) fn new(source: rusqlite::Error) -> Self {
        Self { what: what_happened(&source), source: Said(source) }
    }

    pub(super) fn code(&self) -> Option<ErrorCode> {
        self.source.0.sqlite_error_code()
    }

    fn is_corruption(&self) -> bool {
        match self.code() {
            Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
            None => is_conversion(&self.source.0),
        }
    }
}

fn what_happened(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        None if is_conversion(error) => "a row of the database holds what was never written there",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process kept the database file locked for too long"
        }
        Some(ErrorCode::ReadOnly) => "the database file or its folder is read-only",
        Some(ErrorCode::DiskFull) => "the disk of the database file is full",
        Some(ErrorCode::SystemIoFailure) => "the disk of the database file failed to read or write",
        Some(ErrorCode::CannotOpen) => "the database file, or one of the two beside it, cannot be opened",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the database file is damaged",
        _ => "the database refused a statement",
    }
}

fn is_conversion(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        error,
        E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) | E::Utf8Error(..)
    )
}

/// What is stored in a column does not fit the type it is read into.
pub(super) fn corrupt_column(column: usize, source: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, source.into())
}
