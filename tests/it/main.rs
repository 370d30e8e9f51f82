//! The integration tests, in one binary: it links once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod architecture;
mod bounded;
mod checking;
mod examples;
mod leaks;
mod memory_use;
mod model;
mod project;
mod support;
mod usage;
#[cfg(feature = "sqlite")]
mod sqlite;
