//! Copies 100,000 keys with their owners, usage and events from an SQLite file into PostgreSQL: `cargo bench --features
//! postgres,sqlite --bench copy`.
//!
//! Starts its own server on loopback, which does not wait for its disk. The file is filled by an import. Each copy goes
//! into new tables.
//!
//! Prints one line for each figure: name, tab, figure. `records` counts keys, owners' statuses, counts and events.
//! `seconds` and `records_per_second` are with the default page size of `copy`, `records_per_second_…` with pages of
//! 100, 500, 2,000, 5,000 and 10,000 rows. `again_records_per_second` is for a copy whose rows all exist already.
#![allow(
    clippy::expect_used,
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
    audit::EventRow,
    record::{KeyRow, OwnerStatusRow},
    store::{
        PostgresSettings, PostgresStore, SqliteStore,
        transfer::{self, Batch, OwnerRow, PortableStore},
    },
    usage::UsageRow,
};

const KEYS: usize = 100_000;
const KEYS_OF_AN_OWNER: usize = 10;
const PAGES: [u16; 5] = [100, 500, 2_000, 5_000, 10_000];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    fill(&file).await;
    let server = Server::start();
    let target = target(&server, "keys").await;
    let (records, seconds) = measure(transfer::copy(&file, &target)).await;
    println!("records\t{records}");
    println!("seconds\t{seconds:.2}");
    println!("records_per_second\t{:.0}", records as f64 / seconds);
    for page in PAGES {
        let target = self::target(&server, &format!("keys_by_{page}")).await;
        let (records, seconds) = measure(transfer::copy(&file, &target).page_size(page)).await;
        println!("records_per_second_{page}\t{:.0}", records as f64 / seconds);
    }
    let (records, seconds) = measure(transfer::copy(&file, &target)).await;
    println!("again_records_per_second\t{:.0}", records as f64 / seconds);
}

async fn target(server: &Server, schema: &str) -> PostgresStore {
    PostgresStore::migrate(&server.url(), schema).await.unwrap();
    PostgresStore::connect_with(&server.url(), PostgresSettings::new().with_schema(schema)).await.unwrap()
}

/// Returns the number of records, and the seconds that they took.
async fn measure(copying: transfer::Copy<'_, SqliteStore, PostgresStore>) -> (u64, f64) {
    let begun = Instant::now();
    let copied = copying.await.unwrap();
    (copied.rows(), begun.elapsed().as_secs_f64())
}

async fn fill(store: &SqliteStore) {
    let numbers: Vec<usize> = (0..KEYS).collect();
    for chunk in numbers.chunks(10_000) {
        let owners = chunk.iter().step_by(KEYS_OF_AN_OWNER).map(|number| owner(number / KEYS_OF_AN_OWNER));
        store.import(&Batch::Owners(owners.collect())).await.unwrap();
        store.import(&Batch::Keys(chunk.iter().copied().map(key).collect())).await.unwrap();
        store.import(&Batch::Usage(chunk.iter().copied().map(usage).collect())).await.unwrap();
        store.import(&Batch::Events(chunk.iter().copied().map(event).collect())).await.unwrap();
    }
}

fn owner_id(number: usize) -> String {
    format!("team-{number:06}")
}

/// Real ids are random, so these are spread out.
fn id(number: usize) -> String {
    format!("{:020}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000_000_000_000)
}

/// One of ten is suspended.
fn owner(number: usize) -> OwnerRow {
    let plan_suspended_at = number.is_multiple_of(10).then_some(1_772_366_400_000);
    let status = OwnerStatusRow { plan_suspended_at, ..OwnerStatusRow::default() };
    OwnerRow { organization: "default".into(), kind: "team".into(), id: owner_id(number), status }
}

fn key(number: usize) -> KeyRow {
    KeyRow {
        id: id(number),
        owner: owner_id(number / KEYS_OF_AN_OWNER),
        created_at: 1_772_366_400_000 + number as i64,
        revoked_at: number.is_multiple_of(7).then_some(1_772_366_500_000),
        ..KeyRow::example()
    }
}

fn usage(number: usize) -> UsageRow {
    UsageRow {
        key: Some(id(number)),
        organization: None,
        outcome: "success".into(),
        label: "intake".into(),
        client: String::new(),
        network: String::new(),
        count: 1 + number as i64,
        first_at: 1_772_366_400_000,
        last_at: 1_772_366_400_000 + number as i64,
    }
}

fn event(number: usize) -> EventRow {
    EventRow {
        sequence: 1 + number as i64,
        key: Some(id(number)),
        owner: owner_id(number / KEYS_OF_AN_OWNER),
        after: Some("GitHub Actions - production".into()),
        ..EventRow::example()
    }
}
