//! Backups, copies, and the files beside them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tower_api_keys::store::{
    KeyReader, KeyStore, SqliteBackupErrorKind, SqliteOpenError, SqliteOpenErrorKind, SqliteStore,
};

use super::{Folder, beside, change, crash, id, insert, names, revoke, sql};

/// How long a store may take to check its file.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a mark has begun and not yet ended, and the mark itself.
pub(super) fn mark(connection: &rusqlite::Connection) -> (bool, Vec<u8>) {
    let read = "select is_whole = 0, mark from api_key_log_mark";
    connection.query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Keeps the store from beginning a mark, and so from writing to the file, while this connection is open. A mark that
/// has begun ends first.
pub(super) fn between_marks(path: &Path) -> rusqlite::Connection {
    let begun = Instant::now();
    loop {
        let lock = sql(path);
        if !mark(&lock).0 {
            lock.execute_batch("begin immediate").unwrap();
            if !mark(&lock).0 {
                return lock;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "a mark is not ended");
    }
}

/// Whether a copy of the file alone is recognized and refused.
async fn is_recognized(path: &Path, copy: &Path) -> bool {
    fs::copy(path, copy).unwrap();
    let opened = SqliteStore::open(copy).await;
    opened.is_err_and(|error| error.kind() == SqliteOpenErrorKind::NoLog)
}

async fn until_recognized(path: &Path, copy: &Path) {
    let begun = Instant::now();
    while !is_recognized(path, copy).await {
        assert!(begun.elapsed() < PATIENCE, "a copy without its log is taken");
        tokio::task::yield_now().await;
    }
}

async fn refused(path: &Path) -> SqliteOpenError {
    let error = SqliteStore::open_exclusive(path).await.unwrap_err();
    assert_eq!(SqliteStore::open(path).await.unwrap_err().kind(), error.kind());
    error
}

#[tokio::test]
async fn a_file_copied_without_its_log_is_recognized_in_each_of_its_lives() {
    let folder = Folder::new();
    let copy = folder.0.path().join("copy.db");
    for life in 1..4 {
        let store = SqliteStore::open(folder.file()).await.unwrap();
        store.apply(&change(life, insert(life))).await.unwrap();
        store.apply(&change(life + 100, revoke(life))).await.unwrap();
        fs::copy(folder.file(), &copy).unwrap();
        let error = refused(&copy).await;
        assert_eq!(error.kind(), SqliteOpenErrorKind::NoLog);
        let text = error.to_string();
        assert!(text.contains("copy.db` was in use when it was copied or when `"), "{text}");
        assert!(text.contains("keys that they revoked would be accepted"), "{text}");
        assert!(text.contains("SqliteStore::backup_to"), "{text}");
        assert!(!beside(&copy, "-wal").exists());
    }
}

#[tokio::test]
async fn a_copy_without_its_log_is_accepted_if_the_caller_says_so() {
    let folder = Folder::new();
    let copy = folder.0.path().join("copy.db");
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
    fs::copy(folder.file(), &copy).unwrap();
    let text = refused(&copy).await.to_string();
    let statement = text.rsplit_once(" '").unwrap().1.strip_suffix("'`").unwrap();
    sql(&copy).execute(statement, []).unwrap();
    let taken = SqliteStore::open(&copy).await.unwrap();
    assert!(taken.find(&id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_in_use_is_whole_with_its_log_and_as_sqlite_copies_it() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let [both, vacuumed] = ["both.db", "vacuumed.db"].map(|name| folder.0.path().join(name));
    for number in 1..=450 {
        store.apply(&change(number, insert(number))).await.unwrap();
        if number % 50 != 0 {
            continue;
        }
        // A mark that is renewed between the two copies would give them different states.
        let lock = between_marks(&folder.file());
        fs::copy(folder.file(), &both).unwrap();
        fs::copy(beside(&folder.file(), "-wal"), beside(&both, "-wal")).unwrap();
        sql(&folder.file()).execute("vacuum into ?1", [vacuumed.to_str().unwrap()]).unwrap();
        drop(lock);
        for copy in [&both, &vacuumed] {
            let copied = SqliteStore::open(copy).await.unwrap();
            assert!(copied.find(&id(number)).await.unwrap().is_some(), "{number}");
            drop(copied);
            fs::remove_file(copy).unwrap();
        }
    }
    drop(store);
    // When the store is closed, the file alone is complete.
    fs::copy(folder.file(), &both).unwrap();
    assert!(SqliteStore::open(&both).await.unwrap().find(&id(450)).await.unwrap().is_some());
}

/// Other programs may checkpoint the log into the file. The file alone then looks complete.
#[tokio::test]
async fn a_copy_without_its_log_is_recognized_after_a_checkpoint_of_others() {
    let folder = Folder::new();
    let copy = folder.0.path().join("copy.db");
    let store = SqliteStore::open(folder.file()).await.unwrap();
    sql(&folder.file()).query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    until_recognized(&folder.file(), &copy).await;
    store.apply(&change(1, insert(1))).await.unwrap();
    // The checkpoint during which the copy was taken has ended.
    drop(between_marks(&folder.file()));
    assert!(is_recognized(&folder.file(), &copy).await);
}

/// While a reader is open, as a backup is, no mark can be written into a file that another program has checkpointed.
#[tokio::test]
async fn a_copy_without_its_log_is_recognized_once_a_long_reader_is_done() {
    let folder = Folder::new();
    let copy = folder.0.path().join("copy.db");
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let (plain, reader) = (sql(&folder.file()), sql(&folder.file()));
    plain.execute_batch("create table mine (a)").unwrap();
    plain.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())).unwrap();
    // Pages that no change of keys overwrites reach the file although a reader is open.
    plain.execute("insert into mine values (1)", []).unwrap();
    reader.execute_batch("begin; select count(*) from mine").unwrap();
    let before = mark(&plain).1;
    for number in 1..=200 {
        store.apply(&change(number, insert(number))).await.unwrap();
    }
    let begun = Instant::now();
    while mark(&plain).1 == before {
        assert!(begun.elapsed() < PATIENCE, "no mark was due");
    }
    drop(between_marks(&folder.file()));
    reader.execute_batch("rollback").unwrap();
    until_recognized(&folder.file(), &copy).await;
}

/// A mark costs three writes to the disk instead of one.
#[tokio::test]
async fn a_long_log_that_a_reader_keeps_is_no_reason_for_a_mark_after_each_change() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let (plain, reader) = (sql(&folder.file()), sql(&folder.file()));
    plain.execute_batch("pragma wal_autocheckpoint = 0; create table mine (a)").unwrap();
    reader.execute_batch("begin; select count(*) from mine").unwrap();
    plain.execute("insert into mine values (randomblob(6000000))", []).unwrap();
    let mut marks = vec![mark(&plain).1];
    for number in 1..=10 {
        store.apply(&change(number, insert(number))).await.unwrap();
        drop(between_marks(&folder.file()));
        marks.push(mark(&plain).1);
    }
    marks.dedup();
    assert!(marks.len() <= 2, "{} marks", marks.len());
}

/// As `cp` makes it in the middle of a checkpoint.
#[tokio::test]
async fn a_copy_of_two_moments_is_refused_as_damaged() {
    let folder = Folder::new();
    let copy = folder.0.path().join("copy.db");
    let mut copies = vec![];
    for number in 1..=2 {
        let store = SqliteStore::open(folder.file()).await.unwrap();
        store.apply(&change(number, insert(number))).await.unwrap();
        copies.push(fs::read(folder.file()).unwrap());
    }
    let plain = sql(&folder.file());
    let number = |query: &str| plain.query_row(query, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    let size = number("pragma page_size");
    let page = number("select rootpage from sqlite_master where name = 'api_key_file_mark'");
    let place = (page - 1) * size..page * size;
    let (earlier, mut later) = (&copies[0], copies[1].clone());
    later[place.clone()].copy_from_slice(&earlier[place]);
    fs::write(&copy, later).unwrap();
    let error = refused(&copy).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::Damaged);
    assert!(error.to_string().contains("copy.db` is damaged: it was copied while SQLite wrote to it"), "{error}");
}

#[tokio::test]
async fn a_backup_of_a_store_in_use_has_everything_and_a_mode_of_its_own() {
    let folder = Folder::new();
    for (number, exclusive) in [(1, false), (2, true)] {
        let backup = folder.0.path().join(format!("backup.{number}.db"));
        let store = match exclusive {
            false => SqliteStore::open(folder.file()).await.unwrap(),
            true => SqliteStore::open_exclusive(folder.file()).await.unwrap(),
        };
        store.apply(&change(number, insert(number))).await.unwrap();
        store.apply(&change(number + 100, revoke(number))).await.unwrap();
        let bytes = store.backup_to(&backup).await.unwrap();
        let metadata = fs::metadata(&backup).unwrap();
        assert_eq!(metadata.len(), bytes);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
        store.apply(&change(number + 200, insert(number + 200))).await.unwrap();

        let copied = SqliteStore::open(&backup).await.unwrap();
        assert!(copied.find(&id(number)).await.unwrap().unwrap().key.revoked_at.is_some());
        assert!(copied.find(&id(number + 200)).await.unwrap().is_none());
        assert_eq!(copied.try_head().is_some(), store.try_head().is_some());
        drop(copied);
        fs::remove_file(backup).unwrap();
    }
    assert_eq!(names(&folder), ["keys.db"]);
    let memory = SqliteStore::in_memory().await.unwrap();
    memory.apply(&change(1, insert(1))).await.unwrap();
    let backup = folder.0.path().join("backup.db");
    memory.backup_to(&backup).await.unwrap();
    assert!(SqliteStore::open(&backup).await.unwrap().find(&id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_when_it_fails() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await.unwrap();
    let backup = folder.0.path().join("backup.db");
    for taken in [backup.clone(), beside(&backup, ".part"), folder.file()] {
        if taken != folder.file() {
            fs::write(&taken, "mine").unwrap();
        }
        let target = if taken == folder.file() { folder.file() } else { backup.clone() };
        let error = store.backup_to(&target).await.unwrap_err();
        assert_eq!(error.kind(), SqliteBackupErrorKind::AlreadyExists);
        assert!(error.to_string().starts_with(&format!("`{}` already exists", taken.display())), "{error}");
        if taken != folder.file() {
            assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
            fs::remove_file(taken).unwrap();
        }
    }
    let error = store.backup_to(folder.0.path().join("no such folder/keys.db")).await.unwrap_err();
    assert_eq!(error.kind(), SqliteBackupErrorKind::CannotWrite);
    // A store that lost its file cannot be copied.
    fs::remove_file(beside(&folder.file(), "-wal")).unwrap();
    let error = store.backup_to(&backup).await.unwrap_err();
    assert_eq!(error.kind(), SqliteBackupErrorKind::Store);
    assert!(!backup.exists() && !beside(&backup, ".part").exists());
}

/// A service was killed, and its log is still there when a backup is put in place.
async fn with_a_log_left(put: impl Fn(&Path, &Path)) {
    let folder = Folder::new();
    let backup = folder.0.path().join("backup.db");
    for by_the_store in [true, false] {
        let store = SqliteStore::open(folder.file()).await.unwrap();
        store.apply(&change(7, insert(7))).await.unwrap();
        match by_the_store {
            true => drop(store.backup_to(&backup).await.unwrap()),
            false => {
                sql(&folder.file()).execute("vacuum into ?1", [backup.to_str().unwrap()]).unwrap();
            }
        }
        drop(store);
        crash::kill_after_changes(&folder);
        assert!(fs::metadata(beside(&folder.file(), "-wal")).unwrap().len() > 0);
        let kept = fs::read(&backup).unwrap();
        put(&backup, &folder.file());

        let error = refused(&folder.file()).await;
        assert_eq!(error.kind(), SqliteOpenErrorKind::ForeignLog, "{error}");
        let text = error.to_string();
        assert!(text.contains("keys.db-wal` and `") && text.contains("if you restored a backup, remove"), "{text}");
        assert_eq!(fs::read(folder.file()).unwrap(), kept, "the backup was written to");

        for end in ["-wal", "-shm"] {
            fs::remove_file(beside(&folder.file(), end)).unwrap();
        }
        let restored = SqliteStore::open(folder.file()).await.unwrap();
        assert!(restored.find(&id(7)).await.unwrap().is_some());
        assert!(restored.find(&id(1)).await.unwrap().is_none());
        drop(restored);
        let _ = fs::remove_file(&backup);
        fs::remove_file(folder.file()).unwrap();
    }
}

#[tokio::test]
async fn a_backup_copied_over_a_file_whose_log_was_left_is_not_undone_by_the_log() {
    with_a_log_left(|backup, file| assert!(fs::copy(backup, file).unwrap() > 0)).await;
}

#[tokio::test]
async fn a_backup_moved_over_a_file_whose_log_was_left_is_not_undone_by_the_log() {
    with_a_log_left(|backup, file| fs::rename(backup, file).unwrap()).await;
}
