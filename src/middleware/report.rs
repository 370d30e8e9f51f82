//! What the operator is told in the log, and the client is not.

use std::error::Error;

use crate::log::log;

pub(crate) fn failed_look_up(what: &'static str, error: &(dyn Error + Send + Sync + 'static)) {
    log!(warn, what, error = error as &(dyn Error + 'static), "could not be looked up: answered with 503");
    let _ = (what, error); // without the feature `tracing`
}

/// `what` needs a principal in the request, and no layer has looked for one.
pub(crate) fn no_layer(what: &'static str) {
    log!(error, what, "there is no ApiKeyLayer outside of what needs one: answered with 500");
    let _ = what; // without the feature `tracing`
}

/// `what` needs to know the organization that the request is about, and no layer has judged one.
#[cfg(feature = "axum")]
pub(crate) fn no_organization(what: &'static str) {
    log!(
        error,
        what,
        "no layer outside of what needs one has compared the organization of the request with that of the key: \
         answered with 500"
    );
    let _ = what; // without the feature `tracing`
}
