//! Many first uses at once, compared with the obvious implementation: `cargo bench --bench cold_burst`.
//!
//! Both contenders check the same texts against the same standard Argon2id hashes. *Ours* is `ApiKeyLayer` with a wait
//! of 10 s. *Naive* runs the argon2 crate's `verify_password` under `spawn_blocking`, and caches what it has checked.
//! Each burst runs in its own process, so that memory peaks are separate; rounds alternate. During each burst, and
//! before it for comparison, one proved key is used at an even pace, measured from the intended start of each request.
//!
//! Prints one line for each figure: name, tab, figure. Exits with 1 if a burst did not cost exactly one run for each
//! key. Takes `--keys`, `--rate`, `--rounds`, `--seconds` (of the idle pace) with a number. The naive way takes up to
//! 19 MiB for each key of the burst: 5 GB for 256.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without keys there is nothing to measure"
)]

#[path = "cold_burst/contenders.rs"]
mod contenders;
mod traffic;

use std::{
    collections::BTreeMap,
    env,
    io::{Read, Write},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use contenders::{Check, naive, ours};
use futures_util::future::join_all;
use tower_api_keys::{
    KeyKind,
    hash::{Hasher, HasherConfig},
    key::KeyFormat,
};
use traffic::{Arguments, Latencies, Pace, allowed_kib, cores, median, resident_kib, stolen_ms};

/// The variable that is set in a contender's process.
const CONTENDER: &str = "TOWER_API_KEYS_BENCH_CONTENDER";

const DEFAULTS: [(&str, f64); 4] = [("keys", 256.0), ("rate", 1_000.0), ("rounds", 3.0), ("seconds", 1.0)];

fn main() -> ExitCode {
    let arguments = Arguments::read(&DEFAULTS);
    match env::var(CONTENDER) {
        Ok(name) => contend(&name, &arguments),
        Err(_) => compare(&arguments),
    }
}

/// A key and its hash, as passed between processes.
struct Hashed {
    text: String,
    phc: String,
    tag: [u8; 4],
}

impl Hashed {
    fn to_line(&self) -> String {
        format!("{} {} {}\n", self.text, self.phc, u32::from_be_bytes(self.tag))
    }

    fn from_line(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let tag = words[2].parse::<u32>().unwrap().to_be_bytes();
        Self { text: words[0].to_owned(), phc: words[1].to_owned(), tag }
    }

    fn id(&self) -> &str {
        &self.text[5..25]
    }
}

/// Runs the contenders in turn and prints the results.
fn compare(arguments: &Arguments) -> ExitCode {
    let burst = arguments.count("keys");
    // One more key, which is proved beforehand.
    let keys = runtime().block_on(hashed_keys(burst + 1));
    let input: String = keys.iter().map(Hashed::to_line).collect();
    let mut results: BTreeMap<&str, Vec<Figures>> = BTreeMap::new();
    for round in 0..arguments.count("rounds") {
        let order = if round % 2 == 0 { ["ours", "naive"] } else { ["naive", "ours"] };
        for name in order {
            results.entry(name).or_default().push(Figures::of(name, &input));
        }
    }
    let [ours, naive] = ["ours", "naive"].map(|name| &results[name]);
    let throughput = |figures: &Figures| burst as f64 / figures.one("burst_seconds");
    let ratios = ours.iter().zip(naive).map(|(ours, naive)| throughput(ours) / throughput(naive));
    println!("cores\t{}", cores());
    println!("keys\t{burst}");
    println!("ours_per_second\t{:.0}", median(ours.iter().map(throughput).collect()));
    println!("naive_per_second\t{:.0}", median(naive.iter().map(throughput).collect()));
    println!("ratio\t{:.2}", median(ratios.collect()));
    for (name, rounds) in [("ours", ours), ("naive", naive)] {
        let all = |field: &'static str| rounds.iter().flat_map(move |round| round.0[field].clone());
        let latencies = |field: &'static str| {
            let mut latencies = Latencies::default();
            latencies.extend(all(field));
            latencies
        };
        latencies("burst").print(&format!("{name}_burst"));
        latencies("warm_idle").print(&format!("{name}_warm_idle"));
        latencies("warm_beside").print(&format!("{name}_warm_beside_burst"));
        let slower = |round: &Figures| round.p99("warm_beside") / round.p99("warm_idle");
        println!("{name}_warm_p99_over_idle\t{:.2}", median(rounds.iter().map(slower).collect()));
        println!("{name}_stolen_ms\t{}", all("stolen_ms").sum::<u64>());
        println!("{name}_refused\t{}", all("refused").sum::<u64>());
        println!("{name}_idle_resident_kib\t{}", all("idle_kib").max().unwrap_or(0));
        println!("{name}_peak_resident_kib\t{}", all("peak_kib").max().unwrap_or(0));
    }
    println!(
        "allowed_resident_kib\t{}",
        ours.iter().map(|round| allowed_kib(round.0["idle_kib"][0])).min().unwrap_or(0)
    );
    let runs: Vec<u64> = ours.iter().map(|round| round.0["argon2_runs"][0]).collect();
    let wrong = runs.iter().find(|runs| **runs != burst as u64);
    println!("argon2_runs\t{}", wrong.unwrap_or(&runs[0]));
    if wrong.is_some() {
        eprintln!("{burst} keys used for the first time must cost as many runs, and cost {runs:?} in the rounds");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

async fn hashed_keys(count: usize) -> Vec<Hashed> {
    let (format, hasher) = (KeyFormat::unbranded(), Hasher::new(HasherConfig::new()).unwrap());
    let mut keys = Vec::new();
    while keys.len() < count {
        // Few enough that none is refused.
        let batch = (0..cores().min(8).min(count - keys.len())).map(|_| async {
            let text = format.generate(KeyKind::Team).unwrap().expose_secret().to_owned();
            // On a busy machine a hash may not be computed in time.
            let hash = loop {
                match hasher.hash(&text).await {
                    Ok(hash) => break hash,
                    Err(error) => assert!(error.retry_after().is_some(), "no key could be made: {error}"),
                }
            };
            Hashed { text, phc: hash.phc().to_owned(), tag: hash.tag().to_bytes() }
        });
        keys.extend(join_all(batch).await);
    }
    keys
}

/// The output of a contender: a name, a tab, numbers.
struct Figures(BTreeMap<String, Vec<u64>>);

impl Figures {
    /// Runs a contender in a process of its own.
    fn of(name: &str, input: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(env::args_os().skip(1)).env(CONTENDER, name);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the contender `{name}` failed");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        let numbers = |values: &str| values.split_whitespace().map(|value| value.parse().unwrap()).collect();
        Self(lines.map(|(name, values)| (name.to_owned(), numbers(values))).collect())
    }

    fn one(&self, field: &str) -> f64 {
        self.0[field][0] as f64 / 1e9
    }

    fn p99(&self, field: &str) -> f64 {
        let mut latencies = Latencies::default();
        latencies.extend(self.0[field].iter().copied());
        latencies.quantile(0.99)
    }
}

/// One burst, in this process.
fn contend(name: &str, arguments: &Arguments) -> ExitCode {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let keys: Vec<Hashed> = input.lines().map(Hashed::from_line).collect();
    let runtime = runtime();
    let contender = if name == "ours" { runtime.block_on(ours(&keys)) } else { naive(&keys) };
    let check = contender.check;
    // Measured before the first hash, so without the memory of a hashing thread.
    let idle_kib = resident_kib("VmRSS");
    let warm = keys[0].text.clone();
    assert!(runtime.block_on(check(warm.clone())), "the warm key is not accepted");
    let runs_before = (contender.runs)();

    let every = Duration::from_secs_f64(1.0 / arguments.number("rate"));
    let traffic = WarmTraffic::start(runtime.handle(), &check, &warm, every);
    thread::sleep(arguments.duration("seconds"));
    let warm_idle = traffic.end();

    let traffic = WarmTraffic::start(runtime.handle(), &check, &warm, every);
    let stolen_before = stolen_ms();
    let (burst, elapsed, refused) = runtime.block_on(burst(&check, &keys[1..]));
    let stolen_ms = stolen_ms() - stolen_before;
    let warm_beside = traffic.end();

    // A key that was told to try again has left its run in the queue.
    let (asked, give_up) = (keys.len() as u64 - 1, Instant::now() + Duration::from_secs(60));
    while (contender.runs)() - runs_before < asked && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(10));
    }
    let figures = [
        ("burst", burst.nanoseconds()),
        ("burst_seconds", &[elapsed.as_nanos() as u64]),
        ("warm_idle", warm_idle.nanoseconds()),
        ("warm_beside", warm_beside.nanoseconds()),
        ("refused", &[refused]),
        ("stolen_ms", &[stolen_ms]),
        ("idle_kib", &[idle_kib]),
        ("peak_kib", &[resident_kib("VmHWM")]),
        ("argon2_runs", &[(contender.runs)() - runs_before]),
    ];
    for (name, numbers) in figures {
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        println!("{name}\t{}", numbers.join(" "));
    }
    ExitCode::SUCCESS
}

