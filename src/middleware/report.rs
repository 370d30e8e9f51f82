//! What the operator is told in the log, and the client is not.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
};

use crate::log::{Repeated, log};

/// A question about the members of a team failed.
pub(crate) fn failed_membership(error: &(dyn Error + Send + Sync + 'static)) {
    static FAILED: Repeated = Repeated::new();
    if let Some(_times) = FAILED.happened() {
        log!(
            warn,
            times = _times,
            error = error as &(dyn Error + 'static),
            "a team's members could not be looked up: the request was refused"
        );
    }
    let _ = error; // without the feature `tracing`
}

/// `what` needs a principal in the request, and no layer has looked for one.
pub(crate) fn no_layer(what: &'static str) {
    // Of each thing that needs one: two mistakes are two lines. They are names in this crate, so there are few.
    static MISSED_BY: Mutex<Vec<(&'static str, Repeated)>> = Mutex::new(Vec::new());
    let mut missed_by = MISSED_BY.lock().unwrap_or_else(PoisonError::into_inner);
    if !missed_by.iter().any(|(of, _)| *of == what) {
        missed_by.push((what, Repeated::new()));
    }
    let repeated = missed_by.iter().find(|(of, _)| *of == what).map(|(_, repeated)| repeated);
    if let Some(_requests) = repeated.and_then(Repeated::happened) {
        log!(error, what, requests = _requests, "there is no ApiKeyLayer outside of what needs one: answered with 500");
    }
}
