//! Keeps the cache current enough for requests: reads of the change log, and their limits.

mod breaker;
mod deadline;
mod joint;
mod lease;
mod reader;
mod wait;

pub(super) use breaker::{Breaker, Probed, start_probing};
pub(super) use deadline::Deadline;
pub(super) use joint::Unread;
pub(super) use lease::LeaseKeeper;
pub(super) use reader::{Currency, LogReader};
