use std::{fmt, future::Future};

use futures_util::future::BoxFuture;
use tower_api_keys::{
    Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{
        Applied, Change, Changes, Effect, EndedKeys, EndingQuery, ErasedLedger, ErasedReader, ErasedStore, EventQuery,
        FoundKey, FoundOwner, Head, KeyQuery, KeyReader, KeyStore, ListedKey, OwnerRef, Page, Prune, Pruned,
        StoreError, Trail, UsageScope,
    },
    usage::{UsageBatch, UsageDayRow, UsageRow, UsageTotals},
};

use crate::{
    scene::{Scene, at},
    unmet::{Unmet, same},
};

/// A reader or a store under test, and the way to change what it reads.
pub(crate) struct Candidate<'a, R: ?Sized> {
    subject: &'a R,
    apply: Box<dyn Fn(Change) -> BoxFuture<'a, Result<Applied, StoreError>> + Send + Sync + 'a>,
}

impl<'a, R: KeyReader> Candidate<'a, R> {
    /// A candidate for a reader, with a function that applies a change to the database behind it.
    pub(crate) fn reader<F>(reader: &'a R, apply: impl Fn(Change) -> F + Send + Sync + 'a) -> Self
    where
        F: Future<Output = Result<Applied, StoreError>> + Send + 'a,
    {
        Self { subject: reader, apply: Box::new(move |change| Box::pin(apply(change))) }
    }
}

impl<'a, R: ErasedReader + ?Sized> Candidate<'a, R> {
    pub(super) fn subject(&self) -> &'a R {
        self.subject
    }

    /// Applies a change, with any result.
    pub(super) async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        (self.apply)(change.clone()).await
    }

    /// Applies a change that must succeed.
    pub(super) async fn effects(&self, change: &Change) -> Result<Vec<Effect>, Unmet> {
        let applied = self.apply(change).await.map_err(|error| Unmet::call("apply", &error))?;
        Ok(applied.effects)
    }

    /// Applies a change in which every write must change something.
    pub(super) async fn written(&self, change: &Change) -> Result<(), Unmet> {
        let expected = vec![Effect::Changed; change.writes.len()];
        same("the effects of a change", &self.effects(change).await?, &expected)
    }

    pub(super) async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, Unmet> {
        self.subject.find(id).await.map_err(|error| Unmet::call("find", &error))
    }

    /// Finds a key that must be there.
    pub(super) async fn found(&self, id: &KeyId) -> Result<FoundKey, Unmet> {
        self.find(id).await?.ok_or_else(|| Unmet::failed(format!("expected to find the key {id}, saw none")))
    }

    pub(super) async fn since(&self, head: Option<Head>) -> Result<Changes, Unmet> {
        self.subject.changes_since(head).await.map_err(|error| Unmet::call("changes_since", &error))
    }

    /// The head of the log, if the store keeps one.
    pub(super) async fn head_if_tracked(&self) -> Result<Option<Head>, Unmet> {
        match self.since(None).await? {
            Changes::Reset { head } => Ok(Some(head)),
            Changes::Untracked => Ok(None),
            seen => Err(Unmet::failed(format!("the log since no head: expected a reset, saw {seen:?}"))),
        }
    }

    /// The head of the log; the clause does not apply to a store without one.
    pub(super) async fn head(&self) -> Result<Head, Unmet> {
        self.head_if_tracked().await?.ok_or_else(|| Unmet::not_applicable("the store keeps no change log"))
    }
}

impl<'a, S: KeyStore> Candidate<'a, S> {
    /// A candidate for a store.
    pub(crate) fn store(store: &'a S) -> Self {
        Self::erased(store)
    }
}

impl<'a, S: ErasedStore + ?Sized> Candidate<'a, S> {
    pub(super) fn erased(store: &'a S) -> Self {
        let apply = move |change: Change| -> BoxFuture<'a, _> { Box::pin(async move { store.apply(&change).await }) };
        Self { subject: store, apply: Box::new(apply) }
    }

    pub(super) async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, Unmet> {
        self.subject.list(query, now).await.map_err(|error| Unmet::call("list", &error))
    }

    /// The ids that a query finds, in order.
    pub(super) async fn listed(&self, query: &KeyQuery, now: Timestamp) -> Result<Vec<String>, Unmet> {
        Ok(self.list(query, now).await?.rows.into_iter().map(|listed| listed.key.id).collect())
    }

    pub(super) async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, Unmet> {
        self.subject.ending(query).await.map_err(|error| Unmet::call("ending", &error))
    }

    pub(super) async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, Unmet> {
        self.subject.owner_status(owner).await.map_err(|error| Unmet::call("owner_status", &error))
    }

    pub(super) async fn put_meta(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, Unmet> {
        let put = self.subject.put_meta_if_absent(name, value).await;
        put.map_err(|error| Unmet::call("put_meta_if_absent", &error))
    }

    pub(super) async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, Unmet> {
        let standing = self.subject.replace_note(name, old, new).await;
        standing.map_err(|error| Unmet::call("replace_note", &error))
    }

    pub(super) async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, Unmet> {
        self.subject.ended_keys(before).await.map_err(|error| Unmet::call("ended_keys", &error))
    }

    pub(super) async fn prune(&self, prune: &Prune) -> Result<Pruned, Unmet> {
        self.subject.prune(prune).await.map_err(|error| Unmet::call("prune", &error))
    }
}

impl<S: ErasedLedger + ?Sized> Candidate<'_, S> {
    /// All events of the scene's organization.
    pub(super) async fn events(&self, scene: &Scene) -> Result<Vec<EventRow>, Unmet> {
        let query = EventQuery { limit: 1_000, ..EventQuery::all(scene.organization()) };
        Ok(self.events_page(&query).await?.rows)
    }

    pub(super) async fn events_page(&self, query: &EventQuery) -> Result<Page<EventRow>, Unmet> {
        self.subject.events(query).await.map_err(|error| Unmet::call("events", &error))
    }

    /// How the scene's only key was used.
    pub(super) async fn usage(&self, scene: &Scene) -> Result<UsageTotals, Unmet> {
        let listed = self.list(&scene.query(), at(0)).await?.rows.pop();
        let listed = listed.ok_or_else(|| Unmet::failed("expected `list` to give the key, saw nothing"))?;
        listed.usage.ok_or_else(|| Unmet::failed("expected `list` to give the key with its usage, saw it without"))
    }

    pub(super) async fn record(&self, batch: &UsageBatch) -> Result<(), Unmet> {
        self.subject.record_usage(batch).await.map_err(|error| Unmet::call("record_usage", &error))
    }

    /// The counts of this scope.
    pub(super) async fn counts(&self, of: &UsageScope) -> Result<Vec<UsageRow>, Unmet> {
        self.subject.usage(of).await.map_err(|error| Unmet::call("usage", &error))
    }

    pub(super) async fn days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, Unmet> {
        self.subject.usage_days(keys, from).await.map_err(|error| Unmet::call("usage_days", &error))
    }

    pub(super) async fn append(&self, events: &[EventRow]) -> Result<(), Unmet> {
        self.subject.append_events(events).await.map_err(|error| Unmet::call("append_events", &error))
    }

    pub(super) async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, Unmet> {
        self.subject.feed(after, limit).await.map_err(|error| Unmet::call("feed", &error))
    }

    pub(super) async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, Unmet> {
        self.subject.trail(attempts, before).await.map_err(|error| Unmet::call("trail", &error))
    }
}

impl<R: ?Sized> fmt::Debug for Candidate<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").finish_non_exhaustive()
    }
}
