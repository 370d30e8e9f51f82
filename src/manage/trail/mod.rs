//! What happened, and what was tried and denied: reading the audit trail, and what this crate adds to it by itself.

mod denials;
mod query;
mod read;

#[cfg(test)]
mod tests;

pub(crate) use denials::DenialLog;
pub(super) use denials::{Attempt, HIDDEN, NOT_FOUND};
pub use query::{AuditEntry, AuditQuery, EventPage};
