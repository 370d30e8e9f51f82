//! What the operator is told in the log, and the client is not.

use std::error::Error;

use crate::log::log;

pub(crate) fn failed_membership(error: &(dyn Error + Send + Sync + 'static)) {
    log!(warn, error = error as &(dyn Error + 'static), "a team's members could not be looked up");
    let _ = error; // without the feature `tracing`
}

/// `what` needs a principal in the request, and no layer has looked for one.
pub(crate) fn no_layer(what: &'static str) {
    log!(error, what, "there is no ApiKeyLayer outside of what needs one: answered with 500");
    let _ = what; // without the feature `tracing`
}
