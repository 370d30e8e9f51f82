use std::error::Error;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio::time::error::Elapsed;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::store::{Conflict, StoreError, transfer::Cursor};

/// Why something asked of the server did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server gave it up for the sake of another transaction: it may be tried again.
    #[error("the server ended the transaction because of another one")]
    Aborted(#[source] tokio_postgres::Error),
    #[error("it conflicts with what is stored")]
    Conflict(Conflict),
    #[error("a stored value cannot be read")]
    Corrupt(#[source] Box<dyn Error + Send + Sync>),
    /// It may have been done.
    #[error("it is not known whether the change was made")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
    /// Another row than the imported one stands there.
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

    /// Whether a server refused because it is a standby, or was made read-only: another connection may lead elsewhere.
    pub(super) fn is_of_read_only(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
        code == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// The same of something that writes and commits at once: where nobody answered, it may have been done.
    pub(super) fn of_write(self) -> Self {
        match self {
            Self::Unavailable(error) if !is_refusal(error.as_ref()) => Self::OutcomeUnknown(error),
            told => told,
        }
    }
}

/// Classes of errors after which a commit may stand all the same: of connections (a pooler's, too, whose server died), of
/// resources, an operator's intervention in a commit that waits for a standby, of the system, and of the server itself.
const DOUBTFUL: [&str; 5] = ["08", "53", "57", "58", "XX"];

/// Whether the server said no and goes on, rather than nothing, or goodbye.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    // Who was waited for may be told in front of it.
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

/// A value that the server did not take, in words that do not repeat it: what the server says in detail may hold the row.
#[derive(Debug, thiserror::Error)]
#[error("the server refused a value ({}): {told}", .code.code())]
pub(super) struct RefusedValue {
    code: SqlState,
    told: String,
}

impl RefusedValue {
    /// If it is one: data exceptions, of which a repeat is another one, a value that a check, a column without null or a
    /// trigger of the embedder's keeps out, and a text too long for an index.
    fn of(said: &DbError) -> Option<Self> {
        let code = said.code();
        // What these say names types, columns and constraints only.
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
            // What it says is the trigger's own, and may repeat the row.
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

/// What a pool says, without repeating what its connections say.
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
