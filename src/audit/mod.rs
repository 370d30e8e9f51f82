//! What happened to keys and owners: events, written in the transaction of the change they tell of.
//!
//! [`KeyManager::events`](crate::KeyManager::events) reads them. An [`EventSink`] is told of them once they are committed.
//! [`keep_events`](crate::ApiKeysBuilder::keep_events) says how long they stay, and
//! [`access_log`](crate::ApiKeysBuilder::access_log) adds one for each check of a key.

mod action;
mod event;
mod recipients;
mod sink;
mod told;

pub use action::Action;
pub use event::{Audience, Event, EventRow, Subject};
pub use recipients::Recipient;
pub use sink::EventSink;
pub(crate) use sink::Notifier;
