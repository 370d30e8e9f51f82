//! The routes, asked over HTTP: in one binary, so that the linker runs once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody imports from here"
)]

mod each_route;
mod exports;
#[cfg(feature = "page")]
mod forms_of_rights;
mod gate;
mod hostile;
mod noise;
mod outage;
mod pages;
#[path = "../../../../tests/it/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the tests of the core, which use more of it")]
mod postgres;
mod rights;
mod secrets;
mod stores;
mod strict;
mod support;
mod table_of_rights;
mod versions;
#[path = "../../../../tests/it/support/wrapped.rs"]
#[allow(dead_code, reason = "shared with the tests of the core, which use more of it")]
mod wrapped;
