//! Counting uses where they happen, in memory, until they are written: bounded, and exact however often a write fails.

mod budget;
mod draft;
mod known;
mod pairs;
mod places;
mod recorder;
mod tally;
mod unwritten;

pub(crate) use recorder::{Counted, Seen, UsageRecorder};
pub(crate) use tally::KeyUsage;
pub(crate) use unwritten::Unwritten;
