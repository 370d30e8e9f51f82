//! The page, asked as a browser without script asks: every screen in every state, and every form.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody imports from here"
)]

mod accessible;
mod answer;
mod browser;
mod change;
mod create;
mod forged;
mod hostile;
mod incidents;
mod leak;
mod list;
mod look;
mod many;
mod markup;
mod organizations;
mod people;
mod rights;
mod rotation;
mod states;
mod support;
mod teams;
#[path = "../../../../tests/it/support/wrapped.rs"]
#[allow(dead_code, reason = "shared with the tests of the core, which use more of it")]
mod wrapped;
