//! A whole service with its keys in PostgreSQL, over loopback: `cargo bench --features axum,postgres --bench service`.
//!
//! Starts its own PostgreSQL server. axum and hyper answer HTTP/1.1 over kept-alive connections, on the cores of the
//! clients and of PostgreSQL. The routes are the same, without a layer (`bare`) and with one: a store in memory
//! (`memory`), PostgreSQL with strict freshness (`strict`: each request waits for a read of the change log, which waiting
//! requests share), and PostgreSQL with bounded freshness (`bounded`: no request waits). Each client sends one request
//! after another with proved keys. Rounds of a tenth of a second alternate between the routes.
//!
//! Prints one line for each figure: name, tab, figure. For 8, 64 and 256 clients: the requests a second of each route, the
//! median of its ratios to `bare` in the same round, and p50 and p99 of its latency in microseconds.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "it measures and prints, and without a server there is nothing to measure"
)]

#[path = "load/client.rs"]
mod client;
#[path = "../tests/it/support/postgres.rs"]
mod server;
mod traffic;

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::get, serve::ListenerExt};
use client::{Connection, request};
use server::Server;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    auth::Freshness,
    hash::Argon2Params,
    store::{Ledger, MemoryStore, PostgresSettings, PostgresStore},
};
use traffic::{Arguments, Latencies, cores, median};

const ROUTES: [&str; 4] = ["bare", "memory", "strict", "bounded"];
const CLIENTS: [usize; 3] = [8, 64, 256];
const KEYS: u64 = 64;
const ROUND: Duration = Duration::from_millis(100);
const BOUND: Duration = Duration::from_secs(2);

fn main() {
    let rounds = Arguments::read(&[("rounds", 40.0)]).count("rounds");
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (address, keys) = runtime.block_on(serve(&server.url()));
    println!("cores\t{}", cores());
    for clients in CLIENTS {
        let mut rates = [const { Vec::new() }; 4];
        let mut latencies = [const { Vec::new() }; 4].map(|_: Vec<u64>| Latencies::default());
        for round in 0..rounds {
            for turn in 0..ROUTES.len() {
                // The order alternates, too.
                let route = (round + turn) % ROUTES.len();
                let (begun, measured) = (Instant::now(), closed_loop(address, ROUTES[route], &keys[route], clients));
                rates[route].push(measured.nanoseconds().len() as f64 / begun.elapsed().as_secs_f64());
                latencies[route].extend(measured.nanoseconds().iter().copied());
            }
        }
        for (route, name) in ROUTES.into_iter().enumerate() {
            let ratios = rates[route].iter().zip(&rates[0]).map(|(rate, bare)| rate / bare).collect();
            println!("requests_per_second_{name}_{clients}\t{:.0}", median(rates[route].clone()));
            println!("ratio_{name}_{clients}\t{:.3}", median(ratios));
            println!("p50_us_{name}_{clients}\t{:.0}", latencies[route].quantile(0.5));
            println!("p99_us_{name}_{clients}\t{:.0}", latencies[route].quantile(0.99));
        }
    }
}

/// Serves all routes, and returns proved keys for each.
async fn serve(url: &str) -> (SocketAddr, [Vec<String>; 4]) {
    PostgresStore::migrate(url, "keys").await.unwrap();
    let store = PostgresStore::connect_with(url, PostgresSettings::new().with_schema("keys")).await.unwrap();
    let strict = node(store.clone(), Freshness::Strict).await;
    let bounded = node(store, Freshness::Bounded(BOUND)).await;
    let memory = node(MemoryStore::new(), Freshness::Strict).await;
    let keys = [Vec::new(), proved(&memory).await, proved(&strict).await, proved(&bounded).await];
    let app = Router::new()
        .route("/memory", get(answer))
        .layer(memory.layer())
        .merge(Router::new().route("/strict", get(answer)).layer(strict.layer()))
        .merge(Router::new().route("/bounded", get(answer)).layer(bounded.layer()))
        .route("/bare", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, keys)
}

async fn node<S: Ledger>(store: S, freshness: Freshness) -> ApiKeys<S> {
    ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).freshness(freshness).build().await.unwrap()
}

async fn answer() -> &'static str {
    "fine"
}

async fn proved<S: Ledger>(keys: &ApiKeys<S>) -> Vec<String> {
    let (actor, mut texts) = (Actor::system("bench").unwrap(), Vec::new());
    for number in 0..KEYS {
        let issued = keys.manager().issue(IssueKey::team(TeamId::from(number)), &actor).await.unwrap();
        let text = issued.plaintext().expose_secret().to_owned();
        keys.authenticator().authenticate(&text).await.unwrap();
        texts.push(text);
    }
    texts
}

/// Each client sends one request after another to this route until the round is over.
fn closed_loop(address: SocketAddr, route: &str, keys: &[String], clients: usize) -> Latencies {
    let path = format!("/{route}");
    let lane = |number: usize| {
        let key = keys.get(number % KEYS as usize).map_or("none", String::as_str);
        let (mut connection, request) = (Connection::open(address).unwrap(), request(&path, key));
        let (begun, mut latencies) = (Instant::now(), Latencies::default());
        while begun.elapsed() < ROUND {
            let sent = Instant::now();
            connection.expect(&request, 200).unwrap();
            latencies.push(sent.elapsed());
        }
        latencies
    };
    let lane = &lane;
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..clients).map(|number| scope.spawn(move || lane(number))).collect();
        let mut all = Latencies::default();
        for lane in lanes {
            all.extend(lane.join().unwrap().nanoseconds().iter().copied());
        }
        all
    })
}
