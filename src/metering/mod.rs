//! Counts uses in memory until they are written: bounded, and exact no matter how often a write fails.

mod budget;
mod counted_for;
mod draft;
mod known;
mod missing;
mod pairs;
mod recorder;
mod source_slots;
mod tally;
mod unwritten;

pub(crate) use counted_for::CountedFor;
pub(crate) use recorder::{Counted, SuccessSource, UsageRecorder};
pub(crate) use tally::KeyUsage;
pub(crate) use unwritten::{Days, Unwritten};
