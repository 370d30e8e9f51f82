//! Lines on standard error, for operators. They hold no key and nothing that a client has sent.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Level, error, warn};

use super::{asked::Mistake, page::NotAdmitted};

/// How long after a line its repetitions are not written.
const PAUSE: Duration = Duration::from_secs(60);

/// What can be wrong with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The configuration of a proxy.
    Asked(Mistake),
    /// Connections are not accepted.
    Accept,
    /// The page was asked, and did not answer.
    NotAdmitted(NotAdmitted),
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
            Complaint::NotAdmitted(NotAdmitted::Stranger) => warn!(
                "The page was asked from an address that --page-trust does not name, and refused it. If that is your sign-in \
                 proxy, name it."
            ),
            Complaint::NotAdmitted(NotAdmitted::File) => error!(
                "The page is closed to everybody, because --page-roles-file cannot be read, or is not JSON of the documented \
                 form."
            ),
            Complaint::NotAdmitted(_) => warn!(
                "The sign-in proxy said something about a person that is not in the documented form, and the page refused \
                 it. Check that each header comes once, and that the proxy replaces what clients send."
            ),
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
