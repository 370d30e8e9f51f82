//! How often, when and from where keys are used, and what is refused.

mod detail;
mod meaning;
mod recorder;
mod row;
mod source;
mod tally;

pub use detail::{Contact, UsageCount, UsageDetail};
pub use meaning::OutcomeSeen;
pub(crate) use recorder::{Counted, UsageRecorder};
pub use row::{Outcome, UsageBatch, UsageRow, UsageTotals};
pub use source::Source;
pub(crate) use tally::KeyUsage;
