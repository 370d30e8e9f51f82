//! Measures this machine: hashes a second under each Argon2 profile, checks of known keys a second, and how long a
//! restarted node takes until it knows every key again. Use it to size a deployment before you build it.
//!
//! ```text
//! cargo run --release --example throughput
//! ```
//!
//! It takes less than 30 seconds. With `-- --quick` it takes less than one, and the numbers are rough. Hashing runs at
//! low priority, as in a service. So on a busy machine it measures only what other programs leave.

use std::{
    env,
    error::Error,
    io::{Write, stdout},
    iter,
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tower_api_keys::{
    Actor, ApiKeys, Authenticator, IssueKey, UserId,
    hash::{Argon2Params, Hasher, HasherConfig, KeyHash, VerifyError, VerifyErrorKind},
    store::{Ledger, MemoryStore},
};

const PROFILES: [(&str, Argon2Params); 3] = [
    ("STANDARD", Argon2Params::STANDARD),
    ("LOW_MEMORY", Argon2Params::LOW_MEMORY),
    ("MACHINE_SECRET", Argon2Params::MACHINE_SECRET),
];

/// The numbers of live keys for which the restart of a node is estimated.
const LIVE_KEYS: [u32; 3] = [1_000, 10_000, 100_000];

/// A limit for waits that no measurement comes near.
const PATIENCE: Duration = Duration::from_secs(60);

/// How thoroughly to measure.
struct Effort {
    /// Each round measures everything once, and the median is printed. So a short disturbance spoils no result.
    rounds: usize,
    /// The time for each measurement in each round.
    time: Duration,
    keys: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let effort = if env::args().any(|argument| argument == "--quick") {
        Effort { rounds: 1, time: Duration::from_millis(40), keys: 100 }
    } else {
        Effort { rounds: 5, time: Duration::from_millis(400), keys: 10_000 }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    writeln!(stdout(), "{cores} cores")?;
    if cfg!(debug_assertions) {
        writeln!(stdout(), "a debug build, slower than a service: cargo run --release --example throughput")?;
    }
    hashing(cores, &effort).await?;
    checking(cores, &effort).await?;
    #[cfg(feature = "sqlite")]
    stores::checking(&effort).await?;
    Ok(())
}

/// First uses, and the resulting time for a node that restarts.
async fn hashing(cores: usize, effort: &Effort) -> Result<(), Box<dyn Error>> {
    let mut benches = Vec::new();
    for (_, params) in PROFILES {
        benches.push((HashBench::new(params, 1).await?, HashBench::new(params, cores).await?));
    }
    for _ in 0..effort.rounds {
        for (one, all) in &mut benches {
            one.measure(effort.time).await?;
            all.measure(effort.time).await?;
        }
    }
    let rates = benches.into_iter().map(|(one, all)| (median(one.rates), median(all.rates)));
    let rows: Vec<_> = PROFILES.into_iter().zip(rates).collect();

    writeln!(stdout(), "\nfirst uses: hashes a second\n")?;
    writeln!(stdout(), "{:<15}{:>12}{:>14}{:>14}", "profile", "memory", "one core", "all cores")?;
    for ((name, params), (one, all)) in &rows {
        let memory = format!("{} KiB", grouped(params.memory_kib().into()));
        writeln!(stdout(), "{name:<15}{memory:>12}{:>14}{:>14}", grouped(*one), grouped(*all))?;
    }
    writeln!(stdout(), "\ntime until a restarted node knows every key again, on all cores\n")?;
    let [few, some, many] = LIVE_KEYS.map(|keys| format!("{} keys", grouped(keys.into())));
    writeln!(stdout(), "{:<15}{few:>12}{some:>14}{many:>14}", "profile")?;
    for ((name, _), (_, all)) in &rows {
        let [few, some, many] = LIVE_KEYS.map(|keys| duration(f64::from(keys) / all));
        writeln!(stdout(), "{name:<15}{few:>12}{some:>14}{many:>14}")?;
    }
    Ok(())
}

/// Later uses, for each number of threads that check.
async fn checking(cores: usize, effort: &Effort) -> Result<(), Box<dyn Error>> {
    let known = KnownKeys::new(MemoryStore::new(), effort.keys).await?;
    let powers = iter::successors(Some(1), |threads| Some(threads * 2)).take_while(|threads| *threads < cores);
    let mut rows: Vec<_> = powers.chain([cores]).map(|threads| (threads, Vec::new())).collect();
    for _ in 0..effort.rounds {
        for (threads, rates) in &mut rows {
            rates.push(known.checks_a_second(*threads, effort.time)?);
        }
    }
    writeln!(stdout(), "\nlater uses: checks of {} known keys a second\n", grouped(effort.keys as f64))?;
    writeln!(stdout(), "{:<15}{:>12}{:>14}", "threads", "checks", "ns for each")?;
    for (threads, rates) in rows {
        let rate = median(rates);
        writeln!(stdout(), "{threads:<15}{:>12}{:>14.0}", grouped(rate), threads as f64 * 1e9 / rate)?;
    }
    Ok(())
}

/// First uses of different keys, with enough of them in parallel to keep the threads busy.
struct HashBench {
    hasher: Hasher,
    stored: KeyHash,
    threads: usize,
    begun: u64,
    rates: Vec<f64>,
}

impl HashBench {
    async fn new(params: Argon2Params, threads: usize) -> Result<Self, Box<dyn Error>> {
        let config = HasherConfig::new().with_params(params).with_threads(threads).with_queue(2 * threads);
        let hasher = Hasher::new(config.with_check_wait(PATIENCE))?;
        let stored = hasher.hash("user.some.text").await?;
        Ok(Self { hasher, stored, threads, begun: 0, rates: Vec::new() })
    }

    async fn measure(&mut self, time: Duration) -> Result<(), VerifyError> {
        let (start, mut count) = (Instant::now(), 0.0);
        let (hasher, stored, begun) = (&self.hasher, &self.stored, &mut self.begun);
        let numbers = iter::from_fn(|| {
            *begun += 1;
            (start.elapsed() < time).then_some(*begun)
        });
        let runs = stream::iter(numbers).map(|number| first_use(hasher, stored, number));
        let mut runs = runs.buffer_unordered(2 * self.threads);
        while let Some(run) = runs.next().await {
            run?;
            count += 1.0;
        }
        self.rates.push(count / start.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The text is wrong, which a hash shows only at its end. So it costs as much as a right one, and no keys are needed.
async fn first_use(hasher: &Hasher, stored: &KeyHash, number: u64) -> Result<(), VerifyError> {
    let mut id = *b"????????????????????";
    for (place, byte) in id.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    match hasher.verify(id, &format!("user.some.text{number}"), stored).await {
        Err(error) if error.kind() != VerifyErrorKind::Mismatch => Err(error),
        _ => Ok(()),
    }
}

/// Keys that were issued and used once. A later use costs the same under every profile, so they have the fastest one.
struct KnownKeys<S> {
    authenticator: Authenticator<S>,
    texts: Vec<String>,
}

impl<S: Ledger> KnownKeys<S> {
    async fn new(store: S, count: u64) -> Result<Self, Box<dyn Error>> {
        let config = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_check_wait(PATIENCE);
        let keys = ApiKeys::builder(store).hasher(config).build().await?;
        let (manager, authenticator, actor) = (keys.manager(), keys.authenticator(), Actor::system("throughput")?);
        let issued = (0..count).map(|number| manager.issue(IssueKey::user(UserId::from(number)), &actor));
        let issued: Vec<_> = stream::iter(issued).buffer_unordered(8).try_collect().await?;
        let texts: Vec<_> = issued.iter().map(|key| key.plaintext().expose_secret().to_owned()).collect();
        for text in &texts {
            authenticator.authenticate(text).await?;
        }
        Ok(Self { authenticator: authenticator.clone(), texts })
    }

    fn checks_a_second(&self, threads: usize, time: Duration) -> Result<f64, Box<dyn Error>> {
        thread::scope(|scope| {
            // Each thread starts at another key, so that two threads rarely check the same key at once.
            let starts = (0..threads).map(|thread| thread * self.texts.len() / threads);
            let running: Vec<_> = starts.map(|first| scope.spawn(move || self.checks_of_one(first, time))).collect();
            let rates = running.into_iter().map(|thread| thread.join().unwrap_or(None));
            rates.sum::<Option<f64>>().ok_or_else(|| "a known key was not accepted at once".into())
        })
    }

    /// None if a check was refused or had to wait. Neither should happen: the keys are known, and the store answers at
    /// once.
    fn checks_of_one(&self, first: usize, time: Duration) -> Option<f64> {
        let mut order = self.texts.iter().cycle().skip(first);
        let (start, mut count) = (Instant::now(), 0_u32);
        while start.elapsed() < time {
            for text in order.by_ref().take(256) {
                self.authenticator.authenticate(text).now_or_never()?.ok()?;
                count += 1;
            }
        }
        Some(f64::from(count) / start.elapsed().as_secs_f64())
    }
}

/// Later uses, for each store. Each check is strict, so it asks the change log of the store. One thread.
#[cfg(feature = "sqlite")]
mod stores {
    use std::{
        error::Error,
        io::{Write, stdout},
    };

    use tower_api_keys::store::{MemoryStore, SqliteStore};

    use super::{Effort, KnownKeys, grouped, median};

    pub(super) async fn checking(effort: &Effort) -> Result<(), Box<dyn Error>> {
        let (folder, keys) = (tempfile::tempdir()?, effort.keys.min(1_000));
        let file = |name| folder.path().join(name);
        let memory = KnownKeys::new(MemoryStore::new(), keys).await?;
        let exclusive = KnownKeys::new(SqliteStore::open_exclusive(file("exclusive.db")).await?, keys).await?;
        let shared = KnownKeys::new(SqliteStore::open(file("shared.db")).await?, keys).await?;
        let mut rates = [const { Vec::new() }; 3];
        let [in_memory, alone, with_others] = &mut rates;
        for _ in 0..effort.rounds {
            in_memory.push(memory.checks_a_second(1, effort.time)?);
            alone.push(exclusive.checks_a_second(1, effort.time)?);
            with_others.push(shared.checks_a_second(1, effort.time)?);
        }
        writeln!(stdout(), "\nlater uses by store: checks of {} known keys a second\n", grouped(keys as f64))?;
        writeln!(stdout(), "{:<20}{:>12}{:>9}", "store", "checks", "ns")?;
        for (name, rates) in ["memory", "SQLite, one process", "SQLite, shared"].into_iter().zip(rates) {
            let rate = median(rates);
            writeln!(stdout(), "{name:<20}{:>12}{:>9.0}", grouped(rate), 1e9 / rate)?;
        }
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn duration(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1_000.0),
        ..120.0 => format!("{seconds:.1} s"),
        ..7_200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// A whole number, with a comma between thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
