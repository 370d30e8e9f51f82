//! Lines on standard error, for operators. They hold no key and nothing that a client has sent.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Level, error, warn};

use super::asked::Mistake;

/// How long after a line its repetitions are not written.
const PAUSE: Duration = Duration::from_secs(60);

/// What can be wrong with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The configuration of a proxy.
    Asked(Mistake),
    /// Connections are not accepted.
    Accept,
    /// An answer would have let a request through that nobody judged.
    Success,
}

/// Writes each complaint once a minute: a line for each request would hide all others.
#[derive(Default)]
pub(super) struct Log(Mutex<Vec<(Complaint, Instant)>>);

impl Log {
    /// Lets the log lines of this process go to standard error.
    pub(super) fn begin() {
        let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_target(false);
        // Fails only if there is a log already.
        drop(lines.with_max_level(Level::INFO).try_init());
    }

    pub(super) fn complain(&self, complaint: Complaint) {
        if !self.is_due(complaint) {
            return;
        }
        match complaint {
            Complaint::Asked(mistake) => warn!(
                "A proxy asks at /check for what cannot be read, so all its requests are refused with 500: {mistake}. Check \
                 the address that the proxy asks."
            ),
            Complaint::Accept => error!("Connections cannot be accepted: check how many files this process may open."),
            Complaint::Success => {
                error!("An answer without a judgement was replaced by 500: please report this defect.")
            }
        }
    }

    fn is_due(&self, complaint: Complaint) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(_, at)| at.elapsed() < PAUSE);
        let is_due = !told.iter().any(|(known, _)| *known == complaint);
        if is_due {
            told.push((complaint, Instant::now()));
        }
        is_due
    }
}
