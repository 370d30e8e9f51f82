//! `SqliteStore` as its users see it.

mod closing;
mod contract;
mod copies;
mod crash;
mod like_memory;
mod locked;
#[cfg(unix)]
mod modes;
mod opening;
mod plain_sql;
#[cfg(unix)]
mod watched;

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
};

use tower_api_keys::{
    OrganizationId, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{AuditedWrite, Change, ChangeId, Write},
};

use crate::support::secrets::{Scratch, scratch};

/// A new folder for one test.
struct Folder(Scratch);

impl Folder {
    fn new() -> Self {
        Self(scratch())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("keys.db")
    }
}

/// A file that SQLite keeps beside the database.
fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

/// Runs a future until it first waits, then drops it.
async fn begin_and_drop(future: impl Future) {
    let mut future = pin!(future);
    futures_util::future::poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
}

/// The names of the files in a folder.
fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.0.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A connection to the file that is not the store's.
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
        idempotency: None,
    }
}

fn insert(number: u32) -> Write {
    Write::Insert(key(number))
}

fn revoke(number: u32) -> Write {
    Write::Revoke { organization: OrganizationId::single(), id: id(number), by: "user:bob".into() }
}
