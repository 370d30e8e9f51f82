use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use super::{
    Source,
    places::{MOST_SOURCES, Place, merge},
    tally::Count,
};
use crate::key::KeyId;

/// The most pairs of key and source that are known to be in the store, of some 18 bytes each.
const MOST_PAIRS: usize = 1_000_000;

/// Counts that are to be written, once it is known which of their sources there is room for.
#[derive(Debug, Default)]
pub(super) struct Draft {
    places: HashMap<Place, Count>,
    pairs: Pairs,
}

/// Which pairs of key and source this process has written, or found in the store: hashes of them. Two that share one are
/// as likely as any two random numbers of 64 bits, and cost a list one source more than it should have.
#[derive(Debug, Default)]
struct Pairs {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn begin(&mut self, places: HashMap<Place, Count>) {
        self.places = places;
    }

    /// Keys with a source that may be new to the store; none stands for requests that name no key.
    pub(super) fn unsure(&self) -> HashSet<Option<KeyId>> {
        let unsure = self.places.keys().filter(|place| !place.source.is_other() && !self.pairs.has(place));
        unsure.map(|place| place.key).collect()
    }

    /// The counts, with `other` in the place of sources that are too many beside those that are in the store already; and
    /// how many requests that concerned. Where it does, the sources with the most requests are kept.
    pub(super) fn finish(&mut self, stored: &HashMap<Option<KeyId>, HashSet<Source>>) -> (HashMap<Place, Count>, u64) {
        let places = std::mem::take(&mut self.places);
        let mut new: HashMap<Option<KeyId>, HashMap<&Source, i64>> = HashMap::new();
        for (Place { key, source, .. }, count) in &places {
            let is_new = stored.get(key).is_some_and(|stored| !stored.contains(source));
            if is_new && !source.is_other() {
                *new.entry(*key).or_default().entry(source).or_default() += count.count;
            }
        }
        let mut too_many: HashSet<(Option<KeyId>, Source)> = HashSet::new();
        for (key, sources) in new {
            let known = stored.get(&key).map_or(0, |stored| stored.iter().filter(|source| !source.is_other()).count());
            let mut sources: Vec<_> = sources.into_iter().collect();
            sources.sort_unstable_by(|(one, of_one), (two, of_two)| of_two.cmp(of_one).then(one.cmp(two)));
            let excess = sources.into_iter().skip(MOST_SOURCES.saturating_sub(known));
            too_many.extend(excess.map(|(source, _)| (key, source.clone())));
        }
        let (mut finished, mut folded) = (HashMap::with_capacity(places.len()), 0);
        for (place, count) in places {
            if too_many.contains(&(place.key, place.source.clone())) {
                folded += count.count.unsigned_abs();
                merge(&mut finished, Place { source: place.source.folded(), ..place }, count);
            } else {
                self.pairs.add(&place);
                merge(&mut finished, place, count);
            }
        }
        (finished, folded)
    }
}

impl Pairs {
    fn has(&self, place: &Place) -> bool {
        self.hashes.contains(&self.hash(place))
    }

    fn add(&mut self, place: &Place) {
        if self.hashes.len() >= MOST_PAIRS {
            self.hashes.clear();
        }
        self.hashes.insert(self.hash(place));
    }

    fn hash(&self, Place { key, source, .. }: &Place) -> u64 {
        self.hasher.hash_one((key, source.as_str()))
    }
}
