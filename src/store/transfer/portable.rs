use std::{future::Future, sync::Arc};

use super::{
    batch::{Batch, Page},
    cursor::Cursor,
};
use crate::store::{contract::Ledger, error::StoreError};

/// A store whose rows can all be exported and imported: [`copy`](super::copy()) needs it. This is optional for a store
/// of keys. A store that implements it passes `check_portable` of the conformance kit.
///
/// Rows of all organizations move unchanged: keys, live and dead, with their version and revocation; owners' statuses;
/// counts of use; events with their sequence; and bytes under names. Three things are not moved, because they are about
/// the store and not about keys:
/// - the **change log and its head**: nodes know by it what they have read *of this store*. The import of a suspended
///   owner is itself a change, and gets its row in the log of the target;
/// - **results of changes**: a change is repeated against the store that it was first sent to. An idempotency key that
///   a client used before the move works once more after it;
/// - **writers of usage**: each start of a process is a new writer.
///
/// ```
/// use tower_api_keys::store::{KeyStore, MemoryStore, transfer::{Cursor, PortableStore}};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (old, new) = (MemoryStore::new(), MemoryStore::new());
/// old.put_meta_if_absent("colour", b"blue").await?;
///
/// let mut cursor = Some(Cursor::START);
/// while let Some(from) = cursor {
///     let page = old.export(&from, 100).await?;
///     new.import(&page.rows).await?;
///     cursor = page.next;
/// }
/// assert_eq!(new.put_meta_if_absent("colour", b"red").await?, b"blue");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait PortableStore: Ledger {
    /// The first `limit` rows, 1 to 10,000, after this cursor in its table, in the order of the bytes of the table's
    /// primary key, and the cursor of the next page. [`Page::of`] makes the answer from the rows.
    ///
    /// A page is as of one moment; two pages are as of two. If a row is written meanwhile at a place that the export
    /// has passed, the export misses it.
    ///
    /// # Errors
    /// Unavailable, or corrupt if a row cannot be brought into its form.
    fn export(&self, from: &Cursor, limit: u16) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Writes rows unchanged where there is no row with the same primary key, all or none, under the lock that orders
    /// the change log. Returns how many were written. A row that is already there, identical in every column, is fine
    /// and stays.
    ///
    /// No stored row is overwritten, so an import neither un-revokes a key nor ends a suspension. Events keep their
    /// sequence; events that the store writes later get greater numbers than all of them.
    ///
    /// # Errors
    /// [`Conflict::Differs`](crate::store::Conflict::Differs), made by [`StoreError::differs`], if a row with the same
    /// primary key has another content; unavailable if nothing was done; outcome unknown if rows may have been written:
    /// then import the same rows again.
    fn import(&self, rows: &Batch) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

impl<S: PortableStore> PortableStore for Arc<S> {
    async fn export(&self, from: &Cursor, limit: u16) -> Result<Page, StoreError> {
        S::export(self, from, limit).await
    }

    async fn import(&self, rows: &Batch) -> Result<u64, StoreError> {
        S::import(self, rows).await
    }
}
