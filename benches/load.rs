//! A service under load, over loopback: `cargo bench --bench load`.
//!
//! axum and hyper, in another process, answer HTTP/1.1 over kept-alive connections, with and without `ApiKeyLayer`.
//! This process sends the requests. For the throughput it uses a closed loop, with one request at a time on each
//! connection. For the latency of proved keys it uses an open loop, measured from the moment at which each request
//! should have begun: so requests that were not sent during a stall do not hide it. Rounds alternate:
//!
//! - `idle`: only proved keys at `--rate` a second.
//! - `wrong_secrets`: the same, plus `--flood` requests a second with well-formed keys of one known id and wrong
//!   secrets.
//! - `unlayered_flood`: the same, plus the same requests to the route without the layer: their cost on this machine in
//!   any case.
//! - `first_uses`: the same, while fresh keys keep every hashing thread busy and `--unknown` requests a second look up
//!   unknown ids.
//!
//! Prints one line for each figure: name, tab, figure. Exits with 1 if a wrong secret cost a run of Argon2id, if a
//! fresh key did not cost exactly one, or if an answer had the wrong status. Also takes `--seconds` (of each phase) and
//! `--rounds`.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without a server there is nothing to measure"
)]

#[path = "load/client.rs"]
mod client;
#[path = "load/server.rs"]
mod server;
mod traffic;

