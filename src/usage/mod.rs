//! How often, when and from where keys are used, and what is refused.

mod recorder;
mod row;
mod source;

pub(crate) use recorder::{KeyUsage, UsageRecorder};
pub use row::{Outcome, UsageBatch, UsageRow, UsageTotals};
pub use source::Source;
