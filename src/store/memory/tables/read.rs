use std::collections::{BTreeSet, HashSet};

use super::{Tables, portable::day_row};
use crate::{
    audit::EventRow,
    key::KeyId,
    owner::{Owner, OwnerRef},
    record::{KeyRow, OwnerStatusRow},
    store::{
        EndingQuery, EventQuery, FoundOwner, KeyOrder, KeyQuery, ListedKey, Liveness, Page, SuccessorRow, UsageScope,
    },
    time::Timestamp,
    usage::{DAYS, UsageDayRow, UsageRow, UsageTotals},
};

impl Tables {
    pub(in crate::store::memory) fn list(&self, query: &KeyQuery, now: Timestamp) -> Page<ListedKey> {
        let (from, until) = (query.from(), query.until());
        let owners = query.wanted_owners();
        // For several owners, this reads each key of the organization until the page is full.
        let only = owners.as_ref().filter(|owners| owners.len() == 1).and_then(|owners| owners.first().copied());
        let names = owners.as_ref().map(|owners| owners.iter().map(|owner| names(owner)).collect::<HashSet<_>>());
        let few: BTreeSet<(i64, &str)>;
        let is_by_end = query.order == KeyOrder::SoonestEndFirst;
        let ids: Box<dyn DoubleEndedIterator<Item = &str>> = if query.keys.is_empty() && !is_by_end {
            Box::new(self.places.between(&query.organization, only, from, until))
        } else {
            let asked = query.keys.iter().filter_map(|id| self.keys.get(id.as_str()));
            // The end of a key can change, so there are no places by end.
            let all = query.keys.is_empty().then(|| self.keys_of(&query.organization, only));
            let places = asked.chain(all.into_iter().flatten()).map(|key| query.place_of(key));
            few = places.filter(|place| from < *place && *place < until).collect();
            Box::new(few.iter().map(|(_, id)| *id))
        };
        let listed = in_order(ids, query.order == KeyOrder::NewestFirst)
            .filter_map(|id| self.keys.get(id))
            .filter(|key| names.as_ref().is_none_or(|names| names.contains(&(&*key.kind, &*key.owner))))
            .filter(|key| matches(query, key, now))
            .filter(|key| query.unused_since.is_none_or(|since| self.totals(&key.id).last_success_at < Some(since)))
            .map(|key| ListedKey { usage: query.with_usage.then(|| self.totals(&key.id)), ..self.listed(key, now) });
        page(listed, query.limit)
    }

    fn totals(&self, id: &str) -> UsageTotals {
        let mut totals = UsageTotals::default();
        for row in self.usage.get(&(Some(id.to_owned()), None)).into_iter().flatten() {
            let last_at = Timestamp::from_millis(row.last_at).ok();
            if row.outcome == "success" {
                totals.successes = totals.successes.saturating_add(row.count);
                totals.last_success_at = totals.last_success_at.max(last_at);
            } else {
                totals.failures = totals.failures.saturating_add(row.count);
                totals.last_failure_at = totals.last_failure_at.max(last_at);
            }
        }
        totals
    }

    fn listed(&self, key: &KeyRow, now: Timestamp) -> ListedKey {
        let serves = |other: &&KeyRow| other.organization == key.organization && other.is_live(now);
        let predecessor = key.replaces.as_ref().and_then(|id| self.keys.get(id));
        let FoundOwner { owner, organization } = self.owner_of(key);
        ListedKey {
            key: key.clone(),
            owner,
            organization,
            creator: OwnerRef::creator_of(key).map_or(OwnerStatusRow::default(), |creator| self.owner(&creator)),
            usage: None,
            successor: self.successors_of(&key.id).find(serves).map(SuccessorRow::from),
            predecessor_is_live: predecessor.as_ref().is_some_and(serves),
        }
    }

    pub(in crate::store::memory) fn ending(&self, query: &EndingQuery) -> Vec<KeyRow> {
        let mut found: Vec<&KeyRow> = self.keys.values().filter(|key| query.finds(key)).collect();
        found.sort_unstable_by_key(|key| (key.expires_at, key.id.as_str()));
        found.into_iter().take(query.limit.into()).cloned().collect()
    }

