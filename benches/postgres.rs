//! The cost of look-ups and changes on PostgreSQL: `cargo bench --features postgres --bench postgres`.
//!
//! Starts its own server on loopback. Prints one line for each figure: name, tab, figure.
//! - `find_p50_us_1000`, `find_p99_us_1000`, `find_p50_us_1000000`, `find_p99_us_1000000`: a look-up by id, one after
//!   another, among this number of keys; rounds alternate. `find_p99_ratio` is the ratio of the two p99.
//! - `log_reads_per_second_1`, `log_reads_per_second_16`: reads of the change log without news, by this number of
//!   nodes, each one after another, on the machine of the server.
//! - `issue_per_second`, `revoke_per_second`: changes by one node, one after another.
//! - `changes_per_second_16`: revocations by 16 tasks, which all wait for the same lock.
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

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use server::Server;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    hash::Argon2Params,
    key::KeyId,
    store::{Changes, KeyReader, PostgresSettings, PostgresStore},
};

const SIZES: [usize; 2] = [1_000, 1_000_000];
const ROUNDS: usize = 20;
const FINDS: usize = 1_000;

#[tokio::main]
async fn main() {
    // The buffers of a small database server, and commits that reach the disk.
    let server = Server::start_with(&["shared_buffers=512MB", "fsync=on"]);
    finds(&server).await;
    let store = filled(&server, SIZES[0]).await;
    for nodes in [1, 16] {
        log_reads(&server, nodes).await;
    }
    changes(store).await;
}

async fn filled(server: &Server, keys: usize) -> PostgresStore {
    let schema = format!("keys_{keys}");
    PostgresStore::migrate(&server.url(), &schema).await.unwrap();
    let client = server.client().await;
    // Ids as the crate generates them: 15 random bytes in base64url.
    let fill = format!(
        "insert into {schema}.api_keys (organization, id, kind, owner, name, labels, hash, tag, scopes, created_by, created_at) \
         select 'default', substr(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/', '-_'), 1, 20), \
             'team', 'team ' || n / 10, 'CI deploy ' || n, '{{}}', \
             '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g', \
             '\\x01020304', 'all', 'user alice', 1767225600000 + n \
         from generate_series(1, {keys}) n; vacuum analyze {schema}.api_keys"
    );
    for statement in fill.split("; ") {
        client.batch_execute(statement).await.unwrap();
    }
    PostgresStore::connect_with(&server.url(), PostgresSettings::new().with_schema(schema)).await.unwrap()
}

async fn finds(server: &Server) {
    let mut candidates = Vec::new();
    for size in SIZES {
        let store = filled(server, size).await;
        let sample = format!("select id from keys_{size}.api_keys order by random() limit {}", ROUNDS * FINDS);
        let ids = server.client().await.query(&sample, &[]).await.unwrap();
        let ids: Vec<KeyId> = ids.iter().map(|row| KeyId::new(row.get::<_, &str>(0)).unwrap()).collect();
        candidates.push((size, store, ids));
    }
    let mut latencies: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (size, store, ids) in &candidates {
            for id in ids.iter().cycle().skip(round * FINDS).take(FINDS) {
                let begun = Instant::now();
                store.find(id).await.unwrap().unwrap();
                latencies.entry(*size).or_default().push(micros(begun));
            }
        }
    }
    let p99s = latencies.into_iter().map(|(size, mut latencies)| {
        latencies.sort_by(f64::total_cmp);
        let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
        println!("find_p50_us_{size}\t{p50:.0}\nfind_p99_us_{size}\t{p99:.0}");
        p99
    });
    let p99s: Vec<f64> = p99s.collect();
    println!("find_p99_ratio\t{:.2}", p99s[1] / p99s[0]);
}

async fn log_reads(server: &Server, nodes: usize) {
    const TIME: Duration = Duration::from_secs(3);
    let mut tasks = Vec::new();
    for _ in 0..nodes {
        let settings = PostgresSettings::new().with_schema(format!("keys_{}", SIZES[0]));
        let store = PostgresStore::connect_with(&server.url(), settings).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let Changes::Reset { head } = store.changes_since(None).await.unwrap() else {
                panic!("no head is a reset")
            };
            let (mut reads, begun) = (0, Instant::now());
            while begun.elapsed() < TIME {
                assert_eq!(store.changes_since(Some(head)).await.unwrap(), Changes::Unchanged);
                reads += 1;
            }
            reads
        }));
    }
    let mut reads = 0;
    for task in tasks {
        reads += task.await.unwrap();
    }
    println!("log_reads_per_second_{nodes}\t{:.0}", f64::from(reads) / TIME.as_secs_f64());
}

async fn changes(store: PostgresStore) {
    let keys = ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let (manager, actor) = (keys.manager(), Actor::system("bench").unwrap());
    let mut ids = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        let request = IssueKey::team(TeamId::from(ids.len() as u64 / 10)).named(format!("CI deploy {}", ids.len()));
        ids.push(manager.issue(request, &actor).await.unwrap().plaintext().id());
    }
    println!("issue_per_second\t{:.0}", ids.len() as f64 / begun.elapsed().as_secs_f64());
    let alone = ids.split_off(ids.len() / 2);
    let begun = Instant::now();
    for id in &alone {
        manager.revoke(id, &actor).await.unwrap();
    }
    println!("revoke_per_second\t{:.0}", alone.len() as f64 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let ids = Arc::new(ids);
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let (ids, manager, actor) = (Arc::clone(&ids), manager.clone(), actor.clone());
            tokio::spawn(async move {
                for id in ids.iter().skip(task).step_by(16) {
                    manager.revoke(id, &actor).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("changes_per_second_16\t{:.0}", ids.len() as f64 / begun.elapsed().as_secs_f64());
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / 1e3
}
