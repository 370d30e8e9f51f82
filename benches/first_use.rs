//! First uses of keys on a machine without a free core: `cargo bench --bench first_use`.
//!
//! Starts twice as many processes of normal priority as there are cores. They only compute. Meanwhile it uses `--keys`
//! keys for the first time, one after another, on a node with default settings that did not create them: each costs a
//! standard run of Argon2id. Then it creates `--fresh` keys on that node and uses each at once, as a person does who
//! tries out a new key. Finally, without the processes, `--issuing` tasks of one user create keys without end while
//! `--fresh` keys are used for the first time.
//!
//! Prints one line for each figure: name, tab, figure. Exits with 1 if a first use was refused or took 5 s. `--loops`
//! is the number of computing processes for each core, at least one in total.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without keys there is nothing to measure"
)]

#[allow(dead_code, reason = "it needs less of it than others do")]
mod traffic;

use std::{
    env,
    io::Read,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, TeamId, UserId, hash::HasherConfig, key::PlaintextKey, manage::Rights, store::MemoryStore,
};
use traffic::{Arguments, Latencies, cores};

/// The variable that is set in a computing process.
const LOOP: &str = "TOWER_API_KEYS_BENCH_LOOP";

const DEFAULTS: [(&str, f64); 4] = [("fresh", 20.0), ("issuing", 64.0), ("keys", 100.0), ("loops", 2.0)];

/// The time limit for the answer to a first use.
const LIMIT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let arguments = Arguments::read(&DEFAULTS);
    if env::var_os(LOOP).is_some() {
        return compute();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&arguments))
}

type Keys = ApiKeys<Arc<MemoryStore>>;

async fn measure(arguments: &Arguments) -> ExitCode {
    let store = Arc::new(MemoryStore::new());
    let elsewhere = ApiKeys::new(Arc::clone(&store)).unwrap();
    let mut keys = Vec::new();
    for _ in 0..arguments.count("keys") {
        keys.push(issue(&elsewhere).await);
    }
    drop(elsewhere);
    let busy = Busy::start((arguments.number("loops") * cores() as f64).ceil() as usize);
    println!("cores\t{}", cores());
    println!("busy_loops\t{}", busy.0.len());

    let node = ApiKeys::builder(Arc::clone(&store)).hasher(HasherConfig::new()).build().await.unwrap();
    let mut first_uses = Uses::default();
    for key in &keys {
        first_uses.of(&node, key).await;
    }
    first_uses.print("first_use");
    let runs = node.authenticator().argon2_runs();
    println!("first_use_argon2_runs\t{runs}");

    let (mut making, mut fresh) = (Latencies::default(), Uses::default());
    for _ in 0..arguments.count("fresh") {
        let begun = Instant::now();
        let key = issue(&node).await;
        making.push(begun.elapsed());
        fresh.of(&node, &key).await;
    }
    println!("issue_slowest_ms\t{:.0}", making.quantile(1.0) / 1e3);
    fresh.print("use_after_issue");
    println!("issue_and_use_argon2_runs\t{}", node.authenticator().argon2_runs() - runs);
    drop(busy);
    let beside = beside_issuing(&node, keys.iter().take(arguments.count("fresh")), arguments.count("issuing")).await;
    if [&first_uses, &fresh, &beside].iter().all(|uses| uses.are_in_time()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn beside_issuing(node: &Keys, keys: impl Iterator<Item = &PlaintextKey>, tasks: usize) -> Uses {
    node.authenticator().forget_proofs();
    let made = Arc::new(AtomicU64::new(0));
    let mut issuing = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let (manager, made) = (node.manager(), Arc::clone(&made));
        issuing.spawn(async move {
            let user = UserId::new("mallory").unwrap();
            let mallory = Actor::user(user.clone(), Rights::none());
            loop {
                match manager.issue(IssueKey::user(user.clone()), &mallory).await {
                    Ok(_) => drop(made.fetch_add(1, Ordering::Relaxed)),
                    // The client is told to try again, and does so at once.
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        });
    }
    let mut uses = Uses::default();
    for key in keys {
        uses.of(node, key).await;
    }
    uses.print("beside_issuing");
    println!("beside_issuing_keys_made\t{}", made.load(Ordering::Relaxed));
    uses
}

async fn issue(keys: &Keys) -> PlaintextKey {
    let request = IssueKey::team(TeamId::new("blue").unwrap());
    loop {
        match keys.manager().issue(request.clone(), &Actor::system("bench").unwrap()).await {
            Ok(issued) => return issued.into_plaintext(),
            Err(error) => eprintln!("a key was not made: {error}"),
        }
    }
}

#[derive(Default)]
struct Uses {
    latencies: Latencies,
    in_time: usize,
    refused: usize,
}

impl Uses {
    async fn of(&mut self, keys: &Keys, key: &PlaintextKey) {
        let begun = Instant::now();
        let answer = keys.authenticator().authenticate(key.expose_secret()).await;
        let latency = begun.elapsed();
        if let Err(error) = &answer {
            self.refused += 1;
            eprintln!("refused after {latency:?}: {error}");
        }
        self.in_time += usize::from(answer.is_ok() && latency < LIMIT);
        self.latencies.push(latency);
    }

    fn are_in_time(&self) -> bool {
        self.in_time == self.latencies.nanoseconds().len()
    }

    fn print(&self, name: &str) {
        println!("{name}_answered_in_time\t{} of {}", self.in_time, self.latencies.nanoseconds().len());
        println!("{name}_refused\t{}", self.refused);
        println!("{name}_median_ms\t{:.1}", self.latencies.quantile(0.5) / 1e3);
        println!("{name}_slowest_ms\t{:.1}", self.latencies.quantile(1.0) / 1e3);
    }
}

/// Processes that compute until this is dropped or this process ends in any way: their standard input then ends.
struct Busy(Vec<(Child, Option<ChildStdin>)>);

impl Busy {
    fn start(count: usize) -> Self {
        let start = |_| {
            let mut command = Command::new(env::current_exe().unwrap());
            let mut child = command.env(LOOP, "1").stdin(Stdio::piped()).spawn().unwrap();
            let input = child.stdin.take();
            (child, input)
        };
        Self((0..count.max(1)).map(start).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for (child, input) in &mut self.0 {
            drop(input.take());
            let _ = child.wait();
        }
    }
}

fn compute() -> ExitCode {
    let ends = Arc::new(AtomicBool::new(false));
    let reader = Arc::clone(&ends);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        reader.store(true, Ordering::Relaxed);
    });
    while !ends.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
    ExitCode::SUCCESS
}
