//! The counters behind the metrics, used by each check.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use thread_local::ThreadLocal;

use super::{
    cache::ProofCache,
    metrics::{AuthMetrics, RefusalCount},
};
use crate::{
    hash::Hasher,
    key::MalformedReason,
    metering::UsageRecorder,
    outcome::RefusalCode,
    store::Moment,
    time::{Clock, Timestamp},
};

#[cfg(feature = "metrics")]
use super::publish;

/// Counts what checks cost and how they end. Only the first check of a thread takes a lock or allocates.
pub(crate) struct Meter {
    checks: ThreadLocal<CheckCounts>,
    pub(super) freshness_reads: Attempts,
    log_resets: AtomicU64,
    log_losses: AtomicU64,
    pub(super) usage_flushes: Attempts,
    access_log_written: AtomicU64,
    access_log_dropped: AtomicU64,
    usage: OnceLock<Arc<UsageRecorder>>,
    hasher: Hasher,
    proofs: Arc<ProofCache>,
    proof_capacity: usize,
    clock: Arc<dyn Clock>,
    #[cfg(feature = "metrics")]
    described: std::sync::Once,
}

/// The counts of one thread's checks. In cache lines of their own, so that threads do not wait for each other's writes:
/// 128 bytes, since processors fetch lines of 64 in pairs.
#[derive(Default)]
#[repr(align(128))]
struct CheckCounts {
    hits: OwnCounter,
    misses: OwnCounter,
    proofs_at_rest: OwnCounter,
    codes: [OwnCounter; RefusalCode::ALL.len()],
    reasons: [OwnCounter; MalformedReason::ALL.len()],
}

/// A counter that one thread at a time adds to, while others may read it: a load and a store, at a third of the cost of
/// an atomic addition.
#[derive(Default)]
struct OwnCounter(AtomicU64);

impl OwnCounter {
    fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

impl Meter {
    pub(super) fn new(hasher: Hasher, proofs: Arc<ProofCache>, proof_capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            checks: ThreadLocal::new(),
            freshness_reads: Attempts::default(),
            log_resets: AtomicU64::new(0),
            log_losses: AtomicU64::new(0),
            usage_flushes: Attempts::default(),
            access_log_written: AtomicU64::new(0),
            access_log_dropped: AtomicU64::new(0),
            usage: OnceLock::new(),
            hasher,
            proofs,
            proof_capacity,
            clock,
            #[cfg(feature = "metrics")]
            described: std::sync::Once::new(),
        }
    }

    /// The cache was enough to judge this key.
    pub(super) fn hit(&self) {
        self.checks().hits.add();
    }

    /// A key had to be looked up.
    pub(super) fn miss(&self) {
        self.checks().misses.add();
    }

    /// A proof beside the stored hash saved a run.
    pub(super) fn proved_at_rest(&self) {
        self.checks().proofs_at_rest.add();
    }

    /// The change log was read from the start; `is_lost` if it is not the same log.
    pub(super) fn log_reset(&self, is_lost: bool) {
        add(&self.log_resets);
        if is_lost {
            add(&self.log_losses);
        }
    }

    /// A request was refused.
    pub(super) fn refused(&self, code: RefusalCode, reason: Option<MalformedReason>) {
        let checks = self.checks();
        let counter = match reason {
            Some(reason) => checks.reasons.get(reason as usize),
            None => checks.codes.get(code as usize),
        };
        counter.map(OwnCounter::add);
    }

    /// The counters of this thread. After it ends, a later thread reuses them.
    fn checks(&self) -> &CheckCounts {
        self.checks.get_or_default()
    }

    /// The sum of this counter over all threads.
    fn sum(&self, counter: impl Fn(&CheckCounts) -> Option<&OwnCounter>) -> u64 {
        self.checks.iter().filter_map(counter).map(|counter| value(&counter.0)).fold(0, u64::wrapping_add)
    }

