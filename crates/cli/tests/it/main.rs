//! The command line, run as a program: in one binary, so that the linker runs once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody imports from here"
)]
#![cfg(unix)]

mod exits;
mod forms;
mod life;
mod output;
#[path = "../../../../tests/it/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests of the core, which use more of it")]
mod postgres;
mod screens;
mod serve;
mod stores;
mod support;
mod terminal;
