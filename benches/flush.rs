//! The time to write the usage of 10,000 keys, in total and by day: `cargo bench --features sqlite,postgres --bench
//! flush`.
//!
//! For an SQLite file and a PostgreSQL server that it starts on loopback. The rows exist already. Three kinds of
//! batches take turns. Prints one line for each figure: name, tab, median.
//! - `<store>_counts_ms`: a batch of 10,000 counts, one for each key, as written every ten seconds.
//! - `<store>_days_ms`: a batch of 10,000 counts by day, as written every ten minutes.
//! - `<store>_both_ms`: both in one batch, as if counts by day did not wait.
//! - `<store>_hour_percent`: the additional cost of counts by day for the flushes of an hour: 6 of days, compared with
//!   360 of counts.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "it measures and prints, and without a server there is nothing to measure"
)]

#[path = "../tests/it/support/postgres.rs"]
mod server;

use std::time::Instant;

use server::Server;
use tower_api_keys::{
    store::{Ledger, PostgresSettings, PostgresStore, SqliteStore},
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

const KEYS: usize = 10_000;
const ROUNDS: i64 = 21;
const FLUSHES: [f64; 2] = [360.0, 6.0];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    measure("sqlite", &SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).await;
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = PostgresSettings::new().with_schema("keys");
    measure("postgres", &PostgresStore::connect_with(&server.url(), settings).await.unwrap()).await;
}

async fn measure(name: &str, store: &impl Ledger) {
    let row = |key: usize| UsageRow {
        key: Some(format!("{key:020}")),
        organization: None,
        outcome: "success".to_owned(),
        label: "ci".to_owned(),
        client: "acme-sync".to_owned(),
        network: String::new(),
        count: 7,
        first_at: 1,
        last_at: 1,
    };
    let rows: Vec<UsageRow> = (0..KEYS).map(row).collect();
    let days = UsageDayRow::sums(&rows);
    let kinds = [(rows.clone(), Vec::new()), (Vec::new(), days.clone()), (rows, days)];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for (kind, (rows, days)) in (0..).zip(&kinds) {
            let (rows, days) = (rows.clone(), days.clone());
            let batch = UsageBatch { writer: [1; 16], sequence: 3 * round + kind + 1, rows, days };
            let begun = Instant::now();
            store.record_usage(&batch).await.unwrap();
            times[usize::try_from(kind).unwrap()].push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [counts, days, both] = times.map(|mut times| {
        // The first batch inserts the rows.
        times.remove(0);
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!("{name}_counts_ms\t{counts:.1}");
    println!("{name}_days_ms\t{days:.1}");
    println!("{name}_both_ms\t{both:.1}");
    println!("{name}_hour_percent\t{:.1}", 100.0 * FLUSHES[1] * days / (FLUSHES[0] * counts));
}
