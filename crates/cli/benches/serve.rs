//! `apikeys serve` behind a real nginx: `cargo bench -p tower-api-keys-cli --bench serve`. Needs nginx.
//!
//! One nginx serves the same small file at three paths: as it is (`static`), after asking a bare hyper server that
//! answers 200 (`bare`), and after asking `apikeys serve` over an SQLite file, with proved keys: a file that others may
//! open, too (`shared`), and one that it keeps for itself (`exclusive`). The servers
//! are processes of their own; nginx asks over kept-alive connections, and the clients, in this process, keep theirs
//! alive. Each client sends one request after another. Rounds of a quarter of a second alternate between the paths.
//!
//! Prints one line for each figure: name, tab, figure. For 8 and 32 clients: the median requests a second of each path,
//! the median of the ratios of `shared` and of `exclusive` to `bare` in the same round, and the processor time of all processes for a
//! request, which other work on the machine changes less than the time of day. `--rounds` sets their number.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "it measures and prints"
)]

#[path = "../../../benches/load/client.rs"]
mod client;
#[path = "../../../benches/traffic/mod.rs"]
mod traffic;

use std::{
    convert::Infallible,
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use client::{Connection, request};
use http::{Request, Response};
use http_body_util::Empty;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tower_api_keys::{Actor, ApiKeys, IssueKey, TeamId, hash::Argon2Params, store::SqliteStore};
use traffic::{Arguments, cores, median};

const PATHS: [&str; 4] = ["static", "bare", "shared", "exclusive"];
const CLIENTS: [usize; 2] = [8, 32];
const KEYS: u64 = 32;
const ROUND: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(30);
/// With this argument, the program is the bare server.
const BARE: &str = "serve-200";

fn main() {
    if env::args().any(|argument| argument == BARE) {
        return tokio::runtime::Runtime::new().unwrap().block_on(serve_200());
    }
    let rounds = Arguments::read(&[("rounds", 40.0)]).count("rounds");
    let folder = tempfile::tempdir().unwrap();
    let keys = tokio::runtime::Runtime::new().unwrap().block_on(make_keys(folder.path()));
    let (bare_server, bare) = start(Command::new(env::current_exe().unwrap()).arg(BARE));
    let serve = |file: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apikeys"));
        start(
            command
                .args(["serve", "--listen", "127.0.0.1:0"])
                .args(more)
                .env("APIKEYS_STORE", folder.path().join(file)),
        )
    };
    let mut backup = Command::new(env!("CARGO_BIN_EXE_apikeys"));
    backup.arg("backup").arg(folder.path().join("own.db")).env("APIKEYS_STORE", folder.path().join("keys.db"));
    assert!(backup.stdout(Stdio::null()).status().unwrap().success());
    let [(shared_server, shared), (exclusive_server, exclusive)] =
        [serve("keys.db", &[]), serve("own.db", &["--exclusive"])];
    let (proxy, nginx) = start_nginx(
        folder.path(),
        [("bare", bare, "/"), ("shared", shared, "/check"), ("exclusive", exclusive, "/check")],
    );
    println!("cores\t{}", cores());
    let mut processes = vec![std::process::id(), bare_server.0.id(), shared_server.0.id(), exclusive_server.0.id()];
    processes.extend(children(proxy.0.id()));
    for key in &keys {
        // Its only hash.
        for path in ["/shared", "/exclusive"] {
            Connection::open(nginx).unwrap().expect(&request(path, key), 200).unwrap();
        }
    }
    for path in ["/shared", "/exclusive"] {
        assert_eq!(Connection::open(nginx).unwrap().ask(&request(path, "none")), Ok(401));
    }
    for clients in CLIENTS {
        let mut rates = [const { Vec::new() }; PATHS.len()];
        let (mut used, mut answered) = ([0; PATHS.len()], [0; PATHS.len()]);
        for round in 0..rounds {
            for turn in 0..PATHS.len() {
                // The order alternates, too.
                let path = (round + turn) % PATHS.len();
                let (begun, before) = (Instant::now(), processor_us(&processes));
                let count = closed_loop(nginx, PATHS[path], &keys, clients);
                rates[path].push(count as f64 / begun.elapsed().as_secs_f64());
                used[path] += processor_us(&processes) - before;
                answered[path] += count;
            }
        }
        for (path, name) in PATHS.into_iter().enumerate() {
            println!("requests_per_second_{name}_{clients}\t{:.0}", median(rates[path].clone()));
            println!("processor_us_{name}_{clients}\t{:.1}", used[path] as f64 / answered[path] as f64);
        }
        for path in [2, 3] {
            let ratios = rates[path].iter().zip(&rates[1]).map(|(apikeys, bare)| apikeys / bare).collect();
            println!("ratio_{}_to_bare_{clients}\t{:.3}", PATHS[path], median(ratios));
        }
    }
}

