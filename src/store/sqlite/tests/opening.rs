use std::{fs, time::Duration};

use super::{
    super::schema::{MIGRATIONS, migrate},
    Folder, change, key, sql,
};
use crate::store::{KeyReader, KeyStore, SqliteOpenError, SqliteOpenErrorKind, SqliteStore, Write};

/// Locks are held for the whole test, so waiting for them would change nothing.
const NO_PATIENCE: Duration = Duration::ZERO;

fn refused(opened: Result<SqliteStore, SqliteOpenError>) -> (SqliteOpenErrorKind, String) {
    let error = opened.unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_file_held_exclusively_is_refused_to_everybody() {
    let folder = Folder::new();
    let _holder = SqliteStore::open_alone(&folder.file(), NO_PATIENCE).unwrap();
    let (kind, text) = refused(SqliteStore::open_alone(&folder.file(), NO_PATIENCE));
    assert_eq!(kind, SqliteOpenErrorKind::InUse);
    assert!(text.contains("keys.db` is in use: stop the other process"), "{text}");
    assert_eq!(refused(SqliteStore::open_shared(&folder.file(), NO_PATIENCE)).0, SqliteOpenErrorKind::InUse);

    let plain = sql(&folder.file());
    plain.busy_timeout(NO_PATIENCE).unwrap();
    assert!(plain.execute("update api_keys set revoked_at = 1", []).is_err());
}

#[test]
fn a_file_held_exclusively_is_free_when_the_store_is_dropped() {
    let folder = Folder::new();
    drop(SqliteStore::open_alone(&folder.file(), NO_PATIENCE).unwrap());
    drop(SqliteStore::open_shared(&folder.file(), NO_PATIENCE).unwrap());
    drop(SqliteStore::open_alone(&folder.file(), NO_PATIENCE).unwrap());
    let left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["keys.db"]);
}

#[test]
fn a_file_others_have_open_cannot_be_held_exclusively() {
    let folder = Folder::new();
    let shared = SqliteStore::open_shared(&folder.file(), NO_PATIENCE).unwrap();
    assert_eq!(refused(SqliteStore::open_alone(&folder.file(), NO_PATIENCE)).0, SqliteOpenErrorKind::InUse);
    assert!(shared.try_head().is_some());
}

#[tokio::test]
async fn a_file_used_by_one_process_after_the_other_keeps_what_each_wrote() {
    let folder = Folder::new();
    let alone = SqliteStore::open_alone(&folder.file(), NO_PATIENCE).unwrap();
    alone.apply(&change(1, Write::Insert(key(1)))).await.unwrap();
    alone.apply(&change(2, super::revoke(1))).await.unwrap();
    let head = alone.try_head();
    drop(alone);
    let shared = SqliteStore::open_shared(&folder.file(), NO_PATIENCE).unwrap();
    assert_eq!(shared.try_head(), head);
    drop(shared);
    let alone = SqliteStore::open_alone(&folder.file(), NO_PATIENCE).unwrap();
    assert_eq!(alone.try_head(), head);
}

#[tokio::test]
async fn a_writer_who_does_not_finish_is_not_waited_for_forever() {
    let folder = Folder::new();
    drop(SqliteStore::open_shared(&folder.file(), NO_PATIENCE).unwrap());
    let plain = sql(&folder.file());
    plain.execute_batch("begin immediate").unwrap();
    let store = SqliteStore::open_shared(&folder.file(), NO_PATIENCE).unwrap();
    let error = store.apply(&change(1, Write::Insert(key(1)))).await.unwrap_err();
    assert_eq!(error.kind(), crate::store::StoreErrorKind::Unavailable);
    let why = std::error::Error::source(&error).unwrap().to_string();
    let file = folder.file();
    let expected = format!(
        "somebody holds the write lock of `{}`, and nothing was changed: end the transaction that holds it, as of a \
         database shell that was left open (`fuser` says which processes have the file open)",
        file.display()
    );
    assert_eq!(why, expected);
}

#[test]
fn the_schema_of_the_version_before_is_migrated() {
    let folder = Folder::new();
    drop(SqliteStore::open_shared(&folder.file(), NO_PATIENCE).unwrap());
    let mut connection = sql(&folder.file());
    let next = "create table next_version (a integer) strict";
    let newer: Vec<&str> = MIGRATIONS.iter().copied().chain([next]).collect();
    migrate(&mut connection, &newer).unwrap();
    migrate(&mut connection, &newer).unwrap();
    connection.execute("insert into next_version values (1)", []).unwrap();
    assert!(SqliteStore::open_shared(&folder.file(), NO_PATIENCE).is_ok(), "one version newer than its own");
}

#[test]
fn a_migration_that_fails_leaves_nothing() {
    let folder = Folder::new();
    let mut connection = sql(&folder.file());
    let broken: Vec<&str> = MIGRATIONS.iter().copied().chain(["create table a (b); create table a (b)"]).collect();
    migrate(&mut connection, &broken).unwrap_err();
    let tables: i64 = connection.query_row("select count(*) from sqlite_master", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
}
