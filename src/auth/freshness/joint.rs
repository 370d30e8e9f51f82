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

/// Reads that are shared: whoever asks while one is under way waits for the next, which begins after they asked.
///
/// A request that is alone drives its read itself. Once others wait, or it is dropped, a task does: whoever drops a
/// request, or does not poll it, must not take the others' read away.
pub(super) struct JointReads<T> {
    state: Mutex<State<T>>,
    /// While the only request that waits drives what reads.
    alone: Mutex<Alone<T>>,
}

/// What reads, while a request drives it.
enum Alone<T> {
    /// Nothing, or a task does.
    Nothing,
    /// Between two polls.
    Resting(Driven<T>),
    /// It is being polled, outside of the lock. Whoever wants to take over leaves a runtime for it.
    Polled { round: Arc<Round<T>>, wanted: Option<Handle> },
}

/// What reads, and the request that drives it.
struct Driven<T> {
    running: BoxFuture<'static, ()>,
    driver: Waker,
    /// What that request waits for. It may be polled when it drives no more, and another one does.
    round: Arc<Round<T>>,
}

struct State<T> {
    is_running: bool,
    /// Whether that is driven by a request, which nobody else waits with.
    is_alone: bool,
    /// Whether others came since it began to run.
    is_shared: bool,
    /// What reads, by the number of those before it.
    task: u64,
    /// When that was last seen at work.
    seen_at: Option<Instant>,
    /// The next read, if anybody waits for it.
    next: Option<Arc<Round<T>>>,
}

/// Why the log was not read.
pub(in crate::auth) enum Unread {
    /// It takes too long, for this request.
    Late(StoreError),
    /// It cannot be read, which concerns every request.
    Outage(Arc<StoreError>),
}

/// Who reads.
pub(super) trait JointReader: Send + Sync + 'static {
    /// What a read brings.
    type Read: Clone + Send + Sync;

    fn reads(&self) -> &JointReads<Self::Read>;

    /// Within this time a read that is driven is seen at work.
    fn patience(&self) -> Duration;

    /// How long a read waits for others to join it.
    fn coalescing(&self) -> Duration;

    /// Reads, and notes how that ended.
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
            // What reads may stand still: it is part of the runtime of a request that came before, which nobody may be
            // driving any more. Then another task takes over.
            let task = of.reads().state().task_after(of.patience());
            if let Some(task) = task {
                tokio::spawn(run(of, task));
            }
            Err(Unread::Late(StoreError::unavailable("the read of the change log took too long")))
        }
        Err(_) => Err(Unread::Late(StoreError::unavailable("the runtime has no time"))),
    }
}

/// Reads while it waits, unless others wait too.
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
    // A read ends in its own time, which is looked at as long as it is driven.
    let mut late = pin!((deadline.left() < of.patience()).then(|| sleep_until(deadline.at())));
    let mut wait = pin!(round.wait(deadline.at()));
    let ended = poll_fn(|context| {
        if !reads.poll_alone(round, context) || round.has_ended() {
            // Not before: whoever waits for the round is woken by its end.
            return wait.as_mut().poll(context);
        }
        late.as_mut().as_pin_mut().map_or(Poll::Pending, |late| late.poll(context).map(|()| None))
    })
    .await;
    if let Some(Err(_)) = &ended {
        // The task that tries again has its turn: what failed once costs this request only.
        tokio::task::yield_now().await;
    }
    ended
}

/// Has a task go on with what a request drove alone; or begin anew, if nobody polled that request for too long: what the
/// store said meanwhile would pass for late.
fn take_over<R: JointReader>(of: &Arc<R>, runtime: &Handle) {
    let reads = of.reads();
    // Twice what it may take, since a busy machine is no request that nobody polls.
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
    /// Whether the one who waits for this round still has something to drive.
    fn poll_alone(&self, round: &Arc<Round<T>>, context: &mut Context<'_>) -> bool {
        let Some(mut driven) = self.take(round, Alone::Polled { round: Arc::clone(round), wanted: None }) else {
            return false;
        };
        let is_pending = driven.running.as_mut().poll(context).is_pending();
        let mut alone = self.alone();
        let wanted = match &mut *alone {
            Alone::Polled { round: polled, wanted } if Arc::ptr_eq(polled, round) => wanted.take(),
            // Given up meanwhile, for another one.
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

    /// What this request drives, if it does and is not polling it. `next` takes its place.
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

    /// Leaves what a request drives alone to a task.
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

    /// Whether nobody came since this task was begun. Who comes later finds it alone.
    const fn stays_alone(&mut self) -> bool {
        self.is_alone = !self.is_shared;
        self.is_alone
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

impl<T> Driven<T> {
    /// In a task; the request waits with the others from now on.
    fn go_on(self, runtime: &Handle) {
        runtime.spawn(self.running);
        self.driver.wake();
    }
}

/// A request that reads for itself. When it ends or is dropped, what it drove goes on without it.
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

/// The one that reads. However it ends, by running out of work, by a panic or with its runtime, nobody waits for it
/// in vain and the next to ask starts another.
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
            // Those who wait for the next read need not find out for themselves.
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

    /// Who waits for the next read; nobody ends the task, in the same breath.
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

/// A read under way. However it ends, by a panic or with its runtime, nobody waits for it in vain.
struct ReadUnderWay<T: Clone>(Arc<Round<T>>);

impl<T: Clone> Drop for ReadUnderWay<T> {
    fn drop(&mut self) {
        drop(self.0.end(|| Err(Arc::new(StoreError::unavailable("the read of the change log was lost")))));
    }
}
