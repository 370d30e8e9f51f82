//! Processes that end without a shutdown.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tower_api_keys::{
    ApiKeys, OrganizationId, Timestamp,
    auth::AuthErrorKind,
    store::{Changes, KeyQuery, KeyReader, KeyStore, Ledger, SqliteStore, StoreErrorKind},
    usage::{UsageBatch, UsageRow},
};

use super::{Folder, change, id, insert, key, now, revoke};
use crate::support::{cheap, issue, user};

const FILE: &str = "TOWER_API_KEYS_TEST_FILE";

/// Runs a test of this file in its own process.
fn child(test: &str, file: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", &format!("sqlite::crash::{test}")]).env(FILE, file);
    command
}

/// The file that the parent test names, or a new one.
fn file(folder: &Folder) -> PathBuf {
    env::var_os(FILE).map_or_else(|| folder.file(), PathBuf::from)
}

fn is_child() -> bool {
    env::var_os(FILE).is_some()
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = Folder::new();
    kill_after_changes(&folder);

    let store = SqliteStore::open(folder.file()).await.unwrap();
    assert_eq!(store.find(&id(1)).await.unwrap().unwrap().key, key(1));
    assert_eq!(store.find(&id(2)).await.unwrap().unwrap().key.revoked_at, Some(now().as_millis()));
    let Changes::Changed { keys, .. } = store.changes_since(Some(tower_api_keys::store::Head::EMPTY)).await.unwrap()
    else {
        panic!("the log was lost")
    };
    assert_eq!(keys, [id(2)]);
    let listed = store.list(&KeyQuery::all(OrganizationId::single()), now()).await.unwrap().rows;
    assert_eq!(listed[0].usage.unwrap().successes, 5);
}

/// Leaves a file in the state of a service that was killed after a few changes.
pub(super) fn kill_after_changes(folder: &Folder) {
    let mut killed =
        child("child_issues_and_revokes", &folder.file()).stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
    wait_for(&mut killed, "answered");
    killed.kill().unwrap();
    killed.wait().unwrap();
}

fn wait_for(child: &mut Child, word: &str) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).any(|line| line.ends_with(word));
    assert!(said, "the child ended early");
}

/// A test of its own, and the process that another test kills.
#[tokio::test]
async fn child_issues_and_revokes() {
    let folder = Folder::new();
    let store = SqliteStore::open(file(&folder)).await.unwrap();
    store.apply(&change(2, insert(2))).await.unwrap();
    let row = UsageRow {
        key: Some(id(1).as_str().into()),
        organization: None,
        outcome: "success".into(),
        label: String::new(),
        client: String::new(),
        network: String::new(),
        count: 5,
        first_at: 1,
        last_at: 2,
    };
    store.record_usage(&UsageBatch { writer: [1; 16], sequence: 1, rows: vec![row], days: Vec::new() }).await.unwrap();
    store.apply(&change(3, revoke(2))).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    assert!(store.find(&id(2)).await.unwrap().unwrap().key.revoked_at.is_some());
    println!("answered");
    if is_child() {
        // Until it is killed.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        panic!("the parent went away");
    }
}

/// If a process reads its own database file without SQLite and closes it, it loses its locks on the file. Other
/// processes then close the file as if they were the last to have it open.
#[tokio::test]
async fn a_service_that_copied_its_file_by_hand_accepts_no_dead_key() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let keys = ApiKeys::builder(store).hasher(cheap()).build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    let check = async || keys.authenticator().authenticate(key.expose_secret()).await.map_err(|error| error.kind());
    check().await.unwrap();
    std::fs::copy(folder.file(), folder.0.path().join("by hand.db")).unwrap();
    let ended = child("child_revokes_by_plain_sql", &folder.file()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let refused = check().await.unwrap_err();
    assert!([AuthErrorKind::Revoked, AuthErrorKind::StoreUnavailable].contains(&refused), "{refused:?}");
}

/// A test of its own, and the process by which another test revokes keys.
#[tokio::test]
async fn child_revokes_by_plain_sql() {
    let folder = Folder::new();
    if !is_child() {
        let store = SqliteStore::open(folder.file()).await.unwrap();
        store.apply(&change(1, insert(1))).await.unwrap();
    }
    let plain = super::sql(&file(&folder));
    assert_eq!(plain.execute("update api_keys set revoked_at = 1", []).unwrap(), 1);
}

/// For the database, a limit on the size of files is the same as a full disk.
#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_takes_no_more_refuses_changes_and_goes_on_reading() {
    let folder = Folder::new();
    drop(SqliteStore::open(folder.file()).await.unwrap());
    let child = child("child_fills_the_disk", &folder.file());
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$@\"", "sh"])
        .arg(child.get_program())
        .args(child.get_args());
    let ended = limited.env(FILE, folder.file()).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{text}");

    // All answers that the process got are true, and the file is intact.
    let count = text.lines().find_map(|line| line.rsplit_once("written: ")).unwrap().1.parse::<u32>().unwrap();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    assert!(store.find(&id(count)).await.unwrap().is_some());
    let check: String = super::sql(&folder.file()).query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    store.apply(&change(count + 1, insert(count + 1))).await.unwrap();
}

/// A test of its own, on a disk with room for a few changes, and the process whose disk another test limits.
#[tokio::test]
async fn child_fills_the_disk() {
    let folder = Folder::new();
    let store = SqliteStore::open(file(&folder)).await.unwrap();
    let mut count = 0;
    let error = loop {
        if !is_child() && count == 20 {
            assert!(store.find(&id(count)).await.unwrap().is_some());
            return;
        }
        match store.apply(&change(count + 1, insert(count + 1))).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    let kinds = [StoreErrorKind::OutcomeUnknown, StoreErrorKind::Unavailable];
    assert!(count > 0 && kinds.contains(&error.kind()), "{count} {error:?}");
    assert!(store.find(&id(count)).await.unwrap().is_some());
    assert!(store.find(&id(count + 1)).await.unwrap().is_none(), "half of a change is there");
    assert!(store.try_head().is_some());
    let query = KeyQuery { limit: 1_000, ..KeyQuery::all(OrganizationId::single()) };
    assert!(!store.list(&query, Timestamp::MIN).await.unwrap().rows.is_empty());
    println!("written: {count}");
}
