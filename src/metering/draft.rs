use std::collections::{HashMap, HashSet};

use super::{
    budget::{Budget, StoredSources},
    counted_for::CountedFor,
    pairs::StoredPairs,
    source_slots::{SourceSlot, merge},
    tally::Count,
};
use crate::{outcome::Proved, usage::Source};

/// Counts to write, once it is known which of their sources there is room for.
#[derive(Debug)]
pub(super) struct Draft {
    slots: HashMap<SourceSlot, Count>,
}

impl Draft {
    pub(super) const fn new(slots: HashMap<SourceSlot, Count>) -> Self {
        Self { slots }
    }

    /// Keys and organizations with a source that may be new to the store.
    pub(super) fn unsure(&self, pairs: &StoredPairs) -> HashSet<CountedFor> {
        let unsure = self.slots.keys().filter(|SourceSlot { counted_for, end, source, .. }| {
            !source.is_other() && !pairs.has(counted_for, end.proves(), source)
        });
        unsure.map(|slot| slot.counted_for.clone()).collect()
    }

    /// The counts, with `other` instead of sources that are too many beside those in the store, and the number of
    /// requests affected. The sources with the most requests are kept.
    pub(super) fn finish(self, stored: &StoredSources, pairs: &StoredPairs) -> (HashMap<SourceSlot, Count>, u64) {
        let slots = self.slots;
        let mut new: HashMap<Budget, HashMap<&Source, i64>> = HashMap::new();
        for (SourceSlot { counted_for, end, source, .. }, count) in &slots {
            if !source.is_other() && stored.lacks(counted_for, end.proves(), source) {
                let of = new.entry(Budget::new(counted_for, end.proves(), source)).or_default();
                *of.entry(source).or_default() += count.count;
            }
        }
        let mut too_many: HashSet<(CountedFor, Proved, Source)> = HashSet::new();
        for (budget, sources) in new {
            let others = sources.keys().map(|source| source.folded()).collect();
            let room = stored.room(&budget, &others);
            let mut sources: Vec<_> = sources.into_iter().collect();
            sources.sort_unstable_by(|(one, of_one), (two, of_two)| of_two.cmp(of_one).then(one.cmp(two)));
            let excess = sources.into_iter().skip(room);
            too_many.extend(excess.map(|(source, _)| (budget.counted_for().clone(), budget.proof(), source.clone())));
        }
        let (mut finished, mut folded) = (HashMap::with_capacity(slots.len()), 0);
        for (slot, count) in slots {
            if too_many.contains(&(slot.counted_for.clone(), slot.end.proves(), slot.source.clone())) {
                folded += count.count.unsigned_abs();
                merge(&mut finished, SourceSlot { source: slot.source.folded(), ..slot }, count);
            } else {
                pairs.add(&slot.counted_for, slot.end.proves(), &slot.source);
                merge(&mut finished, slot, count);
            }
        }
        (finished, folded)
    }
}
