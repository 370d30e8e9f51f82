//! Once every store is dropped, only the database file is left.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use tower_api_keys::{
    OrganizationId,
    store::{EventQuery, KeyReader, KeyStore, Ledger, SqliteStore},
};

use super::{Folder, begin_and_drop, change, crash, id, insert, names, revoke, sql};

fn is_alone(folder: &Folder, when: impl std::fmt::Display) {
    assert_eq!(names(folder), ["keys.db"], "{when}");
}

/// Several threads close its connections at the same moment.
#[tokio::test]
async fn a_store_that_was_dropped_leaves_its_file_alone() {
    let folder = Folder::new();
    for round in 1..=100 {
        let store = SqliteStore::open(folder.file()).await.unwrap();
        store.apply(&change(round, insert(round))).await.unwrap();
        drop(store);
        is_alone(&folder, round);
    }
}

#[tokio::test]
async fn a_store_whose_callers_left_in_the_middle_leaves_its_file_alone() {
    let folder = Folder::new();
    for round in 1..=50 {
        let store = match round % 2 {
            0 => SqliteStore::open(folder.file()).await.unwrap(),
            _ => SqliteStore::open_exclusive(folder.file()).await.unwrap(),
        };
        for number in 0..10 {
            let number = 10 * round + number;
            begin_and_drop(store.apply(&change(number, insert(number)))).await;
            begin_and_drop(store.find(&id(number))).await;
            begin_and_drop(store.changes_since(None)).await;
            begin_and_drop(store.events(&EventQuery::all(OrganizationId::single()))).await;
        }
        drop(store);
        is_alone(&folder, round);
    }
}

#[test]
fn stores_and_others_that_close_at_the_same_moment_leave_their_file_alone() {
    const STORES: usize = 3;
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 1..=50 {
        let stores: Vec<_> = (0..STORES).map(|_| runtime.block_on(SqliteStore::open(folder.file())).unwrap()).collect();
        runtime.block_on(stores[0].apply(&change(round, insert(round)))).unwrap();
        let plain = sql(&folder.file());
        plain.execute("update api_key_meta set name = name", []).unwrap();
        let barrier = &Barrier::new(STORES + 1);
        thread::scope(|scope| {
            for store in stores {
                scope.spawn(move || {
                    barrier.wait();
                    drop(store);
                });
            }
            scope.spawn(move || {
                barrier.wait();
                drop(plain);
            });
        });
        is_alone(&folder, round);
    }
}

/// The files that a killed service left are removed by the next service, in whichever mode it opens the database.
#[tokio::test]
async fn what_a_killed_process_left_is_gone_once_the_next_one_ended() {
    for exclusive in [false, true] {
        let folder = Folder::new();
        crash::kill_after_changes(&folder);
        assert_eq!(names(&folder).len(), 3);
        let store = match exclusive {
            false => SqliteStore::open(folder.file()).await.unwrap(),
            true => SqliteStore::open_exclusive(folder.file()).await.unwrap(),
        };
        store.apply(&change(9, revoke(1))).await.unwrap();
        drop(store);
        is_alone(&folder, exclusive);
        let again = SqliteStore::open(folder.file()).await.unwrap();
        assert!(again.find(&id(1)).await.unwrap().unwrap().key.revoked_at.is_some());
    }
}

/// A backup continues although its caller and its store are gone, and closes the file last.
#[tokio::test]
async fn a_backup_that_outlives_its_store_leaves_the_file_alone() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    let backup = folder.0.path().join("backup.db");
    begin_and_drop(store.backup_to(&backup)).await;
    drop(store);
    let begun = Instant::now();
    while names(&folder) != ["backup.db", "keys.db"] {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", names(&folder));
        tokio::task::yield_now().await;
    }
    assert!(SqliteStore::open(&backup).await.unwrap().find(&id(1)).await.unwrap().is_some());
}
