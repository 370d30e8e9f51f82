use std::{future::Future, sync::Arc};

use super::{
    batch::{Batch, Page},
    cursor::Cursor,
};
use crate::store::{contract::Ledger, error::StoreError};

/// A store whose content can be read and written whole, row by row: what [`copy`](super::copy()) moves data with. A
/// store need not be one to keep keys; one that is passes `check_portable` of the conformance kit.
///
/// Rows move as they are: keys with their version and revocation, dead ones too; owners' statuses; counts of use; events
/// with their sequence; and what stands under names; of all organizations. Three things stay behind, because they are
/// about the store and not about keys:
/// - the **change log and its head**, by which nodes know what they have read *of this store*. An import of an owner who
///   is suspended is itself a change, and gets its row in the log of the store it is made in;
/// - **results of changes**, with which a change is repeated against the store that it was first sent to. An idempotency
///   key that a client used before the move works once more after it;
/// - **writers of usage**: each start of a process is a new one.
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
    /// At most `limit` rows, 1 to 10,000, that come after this cursor in its table, in the order of the bytes of the
    /// table's primary key, and where to go on. [`Page::of`] makes the answer out of the rows.
    ///
    /// A page is of one moment; two pages are of two. A row that is written meanwhile behind a place is missed by
    /// whoever is past it.
    ///
    /// # Errors
    /// Unavailable, or corrupt if a row cannot be brought into its form.
    fn export(&self, from: &Cursor, limit: u16) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Writes rows as they are where none of the same primary key stands, all or none, under the lock that orders the
    /// change log. How many were written: a row that stands already, identical in every column, is fine and stays.
    ///
    /// Nothing that stands is overwritten, so that an import neither un-revokes a key nor ends a suspension. Events
    /// keep their sequence; whatever the store writes later is numbered above all of them.
    ///
    /// # Errors
    /// [`Conflict::Differs`](crate::store::Conflict::Differs), made by [`StoreError::differs`], if a row of the same primary key
    /// and another content stands; unavailable if nothing was done; outcome unknown if it may have been: then import the
    /// same rows again.
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
