//! A database file that is no longer the file under its name.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use tower_api_keys::{
    ApiKeys,
    auth::AuthErrorKind,
    key::PlaintextKey,
    manage::{ListKeys, ManageErrorKind},
    store::{KeyReader, KeyStore, SqliteOpenErrorKind, SqliteStore, StoreError, StoreErrorKind},
};

use super::{
    Folder, beside, change,
    copies::{between_marks, mark},
    id, insert, revoke, sql,
};
use crate::support::{cheap, issue, system, user};

async fn keys(path: &Path) -> ApiKeys<Arc<SqliteStore>> {
    keys_in(Arc::new(SqliteStore::open(path).await.unwrap())).await
}

async fn keys_in(store: Arc<SqliteStore>) -> ApiKeys<Arc<SqliteStore>> {
    ApiKeys::builder(store).hasher(cheap()).build().await.unwrap()
}

fn remove_log(path: &Path) {
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(beside(path, end));
    }
}

/// A vacuumed copy, as a shell makes it of a file in use.
fn vacuumed(folder: &Folder) -> PathBuf {
    let backup = folder.0.path().join("backup.db");
    sql(&folder.file()).execute("vacuum into ?1", [backup.to_str().unwrap()]).unwrap();
    backup
}

fn cause(error: &StoreError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

/// A service with its own file, which knows one key.
struct Service {
    folder: Folder,
    keys: ApiKeys<Arc<SqliteStore>>,
    store: Weak<SqliteStore>,
    key: PlaintextKey,
}

impl Service {
    async fn start() -> Self {
        let folder = Folder::new();
        let opened = Arc::new(SqliteStore::open(folder.file()).await.unwrap());
        let store = Arc::downgrade(&opened);
        let keys = keys_in(opened).await;
        let key = issue(&keys, user("alice")).await;
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
        Self { folder, keys, store, key }
    }

    /// Waits until the files are closed: background tasks keep the store a moment longer than the service.
    async fn end(self) -> (Folder, PlaintextKey) {
        drop(self.keys);
        while self.store.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        (self.folder, self.key)
    }

    /// Asserts that every check fails because the store is unavailable, however often it is repeated.
    async fn is_out(&self) {
        for _ in 0..3 {
            let error = self.keys.authenticator().authenticate(self.key.expose_secret()).await.unwrap_err();
            assert_eq!(error.kind(), AuthErrorKind::StoreUnavailable, "{error:?}");
        }
        let made = tower_api_keys::IssueKey::user(user("bob"));
        let error = self.keys.manager().issue(made, &system()).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::StoreUnavailable);
        let error = self.keys.manager().list(ListKeys::all(), &system()).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::StoreUnavailable);
    }

    async fn is_in(&self) {
        self.keys.authenticator().authenticate(self.key.expose_secret()).await.unwrap();
        drop(issue(&self.keys, user("carol")).await);
    }
}

#[tokio::test]
async fn a_backup_that_replaces_the_file_lets_no_dead_key_through() {
    let service = Service::start().await;
    let (path, backup) = (service.folder.file(), vacuumed(&service.folder));
    remove_log(&path);
    fs::rename(backup, &path).unwrap();
    let tool = keys(&path).await;
    tool.manager().revoke(&service.key.id(), &system()).await.unwrap();
    service.is_out().await;
}

#[tokio::test]
async fn the_order_of_replacing_and_removing_does_not_matter() {
    let service = Service::start().await;
    let (path, backup) = (service.folder.file(), vacuumed(&service.folder));
    fs::rename(backup, &path).unwrap();
    remove_log(&path);
    let tool = keys(&path).await;
    tool.manager().revoke(&service.key.id(), &system()).await.unwrap();
    service.is_out().await;
}

#[tokio::test]
async fn each_of_the_three_files_is_missed() {
    for ends in [&[""][..], &["-wal"], &["-shm"], &["-wal", "-shm"], &["", "-wal", "-shm"]] {
        let service = Service::start().await;
        for end in ends {
            fs::remove_file(beside(&service.folder.file(), end)).unwrap();
        }
        service.is_out().await;
    }
}

