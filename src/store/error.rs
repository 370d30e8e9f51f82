use std::{error::Error, fmt};

use super::transfer::Cursor;
use crate::key::KeyId;

/// Why a store did not do what it was asked.
///
/// ```
/// use tower_api_keys::store::{StoreError, StoreErrorKind};
///
/// let error = StoreError::unavailable(std::io::Error::other("connection refused"));
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "the key store is unavailable");
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`StoreError`].
///
/// ```
/// use tower_api_keys::store::{Conflict, StoreErrorKind};
///
/// assert_ne!(StoreErrorKind::Conflict(Conflict::IdTaken), StoreErrorKind::Unavailable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The change does not fit what is stored; nothing was done.
    Conflict(Conflict),
    /// What is stored cannot be read as what it should be.
    Corrupt,
    /// The change may have been done or not. Repeat it with the same id to find out.
    OutcomeUnknown,
    /// The database does not accept a value: the value is too long for its column, or has a character that the database
    /// cannot store. Nothing was done, and the same call will be refused again.
    Refused,
    /// The store could not be asked, or refused to write; nothing was done.
    Unavailable,
}

/// Why a change does not fit what is stored.
///
/// ```
/// use tower_api_keys::store::Conflict;
///
/// assert_eq!(Conflict::Guard(0).to_string(), "a condition of the change is not met");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// An imported row differs from the one that is stored in its place. The source of the [`StoreError`] names the
    /// row.
    Differs,
    /// A guard does not hold; the number is its place in the change. [`Conflict::Successor`] is a conflict of its own.
    Guard(usize),
    /// Another change with the same idempotency key was applied.
    IdempotencyKeyUsed {
        /// The key that it made, if it made one.
        key: Option<KeyId>,
        /// Whether the same request asked for it.
        same_request: bool,
    },
    /// A key with this id exists, or existed before it was purged.
    IdTaken,
    /// No key with this id exists in this organization.
    Missing,
    /// The owner or the organization is not closed: it cannot be erased.
    NotClosed,
    /// The owner is closed, which is final: it cannot be suspended or reinstated.
    OwnerClosed,
    /// The key is revoked: it cannot be updated.
    Revoked,
    /// The key has a live successor already.
    Successor,
    /// The key was updated since it was read.
    Version,
}

impl StoreError {
    /// The change does not fit what is stored.
    #[must_use]
    pub fn conflict(conflict: Conflict) -> Self {
        Self { kind: StoreErrorKind::Conflict(conflict), source: None }
    }

    /// The row stored right before this place differs from the imported one.
    pub fn differs(cursor: impl Into<Cursor>) -> Self {
        let source = StandingRow(cursor.into());
        Self { kind: StoreErrorKind::Conflict(Conflict::Differs), source: Some(source.into()) }
    }

    /// What is stored cannot be read.
    pub fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Corrupt, source: Some(source.into()) }
    }

    /// The change may have been done.
    pub fn outcome_unknown(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::OutcomeUnknown, source: Some(source.into()) }
    }

    /// The database does not accept a value; nothing was done. The source names the column or the rule, and never the
    /// value: it is printed in the service's log.
    pub fn refused(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Refused, source: Some(source.into()) }
    }

    /// The store could not be asked; nothing was done.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Unavailable, source: Some(source.into()) }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl From<Conflict> for StoreError {
    fn from(conflict: Conflict) -> Self {
        Self::conflict(conflict)
    }
}

/// Names the row that an import would have to overwrite.
#[derive(Debug, thiserror::Error)]
#[error("the row is {0}")]
struct StandingRow(Cursor);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            StoreErrorKind::Conflict(conflict) => conflict.fmt(f),
            StoreErrorKind::Corrupt => f.write_str("a stored record cannot be read"),
            StoreErrorKind::OutcomeUnknown => f.write_str("the key store did not confirm whether the change was made"),
            StoreErrorKind::Refused => f.write_str("the key store refused a value"),
            StoreErrorKind::Unavailable => f.write_str("the key store is unavailable"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Differs => "another row is stored where one is imported",
            Self::Guard(_) => "a condition of the change is not met",
            Self::IdTaken => "a key with this id already exists",
            Self::Missing => "no key with this id exists",
            Self::NotClosed => "the owner or the organization is not closed",
            Self::OwnerClosed => "the owner is closed permanently",
            Self::IdempotencyKeyUsed { .. } => "another change was made with the same idempotency key",
            Self::Revoked => "the key is revoked",
            Self::Successor => "the key has a live successor",
            Self::Version => "the key was changed in the meantime",
        })
    }
}
