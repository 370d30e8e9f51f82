use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::{Hash, Hasher},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    KeyUsage, Outcome, Source, UsageBatch, UsageRow,
    tally::{Count, Tally},
};
use crate::{
    key::{KeyId, MalformedReason},
    time::Timestamp,
};

/// The most rows in one batch: a store writes one in less than a tenth of a second.
const ROWS_PER_BATCH: usize = 10_000;

/// The most distinct counts kept between two flushes, beside the successes, whose cells the proof cache bounds. What
/// comes on top is counted under no key and the source `other`, of which there are only as many as outcomes.
const MOST_COUNTS: usize = 100_000;

/// As many as there are of [`MalformedReason`].
const REASONS: usize = MalformedReason::ALL.len();

/// Counts until they are written. Every count ends up in exactly one batch, and every batch keeps its sequence number
/// until it is acknowledged, so that a repeated flush counts once.
#[derive(Debug)]
pub(crate) struct UsageRecorder {
    writer: [u8; 16],
    used: Mutex<Used>,
    /// Texts that are no keys, from no source in particular, by reason: refused before anything is looked up, and
    /// counted without a lock.
    malformed: [Tally; REASONS],
    counts: Mutex<HashMap<Place, Count>>,
    unwritten: Mutex<Unwritten>,
}

/// A key that counts its own successes.
pub(crate) trait Counted: fmt::Debug + Send + Sync {
    /// The key.
    fn key(&self) -> KeyId;

    /// Where they are counted.
    fn usage(&self) -> &KeyUsage;
}

/// Keys that were used since the last flush.
#[derive(Debug, Default)]
struct Used {
    keys: Vec<Arc<dyn Counted>>,
    /// The number of keys at which those that nobody else remembers any more are counted with the rest.
    sweep_at: usize,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    key: Option<KeyId>,
    end: End,
    source: Source,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not the end: a key and a source have few, and hashing is most of what a count costs.
        self.key.hash(state);
        self.source.hash(state);
    }
}

/// The code of a refusal that has a reason.
const MALFORMED_KEY: &str = "malformed_key";

/// How a request ended. An [`Outcome`] once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Success,
    Refused(&'static str, Option<MalformedReason>),
}

#[derive(Debug)]
struct Unwritten {
    sequence: i64,
    batches: VecDeque<UsageBatch>,
}

impl UsageRecorder {
    /// A recorder that signs its batches as `writer`, which no other recorder of the store may share.
    pub(crate) fn new(writer: [u8; 16]) -> Self {
        Self {
            writer,
            used: Mutex::default(),
            malformed: Default::default(),
            counts: Mutex::default(),
            unwritten: Mutex::new(Unwritten { sequence: 0, batches: VecDeque::new() }),
        }
    }

    /// The key was accepted.
    pub(crate) fn success<C: Counted + 'static>(&self, key: &Arc<C>, source: &Source, now: Timestamp) {
        let usage = key.usage();
        if usage.source.get_or_init(|| source.clone()) != source {
            self.count(Place { key: Some(key.key()), end: End::Success, source: source.clone() }, now);
        } else if usage.tally.add(now) {
            self.note(Arc::clone(key) as Arc<dyn Counted>);
        }
    }

    #[cold]
    fn note(&self, key: Arc<dyn Counted>) {
        let mut used = lock(&self.used);
        if used.keys.len() >= used.sweep_at {
            self.sweep(&mut used);
        }
        used.keys.push(key);
    }

    /// A proof that was pushed out leaves its count behind. While nothing can be written, there is no end of such.
    fn sweep(&self, used: &mut Used) {
        let mut counts = lock(&self.counts);
        used.keys.retain(|key| {
            let is_alive = Arc::strong_count(key) > 1;
            if !is_alive && let Some((place, count)) = drain(&**key) {
                add(&mut counts, place, count);
            }
            is_alive
        });
        used.sweep_at = (used.keys.len() * 2).max(1_024);
    }

    /// The request was refused; `key` only if a record of that id is in the store.
    pub(crate) fn refusal(
        &self,
        key: Option<KeyId>,
        code: &'static str,
        reason: Option<MalformedReason>,
        source: &Source,
        now: Timestamp,
    ) {
        match reason.and_then(|reason| self.malformed.get(reason as usize)) {
            Some(tally) if key.is_none() && *source == Source::default() => {
                tally.add(now);
            }
            _ => self.count(Place { key, end: End::Refused(code, reason), source: source.clone() }, now),
        }
    }

    fn count(&self, place: Place, now: Timestamp) {
        add(&mut lock(&self.counts), place, Count::once(now));
    }

    /// Puts what was counted so far into batches, unless some are left from before: those come first.
    pub(crate) fn collect(&self) {
        let mut unwritten = lock(&self.unwritten);
        if !unwritten.batches.is_empty() {
            return;
        }
        for rows in self.drain().chunks(ROWS_PER_BATCH) {
            unwritten.sequence += 1;
            let sequence = unwritten.sequence;
            unwritten.batches.push_back(UsageBatch { writer: self.writer, sequence, rows: rows.to_vec() });
        }
    }

    /// The oldest batch that is not written yet, the same one until it is acknowledged.
    pub(crate) fn next_batch(&self) -> Option<UsageBatch> {
        lock(&self.unwritten).batches.front().cloned()
    }

    /// The store has this batch.
    pub(crate) fn acknowledge(&self, sequence: i64) {
        lock(&self.unwritten).batches.retain(|batch| batch.sequence != sequence);
    }

    fn drain(&self) -> Vec<UsageRow> {
        let used = mem::take(&mut *lock(&self.used));
        let mut counts = mem::take(&mut *lock(&self.counts));
        // A key whose proof was pushed out and found again is there twice: a batch names each count once.
        for (place, count) in used.keys.iter().filter_map(|key| drain(&**key)) {
            merge(&mut counts, place, count);
        }
        for (reason, tally) in MalformedReason::ALL.into_iter().zip(&self.malformed) {
            if let Some(count) = tally.take() {
                let end = End::Refused(MALFORMED_KEY, Some(reason));
                merge(&mut counts, Place { key: None, end, source: Source::default() }, count);
            }
        }
        let row = |(Place { key, end, source }, count): (Place, Count)| UsageRow {
            key: key.map(|key| key.as_str().to_owned()),
            outcome: Outcome::from(end).as_str().to_owned(),
            source: source.as_str().to_owned(),
            count: count.count,
            first_at: count.first_at,
            last_at: count.last_at,
        };
        counts.into_iter().map(row).collect()
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Success => Self::SUCCESS,
            End::Refused(code, reason) => Self::refused(code, reason),
        }
    }
}

fn drain(key: &dyn Counted) -> Option<(Place, Count)> {
    let (usage, count) = (key.usage(), key.usage().tally.take()?);
    let source = usage.source.get().cloned().unwrap_or_default();
    Some((Place { key: Some(key.key()), end: End::Success, source }, count))
}

/// Adds a count, under no key and the source `other` if there are too many.
fn add(counts: &mut HashMap<Place, Count>, place: Place, count: Count) {
    let place = if counts.len() >= MOST_COUNTS && !counts.contains_key(&place) {
        Place { key: None, end: place.end, source: Source::other() }
    } else {
        place
    };
    merge(counts, place, count);
}

fn merge(counts: &mut HashMap<Place, Count>, place: Place, more: Count) {
    counts.entry(place).and_modify(|count| count.add(more)).or_insert(more);
}

/// A panic elsewhere leaves counts as they are: each is a whole number at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
