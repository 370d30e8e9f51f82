//! The first place where uses are counted: on the path of each check.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use super::{
    KeyUsage,
    counted_for::CountedFor,
    known::KnownSources,
    missing::MissingOwners,
    pairs::StoredPairs,
    source_slots::{Counts, SourceSlot, merge},
    tally::{Added, Count, Tally},
};
use crate::{
    key::{KeyId, MalformedReason},
    outcome::{Outcome, RefusalCode},
    time::Timestamp,
    usage::{Origin, OriginWords, Source},
};

/// The number of values of [`MalformedReason`].
const REASONS: usize = MalformedReason::ALL.len();

/// Counts until they are [taken](super::Unwritten) to be written.
#[derive(Debug, Default)]
pub(crate) struct UsageRecorder {
    used: Mutex<Used>,
    known: Mutex<KnownSources>,
    /// Texts that are no keys, without a source and without an organization, by reason: refused before any look-up, and
    /// counted without a lock.
    malformed: [Tally; REASONS],
    counts: Mutex<Counts>,
    /// The pairs that the store has.
    stored: StoredPairs,
    /// How many requests were counted under `other` since the start, apart from those in [`Counts`].
    folded: AtomicU64,
    /// How many requests were dropped since the start, because the store does not accept a value of their count.
    refused: AtomicU64,
    written_until: Until,
    days_written_until: Until,
    /// Since when the counts cannot be written.
    failing_since: Until,
    missing: MissingOwners,
}

/// The number of no time.
const NEVER: i64 = -1;

/// A time in milliseconds since 1970, or none.
#[derive(Debug)]
struct Until(AtomicI64);

impl Default for Until {
    fn default() -> Self {
        Self(AtomicI64::new(NEVER))
    }
}

impl Until {
    fn set(&self, time: Timestamp) {
        // A reader of this time also sees all that was dropped before.
        self.0.store(time.as_millis(), Ordering::Release);
    }

    /// Sets it, unless it has a time.
    fn begin(&self, time: Timestamp) {
        let _ = self.0.compare_exchange(NEVER, time.as_millis(), Ordering::Release, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(NEVER, Ordering::Release);
    }

    fn get(&self) -> Option<Timestamp> {
        Timestamp::from_millis(self.0.load(Ordering::Acquire)).ok()
    }
}

/// A key that counts its own successes.
pub(crate) trait Counted: fmt::Debug + Send + Sync {
    /// The key.
    fn key(&self) -> KeyId;

    /// Where its successes are counted.
    fn usage(&self) -> &KeyUsage;
}

/// Keys that were used since the last flush.
#[derive(Debug, Default)]
struct Used {
    keys: Vec<Arc<dyn Counted>>,
    /// The number of keys at which keys that only this list holds are counted with the rest.
    sweep_at: usize,
}

/// The source under which a success was counted.
#[derive(Clone, Debug)]
pub(crate) enum SuccessSource {
    /// A source of the key itself, by its number.
    Known(u32),
    /// Another source.
    Other(Source),
}

impl UsageRecorder {
    /// The key was accepted.
    #[inline]
    pub(crate) fn success<C: Counted + 'static>(
        &self,
        key: &Arc<C>,
        origin: Origin<'_>,
        now: Timestamp,
    ) -> SuccessSource {
        match key.usage().first(origin) {
            Some((source, tally)) => {
                let added = tally.add(now);
                if added != Added::More {
                    self.begin(key, source, tally, added, now);
                }
                SuccessSource::Known(source.id())
            }
            None => self.success_elsewhere(key, origin, now),
        }
    }

