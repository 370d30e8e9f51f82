mod portable;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    ops::Bound,
};

use crate::{
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow},
    store::{
        Applied, Change, ChangeId, Changes, Conflict, EventQuery, FoundKey, Head, KeyQuery, ListedKey, Liveness,
        OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError,
    },
    time::Timestamp,
    usage::{UsageBatch, UsageRow, UsageTotals},
};

/// A reader further behind than 1,000 changes starts anew. The row before those tells that the log is the reader's.
const LONGEST_LOG: usize = 1_001;

/// The most rows of a kind that one call forgets.
const MOST_PRUNED: usize = 10_000;

/// Everything the store holds.
#[derive(Debug, Default)]
pub(super) struct Tables {
    keys: HashMap<String, KeyRow>,
    /// Time of creation and id: the order of lists.
    order: BTreeSet<(i64, String)>,
    owners: HashMap<OwnerRef, OwnerStatusRow>,
    log: VecDeque<(Head, Logged)>,
    head: Option<Head>,
    changes: HashMap<ChangeId, Done>,
    dedupes: HashSet<String>,
    events: Vec<EventRow>,
    last_event: i64,
    usage: HashMap<Option<String>, Vec<UsageRow>>,
    writers: HashMap<[u8; 16], i64>,
    meta: HashMap<String, Vec<u8>>,
}

/// What a change wrote, to be put in place.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) keys: Vec<KeyRow>,
    pub(super) owners: HashMap<OwnerRef, OwnerStatusRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) log: Vec<Logged>,
}

/// What a row of the change log names.
#[derive(Clone, Debug)]
pub(super) enum Logged {
    Key(KeyId),
    Owner(OwnerRef),
}

/// A change that was applied.
#[derive(Debug)]
struct Done {
    at: Timestamp,
    applied: Applied,
    dedupe: Option<String>,
}

impl Tables {
    pub(super) fn head(&self) -> Head {
        self.head.unwrap_or(Head::EMPTY)
    }

