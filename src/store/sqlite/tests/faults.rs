use rusqlite::ErrorCode;

use super::{Folder, change, id, key, revoke};
use crate::{
    owner::OrganizationId,
    store::{
        Changes, EventQuery, Head, KeyQuery, KeyReader, KeyStore, Ledger, SqliteStore, StoreError, StoreErrorKind,
        Write,
    },
    time::Timestamp,
};

async fn with_key(folder: &Folder) -> SqliteStore {
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, Write::Insert(key(1)))).await.unwrap();
    // Opening wrote to the file a moment ago: until that has settled, a table that a test makes would hide the head.
    store.settle().await;
    store
}

async fn pragma(store: &SqliteStore, sql: &'static str) {
    store.on_writer(move |connection| Ok(connection.execute_batch(sql)?)).await.unwrap();
}

fn code(error: &StoreError) -> Option<ErrorCode> {
    let fault = std::error::Error::source(error).unwrap().downcast_ref::<super::super::failure::Fault>();
    fault.unwrap().code()
}

async fn still_reads(store: &SqliteStore) {
    assert!(store.find(&id(1)).await.unwrap().is_some());
    assert_eq!(store.try_head(), Some(Head::EMPTY));
    assert_eq!(store.changes_since(Some(Head::EMPTY)).await.unwrap(), Changes::Unchanged);
    assert_eq!(store.list(&KeyQuery::all(OrganizationId::single()), Timestamp::MIN).await.unwrap().rows.len(), 1);
    assert_eq!(store.events(&EventQuery::all(OrganizationId::single())).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_read_only_disk_refuses_changes_and_goes_on_reading() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    pragma(&store, "pragma query_only = on").await;

    let error = store.apply(&change(2, revoke(1))).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (StoreErrorKind::Unavailable, Some(ErrorCode::ReadOnly)));
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(why, format!("`{}` or its folder is read-only", folder.file().display()));
    still_reads(&store).await;
    pragma(&store, "pragma query_only = off").await;
    store.apply(&change(2, revoke(1))).await.unwrap();
}

#[tokio::test]
async fn what_stands_under_a_name_is_told_on_a_read_only_disk() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    store.put_meta_if_absent("colour", b"blue").await.unwrap();
    pragma(&store, "pragma query_only = on").await;
    assert_eq!(store.put_meta_if_absent("colour", b"red").await.unwrap(), b"blue");
    let error = store.put_meta_if_absent("shape", b"round").await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_leaves_no_half_of_one() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    pragma(&store, "pragma max_page_count = 1").await; // as many as there are: SQLite never goes below

    // Enough writes that the first ones fit into the existing pages and the last ones do not.
    let mut many = change(2, Write::Insert(key(100)));
    let write = many.writes[0].clone();
    for number in 101..150 {
        let mut more = write.clone();
        more.write = Write::Insert(crate::record::KeyRow { name: "n".repeat(2_000), ..key(number) });
        many.writes.push(more);
    }
    let error = store.apply(&many).await.unwrap_err();
    assert_eq!((error.kind(), code(&error)), (StoreErrorKind::Unavailable, Some(ErrorCode::DiskFull)));
    still_reads(&store).await;

    pragma(&store, "pragma max_page_count = 1000000").await;
    store.apply(&many).await.unwrap();
    assert!(store.find(&id(100)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_commit_that_is_refused_and_rolled_back_is_no_unknown_outcome() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    // A foreign key that is checked at commit and always fails.
    let sql = "create table embedder_parent (id integer primary key);
        create table embedder_child (parent integer references embedder_parent deferrable initially deferred);
        create trigger embedder_trigger after insert on api_key_changes begin
            insert into embedder_child values (7);
        end;
        pragma foreign_keys = on;";
    pragma(&store, sql).await;

    let error = store.apply(&change(2, revoke(1))).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    still_reads(&store).await;
    pragma(&store, "drop trigger embedder_trigger").await;
    store.apply(&change(2, revoke(1))).await.unwrap();
}

#[tokio::test]
async fn a_value_that_the_database_does_not_take_is_told_as_such() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    // Like an operator who wants short names, and like a table that was made by hand.
    let sql = "create trigger embedder_trigger before insert on api_keys when length(new.name) > 3 begin
            select raise(abort, 'names have three characters');
        end;
        create table embedder_table (what text check (length(what) < 4));
        create trigger embedder_copies after insert on api_key_usage begin
            insert into embedder_table values (new.client);
        end;";
    pragma(&store, sql).await;
    let mut named = change(2, Write::Insert(crate::record::KeyRow { name: "nightly job".into(), ..key(2) }));
    let error = store.apply(&named).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (StoreErrorKind::Refused, "the key store refused a value"));
    let why = std::error::Error::source(&error).unwrap();
    assert_eq!(why.to_string(), format!("`{}` refused a value", folder.file().display()));
    assert!(!format!("{why} {}", why.source().unwrap()).contains("nightly"));
    still_reads(&store).await;
    named.writes[0].write = Write::Insert(crate::record::KeyRow { name: "job".into(), ..key(2) });
    store.apply(&named).await.unwrap();

    let row = |client: &str| crate::usage::UsageRow::seen_from(client);
    let batch = |rows| crate::usage::UsageBatch { writer: [1; 16], sequence: 1, rows, days: Vec::new() };
    let error = store.record_usage(&batch(vec![row("cli"), row("a-long-name")])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    // Nothing of it was done: the sequence can be used again.
    store.record_usage(&batch(vec![row("cli")])).await.unwrap();
}

