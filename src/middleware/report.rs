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
    if let Some(_requests) = missed_by(what) {
        log!(error, what, requests = _requests, "there is no ApiKeyLayer outside of what needs one: answered with 500");
    }
}

/// How many requests of late had no layer outside of this, if the log is to tell of it now. Two mistakes are two lines.
fn missed_by(what: &'static str) -> Option<u64> {
    // By names in this crate, of which there are few.
    static MISSED: Mutex<Vec<(&'static str, Repeated)>> = Mutex::new(Vec::new());
    let mut missed = MISSED.lock().unwrap_or_else(PoisonError::into_inner);
    if !missed.iter().any(|(of, _)| *of == what) {
        missed.push((what, Repeated::new()));
    }
    missed.iter().find(|(of, _)| *of == what)?.1.happened()
}
