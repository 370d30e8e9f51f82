//! A check of a key by this crate and by the alternatives that a user could pick, in one process, in rounds that take
//! turns. Prints one line for each: name, tab, median in nanoseconds. Lines that begin with `# ` go to stderr.
//!
//! | line | is one call of |
//! |---|---|
//! | `bare_ns` | the service alone: a request with six headers, an empty answer |
//! | `floor_ns` | that service inside of the minimum that any layer with these promises must do: a measure, not a contender |
//! | `floor_overhead_ns` | the same, minus the bare service in the same round |
//! | `tower_http_static_ns` | that service inside of tower-http's layers: one header text compared, an extension inserted |
//! | `prefixed_api_key_ns` | `prefixed-api-key`: parse and check one SHA-256; no look-up, no middleware |
//! | `api_keys_simplified_ns` | `api-keys-simplified`: verify one Argon2id hash; no look-up, no middleware |
//! | `tollgate_ns` | `tollgate-auth`: a text looked up by its HMAC among 1,000; no middleware |
//! | `modo_ns` | that service inside of `modo-rs`'s `ApiKeyLayer`: SHA-256, 1,000 keys in a hash map |
//! | `warm_ns` | that service inside of our `ApiKeyLayer`: 1,000 keys, usage and sources counted |
//! | `warm_overhead_ns` | the same, minus the bare service in the same round |
//! | `warm_over_floor` | `warm_overhead_ns` divided by `floor_overhead_ns` of the same round; not nanoseconds |
//! | `check_ns` | our `Authenticator` alone, 1,000 keys |
//! | `check_networks_ns` | the same with an address, for keys of four networks, of which the last one has it |
//! | `networks_ns` | the same, minus `check_ns` in the same round |
//! | `warm_overhead_100k_ns` | as `warm_overhead_ns`, with 100,000 keys in random order |
//! | `malformed_ns` | our `Authenticator` refusing a text with an unknown prefix |
//! | `malformed_over_floor` | `malformed_ns` divided by `floor_overhead_ns` of the same round; not nanoseconds |
//! | `wrong_secret_cached_ns` | the same, refusing a wrong secret for an id in its cache |
//! | `wrong_secret_uncached_ns` | the same, for an id that is only in the store |
//! | `cold_ns` | the first use of a key, with the default hash |
//! | `second_source_overhead_ns` | as `warm_overhead_ns`, with keys that were first used from another source |
//! | `x_api_key_overhead_ns` | as `warm_overhead_ns`, with the key in `x-api-key` |
//! | `bare_2_threads_ratio` | the service alone: requests a second of two threads, divided by those of one; not nanoseconds |
//! | `warm_2_threads_ratio` | the same with our layer around it; on a busy machine, compare it with the line before |
//!
//! Every contender with a layer is measured around the same service, with the same kind of requests and with keys in
//! random order, so `bare_ns` can be subtracted from each of them. Requests are built outside of the measured time.
//! Futures are polled once, within a runtime that has nothing else to do. Only a wrong secret for an id outside of the
//! cache and a first use have to wait, and so run on that runtime. Every call is verified to do what is measured: a
//! refused one would look fast.

use std::{convert::Infallible, fs, hint::black_box, num::NonZero, sync::Arc, thread, time::Instant};

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use peers::{
    floor::{Floor, Known},
    measure::{BATCH, Rounds, timed, timed_batches, timed_once},
    ours::{OFFICE, Ours, with_another_prefix, with_another_secret},
    peers::{Modo, Prefixed, Simplified, Tollgate, tower_http_static},
    requests::{Turns, answers, bare, request},
    threads::two_over_one,
};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, service_fn};
use tower_api_keys::{
    Authenticator, Networks, Principal,
    auth::{AuthError, AuthErrorKind},
    hash::Argon2Params,
    key::MalformedReason,
};

const KEYS: usize = 1_000;
const MANY_KEYS: usize = 100_000;

