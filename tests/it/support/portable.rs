//! Portable stores that fail, or have a fault, around a correct one.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use tower_api_keys::{
    Timestamp,
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow},
    store::{
        Applied, Change, Changes, Conflict, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery,
        KeyReader, KeyStore, Ledger, ListedKey, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, StoreErrorKind,
        Trail, UsageScope,
        transfer::{self, Batch, Cursor, OwnerRow, PortableStore},
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// The fault of a [`Faulty`] store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Counts rows that exist already as written.
    CountsWhatStands,
    /// Ends an export with the usage counts.
    ExportsNoEvents,
    /// Leaves out revoked keys.
    ExportsOnlyTheLive,
    /// The export of this number fails.
    ExportFails(usize),
    /// Exports names in no order.
    ExportsOutOfOrder,
    /// The import of this number never ends.
    Hangs(usize),
    /// Takes a row that differs for one that exists already.
    IgnoresDifferences,
    /// The import of this number fails.
    ImportFails(usize),
    /// Imports rows one by one.
    ImportsOneByOne,
    /// The import of this number is done, but returns an error.
    ImportsWithoutAWord(usize),
    /// Loses the first row of each page, except of a table's first page.
    LosesRowsBetweenPages,
    /// Does not import suspensions and closings.
    LosesSuspensions,
    /// Exports pages with one row too many.
    OverfillsPages,
    /// Has too little room for the tombstones of purged keys.
    NarrowsTombstones,
    /// Gives events new numbers.
    RenumbersEvents,
    /// Sets the version of keys back to the first.
    ResetsVersions,
}

/// A correct store behind a fault.
pub struct Faulty<S> {
    store: S,
    fault: Fault,
    calls: AtomicUsize,
}

impl<S> Faulty<S> {
    pub fn new(store: S, fault: Fault) -> Self {
        Self { store, fault, calls: AtomicUsize::new(0) }
    }

    /// Counts a call. Returns whether it has this number.
    fn is_call(&self, number: usize) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) == number
    }
}

fn refused() -> StoreError {
    StoreError::unavailable("refused by the test")
}

impl<S: PortableStore> PortableStore for Faulty<S> {
    async fn export(&self, from: &Cursor, limit: u16) -> Result<transfer::Page, StoreError> {
        match self.fault {
            Fault::ExportFails(number) if self.is_call(number) => return Err(refused()),
            Fault::OverfillsPages => return self.store.export(from, limit + 1).await,
            _ => {}
        }
        let mut page = self.store.export(from, limit).await?;
        match (self.fault, &mut page.rows) {
            (Fault::ExportsNoEvents, Batch::UsageDays(_)) => {
                page.next = page.next.filter(|next| *next < Cursor::Events(None))
            }
            (Fault::ExportsOnlyTheLive, Batch::Keys(rows)) => rows.retain(|row| row.revoked_at.is_none()),
            (Fault::ExportsOutOfOrder, Batch::Meta(rows)) => rows.reverse(),
            (Fault::LosesRowsBetweenPages, Batch::Keys(rows)) if *from != Cursor::Keys(None) && !rows.is_empty() => {
                rows.remove(0);
            }
            _ => {}
        }
        Ok(page)
    }

    async fn import(&self, rows: &Batch) -> Result<u64, StoreError> {
        match (self.fault, rows) {
            (Fault::CountsWhatStands, _) => self.store.import(rows).await.map(|_| rows.len() as u64),
            (Fault::Hangs(number), _) if self.is_call(number) => pending().await,
            (Fault::IgnoresDifferences, _) => match self.store.import(rows).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict(Conflict::Differs) => Ok(0),
                imported => imported,
            },
            (Fault::ImportFails(number), _) if self.is_call(number) => Err(refused()),
            (Fault::ImportsOneByOne, Batch::Keys(rows)) => {
                let mut written = 0;
                for row in rows {
                    tokio::task::yield_now().await;
                    written += self.store.import(&Batch::Keys(vec![row.clone()])).await?;
                }
                Ok(written)
            }
            (Fault::ImportsWithoutAWord(number), _) if self.is_call(number) => {
                self.store.import(rows).await?;
                Err(StoreError::outcome_unknown("silenced by the test"))
            }
            (Fault::LosesSuspensions, Batch::Owners(rows)) => {
                let active = |row: &OwnerRow| OwnerRow { status: OwnerStatusRow::default(), ..row.clone() };
                self.store.import(&Batch::Owners(rows.iter().map(active).collect())).await
            }
            (Fault::NarrowsTombstones, Batch::Tombstones(rows))
                if rows.iter().any(|row| row.organization.len() > 127) =>
            {
                Err(StoreError::refused("a column is too narrow"))
            }
            (Fault::RenumbersEvents, Batch::Events(rows)) => {
                self.store.append_events(rows).await?;
                Ok(rows.len() as u64)
            }
            (Fault::ResetsVersions, Batch::Keys(rows)) => {
                let first = |row: &KeyRow| KeyRow { version: 1, ..row.clone() };
                self.store.import(&Batch::Keys(rows.iter().map(first).collect())).await
            }
            _ => self.store.import(rows).await,
        }
    }
}

impl<S: KeyReader> KeyReader for Faulty<S> {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.store.find(id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        self.store.changes_since(head).await
    }

    fn try_head(&self) -> Option<Head> {
        self.store.try_head()
    }

    async fn wait_for_change(&self, head: Head) {
        self.store.wait_for_change(head).await;
    }
}

impl<S: KeyStore> KeyStore for Faulty<S> {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        self.store.apply(change).await
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        self.store.rehash(id, old, new).await
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        self.store.list(query, now).await
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        self.store.ending(query).await
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        self.store.owner_status(owner).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store.put_meta_if_absent(name, value).await
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.store.replace_note(name, old, new).await
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        self.store.ended_keys(before).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        self.store.prune(prune).await
    }
}

impl<S: Ledger> Ledger for Faulty<S> {
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.store.record_usage(batch).await
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        self.store.usage(of).await
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        self.store.usage_days(keys, from).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        self.store.append_events(events).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        self.store.events(query).await
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        self.store.feed(after, limit).await
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        self.store.trail(attempts, before).await
    }
}
