#[cfg(feature = "conformance")]
use std::convert::identity;
use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Applied, Change, Changes, EventQuery, FoundKey, Head, KeyQuery, KeyReader, KeyStore, ListedKey, OwnerRef, Page,
    Prune, Pruned, RehashedKey, StoreError,
};
use crate::{audit::EventRow, key::KeyId, record::OwnerStatusRow, time::Timestamp, usage::UsageBatch};

/// A store chosen at run time: from a configuration file, say. Cheap to clone; each call that waits costs one allocation.
///
/// ```
/// use tower_api_keys::store::{AnyStore, KeyReader, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// assert!(store.head_now().is_some());
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn ErasedStore>);

impl AnyStore {
    /// Any store, as this one.
    pub fn new<S: KeyStore>(store: S) -> Self {
        Self(Arc::new(store))
    }

    fn erased(&self) -> &dyn ErasedStore {
        &*self.0
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore").finish_non_exhaustive()
    }
}

/// [`KeyStore`] with boxed futures.
macro_rules! erased {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        pub(super) trait ErasedStore: Send + Sync {
            fn head_now(&self) -> Option<Head>;
            $(fn $name<'a>(&'a self, $($arg: $type),*) -> BoxFuture<'a, Result<$answer, StoreError>>;)*
        }

        impl<S: KeyStore> ErasedStore for S {
            fn head_now(&self) -> Option<Head> {
                KeyReader::head_now(self)
            }

            $(fn $name<'a>(&'a self, $($arg: $type),*) -> BoxFuture<'a, Result<$answer, StoreError>> {
                Box::pin(erased!(@call $name)(self, $($arg),*))
            })*
        }
    };
    (@call find) => { KeyReader::find };
    (@call changes_since) => { KeyReader::changes_since };
    (@call $name:ident) => { KeyStore::$name };
}

erased! {
    find(id: &'a KeyId) -> Option<FoundKey>;
    changes_since(head: Option<Head>) -> Changes;
    apply(change: &'a Change) -> Applied;
    rehash(id: &'a KeyId, old: &'a str, new: &'a RehashedKey) -> bool;
    list(query: &'a KeyQuery, now: Timestamp) -> Page<ListedKey>;
    owner_status(owner: &'a OwnerRef) -> OwnerStatusRow;
    record_usage(batch: &'a UsageBatch) -> ();
    append_events(events: &'a [EventRow]) -> ();
    events(query: &'a EventQuery) -> Page<EventRow>;
    put_meta_if_absent(name: &'a str, value: &'a [u8]) -> Vec<u8>;
    prune(prune: &'a Prune) -> Pruned;
}

/// [`KeyStore`] by what `$erased` makes of it.
macro_rules! forwarded {
    ($store:ty, $erased:expr) => {
        impl KeyReader for $store {
            async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
                ErasedStore::find($erased(self), id).await
            }

            async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
                ErasedStore::changes_since($erased(self), head).await
            }

            fn head_now(&self) -> Option<Head> {
                ErasedStore::head_now($erased(self))
            }
        }

        impl KeyStore for $store {
            async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
                ErasedStore::apply($erased(self), change).await
            }

            async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
                ErasedStore::rehash($erased(self), id, old, new).await
            }

            async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
                ErasedStore::list($erased(self), query, now).await
            }

            async fn owner_status(&self, owner: &OwnerRef) -> Result<OwnerStatusRow, StoreError> {
                ErasedStore::owner_status($erased(self), owner).await
            }

            async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
                ErasedStore::record_usage($erased(self), batch).await
            }

            async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
                ErasedStore::append_events($erased(self), events).await
            }

            async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
                ErasedStore::events($erased(self), query).await
            }

            async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
                ErasedStore::put_meta_if_absent($erased(self), name, value).await
            }

            async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
                ErasedStore::prune($erased(self), prune).await
            }
        }
    };
}

forwarded!(AnyStore, Self::erased);

// Handles of different types in one list.
#[cfg(feature = "conformance")]
forwarded!(dyn ErasedStore, identity);
