//! How often, when and from where keys are used, and what is refused.
//!
//! Every request is counted by key, [`Outcome`] and [`Source`], with the first and the last time: also one that shows
//! no key, or a text that is none, so that a caller who never called is told from one whose calls fail. Counts are
//! written in the background and at [`shutdown`](crate::ApiKeys::shutdown); each is written once, however often a write
//! fails. [`KeyManager::usage`](crate::KeyManager::usage) reads those of a key, and
//! [`refusals_without_key`](crate::KeyManager::refusals_without_key) those that name none. Where requests come from is
//! set up by [`Sources`](crate::middleware::Sources); a line in the audit trail for each attempt by
//! [`attempt_lines`](crate::ApiKeysBuilder::attempt_lines).

mod budget;
mod detail;
mod draft;
mod known;
mod meaning;
mod origin;
mod pairs;
mod places;
mod recorder;
mod row;
mod source;
mod tally;

pub(crate) use budget::StoredSources;
pub use detail::{Contact, UsageCount, UsageDetail};
pub(crate) use detail::{LARGEST_SKEW, is_of_a_wrong_clock};
pub use meaning::OutcomeSummary;
pub(crate) use origin::Origin;
pub(crate) use recorder::{Counted, Seen, UsageRecorder};
pub use row::{Outcome, UsageBatch, UsageRow, UsageTotals};
pub use source::Source;
pub(crate) use tally::KeyUsage;