use std::{
    env,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use client::{Connection, request};
use server::Server;
use tower_api_keys::{KeyKind, key::KeyFormat};
use traffic::{Arguments, Latencies, Pace, allowed_kib, cores, median, stolen_ms};

const DEFAULTS: [(&str, f64); 5] =
    [("flood", 10_000.0), ("rate", 1_000.0), ("rounds", 3.0), ("seconds", 2.0), ("unknown", 2_000.0)];

/// The number of connections that share a rate. Each waits for its answer before its next request.
const LANES: u32 = 8;

fn main() -> ExitCode {
    let arguments = Arguments::read(&DEFAULTS);
    if env::var_os(server::SERVER).is_some() {
        return server::serve(&arguments);
    }
    match Bench::new(arguments).run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A rate of requests, spread over connections, and the status that each answer must have.
struct Load<'a> {
    per_second: f64,
    requests: &'a (dyn Fn() -> Vec<u8> + Sync),
    status: u16,
}

struct Bench {
    arguments: Arguments,
    server: Server,
    /// Keys that have not been used yet.
    fresh: Mutex<Vec<String>>,
}

impl Bench {
    fn new(arguments: Arguments) -> Self {
        let server = Server::start();
        let fresh = Mutex::new(server.fresh.clone());
        Self { arguments, server, fresh }
    }

    fn run(&self) -> Result<(), String> {
        println!("cores\t{}", cores());
        self.saturation()?;

        let (rate, flood) = (self.arguments.number("rate"), self.arguments.number("flood"));
        let warm = self.server.in_turn("/layered", &self.server.warm);
        let warm = Load { per_second: rate, requests: &warm, status: 200 };
        let wrong_texts: Vec<String> = (0..4_096).map(|_| server::wrong_secret(&self.server.known)).collect();
        let wrong = self.server.in_turn("/layered", &wrong_texts);
        let wrong = Load { per_second: flood, requests: &wrong, status: 401 };
        let unlayered = self.server.in_turn("/bare", &wrong_texts);
        let unlayered = Load { per_second: flood, requests: &unlayered, status: 200 };
        let unknown = || {
            let unknown = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
            request("/layered", unknown.expose_secret())
        };
        let unknown = Load { per_second: self.arguments.number("unknown"), requests: &unknown, status: 401 };

        let mut phases: [Phase; 4] = ["idle", "wrong_secrets", "unlayered_flood", "first_uses"].map(Phase::new);
        for _ in 0..self.arguments.count("rounds") {
            self.measure(&mut phases[0], &warm, None, false)?;
            self.measure(&mut phases[1], &warm, Some(&wrong), false)?;
            self.measure(&mut phases[2], &warm, Some(&unlayered), false)?;
            self.measure(&mut phases[3], &warm, Some(&unknown), true)?;
        }
        self.report(&phases)?;
        if phases[1].runs != 0 {
            return Err(format!("wrong secrets cost {} runs of Argon2id", phases[1].runs));
        }
        if phases[3].runs != phases[3].first_uses {
            return Err(format!("{} first uses cost {} runs of Argon2id", phases[3].first_uses, phases[3].runs));
        }
        Ok(())
    }

    /// As many requests as the machine can do, in many short alternating rounds: without a layer, with a layer that
    /// does nothing (because axum boxes a route again for any layer), and with ours. The server's own processor time is
    /// the figure that other work on the machine disturbs least.
    fn saturation(&self) -> Result<(), String> {
        let names = ["bare", "noop", "layered"];
        let routes = names.map(|name| self.server.in_turn(&format!("/{name}"), &self.server.warm));
        let mut rates = [const { Vec::new() }; 3];
        let (mut answers, mut cpu_ms) = ([0; 3], [0; 3]);
        for round in 0..40 {
            for turn in 0..3 {
                // The order alternates, too.
                let route = (round + turn) % 3;
                let cpu_before = self.server.status()?.cpu_ms;
                let begun = Instant::now();
                let answered = self.closed_loop(&routes[route])?;
                rates[route].push(answered as f64 / begun.elapsed().as_secs_f64());
                answers[route] += answered;
                cpu_ms[route] += self.server.status()?.cpu_ms - cpu_before;
            }
        }
        let ratio = |route: usize| median(rates[route].iter().zip(&rates[0]).map(|(rate, bare)| rate / bare).collect());
        let [noop_ratio, layered_ratio] = [ratio(1), ratio(2)];
        for (route, name) in names.into_iter().enumerate() {
            println!("requests_per_second_{name}\t{:.0}", median(std::mem::take(&mut rates[route])));
            println!("server_cpu_us_{name}\t{:.2}", cpu_ms[route] as f64 * 1e3 / answers[route] as f64);
        }
        println!("noop_ratio\t{noop_ratio:.3}");
        println!("layered_ratio\t{layered_ratio:.3}");
        Ok(())
    }

    /// The number of requests answered in a tenth of a second.
    fn closed_loop(&self, requests: &(dyn Fn() -> Vec<u8> + Sync)) -> Result<u64, String> {
        // Prepared beforehand, because the time to write requests is not the server's.
        let requests: Vec<Vec<u8>> = (0..LANES).map(|_| requests()).collect();
        let end = Instant::now() + Duration::from_millis(100);
        let lane = |request: &[u8]| {
            let (mut connection, mut answers) = (self.server.connect()?, 0);
            while Instant::now() < end {
                connection.expect(request, 200)?;
                answers += 1;
            }
            Ok::<u64, String>(answers)
        };
        thread::scope(|scope| {
            let lanes: Vec<_> = requests.iter().map(|request| scope.spawn(|| lane(request))).collect();
            lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
        })
    }

    /// One phase of one round: proved keys at their pace, plus the other load of the phase.
    fn measure(
        &self,
        phase: &mut Phase,
        warm: &Load<'_>,
        beside: Option<&Load<'_>>,
        fresh: bool,
    ) -> Result<(), String> {
        let runs_before = self.server.status()?.argon2_runs;
        let (goes_on, stolen_before) = (AtomicBool::new(true), stolen_ms());
        let begun = Instant::now();
        let (latencies, others, first_uses) = thread::scope(|scope| {
            let others = beside.map(|load| scope.spawn(|| self.open_loop(load, &goes_on)));
            let users = if fresh { 4 * cores() } else { 0 };
            let users: Vec<_> = (0..users).map(|_| scope.spawn(|| self.use_fresh_keys(&goes_on))).collect();
            let measured = scope.spawn(|| self.open_loop(warm, &goes_on));
            thread::sleep(self.arguments.duration("seconds"));
            goes_on.store(false, Ordering::Relaxed);
            let latencies = measured.join().unwrap()?;
            let others = others.map_or(Ok(Latencies::default()), |others| others.join().unwrap())?;
            let first_uses: u64 = users.into_iter().map(|user| user.join().unwrap()).sum::<Result<u64, String>>()?;
            Ok::<_, String>((latencies, others, first_uses))
        })?;
        phase.seconds += begun.elapsed().as_secs_f64();
        phase.stolen_ms += stolen_ms() - stolen_before;
        phase.p99.push(latencies.quantile(0.99));
        phase.latencies.extend(latencies.nanoseconds().iter().copied());
        phase.others += others.nanoseconds().len();
        phase.first_uses += first_uses;
        phase.runs += self.server.status()?.argon2_runs - runs_before;
        Ok(())
    }

    /// Sends requests at a rate, whether or not answers keep up. Latencies count from the intended starts.
    fn open_loop(&self, load: &Load<'_>, goes_on: &AtomicBool) -> Result<Latencies, String> {
        let every = Duration::from_secs_f64(1.0 / load.per_second);
        let begun = Instant::now();
        let lane = |number: u32| {
            let mut connection = self.server.connect()?;
            let (mut pace, mut latencies) = (Pace::new(begun + every * number, every * LANES), Latencies::default());
            while goes_on.load(Ordering::Relaxed) {
                let request = (load.requests)();
                let intended = pace.next();
                connection.expect(&request, load.status)?;
                latencies.push(intended.elapsed());
            }
            Ok::<Latencies, String>(latencies)
        };
        let lane = &lane;
        thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
            let mut all = Latencies::default();
            for lane in lanes {
                all.extend(lane.join().unwrap()?.nanoseconds().iter().copied());
            }
            Ok(all)
        })
    }

    /// Uses keys for the first time, one after another, each until it is accepted. Returns how many.
    fn use_fresh_keys(&self, goes_on: &AtomicBool) -> Result<u64, String> {
        let (mut connection, mut used) = (self.server.connect()?, 0);
        while goes_on.load(Ordering::Relaxed) {
            let Some(key) = self.fresh.lock().unwrap().pop() else { break };
            let request = request("/layered", &key);
            // If it is told to try again, it finds the run that it left in the queue, or the result of that run.
            let mut tries = 1;
            while connection.ask(&request)? == 503 && tries < 10 {
                tries += 1;
            }
            connection.expect(&request, 200)?;
            used += 1;
        }
        Ok(used)
    }

    fn report(&self, phases: &[Phase; 4]) -> Result<(), String> {
        let idle = &phases[0].p99;
        for phase in phases {
            phase.latencies.print(phase.name);
            println!("{}_stolen_ms\t{}", phase.name, phase.stolen_ms);
            if phase.name != "idle" {
                let ratios = phase.p99.iter().zip(idle).map(|(busy, idle)| busy / idle);
                println!("{}_p99_over_idle\t{:.2}", phase.name, median(ratios.collect()));
                println!("{}_others_per_second\t{:.0}", phase.name, phase.others as f64 / phase.seconds);
            }
        }
        println!("wrong_secrets_argon2_runs\t{}", phases[1].runs);
        println!("first_uses_argon2_runs\t{}", phases[3].runs);
        println!("first_uses_per_second\t{:.0}", phases[3].first_uses as f64 / phases[3].seconds);
        println!("fresh_keys_left\t{}", self.fresh.lock().unwrap().len());
        let status = self.server.status()?;
        println!("argon2_runs\t{}", status.argon2_runs);
        println!("idle_resident_kib\t{}", self.server.idle_kib);
        println!("peak_resident_kib\t{}", status.peak_kib);
        println!("allowed_resident_kib\t{}", allowed_kib(self.server.idle_kib));
        Ok(())
    }
}

