use std::sync::{
    OnceLock,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use crate::{
    time::{Timestamp, bounds_of, day_of},
    usage::{Origin, OriginWords, Source},
};

/// How many sources a key counts without a lock, besides the first.
const MORE: usize = 3;

/// How often something happened on one day since the last read, with the first and last time. Atomics, so that the warm
/// path takes no lock.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The day in the upper bits and the count in the lower ones: in one word, so that a count is never added to
    /// another day.
    word: AtomicU64,
    first_at: AtomicI64,
    last_at: AtomicI64,
}

/// The bits of the count: a million requests a second, for twelve days.
const COUNT_BITS: u32 = 40;

const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// What happened to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Counted, for the first time since the tally was taken.
    First,
    /// Counted with others.
    More,
    /// Not counted: the tally has another day, which has to be taken first.
    Not,
}

/// The value of a [`Tally`], for one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) count: i64,
    pub(super) first_at: i64,
    pub(super) last_at: i64,
}

/// The successes of one key from the sources that used it first. Most keys have one, and use no memory for more.
#[derive(Debug, Default)]
pub(crate) struct KeyUsage {
    first: Slot,
    more: OnceLock<Box<[Slot; MORE]>>,
}

/// The successes of one key from one source.
#[derive(Debug, Default)]
pub(super) struct Slot {
    source: OnceLock<Source>,
    pub(super) tally: Tally,
}

impl KeyUsage {
    /// The counter of successes from the first source, and that source, if it is this one.
    #[inline]
    pub(super) fn first(&self, origin: Origin<'_>) -> Option<(&Source, &Tally)> {
        self.first.if_at_once(origin)
    }

    /// The counter of successes from this source, and the source; none if there are too many sources already.
    pub(super) fn slot(
        &self,
        origin: Origin<'_>,
        make: impl FnOnce(OriginWords<'_>) -> Option<Source>,
    ) -> Option<(&Source, &Tally)> {
        if let Some(found) = self.slots().find_map(|slot| slot.if_at_once(origin)) {
            return Some(found);
        }
        let words = origin.words();
        let is_same = |source: &Source| source.parts().are(words.parts());
        if let Some(found) = self.slots().find_map(|slot| slot.if_source(is_same)) {
            return Some(found);
        }
        let is_room = || self.more.get().is_none_or(|more| more.iter().any(|slot| slot.source.get().is_none()));
        let made = if is_room() { make(words)? } else { return None };
        if self.first.source.get().is_some() {
            self.more.get_or_init(Box::default);
        }
        // Another thread may have added the same source meanwhile, or another one.
        self.slots().find_map(|slot| {
            slot.source.get_or_init(|| made.clone());
            slot.if_source(is_same)
        })
    }

    /// The source under which successes from here are counted, if the key has it.
    pub(crate) fn source(&self, origin: Origin<'_>) -> Option<&Source> {
        self.slots().find_map(|slot| slot.if_at_once(origin)).map(|(source, _)| source)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::once(&self.first).chain(self.more.get().into_iter().flat_map(|more| more.iter()))
    }
}

impl Slot {
    #[inline]
    fn if_at_once(&self, origin: Origin<'_>) -> Option<(&Source, &Tally)> {
        self.if_source(|source| origin.is_at_once(source))
    }

    #[inline]
    fn if_source(&self, is_it: impl FnOnce(&Source) -> bool) -> Option<(&Source, &Tally)> {
        let source = self.source.get()?;
        is_it(source).then_some((source, &self.tally))
    }

    /// Takes the count, and its source.
    pub(super) fn take(&self) -> Option<(Source, Count)> {
        let count = self.tally.take()?;
        Some((self.source.get().cloned().unwrap_or_default(), count))
    }
}

impl Tally {
    /// Counts one more.
    #[inline]
    pub(super) fn add(&self, now: Timestamp) -> Added {
        let word = self.word.load(Ordering::Relaxed);
        if has_room_on(word, now.as_millis()) {
            self.note_last(now.as_millis());
            if self.word.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Added::More;
            }
        }
        self.add_slowly(now.as_millis())
    }

