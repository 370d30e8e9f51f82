//! The body of a call that has nothing to say: shared by calls of several files.

use serde::Deserialize;

/// There is nothing to say.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
