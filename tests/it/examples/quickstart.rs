//! What the README promises for its first command.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    process::Command,
};

use rustix::process::Signal;
use tempfile::{TempDir, tempdir};
use tower_api_keys::{Actor, ApiKeys, IssueKey, UserId, key::PlaintextKey, manage::ListKeys, store::SqliteStore};

use super::running::{Answer, Running, address_in, keys_in, program, request};

const OWNERS: [&str; 2] = ["user alice", "team engineering"];

struct Quickstart {
    service: Running,
    folder: TempDir,
    address: String,
    keys: Vec<String>,
}

fn start_in(folder: TempDir) -> Quickstart {
    let mut service = Running::start("quickstart", &folder);
    let said = service.until("Listening on");
    let (_, last) = said.split_once("Listening on").unwrap();
    Quickstart { service, folder, address: address_in(last), keys: keys_in(&said) }
}

fn first_start() -> Quickstart {
    let started = start_in(tempdir().unwrap());
    assert_eq!(started.keys.len(), 2, "one key of a user and one of a team");
    started
}

impl Quickstart {
    fn whoami(&self, headers: &[(&str, &str)]) -> Answer {
        request(&self.address, "GET /whoami", headers, "")
    }

    fn stop(self, signal: Signal) -> TempDir {
        assert_eq!(self.service.stop(signal).code(), Some(0));
        self.folder
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

async fn open(folder: &TempDir) -> ApiKeys<SqliteStore> {
    ApiKeys::new(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).unwrap()
}

fn system() -> Actor {
    Actor::system("test").unwrap()
}

#[test]
fn printed_keys_work_in_both_headers() {
    let quickstart = first_start();
    for (key, owner) in quickstart.keys.iter().zip(OWNERS) {
        let id = key.split('.').nth(1).unwrap();
        for headers in [[("Authorization", bearer(key))], [("x-api-key", key.clone())]] {
            let answer = quickstart.whoami(&headers.each_ref().map(|(name, value)| (*name, value.as_str())));
            assert_eq!((answer.status, answer.body), (200, format!("{owner}, with key {id}\n")));
        }
        let sent = request(&quickstart.address, "POST /intake/build", &[("x-api-key", key)], "it works");
        assert_eq!((sent.status, sent.body), (202, format!("8 bytes for \"build\" from {owner}\n")));
    }
}

#[test]
fn printed_lines_are_whole_commands() {
    let folder = tempdir().unwrap();
    let said = Running::start("quickstart", &folder).until("Listening on");
    let address = address_in(&said);
    for key in keys_in(&said) {
        for command in [
            format!("curl -H 'Authorization: Bearer {key}' http://{address}/whoami"),
            format!("curl -H 'x-api-key: {key}' http://{address}/whoami"),
            format!("curl -H 'x-api-key: {key}' -d 'it works' http://{address}/intake/build"),
        ] {
            assert!(said.lines().any(|line| line.trim() == command), "no line `{command}` in: {said}");
        }
    }
}

/// A cache would store a 200, and a counter of refusals would miss it.
#[test]
fn no_other_request_passes_for_a_grpc_call() {
    let quickstart = first_start();
    for line in ["GET /whoami", "POST /intake/build"] {
        let headers = [("Content-Type", "application/grpc"), ("Origin", "https://example.com")];
        let answer = request(&quickstart.address, line, &headers, "");
        assert_eq!((answer.status, answer.header("cache-control")), (401, Some("no-store")), "{line}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{line}");
        assert_eq!(answer.header("vary"), Some("authorization, x-api-key, content-type"), "{line}");
        assert_eq!(answer.header("grpc-status"), None, "{line}");
    }
}

#[test]
fn no_key_is_told_how_to_send_one() {
    let quickstart = first_start();
    for line in ["GET /whoami", "POST /intake/build"] {
        let answer = request(&quickstart.address, line, &[], "");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="api""#));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("vary"), Some("authorization, x-api-key, content-type"));
        assert!(answer.body.contains(r#""code":"missing_credentials""#), "{}", answer.body);
    }
}

#[test]
fn a_key_with_any_character_changed_is_refused() {
    let quickstart = first_start();
    for key in &quickstart.keys {
        for place in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            for (name, value) in [("Authorization", bearer(&changed)), ("x-api-key", changed.clone())] {
                let answer = quickstart.whoami(&[(name, &value)]);
                assert_eq!(answer.status, 401, "{name}, character {place}");
                let challenge = r#"Bearer realm="api", error="invalid_token""#;
                assert_eq!(answer.header("www-authenticate"), Some(challenge), "{name}, character {place}");
                assert!(!answer.body.contains(&changed), "{name}, character {place}");
            }
        }
    }
}

#[test]
fn a_second_start_shows_no_key_and_takes_the_first_ones() {
    let first = first_start();
    let keys = first.keys.clone();
    let folder = first.stop(Signal::TERM);

    let mut service = Running::start("quickstart", &folder);
    let said = service.until("Listening on");
    assert_eq!(keys_in(&said), Vec::<String>::new());
    for owner in OWNERS {
        assert!(said.contains(&format!("The key of {owner} was issued and shown earlier")), "{said}");
    }
    assert!(said.contains("To start over: stop this service, rm keys.db*, and run it again."), "{said}");
    let address = address_in(&said);
    for key in keys {
        assert_eq!(request(&address, "GET /whoami", &[("x-api-key", &key)], "").status, 200);
    }
}

#[test]
fn stops_at_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        first_start().stop(signal);
    }
}

#[test]
fn a_silent_connection_does_not_keep_it_from_stopping() {
    let quickstart = first_start();
    let silent = TcpStream::connect(&quickstart.address).unwrap();
    quickstart.whoami(&[]);
    quickstart.stop(Signal::TERM);
    drop(silent);
}

/// Takes the five seconds that the example waits for it.
#[test]
fn a_stalled_request_does_not_keep_it_from_stopping() {
    let quickstart = first_start();
    let mut stalled = TcpStream::connect(&quickstart.address).unwrap();
    stalled.write_all(b"GET /who").unwrap();
    quickstart.whoami(&[]);
    quickstart.stop(Signal::TERM);
}

#[tokio::test]
async fn usage_is_in_the_file_after_it_stopped() {
    let quickstart = first_start();
    for (count, key) in quickstart.keys.iter().enumerate() {
        for _ in 0..=count {
            assert_eq!(quickstart.whoami(&[("x-api-key", key)]).status, 200);
        }
    }
    let folder = quickstart.stop(Signal::TERM);
    let keys = open(&folder).await;
    let listed = keys.manager().list(ListKeys::all(), &system()).await.unwrap().keys;
    let counted: Vec<_> =
        listed.into_iter().map(|key| (key.owner.to_string(), key.usage.map(|usage| usage.successes))).collect();
    assert_eq!(counted, [("user alice".to_owned(), Some(1)), ("team engineering".to_owned(), Some(2))]);
}

#[tokio::test]
async fn a_key_that_was_never_shown_is_replaced() {
    let folder = tempdir().unwrap();
    let lost = leave_unshown_key(&folder).await;
    let quickstart = start_in(folder);
    assert_eq!(quickstart.keys.len(), 2);
    let refused = quickstart.whoami(&[("x-api-key", lost.expose_secret())]);
    assert_eq!(refused.status, 401);
    assert!(refused.body.contains(r#""code":"key_revoked""#), "{}", refused.body);
}

/// Leaves the state of a start that was killed after it issued a key and before it printed it.
async fn leave_unshown_key(folder: &TempDir) -> PlaintextKey {
    let request = IssueKey::user(UserId::new("alice").unwrap()).named("quickstart, not shown yet");
    open(folder).await.manager().issue(request, &system()).await.unwrap().into_plaintext()
}

#[test]
fn a_port_in_use_is_said_and_no_key_is_made() {
    let (folder, taken) = (tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = Command::new(program("quickstart")).current_dir(&folder).env("PORT", &port).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on PORT={port}")), "{said}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