    /// The first count of a day, or one at the same time as another thread.
    #[cold]
    fn add_slowly(&self, now: i64) -> Added {
        // Days go up to 2,932,896.
        let day = u64::from(day_of(now).unsigned_abs());
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (next, added) = if word & COUNT == 0 {
                self.first_at.store(now, Ordering::Relaxed);
                // The last time may have come from a wrong clock, and be later than this one.
                self.last_at.store(now, Ordering::Relaxed);
                (day << COUNT_BITS | 1, Added::First)
            } else if has_room_on(word, now) {
                (word + 1, Added::More)
            } else {
                return Added::Not;
            };
            self.note_last(now);
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return added,
                Err(stands) => word = stands,
            }
        }
    }

    /// Written only when the millisecond changes: a write costs more than the rest.
    #[inline]
    fn note_last(&self, now: i64) {
        if self.last_at.load(Ordering::Relaxed) < now {
            self.last_at.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Takes the count, if there is any, and starts again at zero.
    pub(super) fn take(&self) -> Option<Count> {
        self.take_while(|| ())
    }

    /// The same, with a function that runs meanwhile, for tests.
    fn take_while(&self, meanwhile: impl FnOnce()) -> Option<Count> {
        // No counts: otherwise later counts would be taken with the first time of earlier ones.
        if self.word.load(Ordering::Acquire) & COUNT == 0 {
            return None;
        }
        // Read before the count is taken: after that, the first time of the next count may be written.
        let first_at = self.first_at.load(Ordering::Relaxed);
        meanwhile();
        let word = self.word.swap(0, Ordering::AcqRel);
        let last_at = self.last_at.load(Ordering::Relaxed);
        let (day, count) = ((word >> COUNT_BITS) as i32, (word & COUNT) as i64);
        // A thread that counted on another day at the same moment may have left its time.
        let (begins, ends) = bounds_of(day);
        let (first_at, last_at) = (first_at.min(last_at).clamp(begins, ends), last_at.clamp(begins, ends));
        (count > 0).then_some(Count { count, first_at, last_at })
    }
}

/// Whether there are counts of this time's day, and one more fits. Runs on each check: it multiplies, because finding
/// the day of a time takes a division.
#[inline]
const fn has_room_on(word: u64, now: i64) -> bool {
    let (begins, _) = bounds_of((word >> COUNT_BITS) as i32);
    let count = word & COUNT;
    now.wrapping_sub(begins) as u64 <= LAST_OF_DAY && count != 0 && count != COUNT
}

/// The last millisecond of a day, from its first.
const LAST_OF_DAY: u64 = bounds_of(0).1 as u64;

impl Count {
    pub(super) const fn once(now: Timestamp) -> Self {
        Self { count: 1, first_at: now.as_millis(), last_at: now.as_millis() }
    }

    /// The day.
    pub(super) const fn day(&self) -> i32 {
        day_of(self.last_at)
    }

    /// The same count, with no time after `now`: a clock was ahead, and has been corrected.
    pub(super) fn not_after(self, now: Timestamp) -> Self {
        let now = now.as_millis();
        Self { first_at: self.first_at.min(now), last_at: self.last_at.min(now), ..self }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.first_at = self.first_at.min(more.first_at);
        self.last_at = self.last_at.max(more.last_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_a_tally_is_taken_has_its_own_first_time() {
        let now = Timestamp::from_millis(1_772_366_400_000).unwrap();
        let tally = Tally::default();
        let taken = tally.take_while(|| assert_eq!(tally.add(now), Added::First));
        // There was no count when it began; a later one is taken the next time.
        assert_eq!(taken.or_else(|| tally.take()).unwrap_or(Count::once(now)), Count::once(now));
    }

    #[test]
    fn a_clock_that_was_ahead_and_is_set_right_leaves_no_time_behind() {
        let (tally, right) = (Tally::default(), Timestamp::from_millis(1_772_366_400_000).unwrap());
        let wrong = right.saturating_add(std::time::Duration::from_secs(55 * 86_400));
        tally.add(wrong);
        assert_eq!(tally.take().unwrap().not_after(right), Count::once(right));
        tally.add(right);
        assert_eq!(tally.take().unwrap(), Count::once(right));
    }

    #[test]
    fn a_count_beyond_the_greatest_number_stays_there() {
        let once = Count::once(Timestamp::MIN);
        let mut count = Count { count: i64::MAX, ..once };
        count.add(once);
        assert_eq!(count.count, i64::MAX);
    }

    #[test]
    fn what_comes_on_another_day_is_not_added() {
        let (before, after) =
            (Timestamp::from_millis(86_399_999).unwrap(), Timestamp::from_millis(86_400_000).unwrap());
        let tally = Tally::default();
        assert_eq!([tally.add(before), tally.add(before)], [Added::First, Added::More]);
        assert_eq!(tally.add(after), Added::Not);
        assert_eq!(tally.take(), Some(Count { count: 2, ..Count::once(before) }));
        assert_eq!([tally.add(after), tally.add(before)], [Added::First, Added::Not]);
        assert_eq!(tally.take(), Some(Count::once(after)));
        assert_eq!(tally.take(), None);
    }

    #[test]
    fn a_full_count_is_taken_first() {
        let tally = Tally::default();
        tally.add(Timestamp::MAX);
        tally.word.fetch_or(COUNT, Ordering::Relaxed);
        assert_eq!(tally.add(Timestamp::MAX), Added::Not);
        assert_eq!(tally.take().unwrap().count, COUNT as i64);
        assert_eq!(tally.add(Timestamp::MAX), Added::First);
        assert_eq!(tally.take(), Some(Count::once(Timestamp::MAX)));
    }
}
