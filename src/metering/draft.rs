use std::collections::{HashMap, HashSet};

use super::{
    budget::{Budget, StoredSources},
    pairs::StoredPairs,
    places::{Place, merge},
    tally::Count,
};
use crate::{key::KeyId, outcome::Proved, usage::Source};

/// Counts that are to be written, once it is known which of their sources there is room for.
#[derive(Debug)]
pub(super) struct Draft {
    places: HashMap<Place, Count>,
}

impl Draft {
    pub(super) const fn new(places: HashMap<Place, Count>) -> Self {
        Self { places }
    }

    /// Keys with a source that may be new to the store; none stands for requests that name no key.
    pub(super) fn unsure(&self, pairs: &StoredPairs) -> HashSet<Option<KeyId>> {
        let unsure = self
            .places
            .keys()
            .filter(|Place { key, end, source, .. }| !source.is_other() && !pairs.has(*key, end.proves(), source));
        unsure.map(|place| place.key).collect()
    }

    /// The counts, with `other` in the place of sources that are too many beside those that are in the store already; and
    /// how many requests that concerned. Where it does, the sources with the most requests are kept.
    pub(super) fn finish(self, stored: &StoredSources, pairs: &StoredPairs) -> (HashMap<Place, Count>, u64) {
        let places = self.places;
        let mut new: HashMap<Budget, HashMap<&Source, i64>> = HashMap::new();
        for (Place { key, end, source, .. }, count) in &places {
            if !source.is_other() && stored.lacks(*key, end.proves(), source) {
                let of = new.entry(Budget::new(*key, end.proves(), source)).or_default();
                *of.entry(source).or_default() += count.count;
            }
        }
        let mut too_many: HashSet<(Option<KeyId>, Proved, Source)> = HashSet::new();
        for (budget, sources) in new {
            let others = sources.keys().map(|source| source.folded()).collect();
            let room = stored.room(&budget, &others);
            let mut sources: Vec<_> = sources.into_iter().collect();
            sources.sort_unstable_by(|(one, of_one), (two, of_two)| of_two.cmp(of_one).then(one.cmp(two)));
            let excess = sources.into_iter().skip(room);
            too_many.extend(excess.map(|(source, _)| (budget.key(), budget.proof(), source.clone())));
        }
        let (mut finished, mut folded) = (HashMap::with_capacity(places.len()), 0);
        for (place, count) in places {
            if too_many.contains(&(place.key, place.end.proves(), place.source.clone())) {
                folded += count.count.unsigned_abs();
                merge(&mut finished, Place { source: place.source.folded(), ..place }, count);
            } else {
                pairs.add(place.key, place.end.proves(), &place.source);
                merge(&mut finished, place, count);
            }
        }
        (finished, folded)
    }
}
