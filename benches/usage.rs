//! Whether counts are exact: `cargo bench --features sqlite,test-util --bench usage`.
//!
//! Four tasks on two threads make a million attempts, good and bad, over 1,000 keys and 10 sources. Meanwhile counts
//! are written, and some writes fail, before or after they are done. First with a store in memory, then with an SQLite
//! file. Prints one line for each figure: name, tab, figure; those of SQLite begin with `sqlite_`. Exits with 1 if a
//! store has a wrong count for any key, outcome and source. Takes `--attempts`, for each store.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "it measures and prints, and shares what it needs with the tests"
)]

#[path = "usage/exact.rs"]
mod exact;
#[path = "../tests/it/support/hooked.rs"]
mod hooked;
mod traffic;
#[path = "../tests/it/support/wrapped.rs"]
mod wrapped;

use std::{process::ExitCode, sync::Arc, time::Instant};

use tower_api_keys::store::{Ledger, MemoryStore, SqliteStore};
use traffic::Arguments;

fn main() -> ExitCode {
    let attempts = Arguments::read(&[("attempts", 1_000_000.0)]).count("attempts");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("attempts\t{attempts}");
    let folder = tempfile::tempdir().unwrap();
    let file = runtime.block_on(SqliteStore::open(folder.path().join("keys.db"))).unwrap();
    let in_memory = is_exact("", MemoryStore::new(), attempts, &runtime);
    let in_file = is_exact("sqlite_", file, attempts, &runtime);
    if in_memory && in_file { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_exact<S: Ledger>(name: &str, store: S, attempts: usize, runtime: &tokio::runtime::Runtime) -> bool {
    let begun = Instant::now();
    let counted = runtime.block_on(runtime.spawn(exact::count(Arc::new(store), attempts, 4))).unwrap();
    println!("{name}seconds\t{:.1}", begun.elapsed().as_secs_f64());
    println!("{name}counts\t{}", counted.stored.len());
    println!("{name}writes\t{}", counted.writes);
    println!("{name}failed_flushes\t{}", counted.failures);
    let places = counted.done.keys().chain(counted.stored.keys());
    let wrong = places.filter(|place| counted.done.get(place) != counted.stored.get(place)).count();
    println!("{name}wrong_counts\t{wrong}");
    wrong == 0
}
