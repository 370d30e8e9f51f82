use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{
    AuthError, AuthErrorKind, AuthSettings,
    freshness::{Breaker, Deadline, Probed, start_probing},
    trouble::Trouble,
};
use crate::{
    key::KeyId,
    store::{Calls, FoundKey, KeyReader, StoreError, StoreErrorKind},
};

type Found = Result<Option<FoundKey>, Arc<StoreError>>;

/// Looks keys up in the store, with a limit on how many at a time.
///
/// The place of a look-up belongs to the query that the store was sent, not to the request that waits for the answer. A
/// client that hangs up costs nothing and frees no place: otherwise the queries of dropped requests would pile up at a
/// store that answers each of them.
pub(super) struct Lookups<R> {
    store: Calls<Arc<R>>,
    places: Arc<Semaphore>,
    /// The longest time that a request waits for a place.
    wait: Duration,
    /// The look-ups that the store did not answer at once.
    under_way: Mutex<Vec<Weak<LookupSlot>>>,
    /// Blocks while keys cannot be looked up. One key alone does not block it: that is checked before.
    breaker: Breaker,
}

/// The place of a look-up that the store did not answer at once. It is free again when the look-up drops it.
struct LookupSlot {
    begun: Instant,
    turn: Mutex<Option<OwnedSemaphorePermit>>,
}

impl<R: KeyReader> Lookups<R> {
    pub(super) fn new(store: Arc<R>, settings: &AuthSettings, trouble: &Arc<Trouble>) -> Self {
        Self {
            store: Calls::new(store, settings.find_timeout()),
            places: Arc::new(Semaphore::new(settings.finds)),
            wait: settings.find_wait,
            under_way: Mutex::default(),
            breaker: Breaker::new(Arc::clone(trouble)),
        }
    }

    /// The key with this id. Dropping the future is harmless: the query continues.
    pub(super) async fn find(self: &Arc<Self>, id: &KeyId, deadline: Deadline) -> Result<Option<FoundKey>, AuthError> {
        self.refuse_if_blocked()?;
        let place = self.place(deadline).await?;
        // Other requests may have found out while this one waited.
        self.refuse_if_blocked()?;
        let mut call = Box::pin(Arc::clone(self).call(*id));
        // A store in this process answers at once, without a task.
        let found = match poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
            Poll::Ready(found) => found,
            Poll::Pending => match Handle::try_current() {
                Err(_) => call.await,
                Ok(runtime) => {
                    let place = self.note(place);
                    let work = async move {
                        let found = call.await;
                        drop(place);
                        found
                    };
                    match timeout_at(deadline.at(), runtime.spawn(work)).await {
                        Ok(Ok(found)) => found,
                        Ok(Err(_)) => Err(Arc::new(StoreError::unavailable("the look-up was lost with its runtime"))),
                        Err(_) => Err(Arc::new(StoreError::unavailable("the look-up took too long"))),
                    }
                }
            },
        };
        match found {
            // A store that folds case or trims would hand one key's record to another.
            Ok(Some(found)) if found.key.id != id.as_str() => {
                Err(AuthError::new(AuthErrorKind::CorruptRecord).with_source("the store found another key's record"))
            }
            Ok(found) => Ok(found),
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                Err(AuthError::new(AuthErrorKind::CorruptRecord).with_source(error))
            }
            Err(error) => Err(AuthError::new(AuthErrorKind::StoreUnavailable).with_source(error)),
        }
    }

    fn refuse_if_blocked(self: &Arc<Self>) -> Result<(), AuthError> {
        let Some(failure) = self.breaker.failure() else { return Ok(()) };
        start_probing(self);
        Err(AuthError::of_outage(failure))
    }

    async fn call(self: Arc<Self>, id: KeyId) -> Found {
        let found = self.store.find(&id).await.map_err(Arc::new);
        match &found {
            Err(error) if error.kind() != StoreErrorKind::Corrupt => start_probing(&self),
            _ => self.breaker.is_free(),
        }
        found
    }

    async fn place(&self, deadline: Deadline) -> Result<OwnedSemaphorePermit, AuthError> {
        if let Ok(turn) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(turn);
        }
        self.take_back_places();
        let turn = pin!(Arc::clone(&self.places).acquire_owned());
        match timeout(self.wait.min(deadline.left()), turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(AuthError::overloaded(None, "all places for look-ups in the store are taken")),
        }
    }

    /// Takes places from look-ups that should have ended long ago: their tasks belong to stalled runtimes.
    fn take_back_places(&self) {
        let patience = self.store.limit().saturating_mul(2);
        for place in self.under_way().iter().filter_map(Weak::upgrade) {
            if place.begun.elapsed() > patience {
                drop(place.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        }
    }

    fn note(&self, turn: OwnedSemaphorePermit) -> Arc<LookupSlot> {
        let place = Arc::new(LookupSlot { begun: Instant::now(), turn: Mutex::new(Some(turn)) });
        let mut under_way = self.under_way();
        if under_way.len() == under_way.capacity() {
            under_way.retain(|place| place.strong_count() > 0);
        }
        under_way.push(Arc::downgrade(&place));
        place
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<Weak<LookupSlot>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: KeyReader> Probed for Lookups<R> {
    fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    fn limit(&self) -> Duration {
        self.store.limit()
    }

    /// Asks for a key that does not exist: one unreadable record is no outage.
    async fn probe(self: &Arc<Self>) {
        match self.store.find(&KeyId::ABSENT).await {
            Err(error) if error.kind() != StoreErrorKind::Corrupt => self.breaker.is_blocked(&Arc::new(error)),
            _ => self.breaker.is_free(),
        }
    }
}
