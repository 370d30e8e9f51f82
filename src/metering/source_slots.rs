use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use super::{budget::Budget, counted_for::CountedFor, pairs::StoredPairs, tally::Count};
use crate::{
    outcome::Outcome,
    time::{Timestamp, day_of},
    usage::{Label, OriginWords, Parts, Source},
};

/// The most distinct counts kept between two flushes, besides the successes, whose cells the cache of proofs limits.
/// Further requests are counted under no key, their organization if they have one, and the source `other`.
pub(super) const MOST_COUNTS: usize = 100_000;

/// The most of those further counts. If there are even more organizations, the rest is counted under none, with one
/// count for each outcome.
pub(super) const MOST_BEYOND: usize = 10_000;

/// The most counts of one budget between two flushes that are not known to be in the store. This is more than there
/// will be room for, because some may be in the store: that is known when they are written, and so is which are
/// frequent. It is small enough that a flood of names leaves room for other keys.
const MOST_NEW: u32 = 256;

/// Requests that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceSlot {
    pub(super) counted_for: CountedFor,
    pub(super) end: Outcome,
    pub(super) source: Source,
    /// The day in UTC.
    pub(super) day: i32,
}

/// Hashes ids of keys in the store, organizations and labels. They are random or chosen by the embedder and its
/// customers, so a stranger cannot choose many, and any mixture of their bits will do.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let (words, rest) = bytes.as_chunks();
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain([rest]) {
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(ODD);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// Counts by slot.
#[derive(Debug, Default)]
pub(super) struct Counts {
    slots: HashMap<SourceSlot, Count>,
    /// How many of them are not known to be in the store.
    new: HashMap<Budget, u32, BuildHasherDefault<IdHasher>>,
    /// How many requests were counted under `other` because there was no room.
    pub(super) folded: u64,
}

impl Counts {
    /// Counts a request under its source, or under `other` if there are too many sources or counts.
    pub(super) fn add(
        &mut self,
        counted_for: &CountedFor,
        end: &Outcome,
        origin: OriginWords<'_>,
        count: Count,
        stored: &StoredPairs,
    ) {
        let day = count.day();
        let known = self.slots.get_mut(&(counted_for, end, origin.parts(), day) as &dyn SlotInWords);
        if let Some(sum) = known {
            sum.add(count);
        } else {
            let (counted_for, end, source) = (counted_for.clone(), end.clone(), origin.to_source());
            self.add_place(SourceSlot { counted_for, end, source, day }, count, stored);
        }
    }

    /// The source under which this is counted; an equal one that exists, if there is one.
    pub(super) fn source(
        &self,
        counted_for: &CountedFor,
        end: &Outcome,
        origin: OriginWords<'_>,
        now: Timestamp,
    ) -> Source {
        let day = day_of(now.as_millis());
        let known = self.slots.get_key_value(&(counted_for, end, origin.parts(), day) as &dyn SlotInWords);
        known.map_or_else(|| origin.to_source(), |(slot, _)| slot.source.clone())
    }

    fn add_place(&mut self, mut slot: SourceSlot, count: Count, stored: &StoredPairs) {
        let is_full = self.slots.len() >= MOST_COUNTS;
        if is_full || !(slot.source.is_other() || self.is_room(&slot, stored)) {
            self.folded += count.count.unsigned_abs();
            slot.source = slot.source.folded();
        }
        if is_full && !self.slots.contains_key(&slot) {
            // Under no key, but still under the organization, so that one takes no room from another.
            let (organization, source) = (slot.counted_for.into_organization(), Source::other_of(&Label::default()));
            slot = SourceSlot { counted_for: CountedFor::NoKey(organization), source, ..slot };
            if self.slots.len() >= MOST_COUNTS + MOST_BEYOND && !self.slots.contains_key(&slot) {
                slot.counted_for = CountedFor::NoKey(None);
            }
        }
        merge(&mut self.slots, slot, count);
    }

    /// Whether there is room for one more, and takes it unless this one is known to be in the store.
    fn is_room(&mut self, SourceSlot { counted_for, end, source, .. }: &SourceSlot, stored: &StoredPairs) -> bool {
        if stored.has(counted_for, end.proves(), source) {
            return true;
        }
        let new = self.new.entry(Budget::new(counted_for, end.proves(), source)).or_default();
        let is_room = *new < MOST_NEW;
        *new += u32::from(is_room);
        is_room
    }

    pub(super) fn into_slots(self) -> HashMap<SourceSlot, Count> {
        self.slots
    }

    /// The number of budgets, which take room besides the counts.
    #[cfg(test)]
    pub(super) fn budgets(&self) -> usize {
        self.new.len()
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> &HashMap<SourceSlot, Count> {
        &self.slots
    }
}

pub(super) fn merge(counts: &mut HashMap<SourceSlot, Count>, slot: SourceSlot, more: Count) {
    counts.entry(slot).and_modify(|count| count.add(more)).or_insert(more);
}

impl Hash for SourceSlot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn SlotInWords).hash(state);
    }
}

/// A slot that is looked up by the words of its source, without an allocation.
trait SlotInWords {
    fn words(&self) -> (&CountedFor, &Outcome, Parts<'_>, i32);
}

impl SlotInWords for SourceSlot {
    fn words(&self) -> (&CountedFor, &Outcome, Parts<'_>, i32) {
        (&self.counted_for, &self.end, self.source.parts(), self.day)
    }
}

impl SlotInWords for (&CountedFor, &Outcome, Parts<'_>, i32) {
    fn words(&self) -> (&CountedFor, &Outcome, Parts<'_>, i32) {
        *self
    }
}

impl Hash for dyn SlotInWords + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Neither the outcome, nor the label, nor the day: a key and a client have few, and hashing is most of the cost
        // of a count.
        let (counted_for, _, source, _) = self.words();
        match counted_for {
            CountedFor::Key(key) => state.write(key.as_bytes()),
            CountedFor::NoKey(Some(organization)) => state.write(organization.as_str().as_bytes()),
            CountedFor::NoKey(None) => {}
        }
        for part in [source.client, source.network] {
            if !part.is_empty() {
                state.write(part.as_bytes());
            }
        }
    }
}

impl PartialEq for dyn SlotInWords + '_ {
    fn eq(&self, other: &Self) -> bool {
        let ((whom, end, source, day), (of_whom, of_end, of_source, of_day)) = (self.words(), other.words());
        whom == of_whom && end == of_end && source.are(of_source) && day == of_day
    }
}

impl Eq for dyn SlotInWords + '_ {}

impl<'a> Borrow<dyn SlotInWords + 'a> for SourceSlot {
    fn borrow(&self) -> &(dyn SlotInWords + 'a) {
        self
    }
}
