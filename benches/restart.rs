//! A node starts with 100,000 live keys in PostgreSQL and stored proofs, and checks each key once: `cargo bench
//! --features postgres --bench restart`.
//!
//! Starts its own server on loopback, whose commits reach the disk. The keys have hashes of the default profile with
//! invented output: computing 100,000 of them would take 20 minutes of a core. The measurement ends with an error if a
//! hash is run. Tags and proofs are computed here as the documentation describes. 256 requests at a time use keys in
//! random order, until each was used.
//!
//! Prints one line for each figure: name, tab, figure. `restart_s` is the median of three nodes, one after another;
//! then the keys a second (`first_uses_per_second`), the p99 of a first use in milliseconds (`first_use_p99_ms`), and
//! the runs of Argon2id (`argon2_runs`). `without_proofs_s` is the time without proofs: that of 200 keys with real
//! hashes of the same profile, times 500.
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
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64ct::{Base64Unpadded, Encoding};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use server::Server;
use sha2::Sha256;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyKind, UserId,
    hash::{HasherConfig, Pepper, PepperId, Peppers},
    key::KeyFormat,
    record::KeyRow,
    store::{
        MemoryStore, PostgresSettings, PostgresStore,
        transfer::{Batch, PortableStore},
    },
};

const KEYS: usize = 100_000;
const AT_A_TIME: usize = 256;
const NODES: usize = 3;
const RUN: usize = 200;
const PEPPER: [u8; 32] = [7; 32];

#[tokio::main]
async fn main() {
    let server = Server::start_with(&["shared_buffers=512MB", "fsync=on"]);
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let texts = Arc::new(filled(&connect(&server).await).await);
    server.client().await.batch_execute("vacuum analyze keys.api_keys").await.unwrap();
    let (mut seconds, mut latencies, mut runs) = (Vec::new(), Vec::new(), 0);
    for _ in 0..NODES {
        let node = ApiKeys::builder(connect(&server).await).hasher(hasher()).build().await.unwrap();
        let begun = Instant::now();
        latencies.extend(meet_all(&node, &texts).await);
        seconds.push(begun.elapsed().as_secs_f64());
        runs += node.authenticator().argon2_runs();
        assert_eq!(node.authenticator().metrics().stored_proofs_used, KEYS as u64);
    }
    assert_eq!(runs, 0, "a proof spares the run");
    seconds.sort_by(f64::total_cmp);
    latencies.sort_unstable();
    println!("restart_s\t{:.1}", seconds[NODES / 2]);
    println!("first_uses_per_second\t{:.0}", KEYS as f64 / seconds[NODES / 2]);
    println!("first_use_p99_ms\t{:.1}", latencies[latencies.len() * 99 / 100].as_secs_f64() * 1e3);
    println!("argon2_runs\t{runs}");
    println!("without_proofs_s\t{:.0}", without_proofs().await);
}

async fn connect(server: &Server) -> PostgresStore {
    PostgresStore::connect_with(&server.url(), PostgresSettings::new().with_schema("keys")).await.unwrap()
}

fn hasher() -> HasherConfig {
    let known = Peppers::new().with(PepperId::new(1), Pepper::from_bytes(PEPPER));
    HasherConfig::new().with_peppers(known.current(PepperId::new(1)).unwrap()).with_stored_proofs()
}

/// The texts of the keys, in random order.
async fn filled(store: &PostgresStore) -> Vec<String> {
    let format = KeyFormat::unbranded();
    let tag_key = blake3::derive_key("tower-api-keys v1 tag", &PEPPER);
    let mut proof_key = [0; 32];
    Hkdf::<Sha256>::new(None, &PEPPER).expand(b"tower-api-keys v1 stored proof", &mut proof_key).unwrap();
    let key = |number: usize| {
        let key = format.generate(KeyKind::User).unwrap();
        let text = key.expose_secret();
        let output = blake3::hash(text.as_bytes());
        let (salt, output) = (&output.as_bytes()[..16], output.as_bytes());
        let [salt, output] = [salt, output].map(Base64Unpadded::encode_string);
        let hash = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${output}");
        let mut proof = Hmac::<Sha256>::new_from_slice(&proof_key).unwrap();
        proof.update(&(text.len() as u16).to_be_bytes());
        proof.update(text.as_bytes());
        proof.update(hash.as_bytes());
        let row = KeyRow {
            id: key.id().to_string(),
            kind: "user".into(),
            owner: format!("user-{}", number / 10),
            tag: blake3::keyed_hash(&tag_key, text.as_bytes()).as_bytes()[..4].try_into().unwrap(),
            hash,
            pepper_id: Some(1),
            proof: Some(proof.finalize().into_bytes().to_vec()),
            lineage: key.id().to_string(),
            ..KeyRow::example()
        };
        (text.to_owned(), row)
    };
    let mut texts = Vec::with_capacity(KEYS);
    for chunk in 0..KEYS / 2_500 {
        let (of_chunk, mut rows): (Vec<_>, Vec<_>) = (0..2_500).map(|number| key(chunk * 2_500 + number)).unzip();
        texts.extend(of_chunk);
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        store.import(&Batch::Keys(rows)).await.unwrap();
    }
    // Sorted by their ids, which are random.
    texts.sort_unstable();
    texts
}

/// How long each first use took.
async fn meet_all(node: &ApiKeys<PostgresStore>, texts: &Arc<Vec<String>>) -> Vec<Duration> {
    let next = Arc::new(AtomicUsize::new(0));
    let clients = (0..AT_A_TIME).map(|_| {
        let (authenticator, texts, next) = (node.authenticator().clone(), Arc::clone(texts), Arc::clone(&next));
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Instant::now();
                authenticator.authenticate(text).await.unwrap();
                latencies.push(begun.elapsed());
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        latencies.extend(client.await.unwrap());
    }
    latencies
}

/// The seconds of Argon2id for the same number of keys, on all cores.
async fn without_proofs() -> f64 {
    let keys = ApiKeys::new(MemoryStore::new()).unwrap();
    let (manager, actor, mut texts) = (keys.manager(), Actor::system("bench").unwrap(), Vec::new());
    for number in 0..RUN {
        let issued = manager.issue(IssueKey::user(UserId::from(number as u64)), &actor).await.unwrap();
        texts.push(issued.plaintext().expose_secret().to_owned());
    }
    keys.authenticator().forget_proofs();
    let before = keys.authenticator().argon2_runs();
    let begun = Instant::now();
    let uses = texts.into_iter().map(|text| {
        let authenticator = keys.authenticator().clone();
        tokio::spawn(async move { authenticator.authenticate(&text).await.map(drop) })
    });
    for used in uses.collect::<Vec<_>>() {
        used.await.unwrap().unwrap();
    }
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(keys.authenticator().argon2_runs() - before, RUN as u64);
    took * (KEYS / RUN) as f64
}
