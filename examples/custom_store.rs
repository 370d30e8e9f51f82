//! A store of your own: what each method has to do, over the simplest database, tables behind one lock.
//!
//! In a real database, `tables.clone()` is `begin` and `*tables = next` is `commit`. Take the lock that orders the
//! change log before you read anything: if guards read an older snapshot, keys are issued for owners who were just
//! suspended.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::Mutex;
use tower_api_keys::{
    OrganizationId, Owner, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow},
    store::{
        Applied, AuditedWrite, Change, ChangeId, Changes, Conflict, DeadKeys, Effect, EndedKeys, EndingQuery, Erasure,
        EventQuery, FoundKey, FoundOwner, Guard, Head, IdempotentRequest, KeyOrder, KeyQuery, KeyReader, KeyStore,
        Ledger, ListedKey, Liveness, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, SuccessorRow, Trail,
        UsageScope, Write,
    },
    usage::{UsageBatch, UsageDayRow, UsageRow, UsageTotals},
};
use tower_api_keys_conformance::{check_key_store, check_reader, check_store};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "the report is what this program is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = &TableStore::default();
    // The traits in the order in which you write them, each with the check that is possible then.
    check_reader(store, |change| async move { store.apply(&change).await }).await.into_result()?;
    check_key_store(store).await.into_result()?;
    let report = check_store(store).await;
    println!("{report}");
    Ok(report.into_result()?)
}

#[derive(Default)]
pub(crate) struct TableStore(Mutex<Tables>);

#[derive(Clone, Default)]
struct Tables {
    keys: BTreeMap<String, KeyRow>,
    /// The ids of purged keys. A store that also moves its data keeps more of each: a `Tombstone`.
    purged: BTreeSet<String>,
    owners: BTreeMap<OwnerRef, OwnerStatusRow>,
    organizations: BTreeMap<OrganizationId, OwnerStatusRow>,
    /// Keys, owners and organizations. Insertions, names, labels, hashes and counts need not be in it.
    log: Vec<(Head, Changed)>,
    /// Stored apart from the log, because pruning may empty the log.
    head: Option<Head>,
    /// What was applied, to answer a change that is repeated.
    done: BTreeMap<ChangeId, Done>,
    events: Vec<EventRow>,
    last_event: i64,
    /// By key and organization, of which a row has at most one, then by outcome and source.
    usage: BTreeMap<([Option<String>; 2], [String; 4]), UsageRow>,
    /// By key and day.
    days: BTreeMap<(String, i32), UsageDayRow>,
    writers: BTreeMap<[u8; 16], i64>,
    meta: BTreeMap<String, Vec<u8>>,
    notes: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone)]
enum Changed {
    Key(KeyId),
    Organization(OrganizationId),
    Owner(OwnerRef),
}

#[derive(Clone)]
struct Done {
    at: Timestamp,
    applied: Applied,
    request: Option<IdempotentRequest>,
    key_made: Option<String>,
}

impl KeyReader for TableStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        let tables = self.0.lock().await;
        Ok(tables.keys.get(id.as_str()).map(|key| {
            let FoundOwner { owner, organization } = tables.status(OwnerRef::of(key).as_ref());
            FoundKey { key: key.clone(), owner, organization }
        }))
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        let tables = self.0.lock().await;
        let now = tables.head.unwrap_or(Head::EMPTY);
        if head == Some(now) {
            return Ok(Changes::Unchanged);
        }
        // Position and id: after a restore from a backup, another change may have the same position.
        let known = tables.log.iter().position(|(row, _)| Some(*row) == head);
        let Some(known) = known else { return Ok(Changes::Reset { head: now }) };
        let (mut keys, mut owners, mut organizations) = (Vec::new(), Vec::new(), Vec::new());
        for (_, changed) in tables.log.iter().skip(known + 1) {
            match changed {
                Changed::Key(id) => keys.push(*id),
                Changed::Organization(organization) => organizations.push(organization.clone()),
                Changed::Owner(owner) => owners.push(owner.clone()),
            }
        }
        Ok(Changes::Changed { head: now, keys, owners, organizations })
    }

    // `try_head` must not wait, and taking a lock may: so each request reads the log instead. If your database can
    // notify its clients of changes, implement `wait_for_change`: it makes bounded freshness faster.
}