/// The numbers of rounds: for calls of microseconds at most, for calls of milliseconds, and for those that start
/// threads.
const ROUNDS: usize = 301;
const SLOW_ROUNDS: usize = 25;
const THREAD_ROUNDS: usize = 25;

const LINES: [&str; 24] = [
    "bare_ns",
    "floor_ns",
    "floor_overhead_ns",
    "tower_http_static_ns",
    "prefixed_api_key_ns",
    "api_keys_simplified_ns",
    "tollgate_ns",
    "modo_ns",
    "warm_ns",
    "warm_overhead_ns",
    "warm_over_floor",
    "check_ns",
    "check_networks_ns",
    "networks_ns",
    "warm_overhead_100k_ns",
    "malformed_ns",
    "malformed_over_floor",
    "wrong_secret_cached_ns",
    "wrong_secret_uncached_ns",
    "cold_ns",
    "second_source_overhead_ns",
    "x_api_key_overhead_ns",
    "bare_2_threads_ratio",
    "warm_2_threads_ratio",
];

fn main() {
    let begun = Instant::now();
    keep_memory();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _within = runtime.enter();
    let contenders = Contenders::filled(&runtime);
    eprintln!("# {}, filled after {:.1} s", machine(), begun.elapsed().as_secs_f64());

    let (quick, slow, threads) = (contenders.quick(&runtime), contenders.slow(&runtime), contenders.threads());
    for line in LINES {
        match line {
            "api_keys_simplified_ns" | "cold_ns" => println!("{line}\t{:.0}", slow.median(line)),
            "floor_overhead_ns" => println!("{line}\t{:.0}", quick.median_over("floor_ns", "bare_ns")),
            "warm_over_floor" => {
                println!("{line}\t{:.2}", quick.median_of(["warm_ns", "floor_ns", "bare_ns"], over_floor))
            }
            "malformed_over_floor" => {
                let ratio = |[malformed, floor, bare]: [f64; 3]| malformed / (floor - bare);
                println!("{line}\t{:.2}", quick.median_of(["malformed_ns", "floor_ns", "bare_ns"], ratio));
            }
            "networks_ns" => println!("{line}\t{:.0}", quick.median_over("check_networks_ns", "check_ns")),
            "warm_overhead_ns" => println!("{line}\t{:.0}", quick.median_over("warm_ns", "bare_ns")),
            "warm_overhead_100k_ns" => println!("{line}\t{:.0}", quick.median_over("warm_100k_ns", "bare_ns")),
            "bare_2_threads_ratio" | "warm_2_threads_ratio" => println!("{line}\t{:.2}", threads.median(line)),
            "second_source_overhead_ns" => println!("{line}\t{:.0}", quick.median_over("second_source_ns", "bare_ns")),
            "x_api_key_overhead_ns" => println!("{line}\t{:.0}", quick.median_over("x_api_key_ns", "bare_ns")),
            _ => println!("{line}\t{:.0}", quick.median(line)),
        }
    }
    eprintln!("# {ROUNDS}, {SLOW_ROUNDS} and {THREAD_ROUNDS} rounds in {:.1} s", begun.elapsed().as_secs_f64());
}

/// The cost of a layer divided by that of the floor, both minus the service alone.
fn over_floor([layer, floor, bare]: [f64; 3]) -> f64 {
    (layer - bare) / (floor - bare)
}

/// Makes glibc keep the memory that is freed between batches, as in a service that is never idle. Once glibc has seen a
/// large piece freed, it returns no smaller piece to the kernel, which would stop all threads for that.
fn keep_memory() {
    drop(black_box(Vec::<u8>::with_capacity(16 << 20)));
}

struct Contenders {
    prefixed: Prefixed,
    simplified: Simplified,
    tollgate: Tollgate,
    modo: Modo,
    /// Keys that requests have used.
    warm: Ours,
    /// Keys that were used without a request, so all requests come from a second source.
    checked: Ours,
    /// Keys that may be used only from four networks, and were used without a request.
    listed: Ours,
    malformed: Vec<String>,
    wrong_cached: Vec<String>,
    warm_100k: Ours,
    /// Keys that were never used, so they are only in the store.
    unused: Ours,
    wrong_uncached: Vec<String>,
    cold: Ours,
}