#[tokio::test]
async fn the_error_names_the_file_and_the_way_out() {
    let folder = Folder::new();
    let path = folder.file();
    let store = SqliteStore::open(&path).await.unwrap();
    fs::remove_file(beside(&path, "-wal")).unwrap();
    let error = store.find(&id(1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let file = fs::canonicalize(&path).unwrap();
    let said = format!("`{}-wal` was removed while this service used it: restart the service", file.display());
    assert_eq!(cause(&error), said);
    let error = store.apply(&change(1, insert(1))).await.unwrap_err();
    assert_eq!((error.kind(), cause(&error)), (StoreErrorKind::Unavailable, said));
    assert_eq!(store.try_head(), None);
}

#[tokio::test]
async fn a_service_that_lost_its_log_starts_again_only_when_it_is_told_what_is_missing() {
    let service = Service::start().await;
    let path = service.folder.file();
    remove_log(&path);
    service.is_out().await;
    let (_folder, _) = service.end().await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), SqliteOpenErrorKind::NoLog, "{error:?}");
}

#[tokio::test]
async fn a_file_moved_away_and_back_is_not_trusted_again() {
    let service = Service::start().await;
    let (path, aside) = (service.folder.file(), service.folder.0.path().join("aside.db"));
    fs::rename(&path, &aside).unwrap();
    service.is_out().await;
    fs::rename(&aside, &path).unwrap();
    service.is_out().await;
    // Nothing was lost: the file is complete.
    let (_folder, key) = service.end().await;
    let again = keys(&path).await;
    again.authenticator().authenticate(key.expose_secret()).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_was_replaced_takes_its_files_along() {
    let folder = Folder::new();
    let data = folder.0.path().join("data");
    fs::create_dir(&data).unwrap();
    let store = SqliteStore::open(data.join("keys.db")).await.unwrap();
    fs::rename(&data, folder.0.path().join("old")).unwrap();
    fs::create_dir(&data).unwrap();
    let other = SqliteStore::open(data.join("keys.db")).await.unwrap();
    other.apply(&change(1, insert(1))).await.unwrap();
    assert_eq!(store.try_head(), None);
    assert_eq!(store.find(&id(1)).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_is_followed_and_noticed_when_it_leads_elsewhere() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new();
    let [link, target, other] = ["link.db", "keys.db", "other.db"].map(|name| folder.0.path().join(name));
    drop(SqliteStore::open(&other).await.unwrap());
    let direct = SqliteStore::open(&target).await.unwrap();
    symlink(&target, &link).unwrap();
    let linked = SqliteStore::open(&link).await.unwrap();
    direct.apply(&change(1, insert(1))).await.unwrap();
    direct.apply(&change(2, revoke(1))).await.unwrap();
    assert_eq!(linked.try_head(), direct.try_head());
    assert!(linked.try_head().is_some());

    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    assert_eq!(linked.try_head(), None);
    assert!(direct.try_head().is_some());
}

/// `cp` writes into the existing file, which keeps its inode number.
#[tokio::test]
async fn a_backup_copied_over_the_file_is_noticed() {
    let service = Service::start().await;
    let (path, backup) = (service.folder.file(), vacuumed(&service.folder));
    // More changes than the log keeps, so the file differs from the backup.
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 1..=210 {
        store.apply(&change(number, insert(number))).await.unwrap();
    }
    service.keys.manager().revoke(&service.key.id(), &system()).await.unwrap();
    // A mark made meanwhile would write the log over the copy.
    let lock = between_marks(&path);
    fs::copy(backup, &path).unwrap();
    service.is_out().await;
    drop(lock);
    let error = store.find(&id(1)).await.unwrap_err();
    assert!(cause(&error).contains("a program other than SQLite wrote to `"), "{}", cause(&error));
}

/// While a reader is open, a new mark stays in the log and is read from there, whatever happens to the file.
#[tokio::test]
async fn a_file_written_to_beside_a_reader_is_noticed() {
    for copies in [true, false] {
        let service = Service::start().await;
        let (path, backup) = (service.folder.file(), vacuumed(&service.folder));
        let reader = sql(&path);
        reader.execute_batch("begin; select * from api_keys").unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        for number in 1..=210 {
            store.apply(&change(number, insert(number))).await.unwrap();
        }
        service.keys.manager().revoke(&service.key.id(), &system()).await.unwrap();
        // A mark that is being made is checked when it is complete.
        let _lock = between_marks(&path);
        if copies {
            fs::copy(backup, &path).unwrap();
        } else {
            // A table that this test does not query, and of which the log has no page.
            let root = "select (rootpage - 1) * (select page_size from pragma_page_size) from sqlite_master \
                where name = 'api_key_tombstones'";
            let at: i64 = reader.query_row(root, [], |row| row.get(0)).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0; 512], at as u64).unwrap();
        }
        service.is_out().await;
        assert!(cause(&store.find(&id(1)).await.unwrap_err()).contains("a program other than SQLite wrote to `"));
    }
}

