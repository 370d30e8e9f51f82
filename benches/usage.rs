//! Whether counts are exact: `cargo bench --bench usage`.
//!
//! A million attempts, good and bad, over 1,000 keys and 10 sources by four tasks on two threads, while counts are written
//! and writes fail, before they are done and after. Prints a line each: name, tab, figure. Exits with 1 if the store has
//! another count than was made, for any key, outcome and source. Takes `--attempts`.
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

use std::{process::ExitCode, time::Instant};

use traffic::Arguments;

fn main() -> ExitCode {
    let attempts = Arguments::read(&[("attempts", 1_000_000.0)]).count("attempts");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let begun = Instant::now();
    let counted = runtime.block_on(runtime.spawn(exact::count(attempts, 4))).unwrap();
    println!("seconds\t{:.1}", begun.elapsed().as_secs_f64());
    println!("attempts\t{attempts}");
    println!("counts\t{}", counted.stored.len());
    println!("writes\t{}", counted.writes);
    println!("failed_flushes\t{}", counted.failures);
    let places = counted.done.keys().chain(counted.stored.keys());
    let wrong = places.filter(|place| counted.done.get(place) != counted.stored.get(place)).count();
    println!("wrong_counts\t{wrong}");
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
