//! How often, when and from where keys are used, and what is refused.

mod recorder;
mod row;
mod source;
mod tally;

pub(crate) use recorder::{Counted, UsageRecorder};
pub use row::{Outcome, UsageBatch, UsageRow, UsageTotals};
pub use source::Source;
pub(crate) use tally::KeyUsage;
