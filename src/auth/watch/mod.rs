//! Waits for the end of a key: for streams and sockets that outlive the request they began with. One task serves all of
//! them.

mod end;
mod streams;
mod watcher;

pub use end::StreamEnd;
pub(super) use streams::{Streams, Watching};

#[cfg(test)]
mod tests;
