//! How often, when and from where keys are used, and what is refused.
//!
//! Every request is counted by key, [`Outcome`] and [`Source`], with the first and the last time: also one that shows
//! no key, or a text that is none, so that a caller who never called is told from one whose calls fail. Counts are
//! written in the background and at [`shutdown`](crate::ApiKeys::shutdown); each is written once, however often a write
//! fails. [`KeyManager::usage`](crate::KeyManager::usage) reads those of a key, and
//! [`refusals_without_key`](crate::KeyManager::refusals_without_key) those that name none. Where requests come from is
//! set up by [`Sources`](crate::middleware::Sources); a line in the audit trail for each attempt by
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
