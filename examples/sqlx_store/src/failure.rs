use std::error::Error;

use sqlx::error::DatabaseError;
use tower_api_keys::store::{Conflict, StoreError};

/// Why a statement on the database failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// `COMMIT` was sent, and got no answer.
    Commit(sqlx::Error),
    Conflict(Conflict),
    Corrupt(Box<dyn Error + Send + Sync>),
    /// The server does not accept a value, which this text does not repeat. Nothing was done.
    Refused(String),
    /// Nothing was done.
    Unavailable(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.into()),
            sqlx::Error::Database(said) => match refused_value(&*said) {
                Some(refused) => Self::Refused(refused),
                None => Self::Unavailable(sqlx::Error::Database(said)),
            },
            _ => Self::Unavailable(error),
        }
    }
}

/// Data exceptions, columns without null, checks, triggers of the embedder, and texts too long for an index. A repeat
/// fails again.
fn refused_value(said: &dyn DatabaseError) -> Option<String> {
    let code = said.code()?;
    match &*code {
        // The messages of these two name the type of the column, and not the value.
        "22001" | "22003" => Some(said.message().to_owned()),
        "23502" | "23514" | "54000" | "P0001" => Some(format!("the server refused a value (SQLSTATE {code})")),
        _ if code.starts_with("22") => Some(format!("the server refused a value (SQLSTATE {code})")),
        _ => None,
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
            Failure::Refused(value) => Self::refused(value),
            Failure::Unavailable(error) => Self::unavailable(error),
            // If the server refuses a commit, it has rolled back. After a broken connection, the outcome is unknown.
            Failure::Commit(error) if error.as_database_error().is_some() => Self::unavailable(error),
            Failure::Commit(error) => Self::outcome_unknown(error),
        }
    }
}
