use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use super::{Origin, Outcome, Source, tally::Count};
use crate::key::{KeyId, MalformedReason};

/// The most distinct counts kept between two flushes, beside the successes, whose cells the proof cache bounds. What
/// comes on top is counted under no key and the source `other`, of which there are only as many as outcomes.
pub(super) const MOST_COUNTS: usize = 100_000;

/// The most sources that are told apart for one key, and for requests that name no key in the store. What comes from more
/// is counted under `other`, one for each label. A team's own machines are fewer; a key with more is shared with the
/// world, and its list of sources no help to anybody.
pub(super) const MOST_SOURCES: usize = 64;

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Option<KeyId>,
    pub(super) end: End,
    pub(super) source: Source,
}

/// How a request ended. An [`Outcome`] once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Refused(&'static str, Option<MalformedReason>),
}

/// The sources of one key. Most keys have one, and take no memory for more.
#[derive(Debug)]
struct KeySources {
    first: Source,
    more: Vec<Source>,
}

/// Hashes ids of keys in the store. They are random and nobody can choose them, so any mixture of their bits will do.
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
    places: HashMap<Place, Count>,
    sources: HashMap<Option<KeyId>, KeySources, BuildHasherDefault<IdHasher>>,
    /// How many were counted under `other` for want of room.
    pub(super) folded: u64,
}

impl Counts {
    /// Counts what came from there, under `other` if there are too many sources or counts.
    pub(super) fn add(&mut self, key: Option<KeyId>, end: End, origin: Origin<'_>, count: Count) {
        let is_known = origin.with_text(|text| {
            let known = self.places.get_mut(&(key, end, text) as &dyn PlaceInWords);
            known.map(|sum| sum.add(count)).is_some()
        });
        if !is_known {
            self.add_place(Place { key, end, source: origin.to_source() }, count);
        }
    }

    /// The source under which this is counted, an equal one that is there already if there is.
    pub(super) fn source(&self, key: Option<KeyId>, end: End, origin: Origin<'_>) -> Source {
        let known = origin.with_text(|text| {
            self.places.get_key_value(&(key, end, text) as &dyn PlaceInWords).map(|(place, _)| place.source.clone())
        });
        known.unwrap_or_else(|| origin.to_source())
    }

    fn add_place(&mut self, mut place: Place, count: Count) {
        let make = || KeySources { first: place.source.clone(), more: Vec::new() };
        if !place.source.is_other() && !self.sources.entry(place.key).or_insert_with(make).take_in(&place.source) {
            self.folded += count.count.unsigned_abs();
            place.source = place.source.folded();
        }
        if self.places.len() >= MOST_COUNTS && !self.places.contains_key(&place) {
            self.folded += count.count.unsigned_abs();
            place = Place { key: None, end: place.end, source: Source::other() };
        }
        merge(&mut self.places, place, count);
    }

    pub(super) fn into_places(self) -> HashMap<Place, Count> {
        self.places
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> &HashMap<Place, Count> {
        &self.places
    }
}

impl KeySources {
    /// Whether this is one of them, from now on if there was room.
    fn take_in(&mut self, source: &Source) -> bool {
        let is_known = self.first == *source || self.more.contains(source);
        let is_room = self.more.len() + 1 < MOST_SOURCES;
        if !is_known && is_room {
            self.more.push(source.clone());
        }
        is_known || is_room
    }
}

pub(super) fn merge(counts: &mut HashMap<Place, Count>, place: Place, more: Count) {
    counts.entry(place).and_modify(|count| count.add(more)).or_insert(more);
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Success => Self::SUCCESS,
            End::Refused(code, reason) => Self::refused(code, reason),
        }
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn PlaceInWords).hash(state);
    }
}

/// A place that is looked for by the words of its source, for which no memory was taken.
trait PlaceInWords {
    fn words(&self) -> (Option<KeyId>, End, &str);
}

impl PlaceInWords for Place {
    fn words(&self) -> (Option<KeyId>, End, &str) {
        (self.key, self.end, self.source.as_str())
    }
}

impl PlaceInWords for (Option<KeyId>, End, &str) {
    fn words(&self) -> (Option<KeyId>, End, &str) {
        *self
    }
}

impl Hash for dyn PlaceInWords + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not the end: a key and a source have few, and hashing is most of what a count costs.
        let (key, _, source) = self.words();
        if let Some(key) = key {
            state.write(key.as_bytes());
        }
        if !source.is_empty() {
            state.write(source.as_bytes());
        }
    }
}

impl PartialEq for dyn PlaceInWords + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for dyn PlaceInWords + '_ {}

impl<'a> Borrow<dyn PlaceInWords + 'a> for Place {
    fn borrow(&self) -> &(dyn PlaceInWords + 'a) {
        self
    }
}
