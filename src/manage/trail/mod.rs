//! What happened, and what was tried and denied: reading the audit trail, and the events that this crate adds itself.

mod denial_counts;
mod denials;
mod export;
mod query;
mod read;

#[cfg(test)]
mod tests;

pub(super) use denial_counts::{Attempt, HIDDEN, NOT_FOUND};
pub(crate) use denials::DenialLog;
pub use export::{TrailColumn, TrailExport};
pub use query::{AuditEntry, AuditQuery, EventPage};
