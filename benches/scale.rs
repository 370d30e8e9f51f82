//! The cost of a check, and the memory of a key, for growing numbers of keys: `cargo bench --bench scale`.
//!
//! Prints a tab-separated table, and draws it in `docs/scale.svg`. It takes a few minutes, nearly all of them for
//! issuing and proving a million keys. `cargo bench --bench scale -- --most 100000` stops at that number and draws
//! nothing.
//!
//! Keys belong to teams with ten keys each, and have names of 16 characters. Their hashes have the machine-secret
//! profile: a hundred thousand standard hashes would take 21 minutes of a core. A later use costs the same under every
//! profile, but a first use does not.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without a key there is nothing to measure"
)]

#[path = "scale/plot.rs"]
mod plot;

use std::{fs, hint::black_box, ops::Range, path::Path, str, sync::Arc, time::Duration, time::Instant};

use futures_util::{FutureExt, StreamExt, stream};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId,
    hash::{Argon2Params, HasherConfig},
    store::MemoryStore,
};

const SIZES: [usize; 4] = [1, 1_000, 100_000, 1_000_000];

/// The number of rounds. They are interleaved, so that a noisy machine disturbs all sizes equally. The median is
/// printed.
const ROUNDS: usize = 51;

/// The number of checks in each round, of keys picked at random.
const CHECKS: usize = 2_000;

/// The number of first uses for each size, one after the other.
const FIRST_USES: usize = 400;

/// Keys that are issued and proved before memory is measured, so that threads and their memory exist already.
const BEFORE_MEASURING: usize = 64;

/// Keys that are issued at a time: no more than may wait.
const AT_A_TIME: usize = 16;

const KEYS_OF_A_TEAM: usize = 10;

/// The length of an unbranded key.
const TEXT_LENGTH: usize = 74;

/// A number of keys, all in the same store and all proved.
struct Population {
    keys: ApiKeys<Arc<MemoryStore>>,
    maker: ApiKeys<Arc<MemoryStore>>,
    texts: Vec<[u8; TEXT_LENGTH]>,
    issued: usize,
    random: Random,
    /// The growth of resident memory for each key; none if there are too few keys to measure it.
    store_bytes: Option<f64>,
    proof_bytes: Option<f64>,
    warm_ns: Vec<f64>,
    cold_us: Vec<f64>,
}

