//! What the log tells the operator and the answer does not tell the client.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
};

use crate::log::{Repeated, log};

/// `what` was asked of the service, and it answered with an error.
pub(crate) fn failed_look_up(what: &'static str, error: &(dyn Error + Send + Sync + 'static)) {
    static FAILED: ByName = ByName::new();
    if let Some(_times) = FAILED.happened(what) {
        log!(
            warn,
            what,
            times = _times,
            error = error as &(dyn Error + 'static),
            "could not be looked up: answered with 503"
        );
    }
    let _ = error; // without the feature `tracing`
}

/// `what` needs a principal in the request, and no layer has looked for one.
pub(crate) fn no_layer(what: &'static str) {
    static MISSED: ByName = ByName::new();
    if let Some(_requests) = MISSED.happened(what) {
        log!(error, what, requests = _requests, "there is no ApiKeyLayer outside of what needs one: answered with 500");
    }
}

/// `what` needs to know the organization that the request is about, and no layer has judged one.
#[cfg(feature = "axum")]
pub(crate) fn no_organization(what: &'static str) {
    static MISSED: ByName = ByName::new();
    if let Some(_requests) = MISSED.happened(what) {
        log!(
            error,
            what,
            requests = _requests,
            "no outer layer compared the organization of the request with the organization of the key: answered with \
             500"
        );
    }
}

/// Repeated events, by name: two mistakes are two lines. All names are in this crate, so there are few.
struct ByName(Mutex<Vec<(&'static str, Repeated)>>);

impl ByName {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// How often it happened since the last line, if a line is due now.
    fn happened(&self, what: &'static str) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|(of, _)| *of == what) {
            known.push((what, Repeated::new()));
        }
        known.iter().find(|(of, _)| *of == what)?.1.happened()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_mistakes_are_two_lines_and_each_is_told_of_once() {
        let known = ByName::new();
        let told: Vec<_> = (0..10).flat_map(|_| ["one", "two"]).map(|what| known.happened(what)).collect();
        assert_eq!(told[..2], [Some(1), Some(1)]);
        assert_eq!(told[2..], [None; 18]);
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        assert_eq!((known.happened("one"), known.happened("one")), (Some(10), None));
    }
}