impl KeyStore for TableStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut tables = self.0.lock().await;
        if let Some(done) = tables.done.get(&change.id) {
            return Ok(done.applied.clone());
        }
        let mut next = tables.clone();
        next.apply(change).inspect(|_| *tables = next)
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let mut tables = self.0.lock().await;
        let mut key = tables.keys.get_mut(id.as_str()).filter(|key| key.hash == old && key.revoked_at.is_none());
        if let Some(key) = &mut key {
            let RehashedKey { hash, tag, pepper_id, proof } = new.clone();
            (key.hash, key.tag, key.pepper_id, key.proof) = (hash, tag, pepper_id, proof);
        }
        Ok(key.is_some())
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        let tables = self.0.lock().await;
        // Keys without an end come last.
        let is_by_end = query.order == KeyOrder::SoonestEndFirst;
        let end = |end: Option<i64>| end.unwrap_or(i64::MAX);
        let place = |key: &KeyRow| (if is_by_end { end(key.expires_at) } else { key.created_at }, key.id.clone());
        let is_of = |key: &KeyRow, owner: &Owner| key.kind == owner.kind().as_str() && key.owner == owner.id();
        let after = query.after.map(|cursor| {
            let ends_at = end(cursor.expires_at.map(Timestamp::as_millis));
            (if is_by_end { ends_at } else { cursor.created_at.as_millis() }, cursor.id.as_str().to_owned())
        });
        let is_newest_first = query.order == KeyOrder::NewestFirst;
        let wanted = |key: &&KeyRow| {
            key.organization == query.organization.as_str()
                && (query.keys.is_empty() || query.keys.iter().any(|id| key.id == id.as_str()))
                && (query.owners.is_empty() || query.owners.iter().any(|owner| is_of(key, owner)))
                && query.kind.is_none_or(|kind| key.kind == kind.as_str())
                && query.named_like.as_ref().is_none_or(|part| part.is_in(&key.name))
                && query.creator.as_ref().is_none_or(|creator| key.created_by == creator.to_string())
                && query.created_via_key.is_none_or(|maker| key.created_via_key.as_deref() == Some(maker.as_str()))
                && query.predecessor.is_none_or(|replaced| key.replaces.as_deref() == Some(replaced.as_str()))
                && query.lineage.is_none_or(|first| key.lineage == first.as_str())
                && query.created_since.is_none_or(|since| key.created_at >= since.as_millis())
                && query.created_before.is_none_or(|before| key.created_at < before.as_millis())
                && query.expires_before.is_none_or(|before| key.expires_at.is_some_and(|end| end < before.as_millis()))
                && query.liveness.is_none_or(|liveness| key.is_live(now) == (liveness == Liveness::Live))
                && after
                    .as_ref()
                    .is_none_or(|after| if is_newest_first { place(key) < *after } else { place(key) > *after })
        };
        let mut found: Vec<&KeyRow> = tables.keys.values().filter(wanted).collect();
        found.sort_unstable_by_key(|key| place(key));
        if is_newest_first {
            found.reverse();
        }
        // None means never used, and is less than any time.
        let unused =
            |key: &&KeyRow| query.unused_since.is_none_or(|at| tables.totals(&key.id).last_success_at < Some(at));
        let listed = found.into_iter().filter(unused).map(|key| {
            // A database finds these by an index: on `replaces`, and on the id.
            let others =
                || tables.keys.values().filter(|other| other.organization == key.organization && other.is_live(now));
            let FoundOwner { owner, organization } = tables.status(OwnerRef::of(key).as_ref());
            ListedKey {
                key: key.clone(),
                owner,
                organization,
                creator: tables.status(OwnerRef::creator_of(key).as_ref()).owner,
                usage: query.with_usage.then(|| tables.totals(&key.id)),
                successor: others().find(|other| other.replaces.as_ref() == Some(&key.id)).map(SuccessorRow::from),
                predecessor_is_live: others().any(|other| key.replaces.as_ref() == Some(&other.id)),
            }
        });
        Ok(page(listed, query.limit))
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        let tables = self.0.lock().await;
        let mut found: Vec<&KeyRow> = tables.keys.values().filter(|key| query.finds(key)).collect();
        found.sort_unstable_by_key(|key| (key.expires_at, &key.id));
        Ok(found.into_iter().take(query.limit.into()).cloned().collect())
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        Ok(self.0.lock().await.status(Some(owner)))
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.lock().await.meta.entry(name.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        let tables = &mut *self.0.lock().await;
        let standing = tables.notes.entry(name.to_owned()).or_default();
        if *standing == old {
            *standing = new.to_vec();
        }
        Ok(standing.clone())
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        let tables = self.0.lock().await;
        let ends = || tables.keys.values().filter_map(KeyRow::ended_at);
        let before = ends().filter(|end| *end < before.as_millis()).count() as u64;
        Ok(EndedKeys { all: ends().count() as u64, before })
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        // All at once; a database would delete 10,000 rows at a time.
        let tables = &mut *self.0.lock().await;
        let changes = tables.done.len();
        let events = tables.forget_events(false, prune.events_before, prune.most_events, prune.events_until);
        let attempts = tables.forget_events(true, prune.attempts_before, prune.most_attempts, None);
        tables.done.retain(|_, done| prune.changes_before.is_none_or(|before| done.at >= before));
        let surplus = prune.keep_log_rows.map_or(0, |keep| tables.log.len().saturating_sub(keep as usize));
        tables.log.drain(..surplus);
        let (changes, days) = ((changes - tables.done.len()) as u64, tables.days.len());
        tables.days.retain(|(_, day), _| prune.days_before.is_none_or(|before| *day >= before));
        let days = (days - tables.days.len()) as u64;
        let keys = prune.keys.map_or(0, |dead| tables.purge(&dead));
        let usage = prune.usage_after.map_or(0, |after| tables.forget_usage_after(after.as_str()));
        let log_rows = surplus as u64;
        Ok(Pruned { events, attempts, log_rows, changes, days, usage, usage_next: None, keys })
    }
}