impl Population {
    async fn new(size: usize) -> Self {
        let wait = Duration::from_secs(60);
        let hasher = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_check_wait(wait);
        // Usage is not flushed: in this store it would count as memory of proofs.
        let day = Duration::from_secs(86_400);
        let store = Arc::new(MemoryStore::new());
        // A node caches the keys that it creates, so another one creates them.
        let maker =
            ApiKeys::builder(Arc::clone(&store)).hasher(hasher.clone()).cache_capacity(1).build().await.unwrap();
        let builder = ApiKeys::builder(store).hasher(hasher).max_concurrent_lookups(64, wait).usage_interval(day);
        let keys = builder.cache_capacity(2_000_000).build().await.unwrap();
        let mut population = Self {
            keys,
            maker,
            // Filled, so that all of it is resident from the start.
            texts: vec![[b'-'; TEXT_LENGTH]; size],
            issued: 0,
            random: Random(0x9e37_79b9_7f4a_7c15),
            store_bytes: None,
            proof_bytes: None,
            warm_ns: Vec::new(),
            cold_us: Vec::new(),
        };
        let before = BEFORE_MEASURING.min(size);
        population.issue(before).await;
        population.prove(0..before).await;
        let rest = before..size;
        if !rest.is_empty() {
            let empty = resident_bytes();
            population.issue(rest.len()).await;
            let stored = resident_bytes();
            population.prove(rest.clone()).await;
            let proved = resident_bytes();
            let of_each =
                |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?) as f64 / rest.len() as f64);
            population.store_bytes = of_each(empty, stored);
            population.proof_bytes = of_each(stored, proved);
        }
        population
    }

    async fn issue(&mut self, count: usize) {
        let (manager, actor) = (self.maker.manager(), Actor::system("bench").unwrap());
        let request = |number: usize| {
            IssueKey::team(TeamId::from((number / KEYS_OF_A_TEAM) as u64)).named(format!("CI deploy {number:06}"))
        };
        let requests = (self.issued..self.issued + count).map(request);
        let mut issued =
            stream::iter(requests).map(|request| manager.issue(request, &actor)).buffer_unordered(AT_A_TIME);
        while let Some(key) = issued.next().await {
            let key = key.unwrap().into_plaintext();
            self.texts[self.issued].copy_from_slice(key.expose_secret().as_bytes());
            self.issued += 1;
        }
    }

    async fn prove(&self, range: Range<usize>) {
        let authenticator = self.keys.authenticator();
        let checks = range.map(|number| authenticator.authenticate(self.text(number)));
        stream::iter(checks).buffer_unordered(AT_A_TIME).for_each(|proved| async { drop(proved.unwrap()) }).await;
    }

    fn text(&self, number: usize) -> &str {
        str::from_utf8(&self.texts[number]).unwrap()
    }

    fn any_text(&mut self) -> String {
        let number = self.random.below(self.texts.len());
        self.text(number).to_owned()
    }

    fn measure_warm(&mut self) {
        // A request brings its own text, so the texts are copied from a list that is too large for a processor cache.
        let texts: Vec<String> = (0..CHECKS).map(|_| self.any_text()).collect();
        let authenticator = self.keys.authenticator();
        let mut accepted = 0;
        let start = Instant::now();
        for text in &texts {
            accepted += usize::from(matches!(black_box(authenticator.authenticate(text).now_or_never()), Some(Ok(_))));
        }
        self.warm_ns.push(start.elapsed().as_nanos() as f64 / CHECKS as f64);
        assert_eq!(accepted, CHECKS, "a key was not remembered, or had to wait");
    }

    async fn measure_cold(&mut self) {
        let text = self.any_text();
        let authenticator = self.keys.authenticator();
        authenticator.forget_proofs();
        let start = Instant::now();
        authenticator.authenticate(&text).await.unwrap();
        self.cold_us.push(start.elapsed().as_nanos() as f64 / 1_000.0);
    }

    fn row(mut self) -> plot::Row {
        plot::Row {
            keys: self.texts.len(),
            warm_ns: median(&mut self.warm_ns),
            cold_us: median(&mut self.cold_us),
            proof_bytes: self.proof_bytes,
            store_bytes: self.store_bytes,
        }
    }
}

fn main() {
    let most = most();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(measure(most));

    println!("keys\twarm_ns\tcold_us\tbytes_per_remembered_key\tstore_bytes_per_key");
    for row in &rows {
        let bytes = |bytes: Option<f64>| bytes.map_or("-".to_owned(), |bytes| format!("{bytes:.0}"));
        let (proof, store) = (bytes(row.proof_bytes), bytes(row.store_bytes));
        println!("{}\t{:.0}\t{:.0}\t{proof}\t{store}", row.keys, row.warm_ns, row.cold_us);
    }
    if rows.len() < SIZES.len() {
        return;
    }
    let svg = plot::draw(&rows, &machine());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("scale.svg.md"), plot::link_definition(&svg)).unwrap();
    fs::write(docs.join("scale.svg"), svg).unwrap();
    eprintln!("drawn in docs/scale.svg");
}

async fn measure(most: usize) -> Vec<plot::Row> {
    let mut populations = Vec::new();
    for size in SIZES.into_iter().filter(|size| *size <= most) {
        let start = Instant::now();
        populations.push(Population::new(size).await);
        eprintln!("{size} keys issued and proved in {:.1} s", start.elapsed().as_secs_f64());
    }
    for _ in 0..ROUNDS {
        populations.iter_mut().for_each(Population::measure_warm);
    }
    for _ in 0..FIRST_USES {
        for population in &mut populations {
            population.measure_cold().await;
        }
    }
    populations.into_iter().map(Population::row).collect()
}

/// The value after `--most`. Other arguments are cargo's.
fn most() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--most").skip(1);
    arguments.next().map_or(usize::MAX, |number| number.parse().unwrap_or_else(|_| panic!("--most wants a number")))
}

/// The resident memory of this process; None if the system does not report it.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{cores}-core {}", model.map_or("machine", |(_, model)| model))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers that are the same in each run, without a pattern that a processor could predict (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
}
