//! Two processes share an SQLite file. A key that one revokes is refused by the other from the next request.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tower_api_keys::{
    ApiKeys,
    auth::AuthErrorKind,
    key::{KeyId, PlaintextKey},
    manage::{IssueKey, ListKeys},
    record::Suspension,
    store::SqliteStore,
};

use crate::support::{
    cheap, issue,
    secrets::{Scratch, scratch},
    system, team, user,
};

const FILE: &str = "TOWER_API_KEYS_TEST_SHARED_FILE";

/// The variable with the number of keys for the revocation tests; a few without it.
const ROUNDS: &str = "TOWER_API_KEYS_TEST_ROUNDS";

fn rounds(few: u32) -> u32 {
    env::var(ROUNDS).map_or(few, |rounds| rounds.parse().unwrap())
}

async fn open(path: PathBuf) -> ApiKeys<SqliteStore> {
    ApiKeys::builder(SqliteStore::open(path).await.unwrap()).hasher(cheap()).build().await.unwrap()
}

/// Another process that has the same file open and carries out orders.
struct Other {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Other {
    fn start(path: &std::path::Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "two_processes::orders_are_carried_out"])
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, orders, answers }
    }

    /// Returns once the other process reports that the order is done.
    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        let done = format!("done {order}");
        let mut line = String::new();
        while !line.trim_end().ends_with(&done) {
            line.clear();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the other process ended");
        }
    }

    /// Kills it at once.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn end(mut self) {
        drop(self.orders);
        // The last output of the test runner must be read, so that the pipe does not fill.
        std::io::copy(&mut self.answers, &mut std::io::sink()).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

/// A test of its own, with its own orders, and the other process of the tests below.
#[tokio::test]
async fn orders_are_carried_out() {
    match env::var_os(FILE) {
        Some(path) => {
            let keys = open(path.into()).await;
            for order in std::io::stdin().lines() {
                carry_out(&keys, &order.unwrap()).await;
            }
        }
        None => {
            let folder = scratch();
            let keys = open(folder.path().join("keys.db")).await;
            let key = issue(&keys, team("blue")).await;
            carry_out(&keys, &format!("revoke {}", key.id())).await;
            let error = keys.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
            assert_eq!(error.kind(), AuthErrorKind::Revoked);
        }
    }
}

async fn carry_out(keys: &ApiKeys<SqliteStore>, order: &str) {
    let (manager, blue) = (keys.manager(), team("blue").into());
    match order.split_once(' ') {
        Some(("issue", name)) => {
            let request = IssueKey::user(user("alice")).named(name);
            drop(manager.issue(request, &system()).await.unwrap());
        }
        Some(("revoke", id)) => {
            manager.revoke(&KeyId::new(id).unwrap(), &system()).await.unwrap();
        }
        _ if order == "suspend" => {
            manager.suspend(&blue, Suspension::Admin, &system()).await.unwrap();
        }
        _ if order == "reinstate" => {
            manager.reinstate(&blue, Suspension::Admin, &system()).await.unwrap();
        }
        _ => panic!("no such order"),
    }
    println!("done {order}");
}

struct Here {
    folder: Scratch,
    keys: ApiKeys<SqliteStore>,
}

impl Here {
    async fn start() -> Self {
        let folder = scratch();
        let keys = open(folder.path().join("keys.db")).await;
        Self { folder, keys }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys.db")
    }

    async fn check(&self, key: &PlaintextKey) -> Result<(), AuthErrorKind> {
        let answer = self.keys.authenticator().authenticate(key.expose_secret()).await;
        answer.map(|_| ()).map_err(|error| error.kind())
    }
}

