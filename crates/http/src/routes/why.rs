//! The body of a change that needs nothing more than a reason, which calls of several files share.

use serde::Deserialize;

use crate::body::present;

/// Why it is done: for the audit trail.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// At most 200 characters are kept, without keys and credentials.
    #[cfg_attr(test, schemars(with = "String"))]
    #[serde(default, deserialize_with = "present")]
    pub(super) because: Option<String>,
}
