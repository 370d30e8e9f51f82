//! Pairs of handles onto one store, with one fault between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::task::yield_now;
use tower_api_keys::{
    KeyKind, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{
        Applied, Change, ChangeId, Changes, Conflict, EventQuery, FoundKey, Guard, Head, KeyQuery, KeyReader, KeyStore,
        Ledger, ListedKey, Liveness, MemoryStore, OwnerRef, Page, RehashedKey, StoreError, Write,
    },
    usage::UsageBatch,
};

use crate::support::wrapped::{Fake, Wrapped};

/// The fault between the two handles of [`pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rift {
    /// A handle returns a found key unchanged from then on, except for its own changes.
    CachesFinds,
    /// A guard that held once is not checked again.
    CachesGuards,
    /// Counts of one writer are separate for each handle.
    CountsApart,
    /// A reader of the feed gets a later event before an earlier one.
    DelaysEvents,
    /// Each handle has its own idempotency keys.
    KeepsIdempotencyKeysApart,
    /// A handle's log has only its own changes.
    LogsApart,
    /// Each handle has its own lock, under which it checks the guards and then writes.
    LocksApart,
    /// Names are separate for each handle.
    NamesApart,
    /// Each handle remembers only the ids of its own changes.
    RemembersApart,
    /// A handle returns the head of its own last change.
    TellsOldHeads,
    /// Two databases.
    TwoDatabases,
}

/// One of two handles.
pub(crate) type Handle = Wrapped<Side>;

pub(crate) struct Side {
    store: Arc<MemoryStore>,
    rift: Rift,
    number: u8,
    lock: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    found: BTreeMap<String, FoundKey>,
    held: Vec<Guard>,
    requests: BTreeMap<String, Change>,
    written: BTreeSet<String>,
    head: Option<Head>,
    done: BTreeSet<ChangeId>,
}

/// Two handles.
pub(crate) fn pair(rift: Rift) -> (Handle, Handle) {
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    let store = Arc::new(MemoryStore::new());
    let side = || Side {
        store: if rift == Rift::TwoDatabases { Arc::default() } else { store.clone() },
        rift,
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        lock: tokio::sync::Mutex::default(),
        memory: Mutex::default(),
    };
    (Wrapped(side()), Wrapped(side()))
}

impl Side {
    fn is(&self, rift: Rift) -> bool {
        self.rift == rift
    }

    fn memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.memory.lock().unwrap())
    }

    async fn check(&self, change: &Change) -> Result<(), StoreError> {
        let is_live = |found: &FoundKey| {
            found.key.revoked_at.is_none() && found.key.expires_at.is_none_or(|end| change.at.as_millis() < end)
        };
        for (place, guard) in change.guards.iter().enumerate() {
            let conflict = match guard {
                Guard::Live(id) if self.store.find(id).await?.is_some_and(|found| is_live(&found)) => None,
                Guard::OwnerActive(owner) if self.store.owner_status(owner).await?.is_active() => None,
                Guard::SameRights { key, scopes, allowed_networks, expires_at } => {
                    let end = expires_at.map(Timestamp::as_millis);
                    let found = self.store.find(key).await?;
                    let is_same = found.is_some_and(|found| {
                        let is_as_wide = found.key.scopes == *scopes && found.key.allowed_networks == *allowed_networks;
                        is_as_wide && found.key.expires_at == end && found.key.paused_at.is_none()
                    });
                    (!is_same).then_some(Conflict::Guard(place))
                }
                Guard::SameVersion { key, version } => {
                    let found = self.store.find(key).await?;
                    let differs = found.is_none_or(|found| found.key.version != *version);
                    differs.then_some(Conflict::Guard(place))
                }
                Guard::NoLiveSuccessor(id) => {
                    let Some(old) = self.store.find(id).await? else { continue };
                    let query = KeyQuery { limit: 1_000, ..KeyQuery::all(old.key.organization.parse().unwrap()) };
                    let all = self.store.list(&query, change.at).await?.rows;
                    let succeeds = |listed: &ListedKey| {
                        let found = FoundKey::from(listed.clone());
                        found.key.replaces.as_deref() == Some(id.as_str()) && is_live(&found)
                    };
                    all.iter().any(succeeds).then_some(Conflict::Successor)
                }
                Guard::IssuedBelow { by, since, until, limit } => {
                    let query = KeyQuery { limit: 1_000, ..KeyQuery::all(by.organization.clone()) };
                    let keys: Vec<_> =
                        self.store.list(&query, change.at).await?.rows.into_iter().map(|row| row.key).collect();
                    let theirs = keys.iter().filter(|key| OwnerRef::of(key).as_ref() == Some(by));
                    let theirs: Vec<_> = theirs.map(|key| Some(key.id.clone())).collect();
                    let is_theirs = |key: &&KeyRow| {
                        let person = key.created_by.strip_prefix("user:") == Some(by.owner.id());
                        (person && by.owner.kind() == KeyKind::User) || theirs.contains(&key.created_via_key)
                    };
                    let window = since.as_millis()..=until.as_millis();
                    let made = keys.iter().filter(is_theirs).filter(|key| window.contains(&key.created_at)).count();
                    (made >= *limit as usize).then_some(Conflict::Guard(place))
                }
                Guard::LiveKeysBelow { owner, limit } => {
                    let query = KeyQuery {
                        owners: vec![owner.owner.clone()],
                        liveness: Some(Liveness::Live),
                        limit: 1_000,
                        ..KeyQuery::all(owner.organization.clone())
                    };
                    let live = self.store.list(&query, change.at).await?.rows.len();
                    (live >= *limit as usize).then_some(Conflict::Guard(place))
                }
                _ => Some(Conflict::Guard(place)),
            };
            if let Some(conflict) = conflict {
                return Err(StoreError::conflict(conflict));
            }
        }
        Ok(())
    }

    /// Notes what this handle wrote.
    fn note(&self, change: &Change) {
        self.memory(|memory| {
            for audited in &change.writes {
                let name = match &audited.write {
                    Write::Insert(row) => row.id.clone(),
                    Write::Update(update) => update.id.to_string(),
                    Write::Pause { id, .. }
                    | Write::Resume { id, .. }
                    | Write::Revoke { id, .. }
                    | Write::WarnOfEnd { id, .. } => id.to_string(),
                    Write::Owner(owner, _) => format!("{owner:?}"),
                    _ => continue,
                };
                memory.found.remove(&name);
                memory.written.insert(name);
            }
            memory.head = self.store.try_head();
            memory.done.insert(change.id);
        });
    }
}

