//! Instruction counts of the hot functions, by callgrind. Unlike times, they are the same in each run: `cargo bench
//! --bench instructions`.
//!
//! Prints one line for each function: name, tab, instructions for a call, tab, those in `benches/instructions.txt`.
//! Exits with 1 if a count is 3 % above the record, or if the record is out of date by more than that. After a change
//! whose cost is intended, `cargo bench --bench instructions -- --record` updates the record.
//!
//! Valgrind does not support the SHA-256 instructions, so secrets are digested by BLAKE3, as on processors without
//! them.
//!
//! Counts depend on the compiler and on the vector instructions of the processor (valgrind supports up to AVX2). The
//! record names both, and is compared only if both are the same.
//!
//! Do not set `CARGO_INCREMENTAL=1`: it compiles to other code, with 4 % more instructions.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without a key there is nothing to measure"
)]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    env,
    fmt::Write,
    fs,
    hint::black_box,
    net::{IpAddr, Ipv6Addr},
    process::Command,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Networks, UserId,
    auth::Addresses,
    hash::Argon2Params,
    key::{KeyFormat, PlaintextKey},
    store::MemoryStore,
    usage::Source,
};

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

/// The number of known and proved keys. The measured part uses each once.
const KEYS: usize = 500;

/// The most that a count may differ from its record, in percent.
const TOLERANCE: f64 = 3.0;

/// The address from which keys with a list of networks are used.
const OFFICE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// The names of the measurements.
const NAMES: [&str; 10] = [
    "bare_service",
    "check_warm",
    "check_warm_networks",
    "layer_by_bearer",
    "layer_by_x_api_key",
    "malformed_checksum",
    "malformed_prefix",
    "parse",
    "wrong_secret_cached",
    "wrong_secret_uncached",
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--record") => record(),
        Some(name) => run(name),
        None => compare(),
    }
}

/// Counts, and writes the record.
fn record() {
    let mut text = format!("# {}\n", surroundings());
    for (name, count) in counts() {
        writeln!(text, "{name}\t{count}").unwrap();
    }
    fs::write(RECORD, &text).unwrap();
    print!("{text}");
}

/// Counts, and compares with the record.
fn compare() {
    let record = fs::read_to_string(RECORD).unwrap();
    let mut lines = record.lines();
    let recorded_on = lines.next().unwrap().trim_start_matches("# ");
    let recorded: BTreeMap<&str, f64> =
        lines.filter_map(|line| line.split_once('\t')).map(|(name, count)| (name, count.parse().unwrap())).collect();
    let mut differ = false;
    for (name, count) in counts() {
        let before = recorded.get(name.as_str()).copied().unwrap_or(f64::NAN);
        let percent = (count as f64 / before - 1.0) * 100.0;
        println!("{name}\t{count}\t{before}\t{percent:+.1} %");
        // A missing record gives NaN, which also counts as a difference.
        differ |= percent.is_nan() || percent.abs() > TOLERANCE;
    }
    let here = surroundings();
    if here != recorded_on {
        println!("not compared: the record is of {recorded_on}, this is {here}");
    } else if differ {
        println!(
            "more than {TOLERANCE} % from the record: find out why, or `cargo bench --bench instructions -- --record`"
        );
        std::process::exit(1);
    }
}

/// The compiler and processor on which the counts depend.
fn surroundings() -> String {
    let rustc = Command::new("rustc").arg("--version").output().unwrap().stdout;
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has = |flag: &str| cpu.split_whitespace().any(|word| word == flag);
    let vectors = ["avx2", "sse4_1"].into_iter().find(|flag| has(flag)).unwrap_or("no vectors");
    format!("{}, {}, {vectors}", String::from_utf8(rustc).unwrap().trim(), env::consts::ARCH)
}

fn counts() -> Vec<(String, u64)> {
    NAMES.iter().map(|name| ((*name).to_owned(), count(name))).collect()
}

/// Runs this program again, under callgrind.
fn count(name: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=instructions::measured*"])
        .arg(env::current_exe().unwrap())
        .arg(name)
        .output()
        .expect("valgrind is missing: install it, Debian's package has the same name");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    let collected: u64 = collected.unwrap_or_else(|| panic!("{report}")).parse().unwrap();
    assert!(output.status.success() && collected > 0, "{report}");
    collected / KEYS as u64
}

