use std::sync::Arc;

use super::{
    change::{Applied, Change},
    contract::{FoundKey, FoundOwner, KeyReader, KeyStore, Ledger},
    dead_keys::EndedKeys,
    ending::EndingQuery,
    error::StoreError,
    head::{Changes, Head},
    listed::ListedKey,
    query::{EventQuery, KeyQuery, Page, Prune, Pruned, RehashedKey, Trail, UsageScope},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    owner::OwnerRef,
    record::KeyRow,
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

impl<S: KeyReader> KeyReader for Arc<S> {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        S::find(self, id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        S::changes_since(self, head).await
    }

    fn try_head(&self) -> Option<Head> {
        S::try_head(self)
    }

    async fn wait_for_change(&self, head: Head) {
        S::wait_for_change(self, head).await;
    }
}

impl<S: KeyStore> KeyStore for Arc<S> {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        S::apply(self, change).await
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        S::rehash(self, id, old, new).await
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        S::list(self, query, now).await
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        S::ending(self, query).await
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        S::owner_status(self, owner).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        S::put_meta_if_absent(self, name, value).await
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        S::replace_note(self, name, old, new).await
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        S::ended_keys(self, before).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        S::prune(self, prune).await
    }
}

impl<S: Ledger> Ledger for Arc<S> {
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        S::record_usage(self, batch).await
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        S::usage(self, of).await
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        S::usage_days(self, keys, from).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        S::append_events(self, events).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        S::events(self, query).await
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        S::feed(self, after, limit).await
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        S::trail(self, attempts, before).await
    }
}
