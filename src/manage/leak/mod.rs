//! What to do about a key that leaked: which one it was, who used it, and an end to it and to all it may have made.

mod identify;
mod matches;
mod presented;
mod report;
mod revocation;
mod revoke_many;
mod scan;
mod trace;

#[cfg(test)]
mod tests;

pub use matches::{KeyMatch, KeyMatches, MatchConfidence};
pub use presented::{PresentedKey, PresentedOutcome};
pub use report::{LeakReport, SourceUse};
pub use revocation::{RevokeMany, RevokeManyError, RevokedMany};
pub use trace::Traced;