/// Uses all keys at once, measured from one moment. Returns the latencies, the total time, and the number of refusals.
async fn burst(check: &Check, keys: &[Hashed]) -> (Latencies, Duration, u64) {
    let begun = Instant::now();
    let checks = keys.iter().map(|key| {
        let check = check(key.text.clone());
        tokio::spawn(async move { (check.await, begun.elapsed()) })
    });
    let (mut latencies, mut refused) = (Latencies::default(), 0);
    for answer in join_all(checks).await {
        let (accepted, latency) = answer.unwrap();
        refused += u64::from(!accepted);
        latencies.push(latency);
    }
    (latencies, begun.elapsed(), refused)
}

/// A proved key that is used at an even pace, on the runtime's own workers.
struct WarmTraffic {
    goes_on: Arc<AtomicBool>,
    pacer: thread::JoinHandle<()>,
    latencies: Arc<Mutex<Latencies>>,
}

impl WarmTraffic {
    fn start(runtime: &tokio::runtime::Handle, check: &Check, key: &str, every: Duration) -> Self {
        let (goes_on, latencies) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Latencies>>::default());
        let pacer = {
            let (runtime, check, key) = (runtime.clone(), check.clone(), key.to_owned());
            let (goes_on, latencies) = (goes_on.clone(), latencies.clone());
            thread::spawn(move || {
                let mut pace = Pace::new(Instant::now(), every);
                while goes_on.load(Ordering::Relaxed) {
                    let (intended, check, latencies) = (pace.next(), check(key.clone()), latencies.clone());
                    runtime.spawn(async move {
                        assert!(check.await, "the warm key is not accepted");
                        latencies.lock().unwrap().push(intended.elapsed());
                    });
                }
            })
        };
        Self { goes_on, pacer, latencies }
    }

    fn end(self) -> Latencies {
        self.goes_on.store(false, Ordering::Relaxed);
        self.pacer.join().unwrap();
        // The last requests end within this time, or are not counted.
        thread::sleep(Duration::from_millis(50));
        self.latencies.lock().unwrap().clone()
    }
}
