use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::{
    audit::{Action, Event, EventRow, Notifier, Subject},
    auth::{AccessLog, AccessLogWriter, EndTeller, Pruner, UsageFlusher, meter::Meter},
    hash::{Hasher, KeyHash},
    key::{KeyId, PlaintextKey},
    log::{Repeated, log},
    owner::OwnerRef,
    record::{ActorId, SystemLabel},
    store::{Calls, KeyStore, Ledger, RehashedKey, StoreError},
    time::Timestamp,
};

/// The most (key, action) pairs whose last report is remembered.
const MOST_REPORTS: usize = 1_024;

/// The same report about the same key is written once in this time: a caller that can cause reports must not fill the
/// trail.
const REPORT_AGAIN: Duration = Duration::from_secs(3_600);

/// Repairs and reports that an authenticator makes in passing. No request waits for them or fails because of them.
pub(crate) trait Upkeep: Send + Sync {
    /// Starts what runs at intervals, once.
    fn start(&self);

    /// Replaces a stored hash, which the key was just found to match, by a stronger one.
    fn rehash(&self, hasher: Hasher, key: Arc<PlaintextKey>, stored: KeyHash);

    /// Writes the proof of a stored hash beside it.
    fn store_proof(&self, id: KeyId, proved: KeyHash);

    /// Writes an event that accompanies no change.
    fn report(&self, action: Action, id: KeyId, owner: OwnerRef, now: Timestamp);
}

/// The most proofs that wait for a write.
const PROOF_PLACES: usize = 4_096;

/// The most proofs that are written at once: changes that a caller waits for come between them.
const PROOF_WRITERS: usize = 2;

/// Upkeep through a store.
pub(crate) struct StoreUpkeep<S> {
    store: Calls<Arc<S>>,
    flusher: Arc<UsageFlusher<S>>,
    pruner: Arc<Pruner<S>>,
    ends: Arc<EndTeller<S>>,
    attempts: Option<Arc<AccessLogWriter<S>>>,
    notifier: Notifier,
    proof_places: Arc<Semaphore>,
    proof_writers: Arc<Semaphore>,
    reports: Mutex<HashMap<(KeyId, Action), Timestamp>>,
    /// Reports that could not be written.
    unwritten: Arc<Repeated>,
    /// Hashes and proofs that could not be written.
    unimproved: Arc<Repeated>,
}

impl<S: Ledger> StoreUpkeep<S> {
    pub(crate) fn new(
        store: Calls<Arc<S>>,
        flusher: Arc<UsageFlusher<S>>,
        pruner: Arc<Pruner<S>>,
        ends: Arc<EndTeller<S>>,
        notifier: Notifier,
    ) -> Self {
        let (reports, unwritten) = (Mutex::default(), Arc::default());
        let [proof_places, proof_writers] =
            [PROOF_PLACES, PROOF_WRITERS].map(|places| Arc::new(Semaphore::new(places)));
        let unimproved = Arc::default();
        Self {
            store,
            flusher,
            pruner,
            ends,
            attempts: None,
            notifier,
            proof_places,
            proof_writers,
            reports,
            unwritten,
            unimproved,
        }
    }

    /// Starts an access log: its lines are written to the store.
    pub(crate) fn make_access_log(&mut self, meter: &Arc<Meter>) -> Arc<AccessLog> {
        let lines = Arc::new(AccessLog::new(Arc::clone(meter)));
        self.attempts = Some(Arc::new(AccessLogWriter::new(self.store.clone(), Arc::clone(&lines))));
        lines
    }

    /// Tells all ends of keys that are due.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn tell_of_ends(&self) -> Result<(), StoreError> {
        while self.ends.take_turn().await? {}
        Ok(())
    }

    /// Writes the attempts that came in before this call.
    ///
    /// # Errors
    /// Those of [`Ledger::append_events`].
    pub(crate) async fn write_access_log(&self) -> Result<(), StoreError> {
        match &self.attempts {
            Some(attempts) => attempts.write(true).await,
            None => Ok(()),
        }
    }

    fn is_due(&self, id: KeyId, action: &Action, now: Timestamp) -> bool {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |last: &Timestamp| last.is_recent(REPORT_AGAIN, now);
        if reports.len() >= MOST_REPORTS {
            reports.retain(|_, last| is_recent(last));
        }
        match reports.get(&(id, action.clone())) {
            Some(last) if is_recent(last) => false,
            None if reports.len() >= MOST_REPORTS => false,
            _ => {
                reports.insert((id, action.clone()), now);
                true
            }
        }
    }
}

impl<S: Ledger> Upkeep for StoreUpkeep<S> {
    fn start(&self) {
        self.flusher.start();
        self.pruner.start();
        self.ends.start();
        if let Some(attempts) = &self.attempts {
            attempts.start();
        }
    }

    fn rehash(&self, hasher: Hasher, key: Arc<PlaintextKey>, stored: KeyHash) {
        let (store, unimproved) = (self.store.clone(), Arc::clone(&self.unimproved));
        tokio::spawn(async move {
            // A failure costs nothing: the next node to check the key for the first time tries again.
            let Ok(new) = hasher.rehash(key.expose_secret(), &stored).await else { return };
            if let Err(error) = store.rehash(&key.id(), stored.phc(), &RehashedKey::from(&new)).await {
                warn_of(&unimproved, &error);
            }
        });
    }

    fn store_proof(&self, id: KeyId, proved: KeyHash) {
        // If there is no room, the next node that checks the key for the first time writes it.
        let Ok(place) = Arc::clone(&self.proof_places).try_acquire_owned() else { return };
        let (store, writers) = (self.store.clone(), Arc::clone(&self.proof_writers));
        let unimproved = Arc::clone(&self.unimproved);
        tokio::spawn(async move {
            let (_place, _writer) = (place, writers.acquire_owned().await);
            if let Err(error) = store.rehash(&id, proved.phc(), &RehashedKey::from(&proved)).await {
                warn_of(&unimproved, &error);
            }
        });
    }

    fn report(&self, action: Action, id: KeyId, owner: OwnerRef, now: Timestamp) {
        let Ok(label) = SystemLabel::new("authenticator") else { return };
        if !self.is_due(id, &action, now) {
            return;
        }
        let subject = Subject::Key(id, owner.owner);
        let event = Event::new(owner.organization, now, ActorId::System(label), action, subject);
        let (store, notifier) = (self.store.clone(), self.notifier.clone());
        let unwritten = Arc::clone(&self.unwritten);
        tokio::spawn(async move {
            let row = EventRow::from(&event);
            match store.append_events(std::slice::from_ref(&row)).await {
                Ok(()) => notifier.tell(&[event]),
                Err(_error) => {
                    if let Some(_times) = unwritten.happened() {
                        let _error = &_error as &dyn std::error::Error;
                        log!(warn, times = _times, error = _error, "an event could not be added to the audit trail");
                    }
                }
            }
        });
    }
}

/// Old hashes and missing proofs cost runs. Without a warning, a role that may not write them would never be noticed.
fn warn_of(unimproved: &Repeated, _error: &StoreError) {
    if let Some(_times) = unimproved.happened() {
        let _error = _error as &dyn std::error::Error;
        log!(warn, times = _times, error = _error, "a stronger hash or a proof could not be stored beside its key");
    }
}