impl Ledger for TableStore {
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let mut tables = self.0.lock().await;
        if tables.writers.get(&batch.writer).is_some_and(|last| batch.sequence <= *last) {
            return Ok(());
        }
        tables.writers.insert(batch.writer, batch.sequence);
        for row in &batch.days {
            let day = (row.key.clone(), row.day);
            let sum = tables.days.entry(day).or_insert_with(|| UsageDayRow { accepted: 0, refused: 0, ..row.clone() });
            (sum.accepted, sum.refused) = (sum.accepted + row.accepted, sum.refused + row.refused);
        }
        for row in &batch.rows {
            let source = [&row.outcome, &row.label, &row.client, &row.network].map(String::clone);
            let place = ([row.key.clone(), row.organization.clone()], source);
            let sum = tables.usage.entry(place).or_insert_with(|| UsageRow { count: 0, ..row.clone() });
            sum.count += row.count;
            (sum.first_at, sum.last_at) = (sum.first_at.min(row.first_at), sum.last_at.max(row.last_at));
        }
        Ok(())
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        let wanted = |row: &&UsageRow| match of {
            UsageScope::Keys(ids) => ids.iter().any(|id| row.key.as_deref() == Some(id.as_str())),
            UsageScope::NoKey(organizations) => {
                let mut organizations = organizations.iter().map(|of| of.as_ref().map(OrganizationId::as_str));
                row.key.is_none() && organizations.any(|of| of == row.organization.as_deref())
            }
        };
        Ok(self.0.lock().await.usage.values().filter(wanted).cloned().collect())
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        let wanted = |row: &&UsageDayRow| {
            (from..from.saturating_add(400)).contains(&row.day) && keys.iter().any(|key| row.key == key.as_str())
        };
        Ok(self.0.lock().await.days.values().filter(wanted).cloned().collect())
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        let mut tables = self.0.lock().await;
        events.iter().for_each(|event| tables.append(event));
        Ok(())
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        let whose = query.owner.as_ref().map(|owner| (owner.kind().as_str(), owner.id()));
        let wanted = |event: &&EventRow| {
            event.organization == query.organization.as_str()
                && event.is_attempt() == query.attempts
                && query.after.is_none_or(|after| match query.newest_first {
                    true => event.sequence < after,
                    false => event.sequence > after,
                })
                && query.key.is_none_or(|key| event.key.as_deref() == Some(key.as_str()))
                && whose.is_none_or(|whose| whose == (event.owner_kind.as_str(), event.owner.as_str()))
                && query.actor.as_ref().is_none_or(|actor| event.actor == actor.to_string())
                && query.action.as_ref().is_none_or(|action| event.action == *action)
                && (query.source.is_none() || event.source == query.source)
                && query.from.is_none_or(|from| event.at >= from.as_millis())
                && query.until.is_none_or(|until| event.at < until.as_millis())
        };
        let mut found: Vec<EventRow> = self.0.lock().await.events.iter().filter(wanted).cloned().collect();
        if query.newest_first {
            found.reverse();
        }
        Ok(page(found.into_iter(), query.limit))
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        let tables = self.0.lock().await;
        let behind = tables.events.iter().filter(|event| after.is_none_or(|after| event.sequence > after));
        Ok(page(behind.filter(|event| !event.is_attempt()).cloned(), limit))
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        let tables = self.0.lock().await;
        let times = || tables.events.iter().filter(|event| event.is_attempt() == attempts).map(|event| event.at);
        Ok(Trail {
            events: times().count() as u64,
            before: times().filter(|at| *at < before.as_millis()).count() as u64,
            newest_at: times().max().and_then(|at| Timestamp::from_millis(at).ok()),
        })
    }
}

