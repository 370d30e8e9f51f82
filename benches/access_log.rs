//! The cost of an access log entry for each attempt: `cargo bench --features sqlite --bench access_log`.
//!
//! A service in this process gets requests with proved keys at `--rate` a second, with and without the access log, in
//! alternating rounds. Each store is an SQLite file with commits on disk. Latencies count from the moment at which each
//! request should have begun; `call` is the time of the call alone.
//!
//! Prints one line for each figure: name, tab, figure. Exits with 1 if attempts are missing: each must be written, or
//! counted as dropped and reported in the trail. Also takes `--seconds` (of each round) and `--rounds`.
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
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, UserId,
    hash::Argon2Params,
    store::{EventQuery, Ledger, SqliteStore},
    usage::Source,
};
use traffic::{Arguments, Latencies, Pace, cores, median, stolen_ms};

const DEFAULTS: [(&str, f64); 3] = [("rate", 50_000.0), ("rounds", 5.0), ("seconds", 2.0)];

/// The number of threads that share the rate.
const LANES: u32 = 2;

const KEYS: usize = 1_000;

struct Served {
    name: &'static str,
    keys: ApiKeys<SqliteStore>,
    store: SqliteStore,
    texts: Vec<String>,
    asked: u64,
    latencies: Latencies,
    p99: Vec<f64>,
    call_p99: Vec<f64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::read(&DEFAULTS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut services =
        [("off", false), ("on", true)].map(|(name, lines)| runtime.block_on(Served::new(name, lines, folder.path())));
    println!("cores\t{}", cores());
    let stolen = stolen_ms();
    let _inside = runtime.enter();
    for round in 0..arguments.count("rounds") {
        for turn in 0..2 {
            services[(round + turn) % 2].round(&arguments);
        }
    }
    println!("stolen_ms\t{}", stolen_ms() - stolen);
    let ratio = |figures: fn(&Served) -> &Vec<f64>| {
        let [off, on] = &services;
        median(figures(on).iter().zip(figures(off)).map(|(on, off)| on / off).collect())
    };
    println!("p99_on_over_off\t{:.2}", ratio(|service| &service.p99));
    println!("call_p99_on_over_off\t{:.2}", ratio(|service| &service.call_p99));
    let mut is_complete = true;
    for service in services {
        is_complete &= runtime.block_on(service.report());
    }
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Served {
    async fn new(name: &'static str, lines: bool, folder: &Path) -> Self {
        let path = folder.join(format!("{name}.db"));
        let store = SqliteStore::open(&path).await.unwrap();
        let builder = ApiKeys::builder(SqliteStore::open(&path).await.unwrap()).params(Argon2Params::MACHINE_SECRET);
        let keys = builder.access_log(lines).build().await.unwrap();
        let (actor, mut texts, mut asked) = (Actor::system("bench").unwrap(), Vec::new(), 0);
        for number in 0..KEYS {
            let issued = keys.manager().issue(IssueKey::user(UserId::from(number as u64)), &actor).await.unwrap();
            let text = issued.plaintext().expose_secret().to_owned();
            keys.authenticator().authenticate(&text).await.unwrap();
            asked += 1;
            texts.push(text);
        }
        let (latencies, p99, call_p99) = (Latencies::default(), Vec::new(), Vec::new());
        Self { name, keys, store, texts, asked, latencies, p99, call_p99 }
    }

    /// Sends requests at the rate for one round.
    fn round(&mut self, arguments: &Arguments) {
        let every = Duration::from_secs_f64(1.0 / arguments.number("rate"));
        let begun = Instant::now();
        let end = begun + arguments.duration("seconds");
        let (keys, texts) = (&self.keys, &self.texts);
        let lane = |number: u32| {
            let inner = service_fn(|_: Request<Empty<Bytes>>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let mut service = keys.layer().source(Source::new("api").unwrap()).layer(inner);
            let mut pace = Pace::new(begun + every * number, every * LANES);
            let (mut all, mut calls) = (Latencies::default(), Latencies::default());
            for text in texts.iter().cycle().skip(number as usize * 7) {
                let intended = pace.next();
                if intended >= end {
                    break;
                }
                let request = Request::get("/agents")
                    .header("host", "api.example.com")
                    .header("user-agent", "example-client/1.0")
                    .header("authorization", format!("Bearer {text}"));
                let request = request.body(Empty::new()).unwrap();
                let called = Instant::now();
                let response = service.call(request).now_or_never().unwrap().unwrap();
                calls.push(called.elapsed());
                all.push(intended.elapsed());
                assert_eq!(response.status(), 200);
            }
            (all, calls)
        };
        let lane = &lane;
        let runtime = tokio::runtime::Handle::current();
        let lanes: Vec<(Latencies, Latencies)> = thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES)
                .map(|number| {
                    let runtime = runtime.clone();
                    scope.spawn(move || {
                        let _inside = runtime.enter();
                        lane(number)
                    })
                })
                .collect();
            lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
        });
        let (mut all, mut calls) = (Latencies::default(), Latencies::default());
        for (of_lane, calls_of_lane) in lanes {
            all.extend(of_lane.nanoseconds().iter().copied());
            calls.extend(calls_of_lane.nanoseconds().iter().copied());
        }
        self.asked += all.nanoseconds().len() as u64;
        self.p99.push(all.quantile(0.99));
        self.call_p99.push(calls.quantile(0.99));
        self.latencies.extend(all.nanoseconds().iter().copied());
    }

    /// Prints the results. Returns whether each attempt is accounted for.
    async fn report(self) -> bool {
        self.keys.shutdown().await.unwrap();
        let (name, metrics) = (self.name, self.keys.authenticator().metrics());
        self.latencies.print(name);
        println!("{name}_p99_median_us\t{:.1}", median(self.p99));
        println!("{name}_call_p99_median_us\t{:.2}", median(self.call_p99));
        println!("{name}_attempts\t{}", self.asked);
        println!("{name}_lines_written\t{}", metrics.access_log_written);
        println!("{name}_lines_dropped\t{}", metrics.access_log_dropped);
        let (written, dropped) = in_trail(&self.store).await;
        println!("{name}_lines_in_the_trail\t{written}");
        println!("{name}_drops_told_in_the_trail\t{dropped}");
        let expected = if name == "on" { self.asked } else { 0 };
        written + dropped == expected && (written, dropped) == (metrics.access_log_written, metrics.access_log_dropped)
    }
}

/// The number of entries in the access log, and the number reported as missing.
async fn in_trail(store: &SqliteStore) -> (u64, u64) {
    let (mut written, mut dropped) = (0, 0);
    let mut query = EventQuery { attempts: true, limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
    loop {
        let page = store.events(&query).await.unwrap();
        for row in &page.rows {
            match row.action.as_str() {
                "attempt.accepted" => written += 1,
                "attempt.dropped" => {
                    let said: serde_json::Value = serde_json::from_str(row.after.as_deref().unwrap()).unwrap();
                    dropped += said["count"].as_u64().unwrap();
                }
                _ => {}
            }
        }
        query.after = page.rows.last().map(|row| row.sequence);
        if !page.more {
            return (written, dropped);
        }
    }
}
