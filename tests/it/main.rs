//! The integration tests, in one binary, so that the linker runs once.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody imports from here"
)]

mod advice;
mod allocations;
mod alone;
mod architecture;
mod bounded;
mod checking;
mod clock;
mod conformance;
mod copy;
mod debug;
mod dropped;
mod elsewhere;
mod ends;
mod erasure;
mod error_chains;
mod examples;
mod first_use;
#[cfg(feature = "axum")]
mod front_page;
mod http;
mod inventory;
mod known_key;
mod leak_response;
mod leaks;
mod lessons;
mod limits;
mod memory_use;
mod metrics;
mod misplaced;
mod model;
mod networks;
mod organization_status;
#[cfg(feature = "axum")]
mod organizations;
mod outage;
mod overload;
mod peppers;
#[cfg(feature = "postgres")]
mod postgres;
mod project;
mod purge;
mod races;
mod refusals;
mod refusals_by_customer;
mod refused;
mod rotation;
mod settings;
mod sources;
mod spawnable;
mod sqlite;
mod stored_proofs;
mod streams;
mod support;
mod table_of_rights;
mod two_processes;
mod usage;
