//! A process is killed at a statement of a change, at each statement in turn.

#[path = "../../../../tests/it/support/operations.rs"]
#[expect(unreachable_pub, reason = "the integration tests read the file as well")]
mod operations;

use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use operations::{Judge, Operation, Scene};
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rustix::process::{Signal, getpid, kill_process};

use super::Folder;
use crate::store::SqliteStore;

/// The order for the process that is killed: the operation, the organization, the file, and the moment at which it
/// ends.
const ORDER: [&str; 4] = [
    "TOWER_API_KEYS_TEST_OPERATION",
    "TOWER_API_KEYS_TEST_ORGANIZATION",
    "TOWER_API_KEYS_TEST_FILE",
    "TOWER_API_KEYS_TEST_MOMENT",
];

/// The number of moments that this process still has.
static MOMENTS: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Moments are the start of each statement, also inside of triggers, and the end of the commit.
fn end_in_time(event: TraceEvent<'_>) {
    let is_moment = match event {
        TraceEvent::Stmt(..) => true,
        TraceEvent::Profile(statement, _) => statement.sql() == "commit",
        _ => false,
    };
    if is_moment && MOMENTS.fetch_sub(1, Ordering::SeqCst) == 1 {
        kill_process(getpid(), Signal::KILL).unwrap();
        loop {
            thread::park();
        }
    }
}

async fn open(path: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(path).await.unwrap())
}

/// A test of its own, of a process that is not killed; also the process that the tests below kill.
#[tokio::test]
async fn child_acts() {
    let order = ORDER.map(|name| env::var(name).ok());
    let [Some(operation), Some(organization), Some(file), Some(moment)] = order else {
        let folder = Folder::new();
        let store = open(&folder.file()).await;
        drop(Judge::new(Operation::Revoke, &store).await);
        return;
    };
    let store = open(Path::new(&file)).await;
    let ready = Scene::new(Operation::named(&operation), &organization).ready(&store).await;
    // Opening has just written to the file. Until that is settled, each look at the files also reads the marks.
    store.settle().await;
    MOMENTS.store(moment.parse().unwrap(), Ordering::SeqCst);
    let traced = store.on_writer(|connection| {
        let codes = TraceEventCodes::SQLITE_TRACE_STMT | TraceEventCodes::SQLITE_TRACE_PROFILE;
        connection.trace_v2(codes, Some(end_in_time));
        Ok(())
    });
    traced.await.unwrap();
    ready.act().await.unwrap();
}

fn run_child(scene: &Scene, file: &Path, moment: usize) -> Output {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "store::sqlite::tests::killed::child_acts"]);
    child.env(ORDER[0], format!("{:?}", scene.operation)).env(ORDER[1], scene.organization.as_str());
    child.env(ORDER[2], file).env(ORDER[3], moment.to_string());
    child.output().unwrap()
}

/// Kills a process at the first moment of the operation, another one at the second, and so on, until one completes.
async fn is_whole_or_nothing(operation: Operation) {
    let folder = Folder::new();
    let mut judge = Judge::new(operation, &open(&folder.file()).await).await;
    loop {
        let scene = judge.scene(&open(&folder.file()).await).await;
        let Output { status: ended, stdout: said, .. } = run_child(&scene, &folder.file(), judge.moment());
        match ended.signal() {
            Some(signal) => assert_eq!(signal, Signal::KILL.as_raw()),
            None => assert!(ended.success(), "the process failed: {}", String::from_utf8_lossy(&said)),
        }
        // Opened as by a process that starts when all others are gone.
        let store = open(&folder.file()).await;
        if !judge.goes_on(&scene, &store, ended.signal().is_some()).await {
            break;
        }
    }
    // The end of the commit, and two looks at the marks when the file is closed.
    judge.conclude(3);
}

#[tokio::test]
async fn an_abort_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Abort).await;
}

#[tokio::test]
async fn a_begin_of_a_rotation_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::BeginRotation).await;
}

#[tokio::test]
async fn a_close_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Close).await;
}

#[tokio::test]
async fn a_finish_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Finish).await;
}

#[tokio::test]
async fn a_suspension_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Suspend).await;
}

#[tokio::test]
async fn an_issue_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Issue).await;
}

#[tokio::test]
async fn a_rename_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Rename).await;
}

#[tokio::test]
async fn a_revoke_is_whole_or_nothing_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::Revoke).await;
}

#[tokio::test]
async fn revoking_many_is_done_change_by_change_wherever_its_process_is_killed() {
    is_whole_or_nothing(Operation::RevokeMany).await;
}
