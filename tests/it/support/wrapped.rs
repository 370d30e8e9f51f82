//! Fakes of stores, each in front of a real store. A fake is a type with [`Fake`], which writes only the calls that differ;
//! [`Wrapped`] makes a store of it. Integration tests, unit tests of the manager and a bench share this file.

use std::{future::Future, ops::Deref};

use tower_api_keys::{
    Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{
        Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader,
        KeyStore, Ledger, ListedKey, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
        transfer::{self, Batch, Cursor, PortableStore},
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// A fake as a store. It has the same traits as the store behind it.
#[derive(Default)]
pub(crate) struct Wrapped<F>(pub(crate) F);

impl<F> Deref for Wrapped<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.0
    }
}

/// Defines [`Fake`], with a method for each call of a store, and the traits of stores for [`Wrapped`] fakes.
macro_rules! wrapped {
    ($($store:ident {
        $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*
        $({ $($more:tt)* })?
    })*) => {
        /// A store in front of another one. Every method passes its call on by default.
        pub(crate) trait Fake: Send + Sync + 'static {
            type Store;

            /// The store behind this one.
            fn store(&self) -> &Self::Store;

            /// Gets each call that the fake does not write itself, by name. Awaiting the future passes the call on.
            fn around<T: Send>(
                &self,
                _call: &'static str,
                pass_on: impl Future<Output = Result<T, StoreError>> + Send,
            ) -> impl Future<Output = Result<T, StoreError>> + Send {
                pass_on
            }

            fn try_head(&self) -> Option<Head>
            where
                Self::Store: KeyReader,
            {
                self.store().try_head()
            }

            fn wait_for_change(&self, head: Head) -> impl Future<Output = ()> + Send
            where
                Self::Store: KeyReader,
            {
                self.store().wait_for_change(head)
            }

            $($(fn $name(&self, $($arg: $type),*) -> impl Future<Output = Result<$answer, StoreError>> + Send
            where
                Self::Store: $store,
            {
                self.around(stringify!($name), self.store().$name($($arg),*))
            })*)*
        }

        $(impl<F: Fake<Store: $store>> $store for Wrapped<F> {
            $(fn $name(&self, $($arg: $type),*) -> impl Future<Output = Result<$answer, StoreError>> + Send {
                self.0.$name($($arg),*)
            })*
            $($($more)*)?
        })*
    };
}

wrapped! {
    KeyReader {
        find(id: &KeyId) -> Option<FoundKey>;
        changes_since(head: Option<Head>) -> Changes;
        {
            fn try_head(&self) -> Option<Head> {
                self.0.try_head()
            }

            fn wait_for_change(&self, head: Head) -> impl Future<Output = ()> + Send {
                self.0.wait_for_change(head)
            }
        }
    }
    KeyStore {
        apply(change: &Change) -> Applied;
        rehash(id: &KeyId, old: &str, new: &RehashedKey) -> bool;
        list(query: &KeyQuery, now: Timestamp) -> Page<ListedKey>;
        ending(query: &EndingQuery) -> Vec<KeyRow>;
        owner_status(owner: &OwnerRef) -> FoundOwner;
        put_meta_if_absent(name: &str, value: &[u8]) -> Vec<u8>;
        replace_note(name: &str, old: &[u8], new: &[u8]) -> Vec<u8>;
        ended_keys(before: Timestamp) -> EndedKeys;
        prune(prune: &Prune) -> Pruned;
    }
    Ledger {
        record_usage(batch: &UsageBatch) -> ();
        usage(of: &UsageScope) -> Vec<UsageRow>;
        usage_days(keys: &[KeyId], from: i32) -> Vec<UsageDayRow>;
        append_events(events: &[EventRow]) -> ();
        events(query: &EventQuery) -> Page<EventRow>;
        feed(after: Option<i64>, limit: u16) -> Page<EventRow>;
        trail(attempts: bool, before: Timestamp) -> Trail;
    }
    PortableStore {
        export(from: &Cursor, limit: u16) -> transfer::Page;
        import(rows: &Batch) -> u64;
    }
}
