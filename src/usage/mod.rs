//! How often, when and from where keys are used, and what is refused.

mod draft;
mod known;
mod origin;
mod places;
mod recorder;
mod row;
mod source;
mod tally;

pub(crate) use origin::Origin;
pub(crate) use recorder::{Counted, Seen, UsageRecorder};
pub use row::{Outcome, UsageBatch, UsageRow, UsageTotals};
pub use source::Source;
pub(crate) use tally::KeyUsage;
