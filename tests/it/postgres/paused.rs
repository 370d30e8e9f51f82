//! A node that is stopped at any point, and continues later as if no time had passed.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use tower_api_keys::auth::Freshness;

use super::{connected, issue, migrated, node, node_of, revoke};

const URL: &str = "TOWER_API_KEYS_TEST_POSTGRES";
const BOUND: Duration = Duration::from_millis(500);

/// A node in a process of its own.
struct Node {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Node {
    fn start(url: &str, freshness: &str) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "postgres::paused::a_node_answers_what_it_is_asked"])
            .env(URL, format!("{freshness} {url}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, orders, answers }
    }

    /// The node's answer for this key.
    fn check(&mut self, key: &str) -> String {
        writeln!(self.orders, "{key}").unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the node ended");
            if let Some((_, answer)) = line.trim_end().split_once("the node says ") {
                return answer.to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A test of its own without orders, and the node of the tests below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_what_it_is_asked() {
    let Ok(order) = env::var(URL) else { return };
    let (freshness, url) = order.split_once(' ').unwrap();
    let freshness = if freshness == "strict" { Freshness::Strict } else { Freshness::Bounded(BOUND) };
    let keys = node_of(connected(url).await, freshness).await;
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(key)) = tokio::task::block_in_place(|| lines.next()) {
        let answer = match keys.authenticator().authenticate(&key).await {
            Ok(_) => "yes",
            Err(error) => error.kind().code().as_str(),
        };
        println!("the node says {answer}");
    }
}

/// Stops a node, revokes a key on another one, lets the first continue after this time, and returns its answer.
async fn after_a_pause(freshness: &str, pause: Duration) -> String {
    let server = migrated().await;
    let keys = node(&server).await;
    let key = issue(&keys).await;
    let mut paused = Node::start(&server.url(), freshness);
    assert_eq!(paused.check(key.expose_secret()), "yes");
    assert_eq!(paused.check(key.expose_secret()), "yes");
    paused.signal("STOP");
    revoke(&keys, &key).await;
    tokio::time::sleep(pause).await;
    paused.signal("CONT");
    paused.check(key.expose_secret())
}

#[tokio::test]
async fn a_strict_node_that_was_stopped_refuses_what_was_revoked_meanwhile() {
    assert_eq!(after_a_pause("strict", Duration::ZERO).await, "key_revoked");
}

#[tokio::test]
async fn a_bounded_node_that_was_stopped_for_longer_than_its_bound_refuses_too() {
    assert_eq!(after_a_pause("bounded", BOUND + BOUND / 5).await, "key_revoked");
}
