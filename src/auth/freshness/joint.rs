use std::{
    future::{Future, poll_fn},
    mem,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::{deadline::Deadline, wait::Round};
use crate::store::StoreError;

/// Shared reads: a caller that asks during a read waits for the next one, which begins after it asked.
///
/// A request that is alone drives its read itself. Once others wait, or the request is dropped, a task does: a request
/// that is dropped or not polled must not take the others' read away.
pub(super) struct JointReads<T> {
    state: Mutex<State<T>>,
    /// The read, while the only waiting request drives it.
    alone: Mutex<Alone<T>>,
}

/// A read that a request drives.
enum Alone<T> {
    /// No read, or a task drives it.
    Nothing,
    /// Between two polls.
    Resting(Driven<T>),
    /// It is being polled, outside the lock. A request that wants to take over leaves its runtime here.
    Polled { round: Arc<Round<T>>, wanted: Option<Handle> },
}

/// A read, and the request that drives it.
struct Driven<T> {
    running: BoxFuture<'static, ()>,
    driver: Waker,
    /// What that request waits for. It may be polled when it no longer drives the read, and another request does.
    round: Arc<Round<T>>,
}

struct State<T> {
    is_running: bool,
    /// Whether a request drives the read, and no other waits for it.
    is_alone: bool,
    /// Whether other requests came since it began.
    is_shared: bool,
    /// The number of the task that reads, after all before it.
    task: u64,
    /// When that task last worked.
    seen_at: Option<Instant>,
    /// The next read, if a request waits for it.
    next: Option<Arc<Round<T>>>,
}

/// Why the log was not read.
pub(in crate::auth) enum Unread {
    /// It took too long for this request.
    Late(StoreError),
    /// It cannot be read, which concerns every request.
    Outage(Arc<StoreError>),
}

/// The source that is read.
pub(super) trait JointReader: Send + Sync + 'static {
    /// The result of a read.
    type Read: Clone + Send + Sync;

    fn reads(&self) -> &JointReads<Self::Read>;

    /// A read that is driven shows work within this time.
    fn patience(&self) -> Duration;

    /// How long a read waits for others to join it.
    fn coalescing(&self) -> Duration;

    /// Reads, and notes the outcome.
    fn read_once(self: &Arc<Self>) -> impl Future<Output = Result<Self::Read, Arc<StoreError>>> + Send;
}

/// Waits for a read that begins after this call.
pub(super) async fn join<R: JointReader>(of: &Arc<R>, deadline: Deadline) -> Result<R::Read, Unread> {
    let Ok(runtime) = Handle::try_current() else {
        return Err(Unread::Late(StoreError::unavailable("there is no tokio runtime")));
    };
    let (round, task, is_alone) = {
        let mut state = of.reads().state();
        let round = Arc::clone(state.next.get_or_insert_default());
        let task = state.first_task();
        (round, task, mem::take(&mut state.is_alone))
    };
    if is_alone {
        take_over(of, &runtime);
    }
    let waiting = async {
        match task {
            None => round.wait(deadline.at()).await,
            Some(task) => drive(of, task, &round, deadline, runtime).await,
        }
    };
    // A runtime without time panics here.
    match AssertUnwindSafe(waiting).catch_unwind().await {
        Ok(Some(outcome)) => outcome.map_err(Unread::Outage),
        Ok(None) => {
            // The reading task may be stalled: it belongs to the runtime of an earlier request, which may not be driven
            // any more. Then another task takes over.
            let task = of.reads().state().task_after(of.patience());
            if let Some(task) = task {
                tokio::spawn(run(of, task));
            }
            Err(Unread::Late(StoreError::unavailable("the read of the change log took too long")))
        }
        Err(_) => Err(Unread::Late(StoreError::unavailable("the runtime has no time"))),
    }
}