/// The requests of clients that each send one after another for a round.
fn closed_loop(nginx: SocketAddr, path: &str, keys: &[String], clients: usize) -> u64 {
    let lane = |number: usize| {
        let mut connection = Connection::open(nginx).unwrap();
        let request = request(&format!("/{path}"), &keys[number % keys.len()]);
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < ROUND {
            connection.expect(&request, 200).unwrap();
            count += 1;
        }
        count
    };
    let lane = &lane;
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..clients).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    })
}

/// The processor time of these processes so far, in steps of 10 ms. 0 without /proc.
fn processor_us(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Behind the name: in user mode, and in the kernel.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some((fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?) * 10_000)
    };
    processes.iter().filter_map(of).sum()
}

fn children(process: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

async fn make_keys(folder: &Path) -> Vec<String> {
    let store = SqliteStore::open(folder.join("keys.db")).await.unwrap();
    let keys = ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let (actor, mut texts) = (Actor::system("bench").unwrap(), Vec::new());
    for number in 0..KEYS {
        let issued = keys.manager().issue(IssueKey::team(TeamId::from(number)), &actor).await.unwrap();
        texts.push(issued.plaintext().expose_secret().to_owned());
    }
    keys.shutdown().await.unwrap();
    texts
}

/// What the address of `apikeys serve` is compared with: no look at the request, no work.
async fn serve_200() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answer = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
        tokio::spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await) });
    }
}

/// A process that ends with this one.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A killed nginx would leave its workers behind.
        if let Some(id) = self.0.id().try_into().ok().and_then(Pid::from_raw) {
            kill_process(id, Signal::TERM).unwrap();
        }
        drop(self.0.wait());
    }
}

/// Starts a server that prints a line with its address once it is ready.
fn start(command: &mut Command) -> (Running, SocketAddr) {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    (Running(process), address.parse().unwrap())
}

fn start_nginx(folder: &Path, asked: [(&str, SocketAddr, &str); 3]) -> (Running, SocketAddr) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    fs::write(folder.join("file"), "fine\n").unwrap();
    let root = folder.display();
    let asks = |(name, _, path): (&str, SocketAddr, &str)| {
        format!(
            "location = /{name} {{ auth_request /_{name}; alias {root}/file; }}\n\
             location = /_{name} {{ internal; proxy_pass http://{name}{path}; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }}\n"
        )
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {root}/{kind};\n"))
        .concat();
    let upstream = |(name, address, _): (&str, SocketAddr, &str)| {
        format!("upstream {name} {{ server {address}; keepalive 64; keepalive_requests 1000000000; }}\n")
    };
    let (upstreams, locations) = (asked.map(upstream).concat(), asked.map(asks).concat());
    // The user of the workers has to be able to read the file.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off; {user} worker_processes auto; error_log stderr error; pid {root}/pid;\nevents {{}}\nhttp {{\n\
         access_log off;\n{temporary}keepalive_requests 1000000000;\n\
         {upstreams}server {{ listen {port};\nlocation = /static {{ alias {root}/file; }}\n{locations}}}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
    let path = format!("{}:/usr/sbin", env::var("PATH").unwrap_or_default());
    let mut command = Command::new("nginx");
    command.env("PATH", path).arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let mut running = Running(command.spawn().expect("nginx is missing (Debian: apt-get install nginx)"));
    let begun = Instant::now();
    while TcpStream::connect(port).is_err() {
        assert!(running.0.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE, "nginx does not run");
        thread::yield_now();
    }
    (running, port)
}
