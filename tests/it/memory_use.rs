//! Whatever clients do, a node takes only the memory that its hashing threads need.

#![cfg(target_os = "linux")]

use std::{process::Command, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tower_api_keys::{
    ApiKeys, UserId,
    auth::AuthErrorKind,
    hash::{Argon2Params, HasherConfig},
    manage::IssueKey,
    store::{KeyReader, KeyStore, MemoryStore, RehashedKey},
};

use crate::support::{clock, keys, system};

const CHILD: &str = "TOWER_API_KEYS_TEST_MEMORY";
const CLIENTS: usize = 2_000;
const THREADS: u64 = 2;

/// Peak resident memory is measured for a whole process, so the clients run in their own.
#[test]
fn resident_memory_under_2000_first_uses_stays_within_the_hashing_threads() {
    let name = "memory_use::two_thousand_first_uses_are_answered";
    let run = |clients: usize| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, clients.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let peak = text.lines().find_map(|line| line.strip_prefix("peak_kib ")).unwrap();
        peak.parse::<u64>().unwrap()
    };
    let (idle, busy) = (run(0), run(CLIENTS));
    // One more thread, which helps if the hashing threads get no core.
    let allowed = (idle + (THREADS + 1) * 19_456) * 11 / 10 + 30 * 1_024;
    println!("idle {idle} KiB, busy {busy} KiB, allowed {allowed} KiB");
    assert!(busy <= allowed, "idle {idle} KiB, busy {busy} KiB, allowed {allowed} KiB");
}

/// Uses different keys for the first time, all at once, at the standard cost.
#[test]
fn two_thousand_first_uses_are_answered() {
    let clients = std::env::var(CHILD).map_or(CLIENTS, |clients| clients.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(first_uses(clients));
    // Each was hashed and did not match, or was told to try again.
    assert!(
        answers
            .iter()
            .all(|kind| matches!(kind, AuthErrorKind::Invalid | AuthErrorKind::Overloaded | AuthErrorKind::Starved))
    );
    if clients > 0 {
        assert!(answers.contains(&AuthErrorKind::Overloaded) && answers.contains(&AuthErrorKind::Invalid));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak_kib {}", peak.trim().trim_end_matches(" kB"));
}

async fn first_uses(clients: usize) -> Vec<AuthErrorKind> {
    let store = Arc::new(MemoryStore::new());
    // The keys are issued with cheap hashes. Then each hash is replaced by one of the standard cost that no text
    // matches, under the same tag. So a check runs Argon2id in full, and thousands of costly hashes need not be
    // computed first.
    let cheap = keys(store.clone(), &clock()).await;
    let mut texts = Vec::new();
    for _ in 0..clients {
        let request = IssueKey::user(UserId::new("alice").unwrap());
        let key = cheap.manager().issue(request, &system()).await.unwrap().into_plaintext();
        let row = store.find(&key.id()).await.unwrap().unwrap().key;
        let hash = format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", "A".repeat(22), "A".repeat(43));
        let new = RehashedKey { hash, tag: row.tag, pepper_id: None, proof: None };
        assert!(store.rehash(&key.id(), &row.hash, &new).await.unwrap());
        texts.push(key);
    }
    // Hashing has the lowest priority. On a machine busy with other tests, some hashes end within ten seconds, but
    // perhaps none within one.
    let hasher = HasherConfig::new()
        .with_threads(THREADS as usize)
        .with_params(Argon2Params::STANDARD)
        .with_check_wait(Duration::from_secs(10));
    let keys = ApiKeys::builder(store).hasher(hasher).build().await.unwrap();
    let authenticator = keys.authenticator();
    let answers = join_all(texts.iter().map(|key| authenticator.authenticate(key.expose_secret()))).await;
    answers.into_iter().map(|answer| answer.unwrap_err().kind()).collect()
}
