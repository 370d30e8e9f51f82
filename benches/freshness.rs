//! Strict checks on PostgreSQL, compared with one `SELECT` for each request: `cargo bench --features postgres --bench
//! freshness`.
//!
//! Starts its own server on loopback. *Ours* is a strict `Authenticator` with known keys: each check waits for a read
//! of the change log that began after the check, and all waiting checks share one read. *Select* is the simple
//! alternative: only the key's row by primary key, through a pool of 16 connections. Rounds alternate.
//!
//! It also compares bounded checks on PostgreSQL with strict checks on `MemoryStore`, one after another on one thread:
//! neither has to wait.
//!
//! Prints one line for each figure: name, tab, figure. For 1, 16, 64 and 256 requests at a time: the requests a second
//! of both (`ours_64`, `select_64`), their ratio (`ratio_64`), our p99 in microseconds (`ours_p99_us_64`), and the
//! reads of the change log a second (`reads_64`), which do not grow with the number of requests. Then the nanoseconds
//! of a check in the process (`in_process_ns`, `bounded_ns`), and their ratio (`bounded_over_in_process`).
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
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use server::Server;
use tokio_postgres::NoTls;
use tower_api_keys::{
    Actor, ApiKeys, Authenticator, IssueKey, TeamId,
    auth::Freshness,
    hash::Argon2Params,
    store::{Ledger, MemoryStore, PostgresSettings, PostgresStore},
};

const KEYS: usize = 1_000;
const CONCURRENT: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_000);
const IN_PROCESS_ROUNDS: usize = 101;
const IN_PROCESS_CHECKS: usize = 20_000;

#[tokio::main]
async fn main() {
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let store = PostgresStore::connect_with(&server.url(), PostgresSettings::new().with_schema("keys")).await.unwrap();
    let keys = node(store.clone(), Freshness::Strict).await;
    let texts = proved_keys(&keys).await;
    let ids: Arc<Vec<String>> = Arc::new(texts.iter().map(|text| text[5..25].to_owned()).collect());
    let pool = pool(&server.url());

    let mut figures: BTreeMap<(&str, usize), Vec<f64>> = BTreeMap::new();
    let mut latencies: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for concurrent in CONCURRENT {
            let reads_before = keys.authenticator().metrics().freshness_reads;
            let (authenticator, texts) = (keys.authenticator().clone(), Arc::clone(&texts));
            let ours =
                measure(concurrent, move |number| check(authenticator.clone(), Arc::clone(&texts), number)).await;
            let reads = keys.authenticator().metrics().freshness_reads - reads_before;
            figures.entry(("ours", concurrent)).or_default().push(ours.len() as f64 / ROUND.as_secs_f64());
            figures.entry(("reads", concurrent)).or_default().push(reads as f64 / ROUND.as_secs_f64());
            latencies.entry(concurrent).or_default().extend(ours);
            let (pool, ids) = (pool.clone(), Arc::clone(&ids));
            let select = measure(concurrent, move |number| select(pool.clone(), Arc::clone(&ids), number)).await;
            figures.entry(("select", concurrent)).or_default().push(select.len() as f64 / ROUND.as_secs_f64());
        }
    }
    for concurrent in CONCURRENT {
        let of = |name| figures[&(name, concurrent)].clone();
        let ratios = of("ours").iter().zip(of("select")).map(|(ours, select)| ours / select).collect();
        println!("ours_{concurrent}\t{:.0}", median(of("ours")));
        println!("select_{concurrent}\t{:.0}", median(of("select")));
        println!("ratio_{concurrent}\t{:.2}", median(ratios));
        println!("reads_{concurrent}\t{:.0}", median(of("reads")));
        let mut latencies = latencies.remove(&concurrent).unwrap();
        latencies.sort_unstable();
        println!("ours_p99_us_{concurrent}\t{:.0}", latencies[latencies.len() * 99 / 100] as f64 / 1e3);
    }
    in_process(node(store, Freshness::Bounded(Duration::from_secs(3_600))).await).await;
}

async fn node<S: Ledger>(store: S, freshness: Freshness) -> ApiKeys<S> {
    ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).freshness(freshness).build().await.unwrap()
}

/// Measures checks that do not wait: bounded checks, and checks on a store in the process.
async fn in_process(bounded: ApiKeys<PostgresStore>) {
    let memory = node(MemoryStore::new(), Freshness::Strict).await;
    let (ours, others) = (proved_keys(&bounded).await, proved_keys(&memory).await);
    let (mut figures, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..IN_PROCESS_ROUNDS {
        let memory = nanos_each(&memory.authenticator(), &others).await;
        let bounded = nanos_each(&bounded.authenticator(), &ours).await;
        ratios.push(bounded / memory);
        figures[0].push(memory);
        figures[1].push(bounded);
    }
    let [memory, bounded] = figures;
    println!("in_process_ns\t{:.0}", median(memory));
    println!("bounded_ns\t{:.0}", median(bounded));
    println!("bounded_over_in_process\t{:.3}", median(ratios));
}

async fn nanos_each<S: Ledger>(authenticator: &Authenticator<S>, texts: &[String]) -> f64 {
    let begun = Instant::now();
    for text in texts.iter().cycle().take(IN_PROCESS_CHECKS) {
        authenticator.authenticate(text).await.unwrap();
    }
    begun.elapsed().as_nanos() as f64 / IN_PROCESS_CHECKS as f64
}

/// Keys that were used before, so that they are known and proved.
async fn proved_keys<S: Ledger>(keys: &ApiKeys<S>) -> Arc<Vec<String>> {
    let (actor, mut texts) = (Actor::system("bench").unwrap(), Vec::new());
    for number in 0..KEYS {
        let request = IssueKey::team(TeamId::from((number / 10) as u64)).named(format!("CI deploy {number:06}"));
        let issued = keys.manager().issue(request, &actor).await.unwrap();
        keys.authenticator().authenticate(issued.plaintext().expose_secret()).await.unwrap();
        texts.push(issued.plaintext().expose_secret().to_owned());
    }
    Arc::new(texts)
}

fn pool(url: &str) -> Pool {
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(url.parse().unwrap(), NoTls, manager_config);
    Pool::builder(manager).max_size(16).runtime(Runtime::Tokio1).build().unwrap()
}

async fn check(authenticator: Authenticator<PostgresStore>, texts: Arc<Vec<String>>, number: usize) {
    authenticator.authenticate(&texts[number % texts.len()]).await.unwrap();
}

async fn select(pool: Pool, ids: Arc<Vec<String>>, number: usize) {
    let client = pool.get().await.unwrap();
    let statement = client.prepare_cached("select * from keys.api_keys where id = $1").await.unwrap();
    client.query_one(&statement, &[&ids[number % ids.len()]]).await.unwrap();
}

/// The latencies, in nanoseconds, of the requests of `concurrent` tasks. Each task sends one request after another.
async fn measure<F, Fut>(concurrent: usize, request: F) -> Vec<u64>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let end = Instant::now() + ROUND;
    let tasks = (0..concurrent).map(|task| {
        let request = request.clone();
        tokio::spawn(async move {
            let (mut latencies, mut number) = (Vec::new(), task * 7_919);
            while Instant::now() < end {
                let begun = Instant::now();
                request(number).await;
                latencies.push(begun.elapsed().as_nanos() as u64);
                number += 1;
            }
            latencies
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    all
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
