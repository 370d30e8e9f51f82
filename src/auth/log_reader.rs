use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;

use super::{cache::ProofCache, meter::Meter, round::Round};
use crate::{
    log::log,
    store::{Changes, Head, HeadCell, KeyReader, Lease, Moment, StoreError, guarded},
    time::Clock,
};

/// A log that goes on tells a reader of so many changes; one that is further behind may be told to begin anew without
/// anything being wrong.
const FAR_BEHIND: i64 = 1_000;

/// Brings what the store's change log says into the cache. Reads are shared: whoever asks while one is under way waits
/// for the next, which begins after they asked.
pub(super) struct LogReader<R> {
    store: Arc<R>,
    cache: Arc<ProofCache>,
    clock: Arc<dyn Clock>,
    lease: Arc<Lease>,
    meter: Arc<Meter>,
    timeout: Duration,
    /// How long a read waits for others to join it.
    coalescing: Duration,
    /// The head up to which changes are in the cache, once there is one.
    applied: HeadCell,
    is_applied: AtomicBool,
    reads: Mutex<Reads>,
}

#[derive(Default)]
struct Reads {
    is_running: bool,
    /// Which task reads, by the number of those before it.
    task: u64,
    /// The next read, if anybody waits for it.
    next: Option<Arc<Round<Currency>>>,
}

/// What a read of the change log proves of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Currency {
    /// What is marked current, is.
    Tracked,
    /// Nothing: the store keeps no log.
    Untracked,
}

impl<R: KeyReader> LogReader<R> {
    pub(super) fn new(
        store: Arc<R>,
        cache: Arc<ProofCache>,
        clock: Arc<dyn Clock>,
        lease: Arc<Lease>,
        meter: Arc<Meter>,
        timeout: Duration,
        coalescing: Duration,
    ) -> Self {
        Self {
            store,
            cache,
            clock,
            lease,
            meter,
            timeout,
            coalescing,
            applied: HeadCell::new(Head::EMPTY),
            is_applied: AtomicBool::new(false),
            reads: Mutex::default(),
        }
    }

    /// Whether the store can say at once that it has nothing new.
    pub(super) fn is_current_now(&self) -> bool {
        // A store that panicked here cannot say: it is asked for its log then.
        let head = catch_unwind(AssertUnwindSafe(|| self.store.head_now())).unwrap_or_default();
        head.is_some_and(|head| self.applied() == Some(head))
    }

