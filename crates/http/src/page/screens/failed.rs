//! Why a form was not done, for the form itself.

use serde::Serialize;
use tower_api_keys::manage::{ManageError, ManageErrorKind};

use crate::page::{answer::Stop, request::Call};

/// What is wrong with a form that is shown again.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    /// The field that is meant, if it is a single one.
    pub(super) field: Option<&'static str>,
    pub(super) text: String,
}

impl Failed {
    /// The form is shown again with what was typed, unless the key itself is not there for this caller.
    pub(super) fn of(call: &Call, error: ManageError) -> Result<(Self, http::StatusCode), Stop> {
        if matches!(error.kind(), ManageErrorKind::NotFound | ManageErrorKind::Misconfigured(_)) {
            return Err(error.into());
        }
        let words = call.site.words();
        let both = [Some(error.sentence()), error.kind().remedy()];
        let text = both.iter().flatten().map(|sentence| words.sentence(sentence)).collect::<Vec<_>>().join(" ");
        Ok((Self { field: error.field(), text }, error.status()))
    }

    /// A field that has to be filled in.
    pub(super) fn field(call: &Call, field: &'static str, id: &str) -> Self {
        Self { field: Some(field), text: call.say(id) }
    }
}
