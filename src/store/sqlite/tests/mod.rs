//! Tests that need internal access: faults on the writer's connection, query plans, short waits.

mod faults;
#[cfg(unix)]
mod killed;
mod opening;
mod plans;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    audit::EventRow,
    key::KeyId,
    owner::OrganizationId,
    record::KeyRow,
    store::{AuditedWrite, Change, ChangeId, Write},
    time::Timestamp,
};

/// A folder of its own, removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tower-api-keys-unit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
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

fn sql(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

fn id(number: u32) -> KeyId {
    KeyId::new(&format!("{number:0>20}")).unwrap()
}

fn key(number: u32) -> KeyRow {
    KeyRow { id: id(number).as_str().to_owned(), ..KeyRow::example() }
}

fn change(number: u8, write: Write) -> Change {
    Change {
        id: ChangeId::from_bytes([number; 16]),
        at: Timestamp::from_millis(1_772_366_400_000).unwrap(),
        writes: vec![AuditedWrite { write, event: EventRow::example() }],
        guards: vec![],
        idempotency: None,
    }
}

fn revoke(number: u32) -> Write {
    Write::Revoke { organization: OrganizationId::single(), id: id(number), by: "user:bob".into() }
}
