use std::{
    mem,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    breaker::{Breaker, Probed, start_probing},
    deadline::Deadline,
    wait::Round,
};
use crate::{
    auth::{cache::ProofCache, meter::Meter, trouble::Trouble},
    log::{Repeated, log},
    store::{Calls, Changes, Head, HeadCell, KeyReader, Lease, Moment, StoreError},
    time::Clock,
};

/// A log that goes on tells a reader of so many changes; one that is further behind may be told to begin anew without
/// anything being wrong.
const FAR_BEHIND: i64 = 1_000;

/// Brings what the store's change log says into the cache. Reads are shared: whoever asks while one is under way waits
/// for the next, which begins after they asked.
pub(in crate::auth) struct LogReader<R> {
    store: Calls<Arc<R>>,
    cache: Arc<ProofCache>,
    clock: Arc<dyn Clock>,
    lease: Arc<Lease>,
    meter: Arc<Meter>,
    /// How long a read waits for others to join it.
    coalescing: Duration,
    /// The head up to which changes are in the cache, once there is one.
    applied: HeadCell,
    is_applied: AtomicBool,
    reads: Mutex<Reads>,
    /// The log cannot be read.
    breaker: Breaker,
    reset: Repeated,
    lost: Repeated,
}

#[derive(Default)]
struct Reads {
    is_running: bool,
    /// Which task reads, by the number of those before it.
    task: u64,
    /// When that task was last seen at work.
    seen_at: Option<Instant>,
    /// The next read, if anybody waits for it.
    next: Option<Arc<Round<Currency>>>,
}

/// Why the log was not read.
pub(in crate::auth) enum Unread {
    /// It takes too long, for this request.
    Late(StoreError),
    /// It cannot be read, which concerns every request.
    Outage(Arc<StoreError>),
}

/// What a read of the change log proves of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Currency {
    /// What is marked current, is.
    Tracked,
    /// Nothing: the store keeps no log.
    Untracked,
}

impl<R: KeyReader> LogReader<R> {
    pub(in crate::auth) fn new(
        store: Arc<R>,
        cache: Arc<ProofCache>,
        clock: Arc<dyn Clock>,
        lease: Arc<Lease>,
        meter: Arc<Meter>,
        trouble: Arc<Trouble>,
        [timeout, coalescing]: [Duration; 2],
    ) -> Self {
        Self {
            store: Calls::new(store, timeout),
            cache,
            clock,
            lease,
            meter,
            coalescing,
            applied: HeadCell::new(Head::EMPTY),
            is_applied: AtomicBool::new(false),
            reads: Mutex::default(),
            breaker: Breaker::new(trouble),
            reset: Repeated::new(),
            lost: Repeated::new(),
        }
    }

    /// Whether the store can say at once that it has nothing new.
    pub(in crate::auth) fn is_current_now(&self) -> bool {
        self.store.try_head().is_some_and(|head| self.applied() == Some(head))
    }

    /// Waits, as long as a request may, for a read of the change log that begins after this call, and for the cache to
    /// know what it brought. While the log is known not to be readable, nobody waits.
    pub(in crate::auth) async fn read(self: &Arc<Self>, deadline: Deadline) -> Result<Currency, Unread> {
        if let Some(failure) = self.failure() {
            return Err(Unread::Outage(failure));
        }
        self.join(deadline).await
    }

    /// The same for a task that no request waits for.
    pub(in crate::auth) async fn refresh(self: &Arc<Self>) {
        if self.failure().is_none() {
            drop(self.join(Deadline::after(self.patience() * 2)).await);
        }
    }

    /// Why the log cannot be read, if that is known.
    pub(in crate::auth) fn failure(self: &Arc<Self>) -> Option<Arc<StoreError>> {
        let failure = self.breaker.failure()?;
        start_probing(self);
        Some(failure)
    }

    async fn join(self: &Arc<Self>, deadline: Deadline) -> Result<Currency, Unread> {
        let (round, task) = {
            let mut reads = self.reads();
            (Arc::clone(reads.next.get_or_insert_default()), reads.first_task())
        };
        if let Some(task) = task {
            self.start(task);
        }
        // A runtime without time panics here.
        match AssertUnwindSafe(round.wait(deadline.at())).catch_unwind().await {
            Ok(Some(outcome)) => outcome.map_err(Unread::Outage),
            Ok(None) => {
                // The task may stand still: it is part of the runtime of a request that came before, which nobody may be
                // driving any more. Then another one takes over.
                let task = self.reads().task_after(self.patience());
                if let Some(task) = task {
                    self.start(task);
                }
                Err(Unread::Late(StoreError::unavailable("the read of the change log took too long")))
            }
            Err(_) => Err(Unread::Late(StoreError::unavailable("the runtime has no time"))),
        }
    }

