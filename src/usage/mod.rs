//! Usage: how often, when and from where keys are used, and which requests are refused.
//!
//! Every request is counted by key, [`Outcome`] and [`Source`], with the first and the last time. This includes
//! requests without a key or with a text that is no key, so that you can distinguish a caller that never called from
//! one whose calls fail. Counts are written in the background and at [`shutdown`](crate::ApiKeys::shutdown). Each is
//! written once, no matter how often a write fails. [`KeyManager::usage`](crate::KeyManager::usage) reads the counts of
//! a key, and [`refusals_without_key`](crate::KeyManager::refusals_without_key) those without a key. Set up sources
//! with [`Sources`](crate::middleware::Sources), and a line in the audit trail for each attempt with
//! [`access_log`](crate::ApiKeysBuilder::access_log).

mod detail;
mod meaning;
mod origin;
mod parts;
mod row;
mod source;

pub use detail::{CallHistory, UsageCount, UsageDetail};
pub(crate) use detail::{LARGEST_SKEW, is_of_a_wrong_clock};
pub use meaning::OutcomeSummary;
pub(crate) use origin::{NamedClient, Origin, OriginWords};
pub(crate) use parts::{InParts, Parts};
pub(crate) use row::DAYS;
pub use row::{UsageBatch, UsageDayRow, UsageRow, UsageTotals};
pub(crate) use source::Label;
pub use source::Source;

pub use crate::{outcome::Outcome, time::Day};
