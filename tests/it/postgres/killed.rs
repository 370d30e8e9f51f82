//! A process is killed when a message of a change has arrived, at each message in turn.

#[path = "../support/operations.rs"]
mod operations;
#[path = "../support/toll.rs"]
mod toll;

use std::{env, os::unix::process::ExitStatusExt, process::Stdio, sync::Arc};

use operations::{Judge, Operation, Scene};
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
};
use toll::{Last, Toll};
use tower_api_keys::store::PostgresStore;

use super::{connected, migrated, server::Server, until};

/// The order for the process that is killed: the operation, the organization and the server.
const ORDER: [&str; 3] =
    ["TOWER_API_KEYS_TEST_OPERATION", "TOWER_API_KEYS_TEST_ORGANIZATION", "TOWER_API_KEYS_TEST_URL"];

/// No other session uses this role.
const ROLE: &str = "killed";

/// A test of its own, of a process that is not killed; also the process that the tests below kill.
#[tokio::test]
async fn child_acts() {
    let [Some(operation), Some(organization), Some(url)] = ORDER.map(|name| env::var(name).ok()) else {
        let server = migrated().await;
        drop(Judge::new(Operation::Revoke, &Arc::new(connected(&server.url()).await)).await);
        return;
    };
    let ready = Scene::new(Operation::named(&operation), &organization).ready(&Arc::new(connected(&url).await)).await;
    println!("ready");
    // Waits until the other process has begun to count.
    tokio::io::stdin().read_u8().await.unwrap();
    ready.act().await.unwrap();
}

/// Returns whether the process was killed. In both cases it has ended and the server knows it.
async fn run_child(server: &Server, scene: &Scene, message: usize, last: Last) -> bool {
    let toll = Toll::to(server.port()).await;
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "--nocapture", "postgres::killed::child_acts"]).kill_on_drop(true);
    child.env(ORDER[0], format!("{:?}", scene.operation)).env(ORDER[1], scene.organization.as_str());
    child.env(ORDER[2], format!("postgres://{ROLE}@127.0.0.1:{}/postgres", toll.port()));
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("the process says that it is ready").ends_with("ready") {}
    toll.end_at(message, last);
    child.stdin.take().unwrap().write_all(b"!").await.unwrap();
    let ended = tokio::select! {
        // The last output of the test runner must be read, so that the pipe does not fill.
        ended = async { while lines.next_line().await.unwrap().is_some() {} child.wait().await.unwrap() } => ended,
        () = toll.end() => {
            child.start_kill().unwrap();
            child.wait().await.unwrap()
        }
    };
    let are_gone = format!("select count(*) = 0 from pg_stat_activity where usename = '{ROLE}'");
    until(&server.client().await, &are_gone).await;
    match ended.signal() {
        Some(signal) => assert_eq!(signal, Signal::KILL.as_raw()),
        None => assert!(ended.success(), "the process failed: {ended}"),
    }
    ended.signal().is_some()
}

/// Kills a process at the first message of the operation, another one at the second, and so on, until one completes.
async fn is_whole_or_nothing(operation: Operation, server: &Server, store: &Arc<PostgresStore>, last: Last) {
    let mut judge = Judge::new(operation, store).await;
    loop {
        let scene = judge.scene(store).await;
        let was_killed = run_child(server, &scene, judge.moment(), last).await;
        if !judge.goes_on(&scene, store, was_killed).await {
            break;
        }
    }
    // The last message is the commit.
    judge.conclude(usize::from(last == Last::Delivered));
}

async fn all_are_whole_or_nothing(last: Last) {
    let server = migrated().await;
    let role = format!("create role {ROLE} superuser login");
    server.client().await.batch_execute(&role).await.unwrap();
    let store = Arc::new(connected(&server.url()).await);
    for operation in Operation::ALL {
        is_whole_or_nothing(operation, &server, &store, last).await;
    }
}

#[tokio::test]
async fn every_change_is_whole_or_nothing_whichever_message_is_the_last_of_its_process() {
    all_are_whole_or_nothing(Last::Delivered).await;
}

#[tokio::test]
async fn every_change_is_whole_or_nothing_whichever_message_its_process_does_not_get_through() {
    all_are_whole_or_nothing(Last::Withheld).await;
}
