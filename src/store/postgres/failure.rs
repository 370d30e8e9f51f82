use std::error::Error;

use deadpool_postgres::PoolError;

use crate::store::{Conflict, Place, StoreError};

/// Why something asked of the server did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// `COMMIT` was sent, and what came of it is not known.
    Commit(tokio_postgres::Error),
    Conflict(Conflict),
    Corrupt(Box<dyn Error + Send + Sync>),
    /// Another row than the imported one stands there.
    Differs(Place),
    /// Nothing was done.
    Unavailable(Box<dyn Error + Send + Sync>),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.into())
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
            Failure::Differs(place) => Self::differs(place),
            Failure::Corrupt(error) => Self::corrupt(error),
            Failure::Unavailable(error) => Self::unavailable(error),
            // What the server refuses to commit, it has rolled back; a connection that broke tells nothing.
            Failure::Commit(error) if error.as_db_error().is_some() && !error.is_closed() => Self::unavailable(error),
            Failure::Commit(error) => Self::outcome_unknown(error),
        }
    }
}