    fn start(self: &Arc<Self>, task: u64) {
        // Not the request's own future: whoever drops that must not take the others' read away.
        tokio::spawn(Running { reader: Arc::clone(self), task, is_done: false }.run());
    }

    /// Within this time a task that is driven is seen at work.
    fn patience(&self) -> Duration {
        self.store.limit().saturating_add(self.coalescing)
    }

    async fn read_once(&self) -> Result<Currency, StoreError> {
        let start = Moment::now(&*self.clock);
        let reads = &self.meter.freshness_reads;
        reads.begin();
        match self.read_from(start).await {
            Ok(currency) => {
                reads.succeed(start);
                Ok(currency)
            }
            Err(error) => {
                reads.fail();
                Err(error)
            }
        }
    }

    async fn read_from(&self, start: Moment) -> Result<Currency, StoreError> {
        let changes = self.store.changes_since(self.applied()).await?;
        let head = match changes {
            Changes::Untracked => return Ok(Currency::Untracked),
            Changes::Unchanged => None,
            Changes::Changed { head, keys, owners, organizations } => {
                keys.iter().for_each(|key| self.cache.key_changed(key));
                owners.iter().for_each(|owner| self.cache.owner_changed(owner));
                organizations.iter().for_each(|organization| self.cache.organization_changed(organization));
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
        // Two servers that answer in turns are told apart by each read.
        let repeated = if is_lost { &self.lost } else { &self.reset };
        let Some(_times) = repeated.happened() else { return };
        if is_lost {
            log!(
                error,
                position = before.position,
                position_now = now.position,
                times = _times,
                "the change log does not go on from where it was: the key store lost changes; repeat the last revocations"
            );
        } else {
            log!(
                warn,
                position = before.position,
                position_now = now.position,
                times = _times,
                "the change log begins anew"
            );
        }
    }

    pub(in crate::auth) fn store(&self) -> Arc<R> {
        Arc::clone(self.store.inner())
    }

    /// The head up to which changes are in the cache.
    pub(in crate::auth) fn applied(&self) -> Option<Head> {
        self.is_applied.load(Ordering::Acquire).then(|| self.applied.head())
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reads {
    /// The number of a new task, unless there is one.
    fn first_task(&mut self) -> Option<u64> {
        if mem::replace(&mut self.is_running, true) {
            return None;
        }
        self.seen_at = Some(Instant::now());
        Some(self.task)
    }

    /// The number of a new task, unless the one there is was seen at work within this time.
    fn task_after(&mut self, patience: Duration) -> Option<u64> {
        if !self.is_running || self.seen_at.is_some_and(|seen| seen.elapsed() < patience) {
            return None;
        }
        self.task += 1;
        self.seen_at = Some(Instant::now());
        Some(self.task)
    }
}

impl<R: KeyReader> Probed for LogReader<R> {
    fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    fn limit(&self) -> Duration {
        self.patience()
    }

    async fn probe(self: &Arc<Self>) {
        // The task that reads tells the breaker.
        drop(self.join(Deadline::after(self.patience() * 2)).await);
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
            let outcome = self.reader.read_once().await.map_err(Arc::new);
            match &outcome {
                Ok(_) => self.reader.breaker.is_free(),
                Err(error) => {
                    self.reader.breaker.is_blocked(error);
                    start_probing(&self.reader);
                    // Those who wait for the next read need not find out for themselves.
                    if let Some(next) = self.next() {
                        drop(next.end(|| Err(Arc::clone(error))));
                    }
                }
            }
            drop(read.0.end(|| outcome));
            if self.is_done {
                break;
            }
        }
    }

    /// Who waits for the next read; nobody ends the task, in the same breath.
    fn next(&mut self) -> Option<Arc<Round<Currency>>> {
        let mut reads = self.reader.reads();
        if reads.task != self.task {
            self.is_done = true;
            return None;
        }
        reads.seen_at = Some(Instant::now());
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
        drop(self.0.end(|| Err(Arc::new(StoreError::unavailable("the read of the change log was lost")))));
    }
}
