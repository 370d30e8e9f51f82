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
    /// Cells whose count left zero since the last flush.
    used: Mutex<Vec<Arc<KeyUsage>>>,
    counts: Mutex<HashMap<Place, Count>>,
    unwritten: Mutex<Unwritten>,
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

#[derive(Debug)]
struct Count {
    count: i64,
    first_at: Timestamp,
    last_at: Timestamp,
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
            lock(&self.used).push(Arc::clone(usage));
        }
    }

    /// The request was refused; `key` only if a record of that id is in the store.
    pub(crate) fn refusal(&self, key: Option<KeyId>, outcome: Outcome, source: &Source, now: Timestamp) {
        self.count(key, outcome, source, now);
    }

    fn count(&self, key: Option<KeyId>, outcome: Outcome, source: &Source, now: Timestamp) {
        let mut counts = lock(&self.counts);
        let mut place = Place { key, outcome, source: source.clone() };
        if counts.len() >= MOST_COUNTS && !counts.contains_key(&place) {
            place = Place { key: None, outcome: place.outcome, source: Source::other() };
        }
        let count = counts.entry(place).or_insert(Count { count: 0, first_at: now, last_at: now });
        count.count += 1;
        count.first_at = count.first_at.min(now);
        count.last_at = count.last_at.max(now);
    }

    /// The oldest batch that is not written yet, the same one until it is acknowledged.
    pub(crate) fn next_batch(&self) -> Option<UsageBatch> {
        let mut unwritten = lock(&self.unwritten);
        if unwritten.batches.is_empty() {
            let rows = self.drain();
            for rows in rows.chunks(ROWS_PER_BATCH) {
                unwritten.sequence += 1;
                let sequence = unwritten.sequence;
                unwritten.batches.push_back(UsageBatch { writer: self.writer, sequence, rows: rows.to_vec() });
            }
        }
        unwritten.batches.front().cloned()
    }

    /// The store has this batch.
    pub(crate) fn acknowledge(&self, sequence: i64) {
        lock(&self.unwritten).batches.retain(|batch| batch.sequence != sequence);
    }

    fn drain(&self) -> Vec<UsageRow> {
        let used = mem::take(&mut *lock(&self.used));
        let counts = mem::take(&mut *lock(&self.counts));
        let successes = used.iter().filter_map(|usage| usage.drain());
        let counts = counts.into_iter().map(|(Place { key, outcome, source }, count)| UsageRow {
            key: key.map(|key| key.as_str().to_owned()),
            outcome: outcome.as_str().to_owned(),
            source: source.as_str().to_owned(),
            count: count.count,
            first_at: count.first_at.as_millis(),
            last_at: count.last_at.as_millis(),
        });
        successes.chain(counts).collect()
    }
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

    fn drain(&self) -> Option<UsageRow> {
        let count = i64::try_from(self.count.swap(0, Ordering::AcqRel)).unwrap_or(i64::MAX);
        let source = self.source.get()?;
        let last_at = self.last_at.load(Ordering::Relaxed);
        (count > 0).then(|| UsageRow {
            key: Some(self.key.as_str().to_owned()),
            outcome: Outcome::SUCCESS.as_str().to_owned(),
            source: source.as_str().to_owned(),
            count,
            first_at: self.first_at.load(Ordering::Relaxed).min(last_at),
            last_at,
        })
    }
}

/// A panic elsewhere leaves counts as they are: each is a whole number at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn recorder() -> (UsageRecorder, Arc<KeyUsage>, Source) {
        let key = KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap();
        (UsageRecorder::new([1; 16]), Arc::new(KeyUsage::new(key)), Source::new("intake").unwrap())
    }

    #[test]
    fn successes_are_summed_between_flushes() {
        let (recorder, usage, source) = recorder();
        for millis in [5, 7, 6] {
            recorder.success(&usage, &source, at(millis));
        }
        let batch = recorder.next_batch().unwrap();
        assert_eq!(batch.sequence, 1);
        let row = &batch.rows[0];
        assert_eq!((row.count, row.first_at, row.last_at, row.source.as_str()), (3, 5, 7, "intake"));
    }

    #[test]
    fn a_batch_keeps_its_number_until_it_is_acknowledged() {
        let (recorder, usage, source) = recorder();
        recorder.success(&usage, &source, at(5));
        let first = recorder.next_batch().unwrap();
        recorder.success(&usage, &source, at(6));
        assert_eq!(recorder.next_batch().unwrap(), first);
        recorder.acknowledge(first.sequence);
        let second = recorder.next_batch().unwrap();
        assert_eq!((second.sequence, second.rows[0].count), (2, 1));
        recorder.acknowledge(second.sequence);
        assert!(recorder.next_batch().is_none());
    }

    #[test]
    fn a_second_source_is_counted_apart() {
        let (recorder, usage, source) = recorder();
        recorder.success(&usage, &source, at(5));
        recorder.success(&usage, &Source::new("api").unwrap(), at(6));
        let mut sources: Vec<_> = recorder.next_batch().unwrap().rows.into_iter().map(|row| row.source).collect();
        sources.sort();
        assert_eq!(sources, ["api", "intake"]);
    }

    #[test]
    fn counts_are_exact_when_threads_count_while_another_flushes() {
        let (recorder, usage, source) = recorder();
        let mut written = 0;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..10_000).for_each(|_| recorder.success(&usage, &source, at(1)))))
                .collect();
            let mut flush = || {
                while let Some(batch) = recorder.next_batch() {
                    written += batch.rows.iter().map(|row| row.count).sum::<i64>();
                    recorder.acknowledge(batch.sequence);
                }
            };
            while threads.iter().any(|thread| !thread.is_finished()) {
                flush();
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            flush();
        });
        assert_eq!(written, 40_000);
    }

    #[test]
    fn a_flood_of_distinct_refusals_stays_bounded() {
        let (recorder, _, source) = recorder();
        let format = crate::key::KeyFormat::unbranded();
        for _ in 0..MOST_COUNTS + 50 {
            let key = format.generate(crate::KeyKind::User).unwrap();
            recorder.refusal(Some(key.id()), Outcome::refused("invalid_key", None), &source, at(1));
        }
        assert_eq!(lock(&recorder.counts).len(), MOST_COUNTS + 1);
        let other = Place { key: None, outcome: Outcome::refused("invalid_key", None), source: Source::other() };
        assert_eq!(lock(&recorder.counts)[&other].count, 50);
    }
}
