//! The service under load, in its own process: its memory is measured alone, and it ends with the process that started
//! it.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::get, serve::ListenerExt};
use base64ct::{Base64UrlUnpadded, Encoding};
use futures_util::future::join_all;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyKind, UserId,
    hash::HasherConfig,
    key::{KeyFormat, PlaintextKey},
    store::MemoryStore,
};

use crate::traffic::{Arguments, cores, resident_kib};

/// The variable that is set in the server's process.
pub(crate) const SERVER: &str = "TOWER_API_KEYS_BENCH_SERVER";

/// Keys that are proved before the first request.
const WARM: usize = 64;

/// The server as its clients see it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Resident memory in KiB before the first hash.
    pub(crate) idle_kib: u64,
    pub(crate) warm: Vec<String>,
    pub(crate) fresh: Vec<String>,
    /// A key that is never used, so each request with its id goes to the store.
    pub(crate) known: String,
}

impl Server {
    /// Starts it, and reads its output until it is ready.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(env::args_os().skip(1)).env(SERVER, "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines: Vec<(String, String)> = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(|line| line.unwrap().split_once('\t').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        let all = |wanted: &str| -> Vec<String> {
            lines.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
        };
        let one = |wanted: &str| all(wanted).pop().unwrap_or_default();
        Self {
            child,
            address: one("address").parse().unwrap(),
            idle_kib: one("idle_kib").parse().unwrap(),
            warm: all("warm"),
            fresh: all("fresh"),
            known: one("known"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until standard input ends.
pub(crate) fn serve(arguments: &Arguments) -> ExitCode {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Creating a key costs as much as its first use, so this creates about as many as will be used.
    let busy = arguments.duration("seconds").mul_f64(arguments.number("rounds").ceil() * 1.25);
    runtime.block_on(listen(busy))
}

async fn listen(busy: Duration) -> ExitCode {
    let hasher = HasherConfig::new().with_check_wait(Duration::from_secs(10));
    let keys = ApiKeys::builder(MemoryStore::new()).hasher(hasher).build().await.unwrap();
    let authenticator = keys.authenticator();
    let status = move || {
        let text = format!("{} {} {}", authenticator.argon2_runs(), resident_kib("VmHWM"), cpu_ms());
        async move { text }
    };
    let layered = Router::new().route("/layered", get(answer)).layer(keys.layer());
    let noop = Router::new().route("/noop", get(answer)).layer(tower::layer::util::Identity::new());
    let app = layered.merge(noop).route("/bare", get(answer)).route("/status", get(status));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let idle_kib = resident_kib("VmRSS");

    let mut stdout = String::new();
    let warm = issue(&keys, WARM).await;
    for known in issue(&keys, 1).await {
        stdout += &format!("known\t{}\n", known.expose_secret());
    }
    let begun = Instant::now();
    while begun.elapsed() < busy {
        for key in issue(&keys, cores()).await {
            stdout += &format!("fresh\t{}\n", key.expose_secret());
        }
    }
    // A node knows the texts of the keys that it created. From here it behaves as a node that did not create them.
    keys.authenticator().forget_proofs();
    for key in &warm {
        while keys.authenticator().authenticate(key.expose_secret()).await.is_err() {}
        stdout += &format!("warm\t{}\n", key.expose_secret());
    }
    stdout += &format!("address\t{address}\nidle_kib\t{idle_kib}\nready\n");
    std::io::stdout().write_all(stdout.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
    axum::serve(listener, app).await.unwrap();
    ExitCode::SUCCESS
}

/// The processor time of this process, in milliseconds, with a resolution of ten. 0 without /proc.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields after the name in parentheses. The state is the third field, user and system time are the 14th and
    // 15th.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().skip(11).take(2));
    fields.into_iter().flatten().filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

async fn answer() -> &'static str {
    "fine"
}

/// Issues keys, enough at a time to keep every core busy. On a busy machine a hash may not be computed in time; then it
/// is requested again.
async fn issue(keys: &ApiKeys<MemoryStore>, count: usize) -> Vec<PlaintextKey> {
    let actor = &Actor::system("bench").unwrap();
    let one = |number: usize| async move {
        loop {
            let request = IssueKey::user(UserId::from(number as u64));
            match keys.manager().issue(request, actor).await {
                Ok(issued) => break issued.into_plaintext(),
                Err(error) => assert!(error.retry_after().is_some(), "no key could be made: {error}"),
            }
        }
    };
    let mut issued = Vec::new();
    while issued.len() < count {
        issued.extend(join_all((0..cores().min(8).min(count - issued.len())).map(one)).await);
    }
    issued
}

/// A well-formed key with the id of this one and a wrong secret.
pub(crate) fn wrong_secret(key: &str) -> String {
    let other = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    let text = format!("{}{}", &key[..26], &other.expose_secret()[26..70]);
    let checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
    format!("{text}{}", Base64UrlUnpadded::encode_string(&checksum[1..]))
}