/// The only function whose instructions are counted. Calls `call` once for each input.
#[inline(never)]
fn measured<T, O>(inputs: Vec<T>, mut call: impl FnMut(T) -> O) {
    for input in inputs {
        black_box(call(input));
    }
}

fn run(name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let (keys, texts) = runtime.block_on(proved_keys(name));
    let (authenticator, format) = (keys.authenticator(), KeyFormat::unbranded());
    let texts: Vec<&str> = texts.iter().map(PlaintextKey::expose_secret).collect();
    let altered = |from: &str, to: &str| texts.iter().map(|text| text.replacen(from, to, 1)).collect();
    let bare = service_fn(|request: Request<Empty<Bytes>>| async move {
        black_box(&request);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let layer = keys.layer().source(Source::new("api").unwrap());
    let (mut bare, mut layered) = (bare, layer.layer(bare));
    let requests = |header: &str, scheme: &str| -> Vec<_> {
        texts.iter().map(|text| request(header, &format!("{scheme}{text}"))).collect()
    };
    let check = |text: String| authenticator.authenticate(&text).now_or_never().unwrap().is_ok();
    if name.starts_with("layer_") {
        // Proved from the address of the later uses, because each key remembers its source.
        for request in requests("authorization", "Bearer ") {
            runtime.block_on(layered.call(request)).unwrap();
        }
    }
    match name {
        "bare_service" => measured(requests("authorization", "Bearer "), |request| bare.call(request).now_or_never()),
        "check_warm" => measured(texts, |text| authenticator.authenticate(text).now_or_never().unwrap().unwrap()),
        "check_warm_networks" => {
            measured(texts, |text| authenticator.authenticate_from(text, OFFICE).now_or_never().unwrap().unwrap())
        }
        "layer_by_bearer" => {
            measured(requests("authorization", "Bearer "), |request| layered.call(request).now_or_never())
        }
        "layer_by_x_api_key" => measured(requests("x-api-key", ""), |request| layered.call(request).now_or_never()),
        "malformed_checksum" => measured(texts.iter().map(|text| other_end(text)).collect(), check),
        "malformed_prefix" => measured(altered("user.", "usre."), check),
        "parse" => measured(texts, |text| format.parse(text.as_bytes()).is_ok()),
        "wrong_secret_cached" => measured(other_secrets(&texts), check),
        "wrong_secret_uncached" => {
            authenticator.forget_proofs();
            measured(other_secrets(&texts), check);
        }
        _ => panic!("one of {NAMES:?}"),
    }
}

async fn proved_keys(name: &str) -> (ApiKeys<MemoryStore>, Vec<PlaintextKey>) {
    let builder = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET);
    let (keys, actor) = (builder.addresses(Addresses::given()).build().await.unwrap(), Actor::system("bench").unwrap());
    // Four networks, of which the last contains the caller's address.
    let networks = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];
    let (networks, mut texts) = (Networks::new(networks).unwrap(), Vec::new());
    for number in 0..KEYS {
        let mut request = IssueKey::user(UserId::from(number as u64));
        if name == "check_warm_networks" {
            request = request.networks(networks.clone());
        }
        let issued = keys.manager().issue(request, &actor).await.unwrap();
        if !name.starts_with("layer_") {
            keys.authenticator().authenticate_from(issued.plaintext().expose_secret(), OFFICE).await.unwrap();
        }
        texts.push(issued.into_plaintext());
    }
    (keys, texts)
}

/// Six headers, of which one carries the key.
fn request(header: &str, value: &str) -> Request<Empty<Bytes>> {
    Request::get("/agents")
        .header("host", "api.example.com")
        .header("user-agent", "example-client/1.0")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("content-type", "application/json")
        .header(header, value)
        .body(Empty::new())
        .unwrap()
}

/// The text with a different last character.
fn other_end(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", if last == "A" { "B" } else { "A" })
}

/// Well-formed texts with the ids of these keys and wrong secrets.
fn other_secrets(texts: &[&str]) -> Vec<String> {
    let with_other_secret = |(text, other): (&&str, &&str)| {
        let mut text = format!("{}{}", &text[..26], &other[26..70]);
        let [_, low_24 @ ..] = crc32fast::hash(text.as_bytes()).to_be_bytes();
        text.push_str(&Base64UrlUnpadded::encode_string(&low_24));
        text
    };
    texts.iter().zip(texts.iter().cycle().skip(1)).map(with_other_secret).collect()
}
