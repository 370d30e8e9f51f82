use std::sync::{
    OnceLock,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use super::Source;
use crate::time::Timestamp;

/// How often something happened since it was last asked, and when first and last. Atomics, so that the warm path takes
/// no lock.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: AtomicU64,
    first_at: AtomicI64,
    last_at: AtomicI64,
}

/// What a [`Tally`] came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) count: i64,
    pub(super) first_at: i64,
    pub(super) last_at: i64,
}

/// The successes of one key from the source that used it first.
#[derive(Debug, Default)]
pub(crate) struct KeyUsage {
    pub(super) source: OnceLock<Source>,
    pub(super) tally: Tally,
}

impl Tally {
    /// It happened once more. Whether it is the first time since the tally was taken.
    pub(super) fn add(&self, now: Timestamp) -> bool {
        let now = now.as_millis();
        if self.count.load(Ordering::Relaxed) == 0 {
            self.first_at.store(now, Ordering::Relaxed);
        }
        // Written only when the millisecond turns: it costs more than the rest.
        if self.last_at.load(Ordering::Relaxed) < now {
            self.last_at.fetch_max(now, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::AcqRel) == 0
    }

    /// What came together, if anything, and begins anew.
    pub(super) fn take(&self) -> Option<Count> {
        // Before the count, after which the first of the next ones may be noted.
        let first_at = self.first_at.load(Ordering::Relaxed);
        let count = i64::try_from(self.count.swap(0, Ordering::AcqRel)).unwrap_or(i64::MAX);
        let last_at = self.last_at.load(Ordering::Relaxed);
        (count > 0).then(|| Count { count, first_at: first_at.min(last_at), last_at })
    }
}

impl Count {
    pub(super) const fn once(now: Timestamp) -> Self {
        Self { count: 1, first_at: now.as_millis(), last_at: now.as_millis() }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.count += more.count;
        self.first_at = self.first_at.min(more.first_at);
        self.last_at = self.last_at.max(more.last_at);
    }
}
