//! Portable stores that fail, or have a fault, around a correct one.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use tower_api_keys::{
    record::{KeyRow, OwnerStatusRow},
    store::{
        Conflict, StoreError, StoreErrorKind,
        transfer::{self, Batch, Cursor, OwnerRow, PortableStore},
    },
};

use crate::support::wrapped::{Fake, Wrapped};

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
pub type Faulty<S> = Wrapped<Faults<S>>;

pub struct Faults<S> {
    store: S,
    fault: Fault,
    calls: AtomicUsize,
}

impl<S> Faulty<S> {
    pub fn new(store: S, fault: Fault) -> Self {
        Self(Faults { store, fault, calls: AtomicUsize::new(0) })
    }
}

impl<S> Faults<S> {
    /// Counts a call. Returns whether it has this number.
    fn is_call(&self, number: usize) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) == number
    }
}

fn refused() -> StoreError {
    StoreError::unavailable("refused by the test")
}

impl<S: PortableStore> Fake for Faults<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.store
    }

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
