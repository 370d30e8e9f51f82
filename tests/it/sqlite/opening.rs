use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
};

use tower_api_keys::store::{KeyReader, KeyStore, SqliteOpenErrorKind, SqliteStore};

use super::{Folder, change, id, insert, sql};

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_and_write_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    for name in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        let mode = fs::metadata(folder.0.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn many_may_make_and_migrate_a_file_together() {
    const OPENERS: usize = 8;
    let folder = Folder::new();
    let barrier = Arc::new(Barrier::new(OPENERS));
    let open = |_| {
        let (path, barrier) = (folder.file(), Arc::clone(&barrier));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            barrier.wait();
            runtime.block_on(SqliteStore::open(path)).unwrap()
        })
    };
    let threads: Vec<_> = (0..OPENERS).map(open).collect();
    let stores: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(stores.iter().all(|store| store.try_head().is_some()));
    let versions: i64 =
        sql(&folder.file()).query_row("select count(*) from api_key_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(versions, 1);
}

#[test]
fn of_many_who_want_a_new_file_for_themselves_one_gets_it() {
    const OPENERS: usize = 4;
    let folder = Folder::new();
    let barrier = Arc::new(Barrier::new(OPENERS));
    let open = |_| {
        let (path, barrier) = (folder.file(), Arc::clone(&barrier));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            barrier.wait();
            runtime.block_on(SqliteStore::open_exclusive(path))
        })
    };
    let threads: Vec<_> = (0..OPENERS).map(open).collect();
    let opened: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1);
    let refused = opened.iter().filter_map(|opened| opened.as_ref().err());
    assert!(refused.into_iter().all(|error| error.kind() == SqliteOpenErrorKind::InUse));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = Folder::new();
    let text = "these are my notes, and they are longer than the header of a database file. ".repeat(20);
    fs::write(folder.file(), &text).unwrap();
    for error in [
        SqliteStore::open(folder.file()).await.unwrap_err(),
        SqliteStore::open_exclusive(folder.file()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), SqliteOpenErrorKind::NotADatabase);
        let end = "keys.db` is not an SQLite database: choose another file, or a name that does not exist yet";
        assert!(error.to_string().ends_with(end), "{error}");
    }
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
}

#[tokio::test]
async fn a_schema_one_version_newer_is_used_as_it_is_and_two_are_refused() {
    let folder = Folder::new();
    drop(SqliteStore::open(folder.file()).await.unwrap());

    sql(&folder.file()).execute("insert into api_key_schema (version) values (2)", []).unwrap();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    drop(store);

    sql(&folder.file()).execute("insert into api_key_schema (version) values (3)", []).unwrap();
    let error = SqliteStore::open(folder.file()).await.unwrap_err();
    assert_eq!(error.kind(), SqliteOpenErrorKind::TooNew);
    let end = "has schema 3, but this version of tower-api-keys supports at most schema 2: update tower-api-keys";
    assert!(error.to_string().ends_with(end), "{error}");
}

#[tokio::test]
async fn a_file_may_be_shared_with_tables_of_the_service() {
    let folder = Folder::new();
    sql(&folder.file())
        .execute_batch("create table users (id text); pragma user_version = 7; pragma application_id = 8;")
        .unwrap();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    let plain = sql(&folder.file());
    for (pragma, value) in [("user_version", 7), ("application_id", 8)] {
        assert_eq!(plain.query_row(&format!("pragma {pragma}"), [], |row| row.get::<_, i64>(0)).unwrap(), value);
    }
}

#[tokio::test]
async fn a_table_of_somebody_else_under_a_name_of_ours_is_refused_and_left_alone() {
    let folder = Folder::new();
    sql(&folder.file()).execute_batch("create table api_keys (mine text); insert into api_keys values ('x')").unwrap();
    let error = SqliteStore::open(folder.file()).await.unwrap_err();
    assert_eq!(error.kind(), SqliteOpenErrorKind::TableTaken);
    assert!(
        error.to_string().contains("already has a table or view `api_keys` that belongs to another program"),
        "{error}"
    );
    let tables: i64 =
        sql(&folder.file()).query_row("select count(*) from sqlite_master", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_path_is_nothing_but_a_path() {
    let folder = Folder::new();
    for name in [":memory:", "file:keys.db?mode=memory"] {
        let path = folder.0.path().join(name);
        let store = SqliteStore::open(&path).await.unwrap();
        store.apply(&change(1, insert(1))).await.unwrap();
        drop(store);
        let store = SqliteStore::open(&path).await.unwrap();
        assert!(store.find(&id(1)).await.unwrap().is_some(), "{name}");
    }
    let error = SqliteStore::open("").await.unwrap_err();
    assert_eq!(error.kind(), SqliteOpenErrorKind::CannotOpen);
}

#[tokio::test]
async fn stores_in_memory_share_nothing() {
    let one = SqliteStore::in_memory().await.unwrap();
    one.apply(&change(1, insert(1))).await.unwrap();
    let other = SqliteStore::in_memory().await.unwrap();
    assert!(one.clone().find(&id(1)).await.unwrap().is_some());
    assert!(other.find(&id(1)).await.unwrap().is_none());
}
