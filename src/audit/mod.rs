//! What happened to keys and owners: events, written in the transaction of the change they tell of.

mod event;

pub use event::{Action, Event, EventRow, Subject};
