use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Applied, Change, Changes, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader, KeyStore, ListedKey,
    OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
};
use crate::{
    audit::EventRow,
    key::KeyId,
    time::Timestamp,
    usage::{UsageBatch, UsageRow},
};

/// A store chosen at run time: from a configuration file, say. Cheap to clone; each call that waits costs one allocation.
///
/// ```
/// use tower_api_keys::store::{AnyStore, KeyReader, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// assert!(store.try_head().is_some());
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn ErasedStore>);

impl AnyStore {
    /// Any store, as this one.
    pub fn new<S: KeyStore>(store: S) -> Self {
        Self::shared(Arc::new(store))
    }

    pub(crate) fn shared<S: KeyStore>(store: Arc<S>) -> Self {
        Self(store)
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore").finish_non_exhaustive()
    }
}

/// [`KeyReader`] of a type that need not be known. For the conformance kit, too, and not part of the API.
#[doc(hidden)]
pub trait ErasedReader: Send + Sync {
    fn find<'a>(&'a self, id: &'a KeyId) -> BoxFuture<'a, Result<Option<FoundKey>, StoreError>>;
    fn changes_since(&self, head: Option<Head>) -> BoxFuture<'_, Result<Changes, StoreError>>;
    fn try_head(&self) -> Option<Head>;
    fn wait_for_change(&self, head: Head) -> BoxFuture<'_, ()>;
}

impl<R: KeyReader> ErasedReader for R {
    fn find<'a>(&'a self, id: &'a KeyId) -> BoxFuture<'a, Result<Option<FoundKey>, StoreError>> {
        Box::pin(KeyReader::find(self, id))
    }

    fn changes_since(&self, head: Option<Head>) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(KeyReader::changes_since(self, head))
    }

    fn try_head(&self) -> Option<Head> {
        KeyReader::try_head(self)
    }

    fn wait_for_change(&self, head: Head) -> BoxFuture<'_, ()> {
        Box::pin(KeyReader::wait_for_change(self, head))
    }
}

/// [`KeyStore`] with boxed futures.
macro_rules! erased {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// [`KeyStore`] of a type that need not be known. For the conformance kit, too, and not part of the API.
        #[doc(hidden)]
        pub trait ErasedStore: ErasedReader {
            $(fn $name<'a>(&'a self, $($arg: $type),*) -> BoxFuture<'a, Result<$answer, StoreError>>;)*
        }

        impl<S: KeyStore> ErasedStore for S {
            $(fn $name<'a>(&'a self, $($arg: $type),*) -> BoxFuture<'a, Result<$answer, StoreError>> {
                Box::pin(KeyStore::$name(self, $($arg),*))
            })*
        }
    };
}

erased! {
    apply(change: &'a Change) -> Applied;
    rehash(id: &'a KeyId, old: &'a str, new: &'a RehashedKey) -> bool;
    list(query: &'a KeyQuery, now: Timestamp) -> Page<ListedKey>;
    owner_status(owner: &'a OwnerRef) -> FoundOwner;
    record_usage(batch: &'a UsageBatch) -> ();
    usage(of: &'a UsageScope) -> Vec<UsageRow>;
    append_events(events: &'a [EventRow]) -> ();
    events(query: &'a EventQuery) -> Page<EventRow>;
    put_meta_if_absent(name: &'a str, value: &'a [u8]) -> Vec<u8>;
    replace_note(name: &'a str, old: &'a [u8], new: &'a [u8]) -> Vec<u8>;
    trail(attempts: bool, before: Timestamp) -> Trail;
    prune(prune: &'a Prune) -> Pruned;
}

impl KeyReader for AnyStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.0.find(id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        self.0.changes_since(head).await
    }

    fn try_head(&self) -> Option<Head> {
        self.0.try_head()
    }

    async fn wait_for_change(&self, head: Head) {
        self.0.wait_for_change(head).await;
    }
}

impl KeyStore for AnyStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        self.0.apply(change).await
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        self.0.rehash(id, old, new).await
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        self.0.list(query, now).await
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        self.0.owner_status(owner).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.0.record_usage(batch).await
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        self.0.usage(of).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        self.0.append_events(events).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        self.0.events(query).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.put_meta_if_absent(name, value).await
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.replace_note(name, old, new).await
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        self.0.trail(attempts, before).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        self.0.prune(prune).await
    }
}