impl Contenders {
    fn filled(runtime: &Runtime) -> Self {
        let cheap = Argon2Params::MACHINE_SECRET;
        runtime.block_on(async {
            let warm = Ours::issued(KEYS, cheap, 100_000).await.requested().await;
            let checked = Ours::issued(KEYS, cheap, 100_000).await.used().await;
            let networks = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];
            let networks = Networks::new(networks).expect("networks");
            let unused = Ours::issued(KEYS, cheap, 100_000).await;
            Self {
                prefixed: Prefixed::new(),
                simplified: Simplified::new(),
                tollgate: Tollgate::of(&warm.texts),
                modo: Modo::filled(KEYS).await,
                malformed: warm.texts.iter().map(|text| with_another_prefix(text)).collect(),
                wrong_cached: checked.texts.iter().map(|text| with_another_secret(text)).collect(),
                warm,
                checked,
                listed: Ours::listed(KEYS, cheap, 100_000, &networks).await.used().await,
                warm_100k: Ours::issued(MANY_KEYS, cheap, 2 * MANY_KEYS).await.requested().await,
                wrong_uncached: unused.texts.iter().map(|text| with_another_secret(text)).collect(),
                unused,
                cold: Ours::issued(1, Argon2Params::STANDARD, 100_000).await,
            }
        })
    }

    fn quick<'a>(&'a self, runtime: &'a Runtime) -> Rounds<'a> {
        let mut rounds = Rounds::default();
        self.add_services(&mut rounds);
        self.add_checks(&mut rounds, runtime);
        let checkers = [&self.warm, &self.checked, &self.unused].map(|ours| ours.keys.authenticator());
        let runs = || checkers.each_ref().map(Authenticator::argon2_runs);
        let runs_before = runs();
        rounds.run(ROUNDS);
        assert_eq!(runs(), runs_before, "neither a remembered key nor a wrong secret runs Argon2id");
        rounds
    }

    fn add_services<'a>(&'a self, rounds: &mut Rounds<'a>) {
        let keys = &self.warm.texts;
        add_service(rounds, "bare_ns", bare(), bearer(keys));
        add_service(rounds, "floor_ns", Floor::new(bare(), Arc::new(Known::of(keys))), bearer(keys));

        let only = format!("Bearer {}", keys[0]);
        let mut service = tower_http_static(HeaderValue::from_str(&only).expect("a key is printable")).layer(bare());
        assert!(answers(&mut service, request(AUTHORIZATION, "Bearer nobody's"), StatusCode::UNAUTHORIZED));
        add_service(rounds, "tower_http_static_ns", service, bearer(&keys[..1]));

        let mut service = self.modo.layer().layer(bare());
        assert!(answers(&mut service, request(AUTHORIZATION, "Bearer nobody's"), StatusCode::UNAUTHORIZED));
        add_service(rounds, "modo_ns", service, bearer(&self.modo.texts));

        let layer = self.warm.keys.layer();
        assert!(answers(&mut layer.layer(service_fn(promises)), request(AUTHORIZATION, &only), StatusCode::OK));
        add_service(rounds, "warm_ns", layer.layer(bare()), bearer(keys));
        let mut turns = Turns::of(keys);
        add_service(rounds, "x_api_key_ns", layer.layer(bare()), move || turns.x_api_key(BATCH));
        add_service(rounds, "second_source_ns", self.checked.keys.layer().layer(bare()), bearer(&self.checked.texts));
        let (service, many) = (self.warm_100k.keys.layer().layer(bare()), &self.warm_100k.texts);
        add_service(rounds, "warm_100k_ns", service, bearer(many));
    }

    fn add_checks<'a>(&'a self, rounds: &mut Rounds<'a>, runtime: &'a Runtime) {
        rounds.add("prefixed_api_key_ns", || {
            timed(|| vec![&*self.prefixed.text; BATCH], |text| self.prefixed.check(text))
        });
        add_check(rounds, "tollgate_ns", &self.warm.texts, |text| self.tollgate.check(text));

        let checked = self.checked.keys.authenticator();
        let check = |kind| {
            let checked = checked.clone();
            move |text: &str| checked.authenticate(text).now_or_never().is_some_and(|result| ended(&result, kind))
        };
        add_check(rounds, "check_ns", &self.checked.texts, check(None));
        let listed = self.listed.keys.authenticator();
        add_check(rounds, "check_networks_ns", &self.listed.texts, move |text| {
            listed.authenticate_from(text, OFFICE).now_or_never().is_some_and(|result| ended(&result, None))
        });
        let malformed = AuthErrorKind::Malformed(MalformedReason::UnknownPrefix);
        add_check(rounds, "malformed_ns", &self.malformed, check(Some(malformed)));
        add_check(rounds, "wrong_secret_cached_ns", &self.wrong_cached, check(Some(AuthErrorKind::Invalid)));

        let (unused, mut turns) = (self.unused.keys.authenticator(), Turns::of(&self.wrong_uncached));
        let refused = async move |texts: Vec<&str>| {
            let mut refused = 0;
            for text in texts {
                refused += usize::from(ended(&unused.authenticate(text).await, Some(AuthErrorKind::Invalid)));
            }
            refused
        };
        rounds.add("wrong_secret_uncached_ns", move || {
            timed_batches(|| turns.batch(), |texts| runtime.block_on(refused(texts)))
        });
    }

    fn slow<'a>(&'a self, runtime: &'a Runtime) -> Rounds<'a> {
        let (mut rounds, cold) = (Rounds::default(), self.cold.keys.authenticator());
        rounds.add("api_keys_simplified_ns", || timed_once(|| self.simplified.check()));
        rounds.add("cold_ns", move || {
            cold.forget_proofs();
            timed_once(|| runtime.block_on(cold.authenticate(&self.cold.texts[0])).is_ok())
        });
        rounds.run(SLOW_ROUNDS);
        rounds
    }

    fn threads(&self) -> Rounds<'_> {
        let (mut rounds, layer) = (Rounds::default(), self.warm.keys.layer());
        rounds.add("bare_2_threads_ratio", || two_over_one(bare, &self.warm.texts));
        rounds.add("warm_2_threads_ratio", move || two_over_one(|| layer.layer(bare()), &self.warm.texts));
        rounds.run(THREAD_ROUNDS);
        rounds
    }
}

