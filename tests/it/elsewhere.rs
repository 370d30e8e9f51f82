//! What `docs/elsewhere.md` publishes for verifiers in other languages: vectors, a verifier in Python, and a query.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use tower_api_keys::{
    hash::{Argon2Params, Hasher, HasherConfig, KeyHash, Pepper, PepperId, Peppers, VerifyErrorKind},
    key::{KeyFormat, KeyId},
};

use crate::support::secrets::scratch;

/// The id of published keys, which give no access.
const ID: &str = "AAECAwQFBgcICQoLDA0O";
const OTHER_ID: &str = "Zz-_09-_Zz09-_zZ-_09";
const SECRET: &str = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8P";
const OTHER_SECRET: &str = "-_-_Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8P";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// A key text with these parts and the right checksum.
fn key(prefix: &str, id: &str, secret: &str) -> String {
    let text = format!("{prefix}.{id}.{secret}");
    let checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
    format!("{text}{}", Base64UrlUnpadded::encode_string(&checksum[1..]))
}

fn pepper(number: u8) -> Pepper {
    Pepper::from_bytes([number; 32])
}

fn peppers() -> Peppers {
    Peppers::new().with(PepperId::new(1), pepper(1)).with(PepperId::new(2), pepper(2))
}

fn format() -> KeyFormat {
    KeyFormat::unbranded().accepting("acme").unwrap()
}

