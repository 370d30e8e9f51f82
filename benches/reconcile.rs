//! The cost of asking a directory about 100,000 owners: `cargo bench --features sqlite --bench reconcile`.
//!
//! Each owner has one key, in an SQLite file with commits on disk. The directory answers about 1,000 owners at a time,
//! after `--answer-ms`. One owner in a thousand is missing. In the same process one task checks proved keys all the
//! time: alone, and while all owners are reconciled, in rounds that take turns.
//!
//! Prints one line for each figure: name, tab, figure.
//! - `owners_s`: the time for all owners, the median of the rounds.
//! - `close_s`: the time to close the hundred missing owners, which asks about all of them again.
//! - `warm_idle_p50_us`, `warm_idle_p99_us`, `warm_busy_p50_us`, `warm_busy_p99_us`: a check of a proved key; medians of the
//!   rounds.
//! - `warm_p99_busy_over_idle`: the median of the ratios, round by round.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "it measures and prints, and without a store there is nothing to measure"
)]

mod traffic;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, Owner, TeamId, TeamRef, UserId,
    hash::Argon2Params,
    manage::{Directory, Names, Reconcile},
    record::KeyRow,
    store::{
        SqliteStore,
        transfer::{Batch, PortableStore},
    },
};
use traffic::{Arguments, Latencies, cores, median, stolen_ms};

const DEFAULTS: [(&str, f64); 3] = [("answer-ms", 20.0), ("owners", 100_000.0), ("rounds", 5.0)];

/// The number of keys that are checked meanwhile.
const WARM: usize = 100;

/// The time between two checks, so that the other work has the second core and part of this one.
const EVERY: Duration = Duration::from_micros(50);

struct People {
    answer: Duration,
}

impl Directory for People {
    type Error = Infallible;

    async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> {
        Ok(true)
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], _: &[TeamId]) -> Result<Names, Infallible> {
        tokio::time::sleep(self.answer).await;
        Ok(users.iter().cloned().fold(Names::none(), |names, user| match user.as_str().ends_with("000") {
            true => names.with_unknown(user),
            false => names.with_user(user, "Somebody"),
        }))
    }
}

fn key(number: usize) -> KeyRow {
    let id = format!("{number:020}");
    KeyRow {
        lineage: id.clone(),
        id,
        kind: "user".into(),
        owner: format!("user-{number:06}"),
        created_at: 1_735_689_600_000 + number as i64,
        ..KeyRow::example()
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments = Arguments::read(&DEFAULTS);
    let (owners, folder) = (arguments.count("owners"), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    let numbers: Vec<usize> = (0..owners).collect();
    for chunk in numbers.chunks(2_500) {
        store.import(&Batch::Keys(chunk.iter().copied().map(key).collect())).await.unwrap();
    }
    let people = People { answer: Duration::from_secs_f64(arguments.number("answer-ms") / 1e3) };
    let keys = ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).directory(people).build().await.unwrap();
    let (manager, actor) = (keys.manager(), Actor::system("bench").unwrap());
    let mut texts = Vec::new();
    for number in 0..WARM {
        let issued =
            manager.issue(IssueKey::user(UserId::new(format!("warm-{number}")).unwrap()), &actor).await.unwrap();
        texts.push(issued.plaintext().expose_secret().to_owned());
        keys.authenticator().authenticate(&texts[number]).await.unwrap();
    }
    println!("cores\t{}", cores());
    let (stolen, texts) = (stolen_ms(), Arc::new(texts));
    let (mut times, mut idle, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..arguments.count("rounds") {
        for turn in 0..2 {
            let ends = Arc::new(AtomicBool::new(false));
            let checks = tokio::spawn(checks(keys.authenticator(), Arc::clone(&texts), Arc::clone(&ends)));
            let begun = Instant::now();
            if (round + turn).is_multiple_of(2) {
                tokio::time::sleep(Duration::from_secs(3)).await;
                ends.store(true, Ordering::Relaxed);
                idle.push(checks.await.unwrap());
            } else {
                let report = manager.reconcile(Reconcile::report(), &actor).await.unwrap();
                times.push(begun.elapsed().as_secs_f64());
                ends.store(true, Ordering::Relaxed);
                busy.push(checks.await.unwrap());
                assert_eq!((report.owners as usize, report.missing.len()), (owners + WARM, owners / 1_000));
            }
        }
    }
    println!("owners_s\t{:.2}", median(times));
    let closing = Reconcile::close((0..owners).step_by(1_000).map(|number| {
        let owner = key(number).owner;
        Owner::User(UserId::new(owner).unwrap())
    }));
    let begun = Instant::now();
    let done = manager.reconcile(closing, &actor).await.unwrap();
    println!("close_s\t{:.2}", begun.elapsed().as_secs_f64());
    assert_eq!(done.closed.len(), owners / 1_000);
    for (name, rounds) in [("idle", &idle), ("busy", &busy)] {
        for (label, share) in [("p50", 0.5), ("p99", 0.99)] {
            println!(
                "warm_{name}_{label}_us\t{:.2}",
                median(rounds.iter().map(|round| round.quantile(share)).collect())
            );
        }
    }
    let ratios = busy.iter().zip(&idle).map(|(busy, idle)| busy.quantile(0.99) / idle.quantile(0.99));
    println!("warm_p99_busy_over_idle\t{:.2}", median(ratios.collect()));
    println!("stolen_ms\t{}", stolen_ms() - stolen);
}

/// Checks proved keys until it is told to end.
async fn checks(
    authenticator: tower_api_keys::Authenticator<SqliteStore>,
    texts: Arc<Vec<String>>,
    ends: Arc<AtomicBool>,
) -> Latencies {
    let mut latencies = Latencies::default();
    for text in texts.iter().cycle() {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        authenticator.authenticate(text).await.unwrap();
        latencies.push(begun.elapsed());
        while begun.elapsed() < EVERY {
            tokio::task::yield_now().await;
        }
    }
    latencies
}
