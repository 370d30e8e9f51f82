//! What this machine can do: hashes a second under each Argon2 profile, checks of known keys a second, and how long a
//! restart takes until every key is known again. Size a deployment with it before there is one.
//!
//! ```text
//! cargo run --release --example throughput
//! ```
//!
//! It takes less than 30 seconds; with `-- --quick` a second, and the numbers are rough. Hashing runs at low priority
//! as in a service, so that on a busy machine it measures what the others leave.

use std::{
    env,
    error::Error,
    hint::black_box,
    io::{Write, stdout},
    iter,
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tower_api_keys::{
    Actor, ApiKeys, Authenticator, IssueKey, UserId,
    hash::{Argon2Params, Hasher, HasherConfig, KeyHash},
    store::MemoryStore,
};

const PROFILES: [(&str, Argon2Params); 3] = [
    ("STANDARD", Argon2Params::STANDARD),
    ("LOW_MEMORY", Argon2Params::LOW_MEMORY),
    ("MACHINE_SECRET", Argon2Params::MACHINE_SECRET),
];

/// Live keys of a node that restarts.
const LIVE_KEYS: [u32; 3] = [1_000, 10_000, 100_000];

/// A wait that nothing here comes near: a measurement is patient.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long each number is measured, and with how many keys.
struct Effort {
    time: Duration,
    keys: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_quick = env::args().any(|argument| argument == "--quick");
    let effort = if is_quick {
        Effort { time: Duration::from_millis(60), keys: 100 }
    } else {
        Effort { time: Duration::from_secs(2), keys: 10_000 }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    writeln!(stdout(), "{cores} cores\n")?;
    if cfg!(debug_assertions) {
        writeln!(stdout(), "this is a debug build, slower than a service: cargo run --release --example throughput\n")?;
    }

    writeln!(stdout(), "first uses: hashes a second\n")?;
    writeln!(stdout(), "{:<15}{:>10}{:>12}{:>12}", "profile", "memory", "one core", "all cores")?;
    let mut rates = Vec::new();
    for (name, params) in PROFILES {
        let one = hashes_a_second(params, 1, &effort).await?;
        let all = hashes_a_second(params, cores, &effort).await?;
        let memory = format!("{} KiB", grouped(params.memory_kib().into()));
        writeln!(stdout(), "{name:<15}{memory:>10}{:>12}{:>12}", grouped(one), grouped(all))?;
        rates.push((name, all));
    }

    writeln!(stdout(), "\nuntil a restarted node has met every key again, on all cores\n")?;
    let [few, some, many] = LIVE_KEYS.map(|keys| format!("{} keys", grouped(keys.into())));
    writeln!(stdout(), "{:<15}{few:>14}{some:>14}{many:>14}", "profile")?;
    for (name, rate) in rates {
        let [few, some, many] = LIVE_KEYS.map(|keys| duration(f64::from(keys) / rate));
        writeln!(stdout(), "{name:<15}{few:>14}{some:>14}{many:>14}")?;
    }

    writeln!(stdout(), "\nlater uses: checks of {} known keys a second\n", grouped(effort.keys as f64))?;
    writeln!(stdout(), "{:<15}{:>12}{:>14}", "threads", "checks", "ns for each")?;
    let (authenticator, texts) = known_keys(effort.keys).await?;
    for threads in iter::successors(Some(1), |threads| Some(threads * 2)).take_while(|threads| *threads < cores) {
        checks_row(&authenticator, &texts, threads, effort.time)?;
    }
    checks_row(&authenticator, &texts, cores, effort.time)
}

/// First uses of different keys, as many at a time as keep the threads at work.
async fn hashes_a_second(params: Argon2Params, threads: usize, effort: &Effort) -> Result<f64, Box<dyn Error>> {
    let config = HasherConfig::new().with_params(params).with_threads(threads).with_queue(2 * threads);
    let hasher = Hasher::new(config.with_check_wait(PATIENCE))?;
    let stored = hasher.hash("user.some.text").await?;
    let mut runs = stream::iter(0..).map(|number| first_use(&hasher, &stored, number)).buffer_unordered(2 * threads);
    // The threads start, and take their memory, with the first runs.
    for _ in 0..2 * threads {
        runs.next().await;
    }
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < effort.time {
        runs.next().await;
        count += 1.0;
    }
    Ok(count / start.elapsed().as_secs_f64())
}

/// The text is wrong, which a run finds out at its end: it costs what a right one does, and no keys have to be made.
async fn first_use(hasher: &Hasher, stored: &KeyHash, number: u64) {
    let mut id = *b"????????????????????";
    for (place, byte) in id.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    let _mismatch = hasher.verify(id, &format!("user.some.text{number}"), stored).await;
}

/// Keys that were issued and used once. A later use costs the same under every profile, so they have the quickest.
async fn known_keys(count: u64) -> Result<(Authenticator<MemoryStore>, Vec<String>), Box<dyn Error>> {
    let config = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_check_wait(PATIENCE);
    let keys = ApiKeys::builder(MemoryStore::new()).hasher(config).build().await?;
    let (manager, authenticator, actor) = (keys.manager(), keys.authenticator(), Actor::system("throughput")?);
    let issued = (0..count).map(|number| manager.issue(IssueKey::user(UserId::from(number)), &actor));
    let issued: Vec<_> = stream::iter(issued).buffer_unordered(8).try_collect().await?;
    let texts: Vec<_> = issued.iter().map(|key| key.plaintext().expose_secret().to_owned()).collect();
    for text in &texts {
        authenticator.authenticate(text).await?;
    }
    Ok((authenticator, texts))
}

fn checks_row(
    authenticator: &Authenticator<MemoryStore>,
    texts: &[String],
    threads: usize,
    time: Duration,
) -> Result<(), Box<dyn Error>> {
    let rate: f64 = thread::scope(|scope| {
        // Each thread goes through the keys in steps of its own, so that they rarely meet at one.
        let steps = [7, 11, 13, 17, 19, 23, 29, 31].into_iter().cycle();
        let running: Vec<_> = steps
            .take(threads)
            .map(|step| scope.spawn(move || checks_a_second(authenticator, texts, step, time)))
            .collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    let each = threads as f64 * 1e9 / rate;
    writeln!(stdout(), "{threads:<15}{:>12}{each:>14.0}", grouped(rate))?;
    Ok(())
}

fn checks_a_second(authenticator: &Authenticator<MemoryStore>, texts: &[String], step: usize, time: Duration) -> f64 {
    let mut order = texts.iter().cycle().step_by(step);
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < time {
        for text in order.by_ref().take(256) {
            // Known to a store that knows its head at once: there is nothing to wait for.
            black_box(authenticator.authenticate(text).now_or_never());
            count += 1.0;
        }
    }
    count / start.elapsed().as_secs_f64()
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
