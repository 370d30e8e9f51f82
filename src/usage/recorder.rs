use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use super::{Outcome, Source, UsageBatch, UsageRow};
use crate::{key::KeyId, time::Timestamp};

/// The most rows in one batch: a store writes one in a few milliseconds.
const ROWS_PER_BATCH: usize = 1_000;

/// The most distinct counts kept between two flushes, beside the successes, whose cells the proof cache bounds. What
/// comes on top is counted under no key and the source `other`, of which there are only as many as outcomes.
const MOST_COUNTS: usize = 100_000;

/// Counts until they are written. Every count ends up in exactly one batch, and every batch keeps its sequence number
/// until it is acknowledged, so that a repeated flush counts once.
#[derive(Debug)]
pub(crate) struct UsageRecorder {
    writer: [u8; 16],
    used: Mutex<Used>,
    counts: Mutex<HashMap<Place, Count>>,
    unwritten: Mutex<Unwritten>,
}

/// Cells whose count left zero since the last flush.
#[derive(Debug, Default)]
struct Used {
    cells: Vec<Arc<KeyUsage>>,
    /// The number of cells at which those that no proof stands behind any more are counted with the rest.
    sweep_at: usize,
}

/// The successes of one key from the source that used it first: atomics, so that the warm path takes no lock.
#[derive(Debug)]
pub(crate) struct KeyUsage {
    key: KeyId,
    source: OnceLock<Source>,
    count: AtomicU64,
    first_at: AtomicI64,
    last_at: AtomicI64,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    key: Option<KeyId>,
    outcome: Outcome,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: i64,
    first_at: i64,
    last_at: i64,
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
            counts: Mutex::default(),
            unwritten: Mutex::new(Unwritten { sequence: 0, batches: VecDeque::new() }),
        }
    }

    /// The key was accepted.
    pub(crate) fn success(&self, usage: &Arc<KeyUsage>, source: &Source, now: Timestamp) {
        if usage.source.get_or_init(|| source.clone()) != source {
            self.count(Some(usage.key), Outcome::SUCCESS, source, now);
            return;
        }
        if usage.count.load(Ordering::Relaxed) == 0 {
            usage.first_at.store(now.as_millis(), Ordering::Relaxed);
        }
        usage.last_at.fetch_max(now.as_millis(), Ordering::Relaxed);
        if usage.count.fetch_add(1, Ordering::AcqRel) == 0 {
            let mut used = lock(&self.used);
            if used.cells.len() >= used.sweep_at {
                self.sweep(&mut used);
            }
            used.cells.push(Arc::clone(usage));
        }
    }

    /// A proof that was pushed out leaves its cell behind. While nothing can be written, there is no end of such.
    fn sweep(&self, used: &mut Used) {
        let mut counts = lock(&self.counts);
        used.cells.retain(|usage| {
            let is_alive = Arc::strong_count(usage) > 1;
            if !is_alive && let Some((place, count)) = usage.drain() {
                add(&mut counts, place, count);
            }
            is_alive
        });
        used.sweep_at = (used.cells.len() * 2).max(1_024);
    }

    /// The request was refused; `key` only if a record of that id is in the store.
    pub(crate) fn refusal(&self, key: Option<KeyId>, outcome: Outcome, source: &Source, now: Timestamp) {
        self.count(key, outcome, source, now);
    }

    fn count(&self, key: Option<KeyId>, outcome: Outcome, source: &Source, now: Timestamp) {
        let place = Place { key, outcome, source: source.clone() };
        let now = now.as_millis();
        add(&mut lock(&self.counts), place, Count { count: 1, first_at: now, last_at: now });
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
        // A key whose proof was pushed out and found again has two cells: a batch names each count once.
        for (place, count) in used.cells.iter().filter_map(|usage| usage.drain()) {
            merge(&mut counts, place, count);
        }
        let row = |(Place { key, outcome, source }, count): (Place, Count)| UsageRow {
            key: key.map(|key| key.as_str().to_owned()),
            outcome: outcome.as_str().to_owned(),
            source: source.as_str().to_owned(),
            count: count.count,
            first_at: count.first_at,
            last_at: count.last_at,
        };
        counts.into_iter().map(row).collect()
    }
}

/// Adds a count, under no key and the source `other` if there are too many.
fn add(counts: &mut HashMap<Place, Count>, place: Place, count: Count) {
    let place = if counts.len() >= MOST_COUNTS && !counts.contains_key(&place) {
        Place { key: None, outcome: place.outcome, source: Source::other() }
    } else {
        place
    };
    merge(counts, place, count);
}

fn merge(counts: &mut HashMap<Place, Count>, place: Place, more: Count) {
    let count = counts.entry(place).or_insert(Count { count: 0, ..more });
    count.count += more.count;
    count.first_at = count.first_at.min(more.first_at);
    count.last_at = count.last_at.max(more.last_at);
}

impl KeyUsage {
    pub(crate) fn new(key: KeyId) -> Self {
        Self {
            key,
            source: OnceLock::new(),
            count: AtomicU64::new(0),
            first_at: AtomicI64::new(0),
            last_at: AtomicI64::new(0),
        }
    }

    fn drain(&self) -> Option<(Place, Count)> {
        // Before the count, after which the first of the next ones may be noted.
        let first_at = self.first_at.load(Ordering::Relaxed);
        let count = i64::try_from(self.count.swap(0, Ordering::AcqRel)).unwrap_or(i64::MAX);
        let source = self.source.get()?.clone();
        let last_at = self.last_at.load(Ordering::Relaxed);
        let place = Place { key: Some(self.key), outcome: Outcome::SUCCESS, source };
        (count > 0).then(|| (place, Count { count, first_at: first_at.min(last_at), last_at }))
    }
}

/// A panic elsewhere leaves counts as they are: each is a whole number at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