/// A mark is in the log before it is in the file. No thread reads the whole file because of that, least of all a
/// request.
#[tokio::test]
async fn a_mark_that_is_being_made_holds_up_no_request() {
    let service = Service::start().await;
    let other = sql(&service.folder.file());
    let begun = "begin; update api_key_file_mark set mark = zeroblob(16), number = number + 1; \
        update api_key_log_mark set mark = zeroblob(16), is_whole = 0, beside = null, is_in_file = 0; commit";
    other.execute_batch(begun).unwrap();
    other.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())).unwrap();
    assert!(service.store.upgrade().unwrap().try_head().is_some());
    service.is_in().await;
}

/// Nothing is read from an empty log, so the database is exactly the backup.
#[tokio::test]
async fn a_backup_copied_over_the_file_below_an_empty_log_is_noticed() {
    for by_store in [false, true] {
        let service = Service::start().await;
        let path = service.folder.file();
        let store = SqliteStore::open(&path).await.unwrap();
        let backup = match by_store {
            false => vacuumed(&service.folder),
            true => {
                let backup = service.folder.0.path().join("backup.db");
                store.backup_to(&backup).await.unwrap();
                backup
            }
        };
        for number in 1..=210 {
            store.apply(&change(number, insert(number))).await.unwrap();
        }
        service.keys.manager().revoke(&service.key.id(), &system()).await.unwrap();
        // A mark made meanwhile would be in the log.
        let _lock = loop {
            let before = mark(&between_marks(&path));
            sql(&path).query_row("pragma wal_checkpoint(restart)", [], |_| Ok(())).unwrap();
            let lock = between_marks(&path);
            if mark(&lock) == before {
                break lock;
            }
        };
        fs::copy(backup, &path).unwrap();
        service.is_out().await;
    }
}

/// The backup has the same mark, but its pages are in other places.
#[tokio::test]
async fn a_backup_made_a_moment_ago_and_copied_over_the_file_is_noticed() {
    let service = Service::start().await;
    let (path, backup) = (service.folder.file(), vacuumed(&service.folder));
    service.keys.manager().revoke(&service.key.id(), &system()).await.unwrap();
    fs::copy(backup, &path).unwrap();
    service.is_out().await;
}

#[tokio::test]
async fn a_file_emptied_or_filled_with_something_else_is_noticed() {
    for contents in [&b""[..], &[7; 100_000]] {
        let service = Service::start().await;
        fs::write(service.folder.file(), contents).unwrap();
        service.is_out().await;
    }
}

/// Only the length of the log changes, so the loss shows only by that.
#[tokio::test]
async fn a_log_that_was_emptied_or_cut_off_is_noticed() {
    for (exclusive, halves) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let folder = Folder::new();
        let path = folder.file();
        let store = match exclusive {
            false => SqliteStore::open(&path).await.unwrap(),
            true => SqliteStore::open_exclusive(&path).await.unwrap(),
        };
        for number in 1..=20 {
            store.apply(&change(number, insert(number))).await.unwrap();
        }
        let log = fs::OpenOptions::new().write(true).open(beside(&path, "-wal")).unwrap();
        let length = log.metadata().unwrap().len();
        log.set_len(length / 2 * halves).unwrap();
        let error = store.apply(&change(21, revoke(1))).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let said = cause(&error);
        assert!(said.contains("keys.db-wal` while this service used it, and the last changes are lost"), "{said}");
        assert_eq!(store.try_head(), None);
        drop(store);
        if halves == 0 {
            assert_eq!(SqliteStore::open(&path).await.unwrap_err().kind(), SqliteOpenErrorKind::NoLog);
        }
    }
}

