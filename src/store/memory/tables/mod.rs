//! The tables of the memory store.

mod erase;
mod event_log;
mod places;
mod portable;
mod purge;
mod read;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use event_log::{EventLog, take};
use places::Places;

use crate::{
    audit::EventRow,
    key::KeyId,
    owner::{OrganizationId, Owner},
    record::{KeyRow, OwnerStatusRow},
    store::{
        Applied, Change, ChangeId, Changed, Changes, Erasure, FoundKey, FoundOwner, Head, IdempotentRequest, OwnerRef,
        Prune, Pruned, RehashedKey, StoreError, Trail, transfer::Tombstone,
    },
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

/// A reader more than 1,000 changes behind starts over. The row before those shows that this is the log the reader
/// knows.
const LONGEST_LOG: usize = 1_001;

/// The most rows of a kind that one call deletes.
const MOST_PRUNED: usize = 10_000;

/// The given limit, but no more than one call deletes.
fn at_most(most: Option<u64>) -> usize {
    most.and_then(|most| usize::try_from(most).ok()).map_or(MOST_PRUNED, |most| most.min(MOST_PRUNED))
}

/// Everything the store holds.
#[derive(Debug, Default)]
pub(super) struct Tables {
    keys: HashMap<String, KeyRow>,
    places: Places,
    /// Pairs of ids: a key, and one that replaces it.
    successors: BTreeSet<(String, String)>,
    owners: HashMap<OwnerRef, OwnerStatusRow>,
    organizations: HashMap<OrganizationId, OwnerStatusRow>,
    tombstones: HashMap<String, Tombstone>,
    log: VecDeque<(Head, Logged)>,
    head: Option<Head>,
    changes: HashMap<ChangeId, Done>,
    /// The changes with an idempotency key, by that key.
    requests: HashMap<String, ChangeId>,
    events: EventLog,
    /// By key and organization, of which a row has at most one. The rows of each are in the order of
    /// [`UsageRow::compare_count`].
    usage: HashMap<(Option<String>, Option<String>), Vec<UsageRow>>,
    /// Counts of accepted and refused requests, by key and day.
    days: BTreeMap<(String, i32), (i64, i64)>,
    writers: HashMap<[u8; 16], i64>,
    meta: HashMap<String, Vec<u8>>,
    notes: HashMap<String, Vec<u8>>,
}

/// What a change wrote, to be put in place.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) keys: Vec<KeyRow>,
    pub(super) statuses: HashMap<Whose, OwnerStatusRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) log: Vec<Logged>,
    pub(super) erasure: Option<Erasure>,
}

/// What a row of the change log names.
#[derive(Clone, Debug)]
pub(super) enum Logged {
    Key(KeyId),
    Status(Whose),
}

/// Whose status a row is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Organization(OrganizationId),
    Owner(OwnerRef),
}

/// A change that was applied.
#[derive(Debug)]
struct Done {
    at: Timestamp,
    applied: Applied,
    request: Option<IdempotentRequest>,
    key_made: Option<String>,
}

impl Tables {
    pub(super) fn head(&self) -> Head {
        self.head.unwrap_or(Head::EMPTY)
    }

    pub(super) fn key(&self, id: &str) -> Option<&KeyRow> {
        self.keys.get(id)
    }

    /// The keys of an organization, or of an owner if one is named, the oldest first.
    pub(super) fn keys_of(
        &self,
        organization: &OrganizationId,
        owner: Option<&Owner>,
    ) -> impl Iterator<Item = &KeyRow> {
        let ids = self.places.between(organization, owner, (i64::MIN, ""), (i64::MAX, ""));
        ids.filter_map(|id| self.keys.get(id))
    }

    pub(super) fn owner(&self, owner: &OwnerRef) -> OwnerStatusRow {
        self.owners.get(owner).copied().unwrap_or_default()
    }

    pub(super) fn status(&self, whose: &Whose) -> Option<OwnerStatusRow> {
        match whose {
            Whose::Organization(organization) => self.organizations.get(organization).copied(),
            Whose::Owner(owner) => self.owners.get(owner).copied(),
        }
    }

    fn put_status(&mut self, whose: Whose, status: OwnerStatusRow) {
        match whose {
            Whose::Organization(organization) => drop(self.organizations.insert(organization, status)),
            Whose::Owner(owner) => drop(self.owners.insert(owner, status)),
        }
    }

    pub(super) fn found_owner(&self, of: &OwnerRef) -> FoundOwner {
        let organization = self.organizations.get(&of.organization).copied().unwrap_or_default();
        FoundOwner { owner: self.owner(of), organization }
    }

    /// Whether no key has or had this id.
    pub(super) fn is_free(&self, id: &str) -> bool {
        !self.keys.contains_key(id) && !self.tombstones.contains_key(id)
    }

    pub(super) fn find(&self, id: &str) -> Option<FoundKey> {
        self.keys.get(id).map(|key| {
            let FoundOwner { owner, organization } = self.owner_of(key);
            FoundKey { key: key.clone(), owner, organization }
        })
    }

    fn owner_of(&self, key: &KeyRow) -> FoundOwner {
        OwnerRef::of(key).map(|owner| self.found_owner(&owner)).unwrap_or_default()
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
        let mut changed = Changed::default();
        for (_, logged) in self.log.iter().skip(start) {
            match logged {
                Logged::Key(id) => changed.keys.push(*id),
                Logged::Status(Whose::Organization(organization)) => changed.organizations.push(organization.clone()),
                Logged::Status(Whose::Owner(owner)) => changed.owners.push(owner.clone()),
            }
        }
        changed.until(now)
    }

