use std::error::Error;

use tower_api_keys::store::{Conflict, StoreError};

/// Why the database did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// `COMMIT` was sent, and no answer to it came.
    Commit(sqlx::Error),
    Conflict(Conflict),
    Corrupt(Box<dyn Error + Send + Sync>),
    /// Nothing was done.
    Unavailable(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.into()),
            _ => Self::Unavailable(error),
        }
    }
}

impl From<Conflict> for Failure {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict(conflict) => Self::conflict(conflict),
            Failure::Corrupt(error) => Self::corrupt(error),
            Failure::Unavailable(error) => Self::unavailable(error),
            // What the server refuses to commit it has rolled back; a connection that broke tells nothing.
            Failure::Commit(error) if error.as_database_error().is_some() => Self::unavailable(error),
            Failure::Commit(error) => Self::outcome_unknown(error),
        }
    }
}