/// SQLite removes the log by its name when it closes a file. By then the log belongs to another file.
#[tokio::test]
async fn a_service_that_lost_its_file_leaves_the_log_of_others_alone() {
    let folder = Folder::new();
    let path = folder.file();
    for exclusive in [false, true] {
        let store = match exclusive {
            false => SqliteStore::open(&path).await.unwrap(),
            true => SqliteStore::open_exclusive(&path).await.unwrap(),
        };
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&path, end));
        }
        let other = SqliteStore::open(&path).await.unwrap();
        other.apply(&change(1, insert(1))).await.unwrap();
        drop(store);
        assert!(beside(&path, "-wal").exists());
        assert!(beside(&path, "-shm").exists());
        other.apply(&change(2, revoke(1))).await.unwrap();
        drop(other);
        let again = SqliteStore::open(&path).await.unwrap();
        assert!(again.find(&id(1)).await.unwrap().unwrap().key.revoked_at.is_some());
        drop(again);
        fs::remove_file(&path).unwrap();
    }
}

/// Requests make no system call for this. A thread looks at the file.
#[tokio::test]
async fn a_file_held_exclusively_is_watched_without_requests() {
    let folder = Folder::new();
    let store = SqliteStore::open_exclusive(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    assert!(store.try_head().is_some());
    let other = folder.0.path().join("other.db");
    drop(SqliteStore::open(&other).await.unwrap());
    fs::rename(other, folder.file()).unwrap();
    while store.try_head().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.find(&id(1)).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(store.apply(&change(2, revoke(1))).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_second_name_is_refused_at_open() {
    let folder = Folder::new();
    let second = folder.0.path().join("second.db");
    drop(SqliteStore::open(folder.file()).await.unwrap());
    fs::hard_link(folder.file(), &second).unwrap();
    for path in [folder.file(), second.clone()] {
        for error in
            [SqliteStore::open(&path).await.unwrap_err(), SqliteStore::open_exclusive(&path).await.unwrap_err()]
        {
            assert_eq!(error.kind(), SqliteOpenErrorKind::Linked);
            assert!(error.to_string().contains("has 2 names"), "{error}");
            assert!(error.to_string().contains(&format!("-samefile {}`", path.display())), "{error}");
        }
    }
    fs::remove_file(second).unwrap();
    drop(SqliteStore::open(folder.file()).await.unwrap());
}

/// As `cp -al` makes it for a snapshot.
#[tokio::test]
async fn a_second_name_that_appears_is_no_outage_and_opens_nothing() {
    let service = Service::start().await;
    let snapshot = service.folder.0.path().join("snapshot");
    fs::create_dir(&snapshot).unwrap();
    for end in ["", "-wal", "-shm"] {
        fs::hard_link(beside(&service.folder.file(), end), beside(&snapshot.join("keys.db"), end)).unwrap();
    }
    service.is_in().await;
    let error = SqliteStore::open(snapshot.join("keys.db")).await.unwrap_err();
    assert_eq!(error.kind(), SqliteOpenErrorKind::Linked);
    service.is_in().await;
}

/// Changes by SQLite itself are no loss, whichever process makes them.
#[tokio::test]
async fn what_others_do_through_sqlite_is_no_loss() {
    let service = Service::start().await;
    let plain = sql(&service.folder.file());
    plain.busy_timeout(Duration::from_secs(5)).unwrap();
    for statement in [
        "pragma wal_checkpoint(passive)",
        "pragma wal_checkpoint(truncate)",
        "create table mine (a)",
        "insert into mine select randomblob(900) from generate_series(1, 10000)",
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 9000) \
         insert into mine select randomblob(900) from n",
        "vacuum",
        "pragma wal_checkpoint(truncate)",
        "analyze",
        "pragma journal_size_limit = 0",
        "update api_key_meta set name = name",
    ] {
        // Some versions of SQLite lack some of these, and some are refused while others have the file open.
        let _ = plain.execute_batch(statement);
        service.is_in().await;
    }
    let somebody = SqliteStore::open(service.folder.file()).await.unwrap();
    drop(somebody);
    service.is_in().await;
}
