//! The feed: events for a consumer that must not miss one, in log order, with a position that the store keeps.

mod entry;
mod error;
mod reader;
mod register;
mod status;
#[cfg(test)]
mod tests;

pub use entry::{FeedBatch, FeedCursor, FeedEntry};
pub use error::{FeedError, FeedErrorKind, InvalidFeedName};
pub use reader::{Feed, FeedStart};
pub(crate) use register::Register;
pub use status::FeedStatus;
