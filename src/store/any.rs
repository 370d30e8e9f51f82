use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader,
    KeyStore, Ledger, ListedKey, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// A store chosen at run time, by a configuration file for example. Cheap to clone; each call that waits costs one
/// allocation.
///
/// ```
/// use tower_api_keys::store::{AnyStore, KeyReader, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// assert!(store.try_head().is_some());
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn ErasedLedger>);

impl AnyStore {
    /// Wraps any store.
    pub fn new<S: Ledger>(store: S) -> Self {
        Self::shared(Arc::new(store))
    }

    pub(crate) fn shared<S: Ledger>(store: Arc<S>) -> Self {
        Self(store)
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore").finish_non_exhaustive()
    }
}

/// [`KeyReader`] with its type erased. The conformance kit uses it, too; it is not part of the API.
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

/// Declares a trait with boxed futures and implements it for all stores of the given trait; implements that trait for
/// [`AnyStore`].
macro_rules! erased {
    (
        $(#[$doc:meta])* $erased:ident: $above:ident for $store:ident;
        $($name:ident($($arg:ident: $type:ty as $lent:ty),*) -> $answer:ty;)*
    ) => {
        $(#[$doc])*
        #[doc(hidden)]
        pub trait $erased: $above {
            $(fn $name<'a>(&'a self, $($arg: $lent),*) -> BoxFuture<'a, Result<$answer, StoreError>>;)*
        }

        impl<S: $store> $erased for S {
            $(fn $name<'a>(&'a self, $($arg: $lent),*) -> BoxFuture<'a, Result<$answer, StoreError>> {
                Box::pin($store::$name(self, $($arg),*))
            })*
        }

        impl $store for AnyStore {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                self.0.$name($($arg),*).await
            })*
        }
    };
}

erased! {
    /// [`KeyStore`] with its type erased. The conformance kit uses it, too; it is not part of the API.
    ErasedStore: ErasedReader for KeyStore;
    apply(change: &Change as &'a Change) -> Applied;
    rehash(id: &KeyId as &'a KeyId, old: &str as &'a str, new: &RehashedKey as &'a RehashedKey) -> bool;
    list(query: &KeyQuery as &'a KeyQuery, now: Timestamp as Timestamp) -> Page<ListedKey>;
    ending(query: &EndingQuery as &'a EndingQuery) -> Vec<KeyRow>;
    owner_status(owner: &OwnerRef as &'a OwnerRef) -> FoundOwner;
    put_meta_if_absent(name: &str as &'a str, value: &[u8] as &'a [u8]) -> Vec<u8>;
    replace_note(name: &str as &'a str, old: &[u8] as &'a [u8], new: &[u8] as &'a [u8]) -> Vec<u8>;
    ended_keys(before: Timestamp as Timestamp) -> EndedKeys;
    prune(prune: &Prune as &'a Prune) -> Pruned;
}

erased! {
    /// [`Ledger`] with its type erased. The conformance kit uses it, too; it is not part of the API.
    ErasedLedger: ErasedStore for Ledger;
    record_usage(batch: &UsageBatch as &'a UsageBatch) -> ();
    usage(of: &UsageScope as &'a UsageScope) -> Vec<UsageRow>;
    usage_days(keys: &[KeyId] as &'a [KeyId], from: i32 as i32) -> Vec<UsageDayRow>;
    append_events(events: &[EventRow] as &'a [EventRow]) -> ();
    events(query: &EventQuery as &'a EventQuery) -> Page<EventRow>;
    feed(after: Option<i64> as Option<i64>, limit: u16 as u16) -> Page<EventRow>;
    trail(attempts: bool as bool, before: Timestamp as Timestamp) -> Trail;
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
