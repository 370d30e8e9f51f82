//! What to do about a leaked key: find which one it is, who used it, and end it with all the keys it may have made.

mod identify;
mod matches;
mod presented;
mod report;
mod revocation;
mod revoke_many;
mod said;
mod scan;
mod trace;

#[cfg(test)]
mod tests;

pub use matches::{KeyMatch, KeyMatches, MatchConfidence};
pub use presented::{PresentedKey, PresentedOutcome};
pub(crate) use presented::{Presenter, Stop};
pub use report::{LeakReport, SourceUse};
pub use revocation::{RevokeMany, RevokeManyError, RevokedMany};
pub use trace::Traced;

/// An example of every sentence in this module.
pub(super) fn sentences() -> Vec<crate::sentence::Sentence> {
    [
        MatchConfidence::ALL.map(MatchConfidence::sentence).to_vec(),
        PresentedOutcome::ALL.map(PresentedOutcome::sentence).to_vec(),
        said::all(),
    ]
    .concat()
}
