//! Keys in memory: read this store to learn what a store does.

mod staged;
mod tables;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use self::tables::Tables;
use super::{
    Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, HeadCell, KeyQuery,
    KeyReader, KeyStore, Ledger, ListedKey, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
    transfer::{self, Batch, Cursor, PortableStore},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// A store in the memory of the process, lost when the process ends. It is for tests and demonstrations, and as the
/// simplest implementation of the contract.
///
/// ```
/// use tower_api_keys::{ApiKeys, store::MemoryStore};
///
/// let keys = ApiKeys::new(MemoryStore::new())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    tables: Mutex<Tables>,
    head: HeadCell,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { tables: Mutex::default(), head: HeadCell::new(Head::EMPTY) }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Each change is prepared outside the tables and put in place at the end: a panic leaves no half of a change.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl KeyReader for MemoryStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        Ok(self.tables().find(id.as_str()))
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        Ok(self.tables().changes_since(head))
    }

    fn try_head(&self) -> Option<Head> {
        Some(self.head.head())
    }
}

impl KeyStore for MemoryStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut tables = self.tables();
        let applied = staged::apply(&mut tables, change)?;
        self.head.set(tables.head());
        Ok(applied)
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        Ok(self.tables().rehash(id.as_str(), old, new))
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        Ok(self.tables().list(query, now))
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        Ok(self.tables().ending(query))
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        Ok(self.tables().found_owner(owner))
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.tables().put_meta_if_absent(name, value))
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.tables().replace_note(name, old, new))
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        Ok(self.tables().ended_keys(before))
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        let mut tables = self.tables();
        let pruned = tables.prune(prune);
        self.head.set(tables.head());
        Ok(pruned)
    }
}

impl Ledger for MemoryStore {
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.tables().record_usage(batch);
        Ok(())
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        Ok(self.tables().usage(of))
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        Ok(self.tables().usage_days(keys, from))
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        self.tables().append_events(events);
        Ok(())
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        Ok(self.tables().events(query))
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        Ok(self.tables().feed(after, limit))
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        Ok(self.tables().trail(attempts, before))
    }
}

impl PortableStore for MemoryStore {
    async fn export(&self, from: &Cursor, limit: u16) -> Result<transfer::Page, StoreError> {
        Ok(self.tables().export(from, limit))
    }

    async fn import(&self, rows: &Batch) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let written = tables.import(rows)?;
        self.head.set(tables.head());
        Ok(written)
    }
}
