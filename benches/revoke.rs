//! The time to revoke 100,000 keys of one owner on PostgreSQL, and the effect on other requests: `cargo bench
//! --features postgres --bench revoke`.
//!
//! Starts its own server on loopback, with commits that reach the disk. A second node checks a known key of another
//! owner at a steady rate, before and during the revocation. Latencies count from the moment at which each check should
//! have begun. That node is strict, so each check waits for an answer of the server, which is busy with the revocation.
//! With `--bound-ms`, for bounded freshness, the node answers by itself. Prints one line for each figure: name, tab,
//! figure.
//! - `keys`, `seconds`, `keys_per_second`, `passes`: of `KeyManager::revoke_many`.
//! - `idle_p99_ms`, `during_p99_ms`, `ratio`: of the checks, with `checks_idle` and `checks_during` of them.
//! - `select_idle_p99_ms`, `select_during_p99_ms`: of a bare `select 1` over another connection, a tenth as often: the
//!   cost of the server and the machine alone.
//!
//! Takes `--keys`, `--rate` and `--bound-ms` with a number above 0. Exits with 1 if a key is left, an event is missing, or
//! a check was refused.
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

#[path = "../tests/it/support/postgres.rs"]
mod server;
mod traffic;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use server::Server;
use tokio::{
    runtime::{Builder, Handle},
    task::JoinSet,
};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    auth::Freshness,
    hash::Argon2Params,
    manage::RevokeMany,
    store::{PostgresSettings, PostgresStore},
};
use traffic::{Arguments, Latencies, Pace};

const DEFAULTS: [(&str, f64); 3] = [("keys", 100_000.0), ("rate", 1_000.0), ("bound-ms", 0.0)];

const IDLE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let arguments = Arguments::read(&DEFAULTS);
    let (keys, every) = (arguments.count("keys") as u64, Duration::from_secs_f64(1.0 / arguments.number("rate")));
    let server = Server::start_with(&["shared_buffers=512MB", "fsync=on"]);
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    // In production the other node is another process, so it gets its own threads here.
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let managing = elsewhere.spawn(node(server.url(), Freshness::Strict)).await.unwrap();
    let freshness = match arguments.count("bound-ms") {
        0 => Freshness::Strict,
        bound => Freshness::Bounded(Duration::from_millis(bound as u64)),
    };
    let checking = node(server.url(), freshness).await;
    let admin = Actor::system("bench").unwrap();
    let request = IssueKey::team(TeamId::new("bystanders").unwrap());
    let known = managing.manager().issue(request, &admin).await.unwrap().into_plaintext();
    checking.authenticator().authenticate(known.expose_secret()).await.unwrap();
    let client = server.client().await;
    let fill = format!(
        "insert into keys.api_keys (organization, id, kind, owner, name, labels, hash, tag, scopes, created_by, created_at) \
         select 'default', lpad(n::text, 20, '0'), 'team', 'leaky', 'CI deploy ' || n, '{{}}', \
             '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g', \
             '\\x01020304', '*', 'user:alice', 1767225600000 + n \
         from generate_series(1, {keys}) n"
    );
    client.batch_execute(&fill).await.unwrap();
    client.batch_execute("vacuum analyze keys.api_keys").await.unwrap();

    let (text, select) = (Arc::<str>::from(known.expose_secret()), Arc::new(server.client().await));
    let checks = || {
        let (authenticator, text) = (checking.authenticator(), Arc::clone(&text));
        Traffic::start(every, move || {
            let (authenticator, text) = (authenticator.clone(), Arc::clone(&text));
            async move { drop(authenticator.authenticate(&text).await.unwrap()) }
        })
    };
    let selects = || {
        let select = Arc::clone(&select);
        Traffic::start(every * 10, move || {
            let select = Arc::clone(&select);
            async move { drop(select.simple_query("select 1").await.unwrap()) }
        })
    };

    let (idle, select_idle) = (checks(), selects());
    tokio::time::sleep(IDLE).await;
    let (idle, select_idle) = (idle.stop().await, select_idle.stop().await);

    let (during, select_during) = (checks(), selects());
    let begun = Instant::now();
    let request = RevokeMany::of(TeamId::new("leaky").unwrap()).because("a drill");
    let (manager, actor) = (managing.manager(), admin.clone());
    let report = elsewhere.spawn(async move { manager.revoke_many(request, &actor).await }).await.unwrap().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let (during, select_during) = (during.stop().await, select_during.stop().await);

    println!("keys\t{keys}\nseconds\t{seconds:.1}\nkeys_per_second\t{:.0}", keys as f64 / seconds);
    println!("passes\t{}", report.passes);
    let p99 = |latencies: &Latencies| latencies.quantile(0.99) / 1e3;
    let (idle_p99, during_p99) = (p99(&idle), p99(&during));
    println!("checks_idle\t{}\nchecks_during\t{}", idle.nanoseconds().len(), during.nanoseconds().len());
    println!("idle_p99_ms\t{idle_p99:.2}\nduring_p99_ms\t{during_p99:.2}\nratio\t{:.2}", during_p99 / idle_p99);
    println!("select_idle_p99_ms\t{:.2}\nselect_during_p99_ms\t{:.2}", p99(&select_idle), p99(&select_during));
    assert_eq!((report.revoked, report.is_complete()), (keys, true), "{report}");
    let events = "select count(distinct key_id), count(*) from keys.api_key_events where action = 'key.revoked'";
    let events = client.query_one(events, &[]).await.unwrap();
    assert_eq!((events.get::<_, i64>(0), events.get::<_, i64>(1)), (keys as i64, keys as i64));
    elsewhere.shutdown_background();
}

async fn node(url: String, freshness: Freshness) -> ApiKeys<PostgresStore> {
    let settings = PostgresSettings::new().with_schema("keys");
    let store = PostgresStore::connect_with(&url, settings).await.unwrap();
    ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).freshness(freshness).build().await.unwrap()
}

/// Calls at a steady rate, however long each of them takes.
struct Traffic {
    goes_on: Arc<AtomicBool>,
    pacer: thread::JoinHandle<JoinSet<Duration>>,
}

impl Traffic {
    fn start<F: Future<Output = ()> + Send + 'static>(every: Duration, begin: impl Fn() -> F + Send + 'static) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let pacer = {
            let (goes_on, runtime) = (Arc::clone(&goes_on), Handle::current());
            thread::spawn(move || {
                let (mut pace, mut calls) = (Pace::new(Instant::now(), every), JoinSet::new());
                while goes_on.load(Ordering::Relaxed) {
                    let (intended, call) = (pace.next(), begin());
                    let timed = async move {
                        call.await;
                        intended.elapsed()
                    };
                    calls.spawn_on(timed, &runtime);
                }
                calls
            })
        };
        Self { goes_on, pacer }
    }

    async fn stop(self) -> Latencies {
        self.goes_on.store(false, Ordering::Relaxed);
        let mut latencies = Latencies::default();
        self.pacer.join().unwrap().join_all().await.into_iter().for_each(|latency| latencies.push(latency));
        latencies
    }
}