    pub(super) fn access_log_written(&self, lines: u64) {
        self.access_log_written.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn access_log_dropped(&self, lines: u64) {
        self.access_log_dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Adds the figures of this recorder to those of the authenticator.
    pub(super) fn watch(&self, usage: &Arc<UsageRecorder>) {
        self.usage.get_or_init(|| Arc::clone(usage));
    }

    /// The current time, as it is stored.
    pub(super) fn time(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }

    /// All figures, each read at its own moment.
    pub(super) fn read(&self) -> AuthMetrics {
        let queue = self.hasher.queue_figures();
        let (read, flush) = (self.freshness_reads.last(), self.usage_flushes.last());
        AuthMetrics {
            argon2_runs: self.hasher.runs(),
            hashes_queued: queue.queued,
            hash_waits: queue.taken,
            hash_wait_total: queue.total_wait,
            hash_wait_longest: queue.longest_wait,
            hashes_refused: queue.refused,
            hashes_taken_over: queue.taken_over,
            hash_starvation: queue.starved,
            proof_hits: self.sum(|checks| Some(&checks.hits)),
            proof_misses: self.sum(|checks| Some(&checks.misses)),
            stored_proofs_used: self.sum(|checks| Some(&checks.proofs_at_rest)),
            proofs_remembered: self.proofs.len(),
            proof_capacity: self.proof_capacity,
            refusals: self.refusals(),
            freshness_reads: value(&self.freshness_reads.begun),
            freshness_reads_failed: value(&self.freshness_reads.failed),
            log_resets: value(&self.log_resets),
            log_losses: value(&self.log_losses),
            last_freshness_read: read.map(|read| read.wall),
            last_freshness_read_age: read.map(|read| read.monotonic.elapsed()),
            usage_flushes: value(&self.usage_flushes.begun),
            usage_flushes_failed: value(&self.usage_flushes.failed),
            last_usage_flush: flush.map(|flush| flush.wall),
            usage_refused: self.usage.get().map_or(0, |usage| usage.refused()),
            owners_missing: self.usage.get().and_then(|usage| usage.missing().sum()),
            usage_sources_folded: self.usage.get().map_or(0, |usage| usage.folded()),
            access_log_written: value(&self.access_log_written),
            access_log_dropped: value(&self.access_log_dropped),
        }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn publish(&self) {
        let metrics = self.read();
        self.described.call_once(|| publish::describe(&metrics));
        publish::publish(&metrics);
    }

    fn refusals(&self) -> Vec<RefusalCount> {
        let codes = RefusalCode::ALL.into_iter().map(|code| {
            let count = self.sum(|checks| checks.codes.get(code as usize));
            RefusalCount { code, reason: None, count }
        });
        let reasons = MalformedReason::ALL.into_iter().map(|reason| {
            let count = self.sum(|checks| checks.reasons.get(reason as usize));
            RefusalCount { code: RefusalCode::MalformedKey, reason: Some(reason), count }
        });
        let mut refusals: Vec<_> = codes.chain(reasons).filter(RefusalCount::is_of_a_check).collect();
        refusals.sort_unstable_by_key(|refusal| (refusal.code, refusal.reason));
        refusals
    }
}

/// A repeated action that fails at times.
#[derive(Default)]
pub(super) struct Attempts {
    begun: AtomicU64,
    failed: AtomicU64,
    is_failing: AtomicBool,
    /// The start of the last success.
    last: Mutex<Option<Moment>>,
}

impl Attempts {
    pub(super) fn begin(&self) {
        add(&self.begun);
    }

    /// The attempt that began at `start` succeeded. Returns whether the one before had failed.
    pub(super) fn succeed(&self, start: Moment) -> bool {
        *self.lock() = Some(start);
        // Others read this cache line: it is written only if there is something to write.
        self.is_failing.load(Ordering::Relaxed) && self.is_failing.swap(false, Ordering::Relaxed)
    }

    /// An attempt failed. Returns whether the one before had not.
    pub(super) fn fail(&self) -> bool {
        add(&self.failed);
        !self.is_failing.swap(true, Ordering::Relaxed)
    }

    fn last(&self) -> Option<Moment> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Moment>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests;
