//! Shared by the traffic benches: arguments, an even pace, latencies, and the memory of this process.

use std::{
    collections::BTreeMap,
    env, fs, process, thread,
    time::{Duration, Instant},
};

/// `--name number` pairs from the command line.
pub(crate) struct Arguments(BTreeMap<String, f64>);

impl Arguments {
    /// The defaults, overridden by the command line. `--bench`, which cargo passes, is ignored.
    pub(crate) fn read(defaults: &[(&str, f64)]) -> Self {
        Self::parse(defaults).unwrap_or_else(|error| {
            eprintln!("{error}");
            process::exit(2)
        })
    }

    fn parse(defaults: &[(&str, f64)]) -> Result<Self, String> {
        let mut values: BTreeMap<String, f64> =
            defaults.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let mut words = env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().and_then(|value| value.parse::<f64>().ok()).filter(|value| *value > 0.0);
            match (word.strip_prefix("--").and_then(|name| values.get_mut(name)), value) {
                (Some(place), Some(value)) => *place = value,
                _ => {
                    let names: Vec<String> = values.iter().map(|(name, value)| format!("--{name} {value}")).collect();
                    return Err(format!("`{word}`: takes {}, each with a number above 0", names.join(", ")));
                }
            }
        }
        Ok(Self(values))
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        self.0[name]
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.0[name].ceil() as usize
    }

    pub(crate) fn duration(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.0[name])
    }
}

/// Intended starts, evenly spaced. They do not wait for anything. A latency measured from them counts a stall once for
/// each request that should have begun during it.
pub(crate) struct Pace {
    first: Instant,
    every: Duration,
    passed: u32,
}

impl Pace {
    pub(crate) fn new(first: Instant, every: Duration) -> Self {
        exact_timers();
        Self { first, every, passed: 0 }
    }

    /// Sleeps until the next intended start, if it is not past already, and returns it.
    pub(crate) fn next(&mut self) -> Instant {
        let intended = self.first + self.every * self.passed;
        self.passed += 1;
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        intended
    }
}

/// Linux lets a thread oversleep by 50 µs to save power, which is as long as the measured times.
fn exact_timers() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZero::new(1));
}

/// Nanoseconds from intended start to answer.
#[derive(Clone, Default)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency.as_nanos() as u64);
    }

    pub(crate) fn extend(&mut self, nanoseconds: impl IntoIterator<Item = u64>) {
        self.0.extend(nanoseconds);
    }

    pub(crate) fn nanoseconds(&self) -> &[u64] {
        &self.0
    }

    /// The smallest latency, in microseconds, that this share of the requests did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1e3)
    }

    /// Prints three quantiles.
    pub(crate) fn print(&self, name: &str) {
        for (label, share) in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999)] {
            println!("{name}_{label}_us\t{:.0}", self.quantile(share));
        }
    }
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The resident memory of this process in KiB: `VmRSS` is the current value, `VmHWM` the peak. 0 without /proc.
pub(crate) fn resident_kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Milliseconds of all cores that the host of this virtual machine gave to others since it started. For the slowest of
/// a thousand requests this is most of the latency. 0 without /proc.
pub(crate) fn stolen_ms() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // The eighth number of the first line, in hundredths of a second.
    let stolen = stat.lines().next().and_then(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok());
    stolen.unwrap_or(0) * 10
}

/// The memory limit that the crate promises, whatever clients do: the memory of the process before the first hash, plus
/// one standard hash for each hashing thread and for the relief thread, plus a tenth, plus 30 MiB.
pub(crate) fn allowed_kib(idle: u64) -> u64 {
    (idle + (cores() as u64 + 1) * 19_456) * 11 / 10 + 30 * 1_024
}

/// The default number of hashing threads.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