fn bearer(texts: &[String]) -> impl FnMut() -> Vec<Request<Body>> {
    let mut turns = Turns::of(texts);
    move || turns.bearer(BATCH)
}

fn add_service<'a, S, B>(
    rounds: &mut Rounds<'a>,
    name: &'static str,
    mut service: S,
    mut requests: impl FnMut() -> Vec<Request<Body>> + 'a,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + 'a,
{
    rounds.add(name, move || timed(&mut requests, |request| answers(&mut service, request, StatusCode::OK)));
}

fn add_check<'a>(rounds: &mut Rounds<'a>, name: &'static str, texts: &'a [String], check: impl Fn(&str) -> bool + 'a) {
    let mut turns = Turns::of(texts);
    rounds.add(name, move || timed(|| turns.batch(), &check));
}

/// Whether a check ended as expected: refused for this reason, or accepted if there is none.
fn ended(result: &Result<Principal, AuthError>, refused: Option<AuthErrorKind>) -> bool {
    result.as_ref().err().map(AuthError::kind) == refused
}

/// A service that checks that the layer around it does what is measured.
async fn promises(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let kept = request.extensions().get::<Principal>().is_some() && !request.headers().contains_key(AUTHORIZATION);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = if kept { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Ok(response)
}

/// The processor and its number of cores.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, NonZero::get);
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{}, cores: {cores}", model.map_or("a processor that does not say its name", |(_, name)| name))
}