/// The node that gives the expected answers. It knows both peppers, and uses proofs.
fn node() -> Hasher {
    Hasher::new(HasherConfig::new().with_peppers(peppers().current(PepperId::new(1)).unwrap()).with_stored_proofs())
        .unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The record of a key, as a store keeps it.
async fn record(text: &str, id: &str, params: Argon2Params, pepper: Option<u32>, proofs: bool) -> Value {
    let mut config = HasherConfig::new().with_params(params);
    if let Some(number) = pepper {
        config = config.with_peppers(peppers().current(PepperId::new(number)).unwrap());
    }
    if proofs {
        config = config.with_stored_proofs();
    }
    let hash = Hasher::new(config).unwrap().hash(text).await.unwrap();
    json!({
        "id": id,
        "hash": hash.phc(),
        "tag": hex(&hash.tag().to_bytes()),
        "pepper_id": hash.pepper().map(PepperId::as_u32),
        "proof": hash.proof().map(|proof| hex(&proof)),
    })
}

/// The record with another value in one column.
fn with(mut record: Value, column: &str, value: impl Into<Value>) -> Value {
    record[column] = value.into();
    record
}

fn with_cost(record: &Value, cost: &str) -> Value {
    let hash = record["hash"].as_str().unwrap().replace("m=64,t=1,p=1", cost);
    with(record.clone(), "hash", hash)
}

/// All vectors, with new salts.
async fn vectors() -> Vec<Value> {
    const CHEAP: Argon2Params = Argon2Params::MACHINE_SECRET;
    let user = key("user", ID, SECRET);
    let cheap = record(&user, ID, CHEAP, None, false).await;
    let peppered = record(&user, ID, Argon2Params::STANDARD, Some(1), false).await;
    let proved = record(&user, ID, CHEAP, Some(2), true).await;
    let other = record(&key("user", ID, OTHER_SECRET), ID, CHEAP, Some(2), true).await;

    let mut all = Vec::new();
    let mut add = |name: &str, text: &str, record: &Value, answer: &str| {
        all.push(json!({ "name": name, "text": text, "record": record, "answer": answer }));
    };
    let standard = Argon2Params::STANDARD;
    for (name, prefix, id, params) in [
        ("personal key, default profile", "user", ID, standard),
        ("team key, default profile, - and _ in the id", "team", OTHER_ID, standard),
        ("team key, low memory", "team", ID, Argon2Params::LOW_MEMORY),
        ("personal key, machine secret", "user", ID, CHEAP),
        ("team key with a brand", "acme_team", ID, CHEAP),
    ] {
        let text = key(prefix, id, SECRET);
        add(name, &text, &record(&text, id, params, None, false).await, "accepted");
    }
    add("a pepper", &user, &peppered, "accepted");
    add("a pepper and a proof", &user, &proved, "accepted");
    add(
        "a proof that does not fit: the hash decides",
        &user,
        &with(proved.clone(), "proof", "00".repeat(32)),
        "accepted",
    );
    add("a proof without a pepper is not looked at", &user, &with(cheap.clone(), "proof", "00".repeat(32)), "accepted");

    add("another secret, right checksum", &key("user", ID, OTHER_SECRET), &cheap, "wrong");
    add("another secret, with a pepper and a proof", &key("user", ID, OTHER_SECRET), &proved, "wrong");
    add("another id", &key("user", OTHER_ID, SECRET), &cheap, "wrong");
    add("a team key of the same id and secret", &key("team", ID, SECRET), &cheap, "wrong");
    add("a brand in front of the same id and secret", &key("acme_user", ID, SECRET), &cheap, "wrong");
    let moved = record(&key("user", OTHER_ID, SECRET), ID, CHEAP, None, false).await;
    add("the hash of another key in this row", &user, &moved, "wrong");
    add("the right tag and another hash", &user, &with(cheap.clone(), "hash", moved["hash"].clone()), "wrong");
    add("the proof and the hash of another text", &user, &with(other, "tag", proved["tag"].clone()), "wrong");
    add("a hash with a pepper, said to have none", &user, &with(peppered.clone(), "pepper_id", Value::Null), "wrong");
    add("a hash with another pepper than it says", &user, &with(peppered, "pepper_id", 2), "wrong");

    for (name, text) in [
        ("empty", String::new()),
        ("cut off", user[..user.len() - 1].to_owned()),
        ("one character changed", user.replacen('A', "B", 1)),
        ("a line feed at the end", format!("{user}\n")),
        ("a blank in front", format!(" {user}")),
        ("a word in front", format!("Bearer {user}")),
        ("an unknown kind", key("robot", ID, SECRET)),
        ("a brand that is not accepted", key("globex_user", ID, SECRET)),
        ("an underscore without a brand", key("_user", ID, SECRET)),
        ("capitals in the prefix", key("User", ID, SECRET)),
        ("padding in the secret", key("user", ID, &SECRET.replace('P', "="))),
        ("a letter that only looks like one", key("user", &ID.replacen('A', "\u{410}", 1), SECRET)),
        ("a digit of another alphabet", key("user", &ID.replacen('0', "\u{661}", 1), SECRET)),
        ("two dots in a row", key("user.", ID, SECRET)),
        ("two keys", user.repeat(2)),
    ] {
        add(name, &text, &cheap, "malformed");
    }

    for (name, record) in [
        ("four GiB of memory", with_cost(&cheap, "m=4194304,t=1,p=1")),
        ("more memory than any profile", with_cost(&cheap, "m=19457,t=1,p=1")),
        ("less memory than any profile", with_cost(&cheap, "m=63,t=1,p=1")),
        ("more passes than any profile", with_cost(&cheap, "m=64,t=6,p=1")),
        ("no pass", with_cost(&cheap, "m=64,t=0,p=1")),
        ("two lanes", with_cost(&cheap, "m=64,t=1,p=2")),
        ("a zero in front of a number", with_cost(&cheap, "m=064,t=1,p=1")),
        ("no hash", with(cheap.clone(), "hash", "")),
        ("a line feed behind the hash", with(cheap.clone(), "hash", format!("{}\n", cheap["hash"].as_str().unwrap()))),
        ("a pepper that is not known", with(proved, "pepper_id", 3)),
    ] {
        add(name, &user, &record, "corrupt");
    }
    all
}

/// The answer of this crate.
async fn answer(format: &KeyFormat, node: &Hasher, vector: &Value) -> &'static str {
    let (text, record) = (vector["text"].as_str().unwrap(), &vector["record"]);
    let Ok(parsed) = format.parse(text.as_bytes()) else { return "malformed" };
    if parsed.id() != KeyId::new(record["id"].as_str().unwrap()).unwrap() {
        return "wrong";
    }
    let bytes = |column: &str| record[column].as_str().map(from_hex);
    let tag: [u8; 4] = bytes("tag").unwrap().try_into().unwrap();
    let pepper = record["pepper_id"].as_u64().map(|number| u32::try_from(number).unwrap());
    let Ok(hash) = KeyHash::from_parts(record["hash"].as_str().unwrap(), tag, pepper) else { return "corrupt" };
    let hash = hash.with_proof(bytes("proof").map(|proof| proof.try_into().unwrap()));
    match node.verify(*parsed.id().as_bytes(), text, &hash).await {
        // The tag must not refuse what the hash accepts.
        Ok(()) => node.check_tag(text, &hash).map_or("refused by the tag", |()| "accepted"),
        Err(error) if error.kind() == VerifyErrorKind::Mismatch => {
            assert!(!node.is_proved(text, &hash), "a proof accepts what the hash refuses: {vector}");
            "wrong"
        }
        Err(error) if error.kind() == VerifyErrorKind::Corrupt => "corrupt",
        Err(error) => panic!("{error}"),
    }
}

