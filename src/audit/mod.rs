//! The audit trail: what happened to keys and owners. Events are written in the transaction of the change that they
//! describe.
//!
//! [`KeyManager::events`](crate::KeyManager::events) reads them. An [`EventSink`] is told of them after they are
//! committed. [`keep_events`](crate::ApiKeysBuilder::keep_events) sets how long they are kept, and
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