    /// What a change of this id did, if it was applied.
    pub(super) fn done(&self, change: &Change) -> Result<Option<Applied>, StoreError> {
        if let Some(done) = self.changes.get(&change.id) {
            return Ok(Some(done.applied.clone()));
        }
        let Some(request) = &change.idempotency else { return Ok(None) };
        let earlier = self.requests.get(&request.key).and_then(|id| self.changes.get(id));
        match earlier.and_then(|done| Some((done, done.request.as_ref()?))) {
            Some((done, earlier)) => {
                Err(StoreError::conflict(request.used_for(done.key_made.as_deref(), &earlier.digest)))
            }
            None => Ok(None),
        }
    }

    /// Puts what a change wrote in place. Nothing here can fail.
    pub(super) fn commit(&mut self, change: &Change, written: Written, applied: Applied) {
        written.keys.into_iter().for_each(|row| self.put(row));
        if let Some(erasure) = &written.erasure {
            self.erase(erasure, change.id);
        }
        written.statuses.into_iter().for_each(|(whose, status)| self.put_status(whose, status));
        self.events.append(&written.events);
        for logged in written.log {
            self.log(change.id, logged);
        }
        let request = change.idempotency.clone();
        self.requests.extend(request.as_ref().map(|request| (request.key.clone(), change.id)));
        let key_made = change.key_made().map(str::to_owned);
        self.changes.insert(change.id, Done { at: change.at, applied, request, key_made });
    }

    /// A key's organization, owner, time of creation and predecessor never change.
    fn put(&mut self, row: KeyRow) {
        if !self.keys.contains_key(&row.id) {
            self.places.add(&row);
            self.successors.extend(row.replaces.clone().map(|replaced| (replaced, row.id.clone())));
        }
        self.keys.insert(row.id.clone(), row);
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
                key.proof.clone_from(&new.proof);
                true
            }
            _ => false,
        }
    }

    pub(super) fn record_usage(&mut self, batch: &UsageBatch) {
        let last = self.writers.entry(batch.writer).or_insert(0);
        if batch.sequence <= *last {
            return;
        }
        *last = batch.sequence;
        for UsageDayRow { key, day, accepted, refused } in &batch.days {
            let sum = self.days.entry((key.clone(), *day)).or_default();
            (sum.0, sum.1) = (sum.0.saturating_add(*accepted), sum.1.saturating_add(*refused));
        }
        for row in &batch.rows {
            let counts = self.usage.entry(place_of_counts(row)).or_default();
            match find_count(counts, row) {
                Err(place) => counts.insert(place, row.clone()),
                Ok(place) => {
                    if let Some(sum) = counts.get_mut(place) {
                        sum.count += row.count;
                        sum.first_at = sum.first_at.min(row.first_at);
                        sum.last_at = sum.last_at.max(row.last_at);
                    }
                }
            }
        }
    }

    pub(super) fn append_events(&mut self, events: &[EventRow]) {
        self.events.append(events);
    }

    pub(super) fn put_meta_if_absent(&mut self, name: &str, value: &[u8]) -> Vec<u8> {
        self.meta.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone()
    }

    pub(super) fn replace_note(&mut self, name: &str, old: &[u8], new: &[u8]) -> Vec<u8> {
        let standing = self.notes.entry(name.to_owned()).or_default();
        if *standing == old {
            *standing = new.to_vec();
        }
        standing.clone()
    }

    pub(super) fn trail(&self, attempts: bool, before: Timestamp) -> Trail {
        self.events.trail(attempts, before)
    }

    pub(super) fn prune(&mut self, prune: &Prune) -> Pruned {
        let mut pruned = Pruned::default();
        if let Some(before) = prune.events_before {
            pruned.events = self.events.forget(false, (before, prune.events_until), at_most(prune.most_events));
        }
        if let Some(before) = prune.attempts_before {
            pruned.attempts = self.events.forget(true, (before, None), at_most(prune.most_attempts));
        }
        if let Some(keep) = prune.keep_log_rows {
            let surplus = self.log.len().saturating_sub(keep as usize).min(MOST_PRUNED);
            self.log.drain(..surplus);
            pruned.log_rows = surplus as u64;
        }
        if let Some(before) = prune.changes_before {
            let (count, mut left) = (self.changes.len(), MOST_PRUNED);
            self.changes.retain(|_, done| done.at >= before || !take(&mut left));
            self.requests.retain(|_, id| self.changes.contains_key(id));
            pruned.changes = (count - self.changes.len()) as u64;
        }
        if let Some(before) = prune.days_before {
            let (count, mut left) = (self.days.len(), MOST_PRUNED);
            self.days.retain(|(_, day), _| *day >= before || !take(&mut left));
            pruned.days = (count - self.days.len()) as u64;
        }
        if let Some(dead) = &prune.keys {
            pruned.keys = self.purge(dead);
        }
        if let Some(after) = prune.usage_after {
            pruned.usage = self.forget_usage_after(after.as_str());
        }
        pruned
    }

    /// Deletes all at once: it takes no longer than a list.
    fn forget_usage_after(&mut self, after: &str) -> u64 {
        let keys = &self.keys;
        let is_gone = |key: &str| key > after && !keys.contains_key(key);
        let usage = self.usage.extract_if(|(key, _), _| key.as_deref().is_some_and(is_gone));
        let counts: usize = usage.map(|(_, rows)| rows.len()).sum();
        let days = self.days.len();
        self.days.retain(|(key, _), _| !is_gone(key));
        (counts + days - self.days.len()) as u64
    }
}

/// Whose counts a row is one of.
fn place_of_counts(row: &UsageRow) -> (Option<String>, Option<String>) {
    (row.key.clone(), row.organization.clone())
}

/// The index of the same count among those of one key and organization, or where to insert it.
fn find_count(counts: &[UsageRow], row: &UsageRow) -> Result<usize, usize> {
    counts.binary_search_by(|count| count.compare_count(row))
}
