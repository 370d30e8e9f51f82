//! `apikeys list` of 100,000 keys in an SQLite file: `cargo bench -p tower-api-keys-cli --bench list`.
//!
//! Runs the program as a process, and reads its standard output as a pipe. Prints one line for each figure: name, tab,
//! figure; for the table and for JSON.
//! - `<form>_first_line_ms`: from the start of the process to its first line; the median of five runs, and the worst.
//! - `<form>_whole_s`: to its end, in the last run.
//! - `<form>_resident_mib_at_a_tenth`, `<form>_resident_mib_at_most`: its resident memory when a tenth of the lines was
//!   read, and the most of one hundred looks. The program waits at each look, since nobody reads its pipe meanwhile.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    hash::Argon2Params,
    store::{MemoryStore, SqliteStore, transfer::copy},
};

const KEYS: usize = 100_000;
const TEAMS: usize = 1_000;
const ROUNDS: usize = 5;
const LOOKS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let memory = Arc::new(MemoryStore::new());
    let setup = Actor::system("bench").unwrap();
    let keys = ApiKeys::builder(Arc::clone(&memory)).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    for number in 0..KEYS {
        let request = IssueKey::team(TeamId::new(format!("team-{:04}", number % TEAMS)).unwrap());
        let request = request.named("GitHub Actions - production").labelled("ticket", format!("OPS-{number}"));
        drop(keys.manager().issue(request, &setup).await.unwrap());
    }
    let file = SqliteStore::open(&path).await.unwrap();
    let _ = copy(&*memory, &file).await.unwrap();
    drop(file);
    for (form, more) in [("table", None), ("json", Some("--json"))] {
        let mut firsts = Vec::new();
        for round in 1..=ROUNDS {
            let mut command = Command::new(env!("CARGO_BIN_EXE_apikeys"));
            command.arg("list").args(more).env("APIKEYS_STORE", &path).stdout(Stdio::piped());
            let begun = Instant::now();
            let mut child = command.spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            lines.next().unwrap().unwrap();
            firsts.push(begun.elapsed().as_secs_f64() * 1_000.0);
            let mut looks = Vec::new();
            for (number, line) in lines.enumerate() {
                drop(line.unwrap());
                if number % (KEYS / LOOKS) == 0 {
                    looks.extend(resident_mib(child.id()));
                }
            }
            assert!(child.wait().unwrap().success());
            if round == ROUNDS {
                firsts.sort_by(f64::total_cmp);
                println!("{form}_first_line_ms\t{:.1}, at worst {:.1}", firsts[ROUNDS / 2], firsts[ROUNDS - 1]);
                println!("{form}_whole_s\t{:.2}", begun.elapsed().as_secs_f64());
                println!("{form}_resident_mib_at_a_tenth\t{:.1}", looks[looks.len() / 10]);
                println!("{form}_resident_mib_at_most\t{:.1}", looks.iter().copied().fold(0.0, f64::max));
            }
        }
    }
}

/// None once the process has ended.
fn resident_mib(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024.0)
}
