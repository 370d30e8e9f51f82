//! `SqliteStore` as its users see it.

mod contract;
mod crash;
mod like_memory;
mod opening;
mod plain_sql;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tower_api_keys::{
    OrganizationId, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{AuditedWrite, Change, ChangeId, Write},
};

/// A folder of its own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tower-api-keys-sqlite-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("keys.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Somebody else's connection to the file.
fn sql(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_772_366_400_000).unwrap()
}

fn id(number: u32) -> KeyId {
    KeyId::new(&format!("{number:0>20}")).unwrap()
}

fn key(number: u32) -> KeyRow {
    KeyRow { id: id(number).as_str().to_owned(), ..KeyRow::example() }
}

fn change(number: u32, write: Write) -> Change {
    let mut name = [0; 16];
    name[..4].copy_from_slice(&number.to_be_bytes());
    Change {
        id: ChangeId::from_bytes(name),
        at: now(),
        writes: vec![AuditedWrite { write, event: EventRow::example() }],
        guards: vec![],
        dedupe: None,
    }
}

fn insert(number: u32) -> Write {
    Write::Insert(key(number))
}

fn revoke(number: u32) -> Write {
    Write::Revoke { organization: OrganizationId::single(), id: id(number), by: "user:bob".into() }
}