#[tokio::test]
async fn what_a_process_did_before_it_was_killed_is_done() {
    let here = Here::start().await;
    for round in 0..5 {
        let key = issue(&here.keys, user("alice")).await;
        let mut killed = Other::start(&here.path());
        killed.order(&format!("issue round {round}"));
        killed.kill();
        let mut killed = Other::start(&here.path());
        killed.order(&format!("revoke {}", key.id()));
        killed.kill();
        assert_eq!(here.check(&key).await, Err(AuthErrorKind::Revoked));
    }
    let listed = here.keys.manager().list(ListKeys::all(), &system()).await.unwrap();
    let names: Vec<&str> = listed.keys.iter().map(|key| key.name.as_str()).filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["round 0", "round 1", "round 2", "round 3", "round 4"]);
}

#[tokio::test]
async fn what_another_process_revokes_is_refused_by_the_next_check() {
    let here = Here::start().await;
    let mut other = Other::start(&here.path());
    for _ in 0..rounds(50) {
        let key = issue(&here.keys, user("alice")).await;
        assert_eq!(here.check(&key).await, Ok(()));
        other.order(&format!("revoke {}", key.id()));
        assert_eq!(here.check(&key).await, Err(AuthErrorKind::Revoked));
    }
    other.end();
}

#[tokio::test]
async fn what_another_process_suspends_and_reinstates_counts_from_the_next_check() {
    let here = Here::start().await;
    let mut other = Other::start(&here.path());
    let key = issue(&here.keys, team("blue")).await;
    assert_eq!(here.check(&key).await, Ok(()));
    for _ in 0..20 {
        other.order("suspend");
        assert_eq!(here.check(&key).await, Err(AuthErrorKind::OwnerSuspended));
        other.order("reinstate");
        assert_eq!(here.check(&key).await, Ok(()));
    }
    other.end();
}

#[tokio::test]
async fn what_plain_sql_revokes_or_suspends_is_refused_by_the_next_check() {
    let here = Here::start().await;
    let somebody = rusqlite::Connection::open(here.path()).unwrap();
    somebody.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let (one, two) = (issue(&here.keys, user("alice")).await, issue(&here.keys, team("blue")).await);
    assert_eq!((here.check(&one).await, here.check(&two).await), (Ok(()), Ok(())));
    somebody.execute("update api_keys set revoked_at = 1 where id = ?1", [one.id().as_str()]).unwrap();
    assert_eq!(here.check(&one).await, Err(AuthErrorKind::Revoked));
    let suspension =
        "insert into api_key_owners (organization, kind, id, suspended_at) values ('default', 'team', 'blue', 1)";
    somebody.execute(suspension, []).unwrap();
    assert_eq!(here.check(&two).await, Err(AuthErrorKind::OwnerSuspended));
    somebody.execute("delete from api_keys where id = ?1", [two.id().as_str()]).unwrap();
    assert_eq!(here.check(&two).await, Err(AuthErrorKind::Invalid));
}

/// Checks run in several tasks while the other process revokes keys. No check that began after a revocation returned is
/// accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_check_that_begins_after_a_revocation_is_accepted() {
    let here = Arc::new(Here::start().await);
    let mut other = Other::start(&here.path());
    let checks = Arc::new(AtomicU64::new(0));
    for _ in 0..rounds(25) {
        let key = Arc::new(issue(&here.keys, team("blue")).await);
        let revoked = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (here, key) = (here.clone(), key.clone());
                let (revoked, checks) = (revoked.clone(), checks.clone());
                tokio::spawn(async move {
                    loop {
                        let began_after = revoked.load(Ordering::SeqCst);
                        let answer = here.check(&key).await;
                        checks.fetch_add(1, Ordering::Relaxed);
                        match answer {
                            Ok(()) => assert!(!began_after, "a revoked key was accepted"),
                            Err(AuthErrorKind::Revoked) if began_after => break,
                            Err(AuthErrorKind::Revoked) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        while here.check(&key).await.is_err() {}
        tokio::task::block_in_place(|| other.order(&format!("revoke {}", key.id())));
        revoked.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
    }
    assert!(checks.load(Ordering::Relaxed) > 75);
    other.end();
}
