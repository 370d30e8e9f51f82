//! How soon streams notice that their key ended, and what waiting costs: `cargo bench --features postgres,sqlite
//! --bench streams`.
//!
//! Two nodes share a store: `MemoryStore`, an SQLite file, or a PostgreSQL server that this bench starts on loopback.
//! On one node 1,000 streams wait, half of them for one key. The other node revokes that key.
//!
//! Prints one line for each figure: name, tab, figure. For each store: the median and the longest time in milliseconds
//! from the call to revoke until the last of the 500 streams ended (`memory_ms`, `memory_longest_ms`), and the reads of
//! the change log a second while nothing changes (`memory_reads`). Then the resident bytes of each of 100,000 streams,
//! with their tasks (`bytes_each`), and the share of a core that they use while they wait (`idle_percent`), both only
//! on Linux.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "it measures and prints, and without a server there is nothing to measure"
)]

#[path = "../tests/it/support/postgres.rs"]
mod server;

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use server::Server;
use tokio::task::JoinHandle;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Principal, TeamId,
    hash::Argon2Params,
    store::{Ledger, MemoryStore, PostgresSettings, PostgresStore, SqliteStore},
};

const STREAMS: usize = 1_000;
const ROUNDS: usize = 21;
const MANY: usize = 100_000;
const IDLE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let store = Arc::new(MemoryStore::new());
    measure("memory", [node(store.clone()).await, node(store).await]).await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let open = async || node(SqliteStore::open(&path).await.unwrap()).await;
    measure("sqlite", [open().await, open().await]).await;

    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = || PostgresSettings::new().with_schema("keys");
    let connect = async || node(PostgresStore::connect_with(&server.url(), settings()).await.unwrap()).await;
    measure("postgres", [connect().await, connect().await]).await;

    weigh(&node(MemoryStore::new()).await).await;
}

async fn node<S: Ledger>(store: S) -> ApiKeys<S> {
    ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).build().await.unwrap()
}

async fn caller<S: Ledger>(keys: &ApiKeys<S>) -> Principal {
    let request = IssueKey::team(TeamId::from(1_u64));
    let issued = keys.manager().issue(request, &Actor::system("bench").unwrap()).await.unwrap();
    keys.authenticator().authenticate(issued.plaintext().expose_secret()).await.unwrap()
}

/// `count` streams of this caller, each with the time at which it ended.
fn streams<S: Ledger>(keys: &ApiKeys<S>, caller: &Principal, count: usize) -> Vec<JoinHandle<Instant>> {
    let authenticator = keys.authenticator();
    let stream = |_| {
        let end = authenticator.until_refused(caller);
        tokio::spawn(async move {
            drop(end.await);
            Instant::now()
        })
    };
    (0..count).map(stream).collect()
}

async fn measure<S: Ledger>(name: &str, [ours, other]: [ApiKeys<S>; 2]) {
    let good = caller(&ours).await;
    let lasting = streams(&ours, &good, STREAMS / 2);
    let system = Actor::system("bench").unwrap();
    let mut millis = Vec::new();
    for round in 0..ROUNDS {
        let revoked = caller(&ours).await;
        let ending = streams(&ours, &revoked, STREAMS / 2);
        // Each time at another moment between two reads of the log.
        tokio::time::sleep(Duration::from_millis(100 + 7 * round as u64)).await;
        let begun = Instant::now();
        other.manager().revoke(revoked.key_id(), &system).await.unwrap();
        let last = join_all(ending).await.into_iter().map(Result::unwrap).max().unwrap();
        millis.push(last.duration_since(begun).as_secs_f64() * 1e3);
    }
    let before = ours.authenticator().metrics().freshness_reads;
    tokio::time::sleep(IDLE).await;
    let reads = ours.authenticator().metrics().freshness_reads - before;
    assert!(lasting.iter().all(|stream| !stream.is_finished()));
    lasting.iter().for_each(JoinHandle::abort);
    millis.sort_by(f64::total_cmp);
    println!("{name}_ms\t{:.1}", millis[ROUNDS / 2]);
    println!("{name}_longest_ms\t{:.1}", millis[ROUNDS - 1]);
    println!("{name}_reads\t{:.0}", reads as f64 / IDLE.as_secs_f64());
}

/// The cost of a hundred thousand streams.
async fn weigh<S: Ledger>(keys: &ApiKeys<S>) {
    let caller = caller(keys).await;
    let before = resident();
    let waiting = streams(keys, &caller, MANY);
    tokio::time::sleep(IDLE).await;
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("bytes_each\t{:.0}", (after - before) / MANY as f64);
    }
    let before = used();
    tokio::time::sleep(IDLE).await;
    if let (Some(before), Some(after)) = (before, used()) {
        println!("idle_percent\t{:.1}", (after - before) / IDLE.as_secs_f64() * 100.0);
    }
    drop(waiting);
}

/// The resident bytes of this process.
fn resident() -> Option<f64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    pages.split(' ').nth(1)?.parse::<f64>().ok().map(|pages| pages * 4_096.0)
}

/// The processor seconds that this process used.
fn used() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(2);
    Some(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
}
