use std::collections::{HashMap, HashSet};

use super::{
    budget::{Budget, StoredSources},
    pairs::StoredPairs,
    source_slots::{SourceSlot, merge},
    tally::Count,
};
use crate::{key::KeyId, outcome::Proved, usage::Source};

/// Counts that are to be written, once it is known which of their sources there is room for.
#[derive(Debug)]
pub(super) struct Draft {
    slots: HashMap<SourceSlot, Count>,
}

impl Draft {
    pub(super) const fn new(slots: HashMap<SourceSlot, Count>) -> Self {
        Self { slots }
    }

    /// Keys with a source that may be new to the store; none stands for requests that name no key.
    pub(super) fn unsure(&self, pairs: &StoredPairs) -> HashSet<Option<KeyId>> {
        let unsure = self
            .slots
            .keys()
            .filter(|SourceSlot { key, end, source, .. }| !source.is_other() && !pairs.has(*key, end.proves(), source));
        unsure.map(|slot| slot.key).collect()
    }

    /// The counts, with `other` in the place of sources that are too many beside those that are in the store already; and
    /// how many requests that concerned. Where it does, the sources with the most requests are kept.
    pub(super) fn finish(self, stored: &StoredSources, pairs: &StoredPairs) -> (HashMap<SourceSlot, Count>, u64) {
        let slots = self.slots;
        let mut new: HashMap<Budget, HashMap<&Source, i64>> = HashMap::new();
        for (SourceSlot { key, end, source, .. }, count) in &slots {
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
        let (mut finished, mut folded) = (HashMap::with_capacity(slots.len()), 0);
        for (slot, count) in slots {
            if too_many.contains(&(slot.key, slot.end.proves(), slot.source.clone())) {
                folded += count.count.unsigned_abs();
                merge(&mut finished, SourceSlot { source: slot.source.folded(), ..slot }, count);
            } else {
                pairs.add(slot.key, slot.end.proves(), &slot.source);
                merge(&mut finished, slot, count);
            }
        }
        (finished, folded)
    }
}