    /// The keys that replace this one, live or dead, in the order of their ids.
    pub(in crate::store::memory) fn successors_of(&self, id: &str) -> impl Iterator<Item = &KeyRow> {
        let pairs = self.successors.range((id.to_owned(), String::new())..).take_while(move |(of, _)| of == id);
        pairs.filter_map(|(_, id)| self.keys.get(id))
    }

    pub(in crate::store::memory) fn usage(&self, of: &UsageScope) -> Vec<UsageRow> {
        let mut places: Vec<(Option<String>, Option<String>)> = match of {
            UsageScope::Keys(ids) => ids.iter().map(|id| (Some(id.as_str().to_owned()), None)).collect(),
            UsageScope::NoKey(of) => of.iter().map(|of| (None, of.clone().map(String::from))).collect(),
        };
        places.sort_unstable();
        places.dedup();
        // Rows are ordered by key, organization, outcome, label, client and network before anything else.
        let rows = places.iter().filter_map(|place| self.usage.get(place)).flatten();
        let mut rows: Vec<UsageRow> = rows.cloned().collect();
        rows.sort_unstable();
        rows
    }

    pub(in crate::store::memory) fn usage_days(&self, keys: &[KeyId], from: i32) -> Vec<UsageDayRow> {
        let mut keys: Vec<&str> = keys.iter().map(KeyId::as_str).collect();
        keys.sort_unstable();
        keys.dedup();
        let days = |key: &str| self.days.range((key.to_owned(), from)..(key.to_owned(), from.saturating_add(DAYS)));
        keys.into_iter().flat_map(days).map(day_row).collect()
    }

    pub(in crate::store::memory) fn feed(&self, after: Option<i64>, limit: u16) -> Page<EventRow> {
        let trail = self.events.half(false);
        let start = after.map_or(0, |after| trail.partition_point(|event| event.sequence <= after));
        page(trail.iter().skip(start).cloned(), limit)
    }

    pub(in crate::store::memory) fn events(&self, query: &EventQuery) -> Page<EventRow> {
        let wanted = |event: &&EventRow| {
            event.organization == query.organization.as_str()
                && query
                    .after
                    .is_none_or(|after| (event.sequence < after) == query.newest_first && event.sequence != after)
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
        let events = self.events.half(query.attempts);
        page(in_order(events.iter(), query.newest_first).filter(wanted).cloned(), query.limit)
    }
}

/// The columns of an owner in the row of a key.
fn names(owner: &Owner) -> (&str, &str) {
    (owner.kind().as_str(), owner.id())
}

/// Whether all other conditions hold: all but those on ids, owners and usage.
fn matches(query: &KeyQuery, key: &KeyRow, now: Timestamp) -> bool {
    let live = key.is_live(now);
    key.organization == query.organization.as_str()
        && query.kind.is_none_or(|kind| key.kind == kind.as_str())
        && query.named_like.as_ref().is_none_or(|part| part.is_in(&key.name))
        && query.creator.as_ref().is_none_or(|creator| key.created_by == creator.to_string())
        && query.created_via_key.is_none_or(|creator| key.created_via_key.as_deref() == Some(creator.as_str()))
        && query.predecessor.is_none_or(|replaced| key.replaces.as_deref() == Some(replaced.as_str()))
        && query.lineage.is_none_or(|first| key.lineage == first.as_str())
        && query.created_since.is_none_or(|since| key.created_at >= since.as_millis())
        && query.created_before.is_none_or(|before| key.created_at < before.as_millis())
        && query.expires_before.is_none_or(|before| key.expires_at.is_some_and(|end| end < before.as_millis()))
        && query.liveness.is_none_or(|liveness| live == (liveness == Liveness::Live))
}

/// In rising order, or in reverse.
fn in_order<T>(rising: impl DoubleEndedIterator<Item = T>, newest_first: bool) -> impl Iterator<Item = T> {
    let mut rising = rising;
    std::iter::from_fn(move || if newest_first { rising.next_back() } else { rising.next() })
}

fn page<T>(mut found: impl Iterator<Item = T>, limit: u16) -> Page<T> {
    let rows: Vec<T> = found.by_ref().take(limit.into()).collect();
    Page { rows, more: found.next().is_some() }
}