/// Drives the read while it waits, unless others wait too.
async fn drive<R: JointReader>(
    of: &Arc<R>,
    task: u64,
    round: &Arc<Round<R::Read>>,
    deadline: Deadline,
    runtime: Handle,
) -> Option<Result<R::Read, Arc<StoreError>>> {
    let reads = of.reads();
    let driven = Driven { running: run(of, task), driver: Waker::noop().clone(), round: Arc::clone(round) };
    *reads.alone() = Alone::Resting(driven);
    if !reads.state().stays_alone() {
        reads.leave_to_task(&runtime);
        return round.wait(deadline.at()).await;
    }
    let _driving = Driving { reads, round, runtime };
    // A read has its own time limit, which is checked while it is driven.
    let mut late = pin!((deadline.left() < of.patience()).then(|| sleep_until(deadline.at())));
    let mut wait = pin!(round.wait(deadline.at()));
    let ended = poll_fn(|context| {
        if !reads.poll_alone(round, context) || round.has_ended() {
            // Not before: the end of the round wakes those who wait for it.
            return wait.as_mut().poll(context);
        }
        late.as_mut().as_pin_mut().map_or(Poll::Pending, |late| late.poll(context).map(|()| None))
    })
    .await;
    if let Some(Err(_)) = &ended {
        // Lets the prober run: a single failure costs only this request.
        tokio::task::yield_now().await;
    }
    ended
}

/// Has a task continue the read that a request drove alone. If that request was not polled for too long, the task
/// starts a new read: an answer that the store gave meanwhile would look late.
fn take_over<R: JointReader>(of: &Arc<R>, runtime: &Handle) {
    let reads = of.reads();
    // Twice the longest time: a busy machine is not an abandoned request.
    let task = reads.state().task_after(of.patience().saturating_mul(2));
    match task {
        None => reads.leave_to_task(runtime),
        Some(task) => {
            let late = mem::replace(&mut *reads.alone(), Alone::Nothing);
            runtime.spawn(run(of, task));
            if let Alone::Resting(Driven { driver, .. }) = late {
                driver.wake();
            }
        }
    }
}

fn run<R: JointReader>(of: &Arc<R>, task: u64) -> BoxFuture<'static, ()> {
    Running { of: Arc::clone(of), task, is_done: false }.run().boxed()
}

impl<T> JointReads<T> {
    /// Polls the read that a request drives alone. Returns whether the caller waiting for this round still drives it.
    fn poll_alone(&self, round: &Arc<Round<T>>, context: &mut Context<'_>) -> bool {
        let Some(mut driven) = self.take(round, Alone::Polled { round: Arc::clone(round), wanted: None }) else {
            return false;
        };
        let is_pending = driven.running.as_mut().poll(context).is_pending();
        let mut alone = self.alone();
        let wanted = match &mut *alone {
            Alone::Polled { round: polled, wanted } if Arc::ptr_eq(polled, round) => wanted.take(),
            // Replaced by another read meanwhile.
            _ => return false,
        };
        *alone = Alone::Nothing;
        match wanted {
            None if is_pending => {
                driven.driver.clone_from(context.waker());
                *alone = Alone::Resting(driven);
                true
            }
            Some(runtime) if is_pending => {
                drop(alone);
                runtime.spawn(driven.running);
                false
            }
            _ => false,
        }
    }

    /// The read that this request drives, if it does and is not polling it. `next` replaces it.
    fn take(&self, round: &Arc<Round<T>>, next: Alone<T>) -> Option<Driven<T>> {
        let mut alone = self.alone();
        match mem::replace(&mut *alone, next) {
            Alone::Resting(driven) if Arc::ptr_eq(&driven.round, round) => Some(driven),
            another => {
                *alone = another;
                None
            }
        }
    }

    /// Gives the read that a request drives alone to a task.
    fn leave_to_task(&self, runtime: &Handle) {
        let mut alone = self.alone();
        match mem::replace(&mut *alone, Alone::Nothing) {
            Alone::Resting(driven) => {
                drop(alone);
                driven.go_on(runtime);
            }
            Alone::Polled { round, .. } => *alone = Alone::Polled { round, wanted: Some(runtime.clone()) },
            Alone::Nothing => {}
        }
    }