#[test]
fn another_row_in_the_place_is_no_refused_value() {
    let kind = |code| {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        super::super::failure::Failure::Sqlite(error).into_store_error(None).kind()
    };
    use rusqlite::ffi;
    for code in [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_FOREIGNKEY, ffi::SQLITE_BUSY, ffi::SQLITE_FULL] {
        assert_eq!(kind(code), StoreErrorKind::Unavailable);
    }
    for code in [ffi::SQLITE_CONSTRAINT_CHECK, ffi::SQLITE_CONSTRAINT_NOTNULL, ffi::SQLITE_TOOBIG] {
        assert_eq!(kind(code), StoreErrorKind::Refused);
    }
}

#[test]
fn a_commit_that_the_disk_failed_is_an_unknown_outcome_unless_the_disk_was_full() {
    let failed = |code| {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        super::super::failure::Failure::Commit(error).into_store_error(None).kind()
    };
    assert_eq!(failed(rusqlite::ffi::SQLITE_IOERR_FSYNC), StoreErrorKind::OutcomeUnknown);
    assert_eq!(failed(rusqlite::ffi::SQLITE_FULL), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_panic_on_the_thread_of_a_connection_costs_its_own_job_only() {
    let folder = Folder::new();
    for store in [SqliteStore::open(folder.file()).await.unwrap(), SqliteStore::in_memory().await.unwrap()] {
        let panics = |connection: &mut rusqlite::Connection| -> Result<(), super::super::failure::Failure> {
            connection.execute_batch("begin immediate; insert into api_key_meta values ('a', x'00')")?;
            panic!("on purpose")
        };
        assert_eq!(store.on_writer(panics).await.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
        assert_eq!(store.put_meta_if_absent("a", b"b").await.unwrap(), b"b");
        assert_eq!(store.try_head(), Some(Head::EMPTY));
    }
}

#[tokio::test]
async fn a_row_that_nobody_here_wrote_is_corrupt() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    for damage in
        ["update api_keys set tag = x'00'", "update api_keys set tag = x'00000000', name = cast(x'ff' as text)"]
    {
        super::sql(&folder.file()).execute(damage, []).unwrap();
        assert_eq!(store.find(&id(1)).await.unwrap_err().kind(), StoreErrorKind::Corrupt, "{damage}");
        let list = store.list(&KeyQuery::all(OrganizationId::single()), Timestamp::MIN).await;
        assert_eq!(list.unwrap_err().kind(), StoreErrorKind::Corrupt, "{damage}");
    }
}

#[tokio::test]
async fn a_lost_head_is_no_head() {
    let folder = Folder::new();
    let store = with_key(&folder).await;
    super::sql(&folder.file()).execute("delete from api_key_head", []).unwrap();
    assert_eq!(store.try_head(), None);
    let error = store.changes_since(Some(Head::EMPTY)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
