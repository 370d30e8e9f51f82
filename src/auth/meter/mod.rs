//! The counters behind the metrics, on the path of each check.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

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

/// Counters of hits, one each for up to so many threads.
const LINES: usize = 16;

thread_local! {
    /// Which counter this thread has, given out by turns.
    static LINE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % LINES
    };
}

/// Counts what checks cost and how they end. To count a check takes no lock and no memory.
pub(crate) struct Meter {
    hits: [CacheLine; LINES],
    misses: AtomicU64,
    proofs_at_rest: AtomicU64,
    codes: [AtomicU64; RefusalCode::ALL.len()],
    reasons: [AtomicU64; MalformedReason::ALL.len()],
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

/// A counter that shares no cache line with another: threads would wait for each other's writes. 128 bytes, since
/// processors fetch lines of 64 in pairs.
#[derive(Default)]
#[repr(align(128))]
struct CacheLine(AtomicU64);

impl Meter {
    pub(super) fn new(hasher: Hasher, proofs: Arc<ProofCache>, proof_capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            hits: Default::default(),
            misses: AtomicU64::new(0),
            proofs_at_rest: AtomicU64::new(0),
            codes: Default::default(),
            reasons: Default::default(),
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

    /// What is remembered of this key was enough to judge it.
    pub(super) fn hit(&self) {
        if let Some(line) = self.hits.get(LINE.with(|line| *line)) {
            add(&line.0);
        }
    }

    /// A key had to be looked up.
    pub(super) fn miss(&self) {
        add(&self.misses);
    }

    /// A proof beside the stored hash spared a run.
    pub(super) fn proved_at_rest(&self) {
        add(&self.proofs_at_rest);
    }

    /// The change log began anew; `is_lost` if it is not the one it was.
    pub(super) fn log_reset(&self, is_lost: bool) {
        add(&self.log_resets);
        if is_lost {
            add(&self.log_losses);
        }
    }

    /// A request was refused.
    pub(super) fn refused(&self, code: RefusalCode, reason: Option<MalformedReason>) {
        let counter = match reason {
            Some(reason) => self.reasons.get(reason as usize),
            None => self.codes.get(code as usize),
        };
        counter.map(add);
    }

    pub(super) fn access_log_written(&self, lines: u64) {
        self.access_log_written.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn access_log_dropped(&self, lines: u64) {
        self.access_log_dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Whose figures are among those of the authenticator.
    pub(super) fn watch(&self, usage: &Arc<UsageRecorder>) {
        self.usage.get_or_init(|| Arc::clone(usage));
    }

    /// The present, as it is written down.
    pub(super) fn time(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }

    /// All figures, each as of its own moment.
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
            proof_hits: self.hits.iter().map(|line| value(&line.0)).fold(0, u64::wrapping_add),
            proof_misses: value(&self.misses),
            stored_proofs_used: value(&self.proofs_at_rest),
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
        let codes = RefusalCode::ALL.map(|code| (code, None)).into_iter();
        let reasons = MalformedReason::ALL.map(|reason| (RefusalCode::MalformedKey, Some(reason)));
        let counts = self.codes.iter().chain(&self.reasons).map(value);
        let refusals =
            codes.chain(reasons).zip(counts).map(|((code, reason), count)| RefusalCount { code, reason, count });
        let mut refusals: Vec<_> = refusals.filter(RefusalCount::is_of_a_check).collect();
        refusals.sort_unstable_by_key(|refusal| (refusal.code, refusal.reason));
        refusals
    }
}

/// Something that is done again and again, and fails at times.
#[derive(Default)]
pub(super) struct Attempts {
    begun: AtomicU64,
    failed: AtomicU64,
    is_failing: AtomicBool,
    /// The start of the last one that succeeded.
    last: Mutex<Option<Moment>>,
}

impl Attempts {
    pub(super) fn begin(&self) {
        add(&self.begun);
    }

    /// The attempt that began at `start` succeeded. Returns whether the one before had failed.
    pub(super) fn succeed(&self, start: Moment) -> bool {
        *self.lock() = Some(start);
        // A write to a line that others read, only when there is something to write.
        self.is_failing.load(Ordering::Relaxed) && self.is_failing.swap(false, Ordering::Relaxed)
    }

    /// An attempt failed. Returns whether it is the first to.
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
