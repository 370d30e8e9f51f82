use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use crate::{auth::trouble::Trouble, store::StoreError};

/// The pause between a failed attempt and the next one.
const PAUSE: Duration = Duration::from_millis(100);

/// A way to the store. While it is known to be blocked, requests are refused at once instead of finding out one by one,
/// and one task tries again and again. The first success opens the way.
pub(in crate::auth) struct Breaker {
    trouble: Arc<Trouble>,
    /// Whether there is anything in the state, so that a request need not look.
    is_watched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What failed last, while the way is blocked.
    failure: Option<Arc<StoreError>>,
    prober: Option<Prober>,
    /// The number of the next prober.
    next: u64,
}

/// The task that tries again.
struct Prober {
    number: u64,
    /// When it last worked.
    seen_at: Instant,
}

/// What the breaker protects.
pub(in crate::auth) trait Probed: Send + Sync + 'static {
    fn breaker(&self) -> &Breaker;

    /// The longest time that an attempt takes.
    fn limit(&self) -> Duration;

    /// Tries, and tells the breaker the result.
    fn probe(self: &Arc<Self>) -> impl Future<Output = ()> + Send;
}

impl Breaker {
    pub(in crate::auth) fn new(trouble: Arc<Trouble>) -> Self {
        Self { trouble, is_watched: AtomicBool::new(false), state: Mutex::default() }
    }

    /// What failed last, if the way is blocked.
    pub(in crate::auth) fn failure(&self) -> Option<Arc<StoreError>> {
        if !self.is_watched.load(Ordering::Relaxed) {
            return None;
        }
        self.state().failure.clone()
    }

    /// Marks the way as blocked by this failure.
    pub(in crate::auth) fn is_blocked(&self, error: &Arc<StoreError>) {
        let before = {
            let mut state = self.state();
            self.is_watched.store(true, Ordering::Relaxed);
            state.failure.replace(Arc::clone(error))
        };
        if before.is_none() {
            self.trouble.begins(error);
        }
    }

    /// Marks the way as free: a request got through.
    pub(in crate::auth) fn is_free(&self) {
        // Others read this cache line: it is written only if there is something to write.
        if !self.is_watched.load(Ordering::Relaxed) {
            return;
        }
        let before = {
            let mut state = self.state();
            self.is_watched.store(false, Ordering::Relaxed);
            state.prober = None;
            state.failure.take()
        };
        if before.is_some() {
            self.trouble.ends();
        }
    }

    /// The number of a new prober, unless one has worked within this time: an older one may be part of a runtime that
    /// is stalled.
    fn register(&self, patience: Duration) -> Option<u64> {
        let mut state = self.state();
        if state.prober.as_ref().is_some_and(|prober| prober.seen_at.elapsed() < patience) {
            return None;
        }
        self.is_watched.store(true, Ordering::Relaxed);
        let number = state.next;
        state.next += 1;
        state.prober = Some(Prober { number, seen_at: Instant::now() });
        Some(number)
    }

    /// Whether this prober should continue.
    fn goes_on(&self, number: u64) -> bool {
        let mut state = self.state();
        let Some(prober) = state.prober.as_mut().filter(|prober| prober.number == number) else { return false };
        prober.seen_at = Instant::now();
        true
    }

    /// Notes that this prober ended, no matter how: the next request that is refused starts another one.
    fn dismiss(&self, number: u64) {
        let mut state = self.state();
        if state.prober.as_ref().is_some_and(|prober| prober.number == number) {
            state.prober = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a task that tries until a request gets through, unless one is running. It ends when the last other reference
/// to `of` is dropped. Does nothing outside a tokio runtime.
pub(in crate::auth) fn start_probing<P: Probed>(of: &Arc<P>) {
    let Ok(runtime) = Handle::try_current() else { return };
    // Twice the longest time: a busy machine is not a stalled runtime.
    let patience = of.limit().saturating_add(PAUSE).saturating_mul(2);
    if let Some(number) = of.breaker().register(patience) {
        let registered = Registered { of: Arc::downgrade(of), number };
        runtime.spawn(probe(registered));
    }
}

/// A prober's registration, which ends with its task or its runtime.
struct Registered<P: Probed> {
    of: Weak<P>,
    number: u64,
}

impl<P: Probed> Drop for Registered<P> {
    fn drop(&mut self) {
        if let Some(of) = self.of.upgrade() {
            of.breaker().dismiss(self.number);
        }
    }
}

async fn probe<P: Probed>(registered: Registered<P>) {
    loop {
        let Some(of) = registered.of.upgrade() else { break };
        if !of.breaker().goes_on(registered.number) {
            break;
        }
        of.probe().await;
        if !of.breaker().goes_on(registered.number) {
            break;
        }
        // Not held meanwhile: the store is closed when all others have dropped it.
        drop(of);
        sleep(PAUSE).await;
    }
}
