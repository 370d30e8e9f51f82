use std::{error::Error, fmt};

use tower_api_keys::store::{Applied, Conflict, StoreError, StoreErrorKind};

/// Why a clause did not pass.
#[derive(Debug)]
pub(crate) struct Unmet {
    kind: UnmetKind,
    text: String,
}

/// The kinds of [`Unmet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum UnmetKind {
    /// The store breaks the clause.
    Failed,
    /// The clause is about something that the store does not have, and need not have.
    NotApplicable,
}

impl Unmet {
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self { kind: UnmetKind::Failed, text: text.into() }
    }

    pub(super) fn not_applicable(text: impl Into<String>) -> Self {
        Self { kind: UnmetKind::NotApplicable, text: text.into() }
    }

    /// A call failed that should have succeeded.
    pub(super) fn call(call: &str, error: &StoreError) -> Self {
        let mut text = format!("expected `{call}` to succeed, saw the error: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self::failed(text)
    }

    /// The same failure, with this as the start of its text.
    pub(super) fn about(self, what: &str) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }

    /// Whether the store breaks the clause, or the clause does not apply.
    #[must_use]
    pub(crate) const fn kind(&self) -> UnmetKind {
        self.kind
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Unmet {}

/// Checks that both are equal. `what` names the value and the situation, as the start of a sentence.
pub(super) fn same<T: PartialEq + fmt::Debug>(what: &str, seen: &T, expected: &T) -> Result<(), Unmet> {
    if seen == expected {
        return Ok(());
    }
    Err(Unmet::failed(format!("{what}: expected {expected:?}, saw {seen:?}")))
}

/// Checks that something holds. `expected` continues a sentence that begins with "expected".
pub(super) fn ensure(expected: &str, holds: bool, seen: impl fmt::Debug) -> Result<(), Unmet> {
    if holds { Ok(()) } else { Err(Unmet::failed(format!("expected {expected}, saw {seen:?}"))) }
}

/// A value that the kit itself makes, such as a well-formed id.
pub(super) fn made<T, E: fmt::Display>(result: Result<T, E>) -> Result<T, Unmet> {
    result.map_err(|error| Unmet::failed(format!("the kit could not make what it needs: {error}")))
}

/// Checks that a change ends in this conflict. `when` describes the change.
pub(super) fn conflicts(when: &str, seen: Result<Applied, StoreError>, expected: Conflict) -> Result<(), Unmet> {
    match seen {
        Err(error) if error.kind() == StoreErrorKind::Conflict(expected) => Ok(()),
        Err(error) => Err(Unmet::failed(format!("{when}: expected {expected:?}, saw {:?}", error.kind()))),
        Ok(applied) => Err(Unmet::failed(format!("{when}: expected {expected:?}, saw {:?}", applied.effects))),
    }
}