/// The results of all rounds of a phase.
struct Phase {
    name: &'static str,
    seconds: f64,
    /// The part of that time that the host of a virtual machine took.
    stolen_ms: u64,
    latencies: Latencies,
    /// The p99 of each round, in microseconds.
    p99: Vec<f64>,
    others: usize,
    first_uses: u64,
    runs: u64,
}

impl Phase {
    fn new(name: &'static str) -> Self {
        let latencies = Latencies::default();
        Self { name, seconds: 0.0, stolen_ms: 0, latencies, p99: Vec::new(), others: 0, first_uses: 0, runs: 0 }
    }
}

impl Server {
    fn connect(&self) -> Result<Connection, String> {
        Connection::open(self.address)
    }

    /// Requests with these keys, one after another, then from the first again.
    fn in_turn(&self, path: &str, keys: &[String]) -> impl Fn() -> Vec<u8> + Sync + use<> {
        let requests: Vec<Vec<u8>> = keys.iter().map(|key| request(path, key)).collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        move || requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()].clone()
    }

    fn status(&self) -> Result<Status, String> {
        let mut connection = self.connect()?;
        connection.expect(&request("/status", "none"), 200)?;
        let body = connection.body();
        let numbers: Vec<u64> = body.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [argon2_runs, peak_kib, cpu_ms] => Ok(Status { argon2_runs, peak_kib, cpu_ms }),
            _ => Err(format!("the server's status: `{body}`")),
        }
    }
}

/// The server's own figures.
struct Status {
    argon2_runs: u64,
    /// Peak resident memory.
    peak_kib: u64,
    /// Processor time of all its threads.
    cpu_ms: u64,
}
