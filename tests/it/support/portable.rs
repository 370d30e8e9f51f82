//! Portable stores that fail, or have a fault, around a sound one.

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

/// What is wrong with a [`Faulty`] store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Rows that stand are counted as written.
    CountsWhatStands,
    /// An export ends with the counts of use.
    ExportsNoEvents,
    /// Revoked keys stay behind.
    ExportsOnlyTheLive,
    /// The export of this number fails.
    ExportFails(usize),
    /// Names are exported in no order.
    ExportsOutOfOrder,
    /// The import of this number never ends.
    Hangs(usize),
    /// A row that differs is taken for one that stands.
    IgnoresDifferences,
    /// The import of this number fails.
    ImportFails(usize),
    /// Rows are imported one by one.
    ImportsOneByOne,
    /// The import of this number is done, and then fails.
    ImportsWithoutAWord(usize),
    /// The first row of each page but a table's first is lost.
    LosesRowsBetweenPages,
    /// Suspensions and closings are not imported.
    LosesSuspensions,
    /// Pages have a row too many.
    OverfillsPages,
    /// There is too little room for what is left of purged keys.
    NarrowsTombstones,
    /// Events get new numbers.
    RenumbersEvents,
    /// Keys begin again with their first version.
    ResetsVersions,
}

/// A sound store behind a fault.
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
    /// Whether this call, of those that are counted, is the one.
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