/// The file without its random parts.
fn without_salts(vectors: &[Value]) -> Vec<Value> {
    let mut vectors = vectors.to_vec();
    for record in vectors.iter_mut().map(|vector| &mut vector["record"]) {
        let hash = record["hash"].as_str().unwrap();
        record["hash"] = hash.split('$').take(4).collect::<Vec<_>>().join("$").into();
        if record["proof"].as_str().is_some_and(|proof| !proof.starts_with("0000")) {
            record["proof"] = "a proof".into();
        }
    }
    vectors
}

fn published() -> Value {
    serde_json::from_str(&fs::read_to_string(file("vectors.json")).unwrap()).unwrap()
}

/// With `VECTORS` set, this test writes the file: `VECTORS=write cargo test --all-features --test it vectors_are_what`
#[tokio::test]
async fn the_published_vectors_are_what_this_crate_says() {
    let mut made = json!({
        "about": "Texts, records and answers for verifiers of API keys in other languages: docs/elsewhere.md.",
        "prefixes": ["user", "team", "acme_user", "acme_team"],
        "peppers": { "1": Base64::encode_string(&[1; 32]), "2": Base64::encode_string(&[2; 32]) },
        "vectors": vectors().await,
    });
    if env::var_os("VECTORS").is_some() {
        fs::write(file("vectors.json"), format!("{made:#}\n")).unwrap();
    }
    let mut published = published();
    let (format, node) = (format(), node());
    for vector in published["vectors"].as_array().unwrap().iter().chain(made["vectors"].as_array().unwrap()) {
        assert_eq!(answer(&format, &node, vector).await, vector["answer"].as_str().unwrap(), "{vector}");
    }
    let shape = |all: &mut Value| without_salts(all["vectors"].take().as_array().unwrap());
    assert_eq!(shape(&mut published), shape(&mut made), "docs/vectors.json is old: see the comment of this test");
    assert_eq!(published, made);
}

/// Runs the verifier of the page, with these packages or with only Python's own.
fn verify(vectors: &Path, packages: Option<&Path>) -> Option<Output> {
    let mut python = Command::new("python3");
    // Uses no packages of the current user, and writes no files beside the page.
    python.args(["-s", "-B"]).arg(file("verify.py")).arg(vectors).env_remove("PYTHONPATH");
    if let Some(packages) = packages {
        python.env("PYTHONPATH", packages);
    }
    python.output().ok()
}

