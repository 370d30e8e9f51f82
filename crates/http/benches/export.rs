//! An export of 100,000 keys over a real connection: `cargo bench -p tower-api-keys-http --bench export`.
//!
//! The server and the client are in this process. The client keeps nothing, so what grows is the server. Prints one line
//! for each figure: name, tab, figure; for keys in memory and in an SQLite file, as a table and as lines of JSON.
//! - `<store>_<format>_first_byte_ms`: from the request to the first byte of the body; the median of five exports.
//! - `<store>_<format>_whole_s`, `<store>_<format>_mib`: the last of them, and its size.
//! - `<store>_<format>_grows_mib`: how much larger the resident memory was at most during that export than before it.
//!   The exports before it have warmed up the allocator and the cache of the database.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints"
)]

use std::time::Instant;

use axum::{
    Router,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId, UserId,
    hash::Argon2Params,
    manage::Rights,
    store::{Ledger, MemoryStore, SqliteStore, transfer::copy},
};
use tower_api_keys_http::routes;

const KEYS: usize = 100_000;
const TEAMS: usize = 1_000;
const ROUNDS: usize = 5;

struct Admin;

impl<St: Sync> FromRequestParts<St> for Admin {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, _: &St) -> Result<Self, StatusCode> {
        Ok(Self)
    }
}

impl From<Admin> for Actor {
    fn from(_: Admin) -> Self {
        Self::user(UserId::new("olga").unwrap(), Rights::none().org_admin())
    }
}

#[tokio::main]
async fn main() {
    let memory = std::sync::Arc::new(MemoryStore::new());
    let setup = Actor::system("bench").unwrap();
    let keys = ApiKeys::builder(memory.clone()).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    for number in 0..KEYS {
        let request = IssueKey::team(TeamId::new(format!("team-{:04}", number % TEAMS)).unwrap());
        let request = request.named("GitHub Actions - production").labelled("ticket", format!("OPS-{number}"));
        drop(keys.manager().issue(request, &setup).await.unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    let _ = copy(&*memory, &file).await.unwrap();
    drop(keys);
    // First the file, and without the rows in memory beside it.
    drop(memory);
    measure("sqlite", file).await;
    let memory = MemoryStore::new();
    let file = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    let _ = copy(&file, &memory).await.unwrap();
    drop(file);
    measure("memory", memory).await;
}

async fn measure(name: &str, store: impl Ledger) {
    let keys = ApiKeys::new(store).unwrap();
    let app: Router = Router::new().nest("/keys", routes::router::<(), Admin>(&keys));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    for format in ["csv", "jsonl"] {
        let mut first = Vec::new();
        let mut last = (0.0, 0, 0.0);
        for _ in 0..ROUNDS {
            let before = resident_mib();
            let begun = Instant::now();
            let mut connection = TcpStream::connect(address).await.unwrap();
            let request =
                format!("GET /keys/inventory/export?format={format} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            connection.write_all(request.as_bytes()).await.unwrap();
            let (mut read, mut seen, mut end, mut most) = (0, [0; 16 * 1024], [0; 5], before);
            let (mut head, mut is_first) = (Vec::new(), true);
            loop {
                let count = connection.read(&mut seen).await.unwrap();
                if count == 0 {
                    break;
                }
                if is_first {
                    head.extend_from_slice(&seen[..count]);
                    // After the headers.
                    if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n")
                        && head.len() > at + 4
                    {
                        first.push(begun.elapsed().as_secs_f64() * 1e3);
                        is_first = false;
                    }
                }
                if read / (1 << 20) != (read + count) / (1 << 20) {
                    most = f64::max(most, resident_mib());
                }
                read += count;
                let tail = &seen[count.saturating_sub(5)..count];
                end.rotate_left(tail.len());
                end[5 - tail.len()..].copy_from_slice(tail);
            }
            assert!(head.starts_with(b"HTTP/1.1 200") && &end == b"0\r\n\r\n", "the export is not whole");
            last = (begun.elapsed().as_secs_f64(), read, most - before);
        }
        first.sort_by(f64::total_cmp);
        println!("{name}_{format}_first_byte_ms\t{:.1}", first[ROUNDS / 2]);
        println!("{name}_{format}_whole_s\t{:.2}", last.0);
        println!("{name}_{format}_mib\t{:.1}", last.1 as f64 / 1048576.0);
        println!("{name}_{format}_grows_mib\t{:.1}", last.2);
    }
    server.abort();
    let _ = server.await;
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
}
