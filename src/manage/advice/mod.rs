//! What keys should be, what depends on people, and what would happen: pure functions of known facts.

mod advise;
mod cadence;
mod caller;
mod checks;
mod evidence;
mod explain;
mod explanation;
mod exposure;
mod gather;
mod judge;
mod note;
mod pattern;
mod people;
mod preview;
mod recommendation;
mod said;
mod signals;
mod words;

#[cfg(test)]
mod tests;

pub use cadence::Cadence;
pub use evidence::{Evidence, EvidenceKind, Weight};
pub use explanation::{CallCheck, CallVerdict, CheckKind, CheckResult, Explanation};
pub use exposure::{ExposedKey, Exposure, ExposureReason};
pub use note::{NoteKind, PreviewNote, Severity};
pub use pattern::KeyUse;
pub use people::{BlastRadius, StoppingKey};
pub use preview::Preview;
pub use recommendation::{Advice, NextStep, Recommendation};
pub(super) use signals::{AdvisedKey, InstalledAt, advise, installed_at, personal_because, shared_because};

/// An example of every sentence in this module.
pub(super) fn sentences() -> Vec<crate::sentence::Sentence> {
    [
        cadence::all(),
        checks::all(),
        explanation::all(),
        gather::all(),
        KeyUse::ALL.map(KeyUse::phrase).to_vec(),
        NextStep::ALL.map(NextStep::sentence).to_vec(),
        Recommendation::ALL.map(Recommendation::sentence).to_vec(),
        said::all(),
    ]
    .concat()
}
