//! Waiting for the end of a key: streams and sockets that outlive the request they began with. One task looks for all
//! that wait.

mod end;
mod streams;
mod watcher;

pub use end::StreamEnd;
pub(super) use streams::{Streams, Watching};

#[cfg(test)]
mod tests;
