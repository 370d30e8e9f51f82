//! Two nodes behind a load balancer are restarted one after the other while their keys are in use: `cargo bench
//! --features axum,postgres --bench rolling`.
//!
//! There are 2,000 live keys with hashes of the default profile and no stored proofs, in a PostgreSQL server that this
//! bench starts. Each node is a process with an HTTP server on loopback. This process is the clients and the balancer:
//! 60 requests a second, each with a random key and a new connection, to the nodes in turn. Before a restart, a node
//! gets no more requests and finishes those that it has. It then ends, starts, and gets its half again as soon as it
//! listens. The first use of each key then costs it a run of Argon2id. Everything runs on one machine.
//!
//! Prints one line for each figure: name, tab, figure. `refusals` is the part of the `requests` that got another status
//! than 200, or no answer. `p50_ms` and `p99_ms` count from the moment at which a request should have begun.
//! `argon2_runs` is for both nodes since their restart. Exits with 1 if a request was refused.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "it measures and prints, and without a server there is nothing to measure"
)]

#[path = "load/client.rs"]
mod client;
#[path = "../tests/it/support/postgres.rs"]
mod server;
mod traffic;

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use client::{Connection, request};
use futures_util::{StreamExt, stream};
use server::Server;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, UserId,
    store::{PostgresSettings, PostgresStore},
};
use traffic::Pace;

const KEYS: usize = 2_000;
const NODES: usize = 2;
const RATE: u32 = 60;
/// The number of clients that share the rate. Each waits for its answer before its next request.
const CLIENTS: u32 = 30;
/// How long the traffic runs before the first restart, and after each.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(60);

/// The variable that is set in a node's process: the URL of the database.
const NODE: &str = "TOWER_API_KEYS_BENCH_NODE";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Ok(url) = env::var(NODE) {
        runtime.block_on(serve(&url));
        return ExitCode::SUCCESS;
    }
    let server = Server::start();
    let texts = Arc::new(runtime.block_on(issued(&server.url())));
    let mut nodes: Vec<Node> = (0..NODES).map(|_| Node::start(&server.url())).collect();
    for node in &nodes {
        node.meet_all(&texts);
    }
    let traffic = Traffic::begin(&texts, nodes.iter().map(|node| node.address).collect());
    thread::sleep(BEFORE);
    let mut runs = 0;
    for node in &mut nodes {
        traffic.addresses().retain(|address| *address != node.address);
        node.end();
        *node = Node::start(&server.url());
        traffic.addresses().push(node.address);
        thread::sleep(AFTER);
        runs += node.argon2_runs();
    }
    let (mut latencies, refusals) = traffic.end();
    latencies.sort_unstable();
    let of_hundred = |share: usize| latencies[latencies.len() * share / 100].as_secs_f64() * 1e3;
    println!("requests\t{}\nrefusals\t{refusals}", latencies.len());
    println!("p50_ms\t{:.1}\np99_ms\t{:.1}\nargon2_runs\t{runs}", of_hundred(50), of_hundred(99));
    if refusals == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn keys(url: &str) -> ApiKeys<PostgresStore> {
    let settings = PostgresSettings::new().with_schema("keys");
    ApiKeys::builder(PostgresStore::connect_with(url, settings).await.unwrap()).build().await.unwrap()
}

async fn issued(url: &str) -> Vec<String> {
    PostgresStore::migrate(url, "keys").await.unwrap();
    let (keys, actor) = (keys(url).await, Actor::system("bench").unwrap());
    let (manager, actor) = (keys.manager(), &actor);
    let issue = |number| manager.issue(IssueKey::user(UserId::from(number)), actor);
    let issued = stream::iter(0..KEYS as u64).map(issue).buffer_unordered(8);
    issued.map(|issued| issued.unwrap().plaintext().expose_secret().to_owned()).collect().await
}

/// Serves until standard input ends, and then finishes the running requests.
async fn serve(url: &str) {
    let keys = keys(url).await;
    let authenticator = keys.authenticator();
    let runs = move || {
        let runs = authenticator.argon2_runs().to_string();
        async move { runs }
    };
    let app = Router::new().route("/", get(async || "fine")).layer(keys.layer()).route("/runs", get(runs));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = end.send(());
    });
    axum::serve(listener, app).with_graceful_shutdown(async { drop(ended.await) }).await.unwrap();
}

/// A node as the balancer sees it.
struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    /// Starts it, and waits until it listens.
    fn start(url: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut child = command.env(NODE, url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap() }
    }

    fn meet_all(&self, texts: &[String]) {
        let next = AtomicUsize::new(0);
        let meet = || {
            let mut connection = Connection::open(self.address).unwrap();
            while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.expect(&request("/", text), 200).unwrap();
            }
        };
        thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(meet))));
    }

    fn argon2_runs(&self) -> u64 {
        let mut connection = Connection::open(self.address).unwrap();
        connection.expect(&request("/runs", "none"), 200).unwrap();
        connection.body().parse().unwrap()
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success(), "the node ends in order");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests that continue until they are told to end.
struct Traffic {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    is_over: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<(Vec<Duration>, usize)>>,
}

impl Traffic {
    fn begin(texts: &Arc<Vec<String>>, addresses: Vec<SocketAddr>) -> Self {
        let (addresses, is_over) = (Arc::new(Mutex::new(addresses)), Arc::new(AtomicBool::new(false)));
        let every = Duration::from_secs(1) / RATE;
        let (first, turn) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS).map(|client| {
            let (addresses, is_over, texts) = (Arc::clone(&addresses), Arc::clone(&is_over), Arc::clone(texts));
            let (mut pace, turn) = (Pace::new(first + every * client, every * CLIENTS), Arc::clone(&turn));
            thread::spawn(move || {
                let (mut latencies, mut refusals) = (Vec::new(), 0);
                let mut random = u64::from(client) + 1;
                while !is_over.load(Ordering::Relaxed) {
                    let intended = pace.next();
                    // xorshift64, for keys in random order.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let text = &texts[(random % KEYS as u64) as usize];
                    let address = {
                        let addresses = addresses.lock().unwrap();
                        addresses[turn.fetch_add(1, Ordering::Relaxed) % addresses.len()]
                    };
                    let answer = Connection::open(address).and_then(|mut open| open.expect(&request("/", text), 200));
                    if let Err(error) = answer {
                        eprintln!("{error}");
                        refusals += 1;
                    }
                    latencies.push(intended.elapsed());
                }
                (latencies, refusals)
            })
        });
        let clients = clients.collect();
        Self { addresses, is_over, clients }
    }

    fn addresses(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().unwrap()
    }

    fn end(self) -> (Vec<Duration>, usize) {
        self.is_over.store(true, Ordering::Relaxed);
        let (mut latencies, mut refusals) = (Vec::new(), 0);
        for client in self.clients {
            let (of_client, refused) = client.join().unwrap();
            latencies.extend(of_client);
            refusals += refused;
        }
        (latencies, refusals)
    }
}