    /// Waits for a read of the change log that begins after this call, and for the cache to know what it brought.
    pub(super) async fn read(self: &Arc<Self>) -> Result<Currency, Arc<StoreError>> {
        let (round, task, start) = {
            let mut reads = self.reads();
            let round = Arc::clone(reads.next.get_or_insert_default());
            (round, reads.task, !mem::replace(&mut reads.is_running, true))
        };
        if start {
            self.start(task);
        }
        // Nobody waits for more than the read under way and the next one. If that was not enough, the task stands still:
        // it is part of the runtime of whoever asked first, which nobody may be driving any more.
        let limit = self.timeout.saturating_add(self.coalescing).saturating_mul(3);
        // A runtime without time panics here.
        match AssertUnwindSafe(round.wait(limit)).catch_unwind().await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => self.give_up(&round, task),
            Err(_) => Err(Arc::new(StoreError::unavailable("the runtime has no time"))),
        }
    }

    fn start(self: &Arc<Self>, task: u64) {
        // Not the request's own future: whoever drops that must not take the others' read away.
        tokio::spawn(Running { reader: Arc::clone(self), task, is_done: false }.run());
    }

    /// Lets another task read instead of this one, unless that was done. Whom the old one left waiting is told; who waits
    /// for a read that nobody began is served by the new one, and only this caller is told.
    fn give_up(self: &Arc<Self>, round: &Arc<Round<Currency>>, task: u64) -> Result<Currency, Arc<StoreError>> {
        let late = || StoreError::unavailable("the read of the change log stands still");
        let (is_left, next) = {
            let mut reads = self.reads();
            let is_next = reads.next.as_ref().is_some_and(|next| Arc::ptr_eq(next, round));
            let is_mine = reads.task == task && reads.is_running;
            reads.task += u64::from(is_mine);
            (is_mine && !is_next, is_mine.then_some(reads.task))
        };
        if let Some(next) = next {
            self.start(next);
        }
        if is_left { round.end(|| Err(late())) } else { Err(Arc::new(late())) }
    }

    async fn read_once(&self) -> Result<Currency, StoreError> {
        let start = Moment::now(&*self.clock);
        let reads = &self.meter.freshness_reads;
        reads.begin();
        match self.read_from(start).await {
            Ok(currency) => {
                if reads.succeed(start) {
                    log!(info, "the change log can be read again");
                }
                Ok(currency)
            }
            Err(error) => {
                if reads.fail() {
                    log!(warn, error = &error as &dyn std::error::Error, "the change log cannot be read");
                }
                Err(error)
            }
        }
    }

    async fn read_from(&self, start: Moment) -> Result<Currency, StoreError> {
        let changes = guarded(self.timeout, || self.store.changes_since(self.applied())).await?;
        let head = match changes {
            Changes::Untracked => return Ok(Currency::Untracked),
            Changes::Unchanged => None,
            Changes::Changed { head, keys, owners } => {
                keys.iter().for_each(|key| self.cache.key_changed(key));
                owners.iter().for_each(|owner| self.cache.owner_changed(owner));
                Some(head)
            }
            Changes::Reset { head } => {
                self.cache.all_changed();
                self.report_reset(head);
                Some(head)
            }
        };
        if let Some(head) = head {
            // After the cache knows: who sees this head sees what it brought.
            self.applied.set(head);
            self.is_applied.store(true, Ordering::Release);
        }
        self.lease.renew(start);
        Ok(Currency::Tracked)
    }

    /// Where this node knew a place in the log, a reset means that it fell far behind, that many things changed at once, or
    /// that the log is not the one it was: of a restored backup, or of a standby that had not received all of it.
    fn report_reset(&self, now: Head) {
        let Some(before) = self.applied() else { return };
        let is_near = now.position.saturating_sub(before.position) < FAR_BEHIND;
        // At the very place where it was, the log is the one it was; and an empty one had nothing to lose.
        let is_lost = is_near && now != before && before != Head::EMPTY;
        self.meter.log_reset(is_lost);
        if is_lost {
            log!(
                error,
                position = before.position,
                position_now = now.position,
                "the change log does not go on from where it was: the key store lost changes; repeat the last revocations"
            );
        } else {
            log!(warn, position = before.position, position_now = now.position, "the change log begins anew");
        }
    }

    pub(super) fn store(&self) -> Arc<R> {
        Arc::clone(&self.store)
    }

    /// The head up to which changes are in the cache.
    pub(super) fn applied(&self) -> Option<Head> {
        self.is_applied.load(Ordering::Acquire).then(|| self.applied.head())
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one task that reads. However it ends, by running out of work, by a panic or with its runtime, nobody waits for it
/// in vain and the next to ask starts another.
struct Running<R: KeyReader> {
    reader: Arc<LogReader<R>>,
    task: u64,
    is_done: bool,
}

impl<R: KeyReader> Running<R> {
    async fn run(mut self) {
        loop {
            if !self.reader.coalescing.is_zero() {
                tokio::time::sleep(self.reader.coalescing).await;
            }
            let Some(round) = self.next() else { break };
            let read = Read(round);
            let outcome = self.reader.read_once().await;
            drop(read.0.end(|| outcome));
        }
    }

    /// Who waits for the next read; nobody ends the task, in the same breath.
    fn next(&mut self) -> Option<Arc<Round<Currency>>> {
        let mut reads = self.reader.reads();
        if reads.task != self.task {
            self.is_done = true;
            return None;
        }
        let next = reads.next.take();
        if next.is_none() {
            reads.is_running = false;
            self.is_done = true;
        }
        next
    }
}

impl<R: KeyReader> Drop for Running<R> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut reads = self.reader.reads();
            if reads.task == self.task {
                reads.is_running = false;
                drop(reads.next.take().map(Read));
            }
        }
    }
}

/// A read under way. However it ends, by a panic or with its runtime, nobody waits for it in vain.
struct Read(Arc<Round<Currency>>);

impl Drop for Read {
    fn drop(&mut self) {
        drop(self.0.end(|| Err(StoreError::unavailable("the read of the change log was lost"))));
    }
}