impl Fake for Side {
    type Store = Arc<MemoryStore>;

    fn store(&self) -> &Arc<MemoryStore> {
        &self.store
    }

    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        if self.is(Rift::CachesFinds)
            && let Some(found) = self.memory(|memory| memory.found.get(id.as_str()).cloned())
        {
            return Ok(Some(found));
        }
        let found = self.store.find(id).await?;
        if let Some(found) = &found {
            self.memory(|memory| memory.found.insert(id.as_str().to_owned(), found.clone()));
        }
        Ok(found)
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        let mut changes = self.store.changes_since(head).await?;
        match &mut changes {
            Changes::Changed { keys, owners, .. } if self.is(Rift::LogsApart) => self.memory(|memory| {
                keys.retain(|key| memory.written.contains(key.as_str()));
                owners.retain(|owner| memory.written.contains(&format!("{owner:?}")));
            }),
            Changes::Reset { head } if self.is(Rift::TellsOldHeads) => {
                *head = self.memory(|memory| *memory.head.get_or_insert(*head));
            }
            _ => {}
        }
        Ok(changes)
    }

    fn try_head(&self) -> Option<Head> {
        None
    }

    async fn wait_for_change(&self, _head: Head) {
        std::future::pending().await
    }

    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut altered = change.clone();
        let mut lock = None;
        match self.rift {
            Rift::CachesGuards => {
                altered.guards.retain(|guard| !self.memory(|memory| memory.held.contains(guard)));
            }
            Rift::KeepsIdempotencyKeysApart => {
                if let Some(request) = altered.idempotency.take() {
                    let entry = |memory: &mut Memory| {
                        memory.requests.entry(request.key.clone()).or_insert_with(|| change.clone()).clone()
                    };
                    let first = self.memory(entry);
                    if first.id != change.id {
                        let digest = first.idempotency.as_ref().map_or([0; 32], |earlier| earlier.digest);
                        return Err(StoreError::conflict(request.used_for(first.key_made(), &digest)));
                    }
                }
            }
            Rift::LocksApart => {
                lock = Some(self.lock.lock().await);
                if !self.memory(|memory| memory.done.contains(&change.id)) {
                    self.check(change).await?;
                }
                altered.guards.clear();
                yield_now().await;
            }
            Rift::RemembersApart => {
                let mut id = change.id.to_bytes();
                id[0] ^= self.number;
                altered.id = ChangeId::from_bytes(id);
                if let Some(request) = &mut altered.idempotency {
                    request.key = format!("{} {}", request.key, self.number);
                }
            }
            _ => {}
        }
        let applied = self.store.apply(&altered).await?;
        drop(lock);
        self.note(change);
        self.memory(|memory| memory.held.extend(change.guards.iter().cloned()));
        Ok(applied)
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let replaced = self.store.rehash(id, old, new).await?;
        if replaced {
            self.memory(|memory| memory.found.remove(id.as_str()));
        }
        Ok(replaced)
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let name = if self.is(Rift::NamesApart) { format!("{name} {}", self.number) } else { name.to_owned() };
        self.store.put_meta_if_absent(&name, value).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let mut batch = batch.clone();
        if self.is(Rift::CountsApart) {
            batch.writer[0] ^= self.number;
        }
        self.store.record_usage(&batch).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        let mut page = self.store.events(query).await?;
        if self.is(Rift::DelaysEvents) && query.after.is_some() && page.rows.len() > 1 {
            page.rows.remove(0);
        }
        Ok(page)
    }
}
