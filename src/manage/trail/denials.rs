use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::denial_counts::{Attempt, DenialCounts};
use crate::{
    audit::{Event, EventRow, Notifier},
    background::{Background, take_turns},
    log::{Repeated, log},
    store::{AnyStore, Calls, Ledger, StoreError, StoreErrorKind},
    time::Clock,
};

/// Events of one call of the store.
const BATCH: usize = 500;

/// Denied attempts until they are in the audit trail, [added up](DenialCounts) so that nobody can flood it: an actor
/// costs at most some 600 events an hour, however often it tries.
pub(crate) struct DenialLog {
    store: Calls<AnyStore>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    notifier: Notifier,
    background: Background,
    state: Mutex<State>,
    /// One flush at a time: what is not written yet is written in order.
    turn: tokio::sync::Mutex<()>,
    failed: Repeated,
}

#[derive(Default)]
struct State {
    counts: DenialCounts,
    unwritten: VecDeque<Event>,
}

impl DenialLog {
    pub(crate) fn new(store: Calls<AnyStore>, clock: Arc<dyn Clock>, interval: Duration, notifier: Notifier) -> Self {
        let (background, state, turn) = (Background::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { store, clock, interval, notifier, background, state, turn, failed: Repeated::new() }
    }

    /// Counts an attempt. Nobody waits for it to be written.
    pub(in crate::manage) fn note(self: &Arc<Self>, attempt: Attempt) {
        self.lock().counts.add(attempt, self.clock.now());
        self.start();
    }

    /// Writes what is due: the first of its kind, and repeats whose hour is over; all of it `at_the_end`.
    ///
    /// # Errors
    /// Those of [`Ledger::append_events`]. What is not written is kept. If the store did not say whether it wrote a batch,
    /// the batch is written again: attempts may then be there twice.
    pub(crate) async fn flush(&self, at_the_end: bool) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.write().await?;
        // Only now: as long as nothing can be written, lines go on counting instead of becoming more.
        let now = self.clock.now();
        {
            let State { counts, unwritten } = &mut *self.lock();
            counts.collect(unwritten, now, at_the_end);
        }
        self.write().await
    }

    async fn write(&self) -> Result<(), StoreError> {
        let mut most = BATCH;
        loop {
            let events: Vec<Event> = self.lock().unwritten.iter().take(most).cloned().collect();
            if events.is_empty() {
                return Ok(());
            }
            let rows: Vec<EventRow> = events.iter().map(EventRow::from).collect();
            match self.store.append_events(&rows).await {
                Ok(()) => self.notifier.tell(&events),
                // Halved, until the line that the store does not take stands alone. It keeps back no others.
                Err(error) if error.kind() == StoreErrorKind::Refused && rows.len() > 1 => {
                    most = rows.len() / 2;
                    continue;
                }
                Err(error) if error.kind() == StoreErrorKind::Refused => self.tell_of(&error),
                Err(error) => return Err(error),
            }
            self.lock().unwritten.drain(..events.len());
            most = BATCH;
        }
    }

    /// Some are missing in the trail, or come later.
    fn tell_of(&self, _error: &StoreError) {
        if let Some(_times) = self.failed.happened() {
            let _error = _error as &dyn std::error::Error;
            log!(warn, times = _times, error = _error, "denied attempts could not be added to the audit trail");
        }
    }

    fn start(self: &Arc<Self>) {
        self.background.start(|| {
            take_turns(Arc::downgrade(self), self.interval, |denials| async move {
                if let Err(error) = denials.flush(false).await {
                    denials.tell_of(&error);
                }
                denials.interval
            })
        });
    }

    /// A panic elsewhere leaves counts as they are: each is a whole number at any moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DenialLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialLog").finish_non_exhaustive()
    }
}
