//! What happened to keys and owners: events, written in the transaction of the change they tell of.

mod event;
mod sink;

pub use event::{Action, Event, EventRow, Subject};
pub use sink::EventSink;
pub(crate) use sink::Notifier;