/// A folder with Argon2id for this version of Python, installed once for each target folder.
fn packages() -> Result<PathBuf, String> {
    let tag = Command::new("python3").args(["-c", "import sys; print(sys.implementation.cache_tag)"]).output();
    let tag = tag.map_err(|error| error.to_string())?.stdout;
    let folder = format!("packages-{}", String::from_utf8_lossy(&tag).trim());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    if folder.exists() {
        return Ok(folder);
    }
    // Installs into a temporary folder first: several processes may do this at once.
    let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--retries", "1", "--target"];
    let done = Command::new("python3").args(install).arg(beside.path()).arg("cryptography>=44").output();
    let done = done.map_err(|error| error.to_string())?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned());
    }
    // Another process may have been faster. Then this copy is removed.
    if fs::rename(beside.path(), &folder).is_ok() {
        let _ = beside.keep();
    }
    Ok(folder)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_verifier_in_python_says_the_same() {
    let scratch = scratch();
    let turned = scratch.path().join("turned.json");
    let mut all = published();
    for vector in all["vectors"].as_array_mut().unwrap() {
        let other = if vector["answer"] == "accepted" { "wrong" } else { "accepted" };
        vector["answer"] = other.into();
    }
    fs::write(&turned, all.to_string()).unwrap();
    let vectors = file("vectors.json");
    let count = all["vectors"].as_array().unwrap().len();

    let Some(alone) = verify(&vectors, None) else {
        eprintln!("SKIPPED: there is no python3, so docs/verify.py was not run");
        return;
    };
    assert!(alone.status.success() && said(&alone).contains(" right, 0 wrong, "), "{}", said(&alone));
    assert_eq!(verify(&turned, None).unwrap().status.code(), Some(1), "wrong answers are not noticed");

    match packages() {
        Ok(packages) => {
            let whole = verify(&vectors, Some(&packages)).unwrap();
            assert!(whole.status.success(), "{}", said(&whole));
            assert_eq!(said(&whole), format!("{count} right, 0 wrong, 0 skipped\n"));
            let turned = verify(&turned, Some(&packages)).unwrap();
            assert_eq!(turned.status.code(), Some(1));
            assert!(said(&turned).ends_with(&format!("0 right, {count} wrong, 0 skipped\n")), "{}", said(&turned));
        }
        Err(why) => {
            eprintln!("SKIPPED: Argon2id in docs/verify.py, since pip could not install it: {why}\n{}", said(&alone))
        }
    }
}

/// The query of the page finds a key exactly as long as requests with the key are accepted.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn the_query_of_the_page_finds_keys_that_may_be_used() {
    use rusqlite::{Connection, OptionalExtension};
    use tower_api_keys::{Clock, IssueKey, OrganizationId, Owner, Suspension, store::SqliteStore};

    use crate::support::{clock, keys, noon, system, user};

    let page = fs::read_to_string(file("elsewhere.md")).unwrap();
    let query = page.split("```sql\n").nth(1).unwrap().split_once("\n```").unwrap().0;
    let scratch = scratch();
    let path = scratch.path().join("keys.db");
    let clock = clock();
    let keys = keys(SqliteStore::open(&path).await.unwrap(), &clock).await;
    let (manager, admin) = (keys.manager(), system());
    let connection = Connection::open(&path).unwrap();
    let finds = |id: KeyId| {
        let now = clock.now().as_millis();
        let found = connection.query_row(query, (id.as_str(), now), |row| row.get::<_, String>("hash"));
        found.optional().unwrap().is_some()
    };
    let alice = || user("alice");
    let issue = async |request: IssueKey| manager.issue(request, &admin).await.unwrap().info().id;
    let owner = Owner::User(alice());

    let id = issue(IssueKey::user(alice())).await;
    assert!(finds(id) && !finds(KeyId::new(ID).unwrap()));
    manager.pause(&id, &admin).await.unwrap();
    assert!(!finds(id));
    manager.resume(&id, &admin).await.unwrap();
    for suspension in [Suspension::Admin, Suspension::Plan] {
        manager.suspend(&owner, suspension, &admin).await.unwrap();
        assert!(!finds(id), "{suspension:?}");
        manager.reinstate(&owner, suspension, &admin).await.unwrap();
        manager.suspend_organization(OrganizationId::single(), suspension, &admin).await.unwrap();
        assert!(!finds(id), "{suspension:?} of the organization");
        manager.reinstate_organization(OrganizationId::single(), suspension, &admin).await.unwrap();
        assert!(finds(id));
    }
    manager.revoke(&id, &admin).await.unwrap();
    assert!(!finds(id));

    let end = noon().saturating_add(std::time::Duration::from_secs(60));
    let ends = issue(IssueKey::user(alice()).expires_at(end)).await;
    clock.advance(std::time::Duration::from_millis(59_999));
    assert!(finds(ends));
    clock.advance(std::time::Duration::from_millis(1));
    assert!(!finds(ends));

    let of_closed = issue(IssueKey::user(alice())).await;
    assert!(finds(of_closed));
    manager.close(&owner, &admin).await.unwrap();
    assert!(!finds(of_closed));
}