    /// The key was accepted, from another source than its first.
    #[inline(never)]
    fn success_elsewhere<C: Counted + 'static>(
        &self,
        key: &Arc<C>,
        origin: Origin<'_>,
        now: Timestamp,
    ) -> SuccessSource {
        let make = |words: OriginWords<'_>| lock(&self.known).get(words);
        if let Some((source, tally)) = key.usage().slot(origin, make) {
            self.begin(key, source, tally, tally.add(now), now);
            return SuccessSource::Known(source.id());
        }
        let (key, words) = (CountedFor::Key(key.key()), origin.words());
        let mut counts = lock(&self.counts);
        counts.add(&key, &Outcome::Accepted, words, Count::once(now), &self.stored);
        SuccessSource::Other(counts.source(&key, &Outcome::Accepted, words, now))
    }

    /// Counts what a tally did not, and notes the key if this is its first count.
    #[cold]
    fn begin<C: Counted + 'static>(
        &self,
        key: &Arc<C>,
        source: &Source,
        tally: &Tally,
        mut added: Added,
        now: Timestamp,
    ) {
        while added == Added::Not {
            self.put_aside(&CountedFor::Key(key.key()), &Outcome::Accepted, source, tally);
            added = tally.add(now);
        }
        if added == Added::First {
            self.note(Arc::clone(key) as Arc<dyn Counted>);
        }
    }

    /// Takes the counts that a tally has of a past day, to be written with the rest.
    fn put_aside(&self, counted_for: &CountedFor, end: &Outcome, source: &Source, tally: &Tally) {
        if let Some(count) = tally.take() {
            lock(&self.counts).add(counted_for, end, Origin::Source(source).words(), count, &self.stored);
        }
    }

    fn note(&self, key: Arc<dyn Counted>) {
        let mut used = lock(&self.used);
        if used.keys.len() >= used.sweep_at {
            self.sweep(&mut used);
        }
        used.keys.push(key);
    }

    /// A proof that was dropped from the cache leaves its count behind. While nothing can be written, there may be any
    /// number of them.
    fn sweep(&self, used: &mut Used) {
        // A key is listed once for each source it was used from: otherwise two entries would keep each other alive.
        let address = |key: &Arc<dyn Counted>| Arc::as_ptr(key).cast::<()>();
        used.keys.sort_unstable_by_key(address);
        used.keys.dedup_by_key(|key| address(key));
        let mut counts = lock(&self.counts);
        used.keys.retain(|key| {
            let is_alive = Arc::strong_count(key) > 1;
            if !is_alive {
                for (source, count) in key.usage().slots().filter_map(|slot| slot.take()) {
                    let words = Origin::Source(&source).words();
                    counts.add(&CountedFor::Key(key.key()), &Outcome::Accepted, words, count, &self.stored);
                }
            }
            is_alive
        });
        used.sweep_at = (used.keys.len() * 2).max(1_024);
    }

    /// The request was refused.
    pub(crate) fn refusal(
        &self,
        counted_for: &CountedFor,
        code: RefusalCode,
        reason: Option<MalformedReason>,
        origin: Origin<'_>,
        now: Timestamp,
    ) {
        match reason.and_then(|reason| self.malformed.get(reason as usize)) {
            Some(tally) if matches!(counted_for, CountedFor::NoKey(None)) && origin.is_nowhere_at_once() => {
                let (end, nowhere) = (Outcome::refused(code, reason), Source::default());
                while tally.add(now) == Added::Not {
                    self.put_aside(counted_for, &end, &nowhere, tally);
                }
            }
            _ => {
                let (end, words) = (Outcome::refused(code, reason), origin.words());
                lock(&self.counts).add(counted_for, &end, words, Count::once(now), &self.stored);
            }
        }
    }

    /// The key was accepted, which was counted, and the request was denied.
    pub(crate) fn denied_downstream(&self, key: KeyId, code: RefusalCode, seen: &SuccessSource, now: Timestamp) {
        let source = match seen {
            SuccessSource::Other(source) => source.clone(),
            SuccessSource::Known(id) => {
                let known = lock(&self.known);
                known.by_id(*id).cloned().unwrap_or_else(|| {
                    // The source is gone only if the key is, too, and the table was full.
                    self.folded.fetch_add(1, Ordering::Relaxed);
                    known.in_place_of(*id)
                })
            }
        };
        self.refusal(&CountedFor::Key(key), code, None, Origin::Source(&source), now);
    }

    /// Requests that were counted under `other` since the start, because there were too many sources.
    pub(crate) fn folded(&self) -> u64 {
        // Read under one lock: what moves from one to the other is never missing in both.
        let counts = lock(&self.counts);
        self.folded.load(Ordering::Relaxed) + counts.folded
    }

    /// How many owners of live keys are missing in their directory.
    pub(crate) const fn missing(&self) -> &MissingOwners {
        &self.missing
    }

    /// The pairs that the store has.
    pub(super) const fn stored(&self) -> &StoredPairs {
        &self.stored
    }

    /// How many requests are counted nowhere, because the store does not accept a value of their count.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn add_refused(&self, requests: u64) {
        self.refused.fetch_add(requests, Ordering::Relaxed);
    }

    /// Counts requests that were taken and are written under `other`.
    pub(super) fn add_folded(&self, folded: u64) {
        self.folded.fetch_add(folded, Ordering::Relaxed);
    }

    /// The store has all counts up to this time.
    pub(super) fn has_written(&self, until: Timestamp) {
        self.written_until.set(until);
    }

    /// A flush ended at this time, and wrote everything that it was asked to write, or did not.
    pub(crate) fn flush_ended(&self, at: Timestamp, is_whole: bool) {
        if is_whole { self.failing_since.clear() } else { self.failing_since.begin(at) }
    }

    /// When the first of the flushes failed that have failed since the last that did not; none while they do not fail.
    pub(crate) fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since.get()
    }

    /// The store has all days up to this time.
    pub(super) fn has_written_days(&self, until: Timestamp) {
        self.days_written_until.set(until);
    }

    /// The time up to which the store has this process's counts; none before the first write.
    pub(crate) fn written_until(&self) -> Option<Timestamp> {
        self.written_until.get()
    }

    /// The time up to which the store has this process's days; none before the first write.
    pub(crate) fn days_written_until(&self) -> Option<Timestamp> {
        self.days_written_until.get()
    }

    /// Takes the counts up to `now`.
    pub(super) fn take(&self, now: Timestamp) -> HashMap<SourceSlot, Count> {
        let mut counts = self.drain();
        let late = counts.extract_if(|_, count| count.last_at > now.as_millis() || count.first_at > now.as_millis());
        // A time later than now came from a wrong clock, and so did its day.
        for (slot, count) in late.collect::<Vec<_>>() {
            let count = count.not_after(now);
            merge(&mut counts, SourceSlot { day: count.day(), ..slot }, count);
        }
        counts
    }

    fn drain(&self) -> HashMap<SourceSlot, Count> {
        let used = mem::take(&mut *lock(&self.used));
        let counts = {
            let mut counts = lock(&self.counts);
            self.folded.fetch_add(counts.folded, Ordering::Relaxed);
            mem::take(&mut *counts)
        };
        let mut slots = counts.into_slots();
        // A key whose proof was dropped and found again is listed twice: a batch names each count once.
        for key in &used.keys {
            for (source, count) in key.usage().slots().filter_map(|slot| slot.take()) {
                let (counted_for, end) = (CountedFor::Key(key.key()), Outcome::Accepted);
                merge(&mut slots, SourceSlot { counted_for, end, source, day: count.day() }, count);
            }
        }
        for (reason, tally) in MalformedReason::ALL.into_iter().zip(&self.malformed) {
            if let Some(count) = tally.take() {
                let (counted_for, end) = (CountedFor::NoKey(None), Outcome::Malformed(reason));
                let source = Source::default();
                merge(&mut slots, SourceSlot { counted_for, end, source, day: count.day() }, count);
            }
        }
        slots
    }
}

/// A panic elsewhere does not damage counts: each is complete at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
