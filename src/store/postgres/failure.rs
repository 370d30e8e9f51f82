use std::error::Error;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio::time::error::Elapsed;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::store::{Conflict, StoreError, transfer::Cursor};

/// Why a statement on the server failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server aborted it because of another transaction: it may be tried again.
    #[error("the server ended the transaction because of another one")]
    Aborted(#[source] tokio_postgres::Error),
    #[error("it conflicts with what is stored")]
    Conflict(Conflict),
    #[error("a stored value cannot be read")]
    Corrupt(#[source] Box<dyn Error + Send + Sync>),
    /// The write may have been done.
    #[error("it is not known whether the change was made")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
    /// The stored row differs from the imported one.
    #[error("another row is already there")]
    Differs(Box<Cursor>),
    /// A value does not fit its column. Nothing was done.
    #[error("the server refused a value")]
    Refused(#[source] RefusedValue),
    /// Nothing was done.
    #[error("the server cannot be used")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl Failure {
    pub(super) fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }

    /// Whether a server refused because it is a standby, or was made read-only: another connection may lead to another
    /// server.
    pub(super) fn is_of_read_only(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
        code == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// The same failure for a statement that writes and commits at once: without an answer, it may have been done.
    pub(super) fn of_write(self) -> Self {
        match self {
            Self::Unavailable(error) if !is_refusal(error.as_ref()) => Self::OutcomeUnknown(error),
            told => told,
        }
    }
}

/// Classes of errors after which a commit may still have happened: connections (also of a pooler whose server died),
/// resources, an operator's intervention in a commit that waits for a standby, the system, and the server itself.
const DOUBTFUL: [&str; 5] = ["08", "53", "57", "58", "XX"];

/// Whether the server refused and keeps the connection, instead of no answer, or an end of the connection.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    // The error may be wrapped in one that names the holders of a lock.
    let Some(error) = error.downcast_ref::<tokio_postgres::Error>() else {
        return error.source().is_some_and(is_refusal);
    };
    error.as_db_error().is_some_and(|said| {
        said.parsed_severity() == Some(Severity::Error)
            && *said.code() != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
            && !DOUBTFUL.iter().any(|class| said.code().code().starts_with(class))
    })
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE) => Self::Aborted(error),
            _ => match error.as_db_error().and_then(RefusedValue::of) {
                Some(refused) => Self::Refused(refused),
                None => Self::Unavailable(error.into()),
            },
        }
    }
}

/// A value that the server did not accept, in a text that does not repeat it: the server's details may contain the row.
#[derive(Debug, thiserror::Error)]
#[error("the server refused a value ({}): {told}", .code.code())]
pub(super) struct RefusedValue {
    code: SqlState,
    told: String,
}

impl RefusedValue {
    /// The refused value, if the error is one: data exceptions, which a repeat raises again; a value that a check, a
    /// column without null or a trigger of the embedder does not allow; and a text too long for an index.
    fn of(said: &DbError) -> Option<Self> {
        let code = said.code();
        // The messages of these codes only name types, columns and constraints.
        let is_plain = [
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            SqlState::NOT_NULL_VIOLATION,
            SqlState::CHECK_VIOLATION,
            SqlState::PROGRAM_LIMIT_EXCEEDED,
        ]
        .contains(code);
        let told = match code {
            _ if is_plain => said.message(),
            // The message comes from the trigger, and may repeat the row.
            &SqlState::RAISE_EXCEPTION => "a function raised an exception",
            _ if code.code().starts_with("22") => "the server cannot store this value",
            _ => return None,
        };
        Some(Self { code: code.clone(), told: told.to_owned() })
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(cause_of(error))
    }
}

/// The cause of a pool's error, without the pool's own wrapper.
pub(super) fn cause_of(error: PoolError) -> Box<dyn Error + Send + Sync> {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
        PoolError::Timeout(TimeoutType::Wait) => "no connection of the pool became free in time".into(),
        PoolError::Timeout(_) => "the server did not accept a connection in time".into(),
        other => other.into(),
    }
}

impl From<Elapsed> for Failure {
    fn from(_: Elapsed) -> Self {
        Self::unavailable("the server did not answer in time")
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
            Failure::Aborted(error) => Self::unavailable(error),
            Failure::Conflict(conflict) => Self::conflict(conflict),
            Failure::Differs(cursor) => Self::differs(*cursor),
            Failure::Corrupt(error) => Self::corrupt(error),
            Failure::OutcomeUnknown(error) => Self::outcome_unknown(error),
            Failure::Refused(value) => Self::refused(value),
            Failure::Unavailable(error) => Self::unavailable(error),
        }
    }
}
