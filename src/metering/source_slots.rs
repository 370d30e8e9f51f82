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

/// The most distinct counts kept between two flushes, beside the successes, whose cells the proof cache bounds. What
/// comes on top is counted under no key, its organization if it has one, and the source `other`.
pub(super) const MOST_COUNTS: usize = 100_000;

/// The most of those counts on top. Where organizations are even more, the rest is counted under none, of which there are
/// only as many as outcomes.
pub(super) const MOST_BEYOND: usize = 10_000;

/// The most counts of one budget between two flushes that the store is not known to have. More than it will have room
/// for, since some of them may be there: those are known when they are written, and so is which come often. Few enough
/// for a flood of names to leave room for other keys.
const MOST_NEW: u32 = 256;

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceSlot {
    pub(super) counted_for: CountedFor,
    pub(super) end: Outcome,
    pub(super) source: Source,
    /// In UTC.
    pub(super) day: i32,
}

/// Hashes ids of keys in the store, organizations and labels. They are random, or those of the embedder and its customers,
/// and nobody can make many of them as they like, so any mixture of their bits will do.
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

/// Counts by place.
#[derive(Debug, Default)]
pub(super) struct Counts {
    slots: HashMap<SourceSlot, Count>,
    /// How many of them the store is not known to have.
    new: HashMap<Budget, u32, BuildHasherDefault<IdHasher>>,
    /// How many were counted under `other` for want of room.
    pub(super) folded: u64,
}

impl Counts {
    /// Counts what came from there, under `other` if there are too many sources or counts.
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

    /// The source under which this is counted, an equal one that is there already if there is.
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
            // Under no key, but still under the organization, so that the noise of one takes no place from another.
            let (organization, source) = (slot.counted_for.into_organization(), Source::other_of(&Label::default()));
            slot = SourceSlot { counted_for: CountedFor::NoKey(organization), source, ..slot };
            if self.slots.len() >= MOST_COUNTS + MOST_BEYOND && !self.slots.contains_key(&slot) {
                slot.counted_for = CountedFor::NoKey(None);
            }
        }
        merge(&mut self.slots, slot, count);
    }

    /// Whether there is room for one more, which is then taken unless the store is known to have this one.
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

    /// How many it takes room for, beside the counts.
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

/// A place that is looked for by the words of its source, for which no memory was taken.
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
        // Neither the end, nor the label, nor the day: a key and a client have few, and hashing is most of what a count costs.
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