    pub(super) fn key(&self, id: &str) -> Option<&KeyRow> {
        self.keys.get(id)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &KeyRow> {
        self.keys.values()
    }

    pub(super) fn owner(&self, owner: &OwnerRef) -> OwnerStatusRow {
        self.owners.get(owner).copied().unwrap_or_default()
    }

    pub(super) fn find(&self, id: &str) -> Option<FoundKey> {
        self.keys.get(id).map(|key| FoundKey { key: key.clone(), owner: self.owner_of(key) })
    }

    fn owner_of(&self, key: &KeyRow) -> OwnerStatusRow {
        OwnerRef::of(key).map(|owner| self.owner(&owner)).unwrap_or_default()
    }

    pub(super) fn changes_since(&self, head: Option<Head>) -> Changes {
        let now = self.head();
        if head == Some(now) {
            return Changes::Unchanged;
        }
        let start = match head {
            None => None,
            Some(Head::EMPTY) => (self.log.len() as i64 == now.position).then_some(0),
            Some(head) => self.log.iter().position(|(logged, _)| *logged == head).map(|place| place + 1),
        };
        let Some(start) = start else { return Changes::Reset { head: now } };
        let (mut keys, mut owners) = (Vec::new(), Vec::new());
        for (_, logged) in self.log.iter().skip(start) {
            match logged {
                Logged::Key(id) => keys.push(*id),
                Logged::Owner(owner) => owners.push(owner.clone()),
            }
        }
        Changes::Changed { head: now, keys, owners }
    }

    /// What a change of this id did, if it was applied.
    pub(super) fn done(&self, change: &Change) -> Result<Option<Applied>, StoreError> {
        if let Some(done) = self.changes.get(&change.id) {
            return Ok(Some(done.applied.clone()));
        }
        if change.dedupe.as_ref().is_some_and(|dedupe| self.dedupes.contains(dedupe)) {
            return Err(StoreError::conflict(Conflict::Replay));
        }
        Ok(None)
    }

    /// Puts what a change wrote in place. Nothing here can fail.
    pub(super) fn commit(&mut self, change: &Change, written: Written, applied: Applied) {
        for row in written.keys {
            self.order.insert((row.created_at, row.id.clone()));
            self.keys.insert(row.id.clone(), row);
        }
        self.owners.extend(written.owners);
        self.append_events(&written.events);
        for logged in written.log {
            self.log(change.id, logged);
        }
        self.dedupes.extend(change.dedupe.clone());
        self.changes.insert(change.id, Done { at: change.at, applied, dedupe: change.dedupe.clone() });
    }

    fn log(&mut self, change: ChangeId, logged: Logged) {
        let head = Head { position: self.head().position + 1, change: change.to_bytes() };
        self.head = Some(head);
        self.log.push_back((head, logged));
        if self.log.len() > LONGEST_LOG {
            self.log.pop_front();
        }
    }

    pub(super) fn rehash(&mut self, id: &str, old: &str, new: &RehashedKey) -> bool {
        match self.keys.get_mut(id) {
            Some(key) if key.hash == old && key.revoked_at.is_none() => {
                key.hash.clone_from(&new.hash);
                key.tag = new.tag;
                key.pepper_id = new.pepper_id;
                true
            }
            _ => false,
        }
    }

    pub(super) fn list(&self, query: &KeyQuery, now: Timestamp) -> Page<ListedKey> {
        let start = match &query.after {
            Some(cursor) => Bound::Excluded((cursor.created_at.as_millis(), cursor.id.as_str().to_owned())),
            None => Bound::Unbounded,
        };
        let listed = self
            .order
            .range((start, Bound::Unbounded))
            .filter_map(|(_, id)| self.keys.get(id))
            .filter(|key| matches(query, key, now))
            .map(|key| ListedKey { key: key.clone(), owner: self.owner_of(key), usage: self.totals(&key.id) })
            .filter(|listed| query.unused_since.is_none_or(|since| listed.usage.last_success_at < Some(since)));
        page(listed, query.limit)
    }

    fn totals(&self, id: &str) -> UsageTotals {
        let mut totals = UsageTotals::default();
        for row in self.usage.get(&Some(id.to_owned())).into_iter().flatten() {
            let last_at = Timestamp::from_millis(row.last_at).ok();
            if row.outcome == "success" {
                totals.successes += row.count;
                totals.last_success_at = totals.last_success_at.max(last_at);
            } else {
                totals.failures += row.count;
                totals.last_failure_at = totals.last_failure_at.max(last_at);
            }
        }
        totals
    }

    pub(super) fn record_usage(&mut self, batch: &UsageBatch) {
        let last = self.writers.entry(batch.writer).or_insert(0);
        if batch.sequence <= *last {
            return;
        }
        *last = batch.sequence;
        for row in &batch.rows {
            let rows = self.usage.entry(row.key.clone()).or_default();
            match rows.iter_mut().find(|sum| sum.outcome == row.outcome && sum.source == row.source) {
                None => rows.push(row.clone()),
                Some(sum) => {
                    sum.count += row.count;
                    sum.first_at = sum.first_at.min(row.first_at);
                    sum.last_at = sum.last_at.max(row.last_at);
                }
            }
        }
    }

    pub(super) fn append_events(&mut self, events: &[EventRow]) {
        for event in events {
            self.last_event += 1;
            self.events.push(EventRow { sequence: self.last_event, ..event.clone() });
        }
    }

    pub(super) fn events(&self, query: &EventQuery) -> Page<EventRow> {
        let wanted = |event: &&EventRow| {
            event.organization == query.organization.as_str()
                && query.after.is_none_or(|after| event.sequence > after)
                && query.key.is_none_or(|key| event.key.as_deref() == Some(key.as_str()))
                && query
                    .owner
                    .as_ref()
                    .is_none_or(|owner| event.owner_kind == owner.kind().as_str() && event.owner == owner.id())
                && query.actor.as_ref().is_none_or(|actor| event.actor == actor.to_string())
                && query.action.as_ref().is_none_or(|action| event.action == *action)
                && query.source.as_ref().is_none_or(|source| event.source.as_ref() == Some(source))
                && query.from.is_none_or(|from| event.at >= from.as_millis())
                && query.until.is_none_or(|until| event.at < until.as_millis())
        };
        page(self.events.iter().filter(wanted).cloned(), query.limit)
    }

    pub(super) fn put_meta_if_absent(&mut self, name: &str, value: &[u8]) -> Vec<u8> {
        self.meta.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone()
    }

    pub(super) fn prune(&mut self, prune: &Prune) -> Pruned {
        let mut pruned = Pruned::default();
        if let Some(before) = prune.events_before {
            let (count, mut left) = (self.events.len(), MOST_PRUNED);
            self.events.retain(|event| event.at >= before.as_millis() || !take(&mut left));
            pruned.events = (count - self.events.len()) as u64;
        }
        if let Some(keep) = prune.keep_log_rows {
            let surplus = self.log.len().saturating_sub(keep as usize).min(MOST_PRUNED);
            self.log.drain(..surplus);
            pruned.log_rows = surplus as u64;
        }
        if let Some(before) = prune.changes_before {
            let (count, mut left) = (self.changes.len(), MOST_PRUNED);
            self.changes.retain(|_, done| done.at >= before || !take(&mut left));
            self.dedupes = self.changes.values().filter_map(|done| done.dedupe.clone()).collect();
            pruned.changes = (count - self.changes.len()) as u64;
        }
        pruned
    }
}

/// Whether there is one left to take.
fn take(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

/// Neither revoked nor expired.
pub(super) fn is_live(key: &KeyRow, now: Timestamp) -> bool {
    key.revoked_at.is_none() && key.expires_at.is_none_or(|end| now.as_millis() < end)
}

fn matches(query: &KeyQuery, key: &KeyRow, now: Timestamp) -> bool {
    let live = is_live(key, now);
    key.organization == query.organization.as_str()
        && query.owner.as_ref().is_none_or(|owner| key.kind == owner.kind().as_str() && key.owner == owner.id())
        && query.creator.as_ref().is_none_or(|creator| key.created_by == creator.to_string())
        && query.maker.is_none_or(|maker| key.created_with.as_deref() == Some(maker.as_str()))
        && query.liveness.is_none_or(|liveness| live == (liveness == Liveness::Live))
}

fn page<T>(mut found: impl Iterator<Item = T>, limit: u16) -> Page<T> {
    let rows: Vec<T> = found.by_ref().take(limit.into()).collect();
    Page { rows, more: found.next().is_some() }
}