impl Tables {
    /// Deletes the earliest events before a time and not after a place, up to a limit. Returns how many.
    fn forget_events(
        &mut self,
        attempts: bool,
        before: Option<Timestamp>,
        most: Option<u64>,
        until: Option<i64>,
    ) -> u64 {
        let Some(before) = before.map(Timestamp::as_millis) else { return 0 };
        let is_confirmed = |event: &EventRow| until.is_none_or(|until| event.sequence <= until);
        let is_old = |event: &&EventRow| event.is_attempt() == attempts && event.at < before && is_confirmed(event);
        let mut old: Vec<_> = self.events.iter().filter(is_old).map(|event| (event.at, event.sequence)).collect();
        old.sort_unstable();
        old.truncate(most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX));
        self.events.retain(|event| old.binary_search(&(event.at, event.sequence)).is_err());
        old.len() as u64
    }

    /// Deletes counts of keys that do not exist, with ids after this one. Returns how many.
    fn forget_usage_after(&mut self, after: &str) -> u64 {
        let is_gone = |key: &String| key.as_str() > after && !self.keys.contains_key(key);
        let before = self.usage.len() + self.days.len();
        self.usage.retain(|([key, _], _), _| !key.as_ref().is_some_and(is_gone));
        self.days.retain(|(key, _), _| !is_gone(key));
        (before - self.usage.len() - self.days.len()) as u64
    }

    /// Purges the keys that ended before a time, except those that others need. A database does it under the lock.
    fn purge(&mut self, dead: &DeadKeys) -> u64 {
        let has_ended = |key: &KeyRow| key.ended_at().is_some_and(|end| end < dead.ended_before.as_millis());
        let keeps = |key: &KeyRow, other: &KeyRow| {
            let are_paired = other.replaces.as_ref() == Some(&key.id) || key.replaces.as_ref() == Some(&other.id);
            are_paired && !has_ended(other) || other.created_via_key.as_ref() == Some(&key.id)
        };
        let is_kept = |key: &KeyRow| self.keys.values().any(|other| keeps(key, other));
        let mut gone: Vec<&KeyRow> = self.keys.values().filter(|key| has_ended(key) && !is_kept(key)).collect();
        gone.sort_unstable_by_key(|key| (key.ended_at(), &key.id));
        // A key without a readable owner stays: an operator should look at it.
        let known =
            gone.into_iter().filter_map(|key| Some((KeyId::new(&key.id).ok()?, EventRow::of_purge(key, dead.at)?)));
        let purged: Vec<(KeyId, EventRow)> = known.take(dead.limit() as usize).collect();
        for (id, event) in &purged {
            self.keys.remove(id.as_str());
            self.purged.insert(id.as_str().to_owned());
            self.append(event);
            let change = id.as_str().as_bytes().first_chunk().copied().unwrap_or_default();
            self.log(ChangeId::from_bytes(change), Changed::Key(*id));
        }
        purged.len() as u64
    }

    /// In a database, use one statement for each table. The methods of `Erasure` say which rows change, and how.
    fn erase(&mut self, erasure: &Erasure, change: ChangeId) -> Result<(), StoreError> {
        let of = erasure.organization.as_str();
        let keys = self.keys.values().filter(|key| erasure.takes(key)).map(|key| key.id.clone());
        let told = self.events.iter().filter(|event| erasure.is_about(event)).filter_map(|event| event.key.clone());
        let theirs: BTreeSet<String> = keys.chain(told).collect();
        let made = self.keys.values().filter(|key| erasure.made(key)).map(|key| key.id.clone());
        let made: BTreeSet<String> = made.collect();
        for done in self.done.values_mut() {
            // Its answer stays for repeats.
            done.request
                .take_if(|_| done.key_made.as_ref().is_some_and(|key| theirs.contains(key) || made.contains(key)));
        }
        self.usage.retain(|([key, organization], _), _| match key {
            Some(key) => !theirs.contains(key),
            None => erasure.owner.is_some() || organization.as_deref() != Some(of),
        });
        self.days.retain(|(key, _), _| !theirs.contains(key));
        for event in &mut self.events {
            *event = erasure.renamed_event(event, |key| theirs.contains(key));
        }
        for id in &theirs {
            if self.keys.remove(id).is_some() {
                self.purged.insert(id.clone());
                self.log(change, Changed::Key(KeyId::new(id).map_err(StoreError::corrupt)?));
            }
        }
        for key in self.keys.values_mut() {
            *key = erasure.renamed_key(key);
        }
        let is_theirs = |owner: &OwnerRef| {
            owner.organization == erasure.organization && erasure.owner.as_ref().is_none_or(|of| *of == owner.owner)
        };
        self.owners.retain(|owner, _| !is_theirs(owner));
        if erasure.owner.is_none() {
            self.organizations.remove(&erasure.organization);
        }
        // Readers need only the keys. Older rows of the log that name an erased owner or organization get the
        // pseudonym.
        for (_, changed) in &mut self.log {
            match changed {
                Changed::Organization(organization)
                    if erasure.owner.is_none() && *organization == erasure.organization =>
                {
                    *organization = erasure.pseudonym.organization().map_err(StoreError::corrupt)?;
                }
                Changed::Owner(owner) => *owner = erasure.renamed_owner(owner).map_err(StoreError::corrupt)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<Applied, StoreError> {
        change.erases_alone()?;
        if let Some(request) = &change.idempotency {
            let earlier = |done: &&Done| done.request.as_ref().is_some_and(|earlier| earlier.key == request.key);
            if let Some(Done { request: Some(earlier), key_made, .. }) = self.done.values().find(earlier) {
                return Err(request.used_for(key_made.as_deref(), &earlier.digest).into());
            }
        }
        for (place, guard) in change.guards.iter().enumerate() {
            self.check(guard, change.at, Conflict::Guard(place))?;
        }
        let mut applied = Applied { effects: Vec::new() };
        for AuditedWrite { write, event } in &change.writes {
            let outcome = self.write(write, change)?;
            applied.effects.push(outcome);
            if outcome == Effect::Changed {
                self.append(event);
            }
        }
        let (request, key_made) = (change.idempotency.clone(), change.key_made().map(str::to_owned));
        self.done.insert(change.id, Done { at: change.at, applied: applied.clone(), request, key_made });
        Ok(applied)
    }

    fn check(&self, guard: &Guard, now: Timestamp, conflict: Conflict) -> Result<(), Conflict> {
        let succeeds = |key: &KeyRow, id: &KeyId| key.replaces.as_deref() == Some(id.as_str()) && key.is_live(now);
        match guard {
            Guard::Live(id) if self.keys.get(id.as_str()).is_some_and(|key| key.is_live(now)) => Ok(()),
            Guard::NoLiveSuccessor(id) if self.keys.values().any(|key| succeeds(key, id)) => Err(Conflict::Successor),
            Guard::NoLiveSuccessor(_) => Ok(()),
            Guard::IssuedBelow { by, since, until, limit } => {
                let person = match &by.owner {
                    Owner::User(user) => format!("user:{user}"),
                    Owner::Team(_) => String::new(), // which makes keys with its keys only
                };
                let window = since.as_millis()..=until.as_millis();
                let makes = |id: &String| self.keys.get(id).is_some_and(|key| OwnerRef::of(key).as_ref() == Some(by));
                let made = |key: &&KeyRow| {
                    key.organization == by.organization.as_str()
                        && window.contains(&key.created_at)
                        && (key.created_by == person || key.created_via_key.as_ref().is_some_and(makes))
                };
                if self.count(made) < *limit as usize { Ok(()) } else { Err(conflict) }
            }
            Guard::LiveKeysBelow { owner, limit } => {
                let live = |key: &&KeyRow| OwnerRef::of(key).as_ref() == Some(owner) && key.is_live(now);
                if self.count(live) < *limit as usize { Ok(()) } else { Err(conflict) }
            }
            Guard::OwnerActive(owner) if self.status(Some(owner)).is_active() => Ok(()),
            Guard::SameRights { key, scopes, allowed_networks, expires_at } => {
                let end = expires_at.map(Timestamp::as_millis);
                let is_same = |row: &KeyRow| {
                    let is_as_wide = row.scopes == *scopes && row.allowed_networks == *allowed_networks;
                    is_as_wide && row.expires_at == end && row.paused_at.is_none()
                };
                if self.keys.get(key.as_str()).is_some_and(is_same) { Ok(()) } else { Err(conflict) }
            }
            Guard::SameVersion { key, version } => {
                let is_same = |row: &KeyRow| row.version == *version;
                if self.keys.get(key.as_str()).is_some_and(is_same) { Ok(()) } else { Err(conflict) }
            }
            // Also for a guard of a newer version of the crate: this store cannot promise what it does not know.
            _ => Err(conflict),
        }
    }

    fn count(&self, counts: impl Fn(&&KeyRow) -> bool) -> usize {
        self.keys.values().filter(counts).count()
    }

    fn write(&mut self, write: &Write, change: &Change) -> Result<Effect, StoreError> {
        match write {
            Write::Insert(row) if self.keys.contains_key(&row.id) || self.purged.contains(&row.id) => {
                return Err(Conflict::IdTaken.into());
            }
            Write::Insert(row) => drop(self.keys.insert(row.id.clone(), row.clone())),
            Write::Update(update) => {
                let key = self.living_key(update.organization.as_str(), &update.id)?;
                if key.version != update.expected_version {
                    return Err(Conflict::Version.into());
                }
                let matters = key.scopes != update.scopes
                    || key.allowed_networks != update.allowed_networks
                    || key.expires_at != update.expires_at;
                (key.name, key.labels) = (update.name.clone(), update.labels.clone());
                (key.scopes, key.expires_at) = (update.scopes.clone(), update.expires_at);
                key.allowed_networks = update.allowed_networks.clone();
                key.responsible = update.responsible.clone();
                key.version += 1;
                if matters {
                    self.log(change.id, Changed::Key(update.id));
                }
            }
            Write::Pause { organization, id, by } => {
                let key = self.living_key(organization.as_str(), id)?;
                if key.paused_at.is_some() {
                    return Ok(Effect::Unchanged);
                }
                (key.paused_at, key.paused_by) = (Some(change.at.as_millis()), Some(by.clone()));
                key.version += 1;
                self.log(change.id, Changed::Key(*id));
            }
            Write::Resume { organization, id, paused_at, paused_by } => {
                let key = self.living_key(organization.as_str(), id)?;
                if key.paused_at.is_none() {
                    return Ok(Effect::Unchanged);
                }
                if (key.paused_at, &key.paused_by) != (Some(*paused_at), paused_by) {
                    return Err(Conflict::Version.into());
                }
                (key.paused_at, key.paused_by) = (None, None);
                key.version += 1;
                self.log(change.id, Changed::Key(*id));
            }
            Write::Revoke { organization, id, by } => {
                let key = self.key(organization.as_str(), id)?;
                if key.revoked_at.is_some() {
                    return Ok(Effect::Unchanged);
                }
                (key.revoked_at, key.revoked_by) = (Some(change.at.as_millis()), Some(by.clone()));
                self.log(change.id, Changed::Key(*id));
            }
            Write::WarnOfEnd { organization, id, expires_at, before_ms } => {
                let key = self.key(organization.as_str(), id).ok();
                let Some(key) = key.filter(|key| key.wants_warning(*expires_at, *before_ms)) else {
                    return Ok(Effect::Unchanged);
                };
                (key.warned_end, key.warned_before_ms) = (Some(*expires_at), Some(*before_ms));
            }
            Write::Erase(erasure) => {
                let owner =
                    erasure.owner.clone().map(|owner| OwnerRef { organization: erasure.organization.clone(), owner });
                let status = match &owner {
                    Some(owner) => self.owners.get(owner),
                    None => self.organizations.get(&erasure.organization),
                };
                if status.is_none_or(|status| status.closed_at.is_none()) {
                    return Err(Conflict::NotClosed.into());
                }
                self.erase(erasure, change.id)?;
            }
            Write::Owner(owner, step) => {
                let status = self.owners.entry(owner.clone()).or_default();
                let before = std::mem::replace(status, step.applied_to(*status, change.at)?);
                if before == *status {
                    return Ok(Effect::Unchanged);
                }
                self.log(change.id, Changed::Owner(owner.clone()));
            }
            Write::Organization(organization, step) => {
                let status = self.organizations.entry(organization.clone()).or_default();
                let before = std::mem::replace(status, step.applied_to(*status, change.at)?);
                if before == *status {
                    return Ok(Effect::Unchanged);
                }
                self.log(change.id, Changed::Organization(organization.clone()));
            }
            // A database also refuses values that are too long for their column, or cannot be encoded. This store
            // accepts any value.
            _ => return Err(StoreError::refused("a write of a newer version of the crate")),
        }
        Ok(Effect::Changed)
    }

    fn key(&mut self, organization: &str, id: &KeyId) -> Result<&mut KeyRow, Conflict> {
        self.keys.get_mut(id.as_str()).filter(|key| key.organization == organization).ok_or(Conflict::Missing)
    }

    fn living_key(&mut self, organization: &str, id: &KeyId) -> Result<&mut KeyRow, Conflict> {
        let key = self.key(organization, id)?;
        if key.revoked_at.is_some() { Err(Conflict::Revoked) } else { Ok(key) }
    }

    fn status(&self, of: Option<&OwnerRef>) -> FoundOwner {
        let Some(of) = of else { return FoundOwner::default() };
        let owner = self.owners.get(of).copied().unwrap_or_default();
        let organization = self.organizations.get(&of.organization).copied().unwrap_or_default();
        FoundOwner { owner, organization }
    }

    /// A database adds these up in the statement that lists.
    fn totals(&self, key: &str) -> UsageTotals {
        let mut totals = UsageTotals::default();
        let first = ([Some(key.to_owned()), None], [const { String::new() }; 4]);
        for (_, row) in self.usage.range(first..).take_while(|(_, row)| row.key.as_deref() == Some(key)) {
            let (count, last_at) = match row.outcome.as_str() {
                "success" => (&mut totals.successes, &mut totals.last_success_at),
                _ => (&mut totals.failures, &mut totals.last_failure_at),
            };
            *count += row.count;
            *last_at = Timestamp::from_millis(row.last_at).ok().max(*last_at);
        }
        totals
    }

    fn log(&mut self, change: ChangeId, changed: Changed) {
        let position = self.head.unwrap_or(Head::EMPTY).position + 1;
        let head = self.head.insert(Head { position, change: change.to_bytes() });
        self.log.push((*head, changed));
        // A reader 1,000 changes behind still gets the changes: its head is in the row before them.
        self.log.drain(..self.log.len().saturating_sub(1_001));
    }

    fn append(&mut self, event: &EventRow) {
        self.last_event += 1;
        self.events.push(EventRow { sequence: self.last_event, ..event.clone() });
    }
}

fn page<T>(mut found: impl Iterator<Item = T>, limit: u16) -> Page<T> {
    Page { rows: found.by_ref().take(limit.into()).collect(), more: found.next().is_some() }
}
