//! Another process holds the write lock: a database shell that was left in a transaction.

use std::time::Duration;

use tower_api_keys::{
    ApiKeys,
    manage::ManageErrorKind,
    store::{KeyReader, KeyStore, SqliteOpenErrorKind, SqliteStore, StoreErrorKind},
};

use super::{Folder, change, insert, sql};
use crate::support::{cheap, issue, system, user};

/// The time limit must count from the moment of the call. Otherwise the changes behind the first would be given up
/// half-way, and their outcome would be unknown.
#[tokio::test]
async fn changes_that_wait_for_a_lock_are_known_not_to_be_made_and_say_why() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let keys = ApiKeys::builder(store).hasher(cheap()).build().await.unwrap();
    let key = issue(&keys, user("alice")).await;
    let id = key.id();
    let shell = sql(&folder.file());
    shell.busy_timeout(Duration::from_secs(5)).unwrap();
    shell.execute_batch("begin immediate").unwrap();

    let manager = keys.manager();
    let system = system();
    let revoke = || manager.revoke(&id, &system);
    let (one, two, three, four) = tokio::join!(revoke(), revoke(), revoke(), revoke());
    for outcome in [one, two, three, four] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::StoreUnavailable);
        let store_error = std::error::Error::source(&error).unwrap();
        let cause = store_error.source().unwrap().to_string();
        assert!(cause.starts_with("another process holds the write lock of `"), "{cause}");
        assert!(cause.contains("keys.db`, and nothing was changed: end its transaction"), "{cause}");
    }
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();

    shell.execute_batch("rollback").unwrap();
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    manager.revoke(&id, &system).await.unwrap();
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
}

/// A service that restarts meanwhile can start and check keys.
#[tokio::test]
async fn a_service_starts_while_somebody_holds_the_write_lock() {
    let folder = Folder::new();
    drop(SqliteStore::open(folder.file()).await.unwrap());
    let shell = sql(&folder.file());
    shell.execute_batch("begin immediate").unwrap();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    assert!(store.try_head().is_some());
    assert_eq!(store.replace_note("peppers", b"", b"").await.unwrap(), b"", "a look");
    let error = store.apply(&change(1, insert(1))).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let exclusive = SqliteStore::open_exclusive(folder.file()).await.unwrap_err();
    assert_eq!(exclusive.kind(), SqliteOpenErrorKind::InUse);
    shell.execute_batch("rollback").unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
}