    fn alone(&self) -> MutexGuard<'_, Alone<T>> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for JointReads<T> {
    fn default() -> Self {
        let state = State { is_running: false, is_alone: false, is_shared: false, task: 0, seen_at: None, next: None };
        Self { state: Mutex::new(state), alone: Mutex::new(Alone::Nothing) }
    }
}

impl<T> State<T> {
    /// The number of a new task, unless there is one.
    fn first_task(&mut self) -> Option<u64> {
        if mem::replace(&mut self.is_running, true) {
            self.is_shared = true;
            return None;
        }
        self.is_shared = false;
        self.seen_at = Some(Instant::now());
        Some(self.task)
    }

    /// Whether no request came since this task began. A later one finds it alone.
    const fn stays_alone(&mut self) -> bool {
        self.is_alone = !self.is_shared;
        self.is_alone
    }

    /// The number of a new task, unless the existing one has worked within this time.
    fn task_after(&mut self, patience: Duration) -> Option<u64> {
        if !self.is_running || self.seen_at.is_some_and(|seen| seen.elapsed() < patience) {
            return None;
        }
        self.task += 1;
        self.seen_at = Some(Instant::now());
        Some(self.task)
    }
}

impl<T> Driven<T> {
    /// Continues in a task; the request now waits with the others.
    fn go_on(self, runtime: &Handle) {
        runtime.spawn(self.running);
        self.driver.wake();
    }
}

/// A request that reads for itself. When it ends or is dropped, its read continues without it.
struct Driving<'a, T> {
    reads: &'a JointReads<T>,
    round: &'a Arc<Round<T>>,
    runtime: Handle,
}

impl<T> Drop for Driving<'_, T> {
    fn drop(&mut self) {
        if let Some(driven) = self.reads.take(self.round, Alone::Nothing) {
            driven.go_on(&self.runtime);
        }
    }
}

/// The task that reads. No matter how it ends, by running out of work, by a panic or with its runtime: no request waits
/// for it in vain, and the next request starts another.
struct Running<R: JointReader> {
    of: Arc<R>,
    task: u64,
    is_done: bool,
}

impl<R: JointReader> Running<R> {
    async fn run(mut self) {
        loop {
            let coalescing = self.of.coalescing();
            if !coalescing.is_zero() {
                tokio::time::sleep(coalescing).await;
            }
            let Some(round) = self.next() else { break };
            let read = ReadUnderWay(round);
            let outcome = self.of.read_once().await;
            // Requests that wait for the next read need not find out for themselves.
            if let Err(error) = &outcome
                && let Some(next) = self.next()
            {
                drop(next.end(|| Err(Arc::clone(error))));
            }
            drop(read.0.end(|| outcome));
            if self.is_done {
                break;
            }
        }
    }

    /// The round that waits for the next read. If there is none, ends the task under the same lock.
    fn next(&mut self) -> Option<Arc<Round<R::Read>>> {
        let mut state = self.of.reads().state();
        if state.task != self.task {
            self.is_done = true;
            return None;
        }
        state.seen_at = Some(Instant::now());
        let next = state.next.take();
        if next.is_none() {
            (state.is_running, state.is_alone) = (false, false);
            self.is_done = true;
        }
        next
    }
}

impl<R: JointReader> Drop for Running<R> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut state = self.of.reads().state();
            if state.task == self.task {
                (state.is_running, state.is_alone) = (false, false);
                drop(state.next.take().map(ReadUnderWay));
            }
        }
    }
}

/// A read that is running. No matter how it ends, by a panic or with its runtime: no request waits for it in vain.
struct ReadUnderWay<T: Clone>(Arc<Round<T>>);

impl<T: Clone> Drop for ReadUnderWay<T> {
    fn drop(&mut self) {
        drop(self.0.end(|| Err(Arc::new(StoreError::unavailable("the read of the change log was lost")))));
    }
}
