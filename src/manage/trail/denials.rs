use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::denial_counts::{Attempt, DenialCounts, DenialLine};
use crate::{
    audit::{Event, EventRow, Notifier},
    background::{Background, take_turns},
    log::{Repeated, log},
    store::{AnyStore, Calls, Ledger, Portion, StoreError},
    time::Clock,
};

/// How many events one call of the store has.
const BATCH: usize = 500;

/// Denied attempts until they are in the audit trail, [aggregated](DenialCounts) so that an actor cannot flood it: it
/// causes at most about 600 events an hour, however often it tries.
pub(crate) struct DenialLog {
    store: Calls<AnyStore>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    notifier: Notifier,
    background: Background,
    state: Mutex<State>,
    /// One flush at a time, so that lines are written in order.
    turn: tokio::sync::Mutex<()>,
    failed: Repeated,
    refused: Repeated,
}

#[derive(Default)]
struct State {
    counts: DenialCounts,
    unwritten: VecDeque<DenialLine>,
    /// How many attempts are in dropped lines, since the log last reported them.
    missing: u64,
}

impl DenialLog {
    pub(crate) fn new(store: Calls<AnyStore>, clock: Arc<dyn Clock>, interval: Duration, notifier: Notifier) -> Self {
        let (background, state, turn) = (Background::default(), Mutex::default(), tokio::sync::Mutex::default());
        let (failed, refused) = (Repeated::new(), Repeated::new());
        Self { store, clock, interval, notifier, background, state, turn, failed, refused }
    }

    /// Counts an attempt, without waiting for it to be written.
    pub(in crate::manage) fn note(self: &Arc<Self>, attempt: Attempt) {
        self.lock().counts.add(attempt, self.clock.now());
        self.start();
    }

    /// Writes due lines: the first of its kind, and repeats whose hour is over; all of them `at_the_end`.
    ///
    /// # Errors
    /// Those of [`Ledger::append_events`]. What is not written is kept. If the store did not say whether it wrote a
    /// batch, the batch is written again, so attempts may be in the trail twice. A line that the store refuses is
    /// dropped without an error: the log says how many attempts are missing.
    pub(crate) async fn flush(&self, at_the_end: bool) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.write().await?;
        // Only now: while nothing can be written, lines must add up instead of growing in number.
        let now = self.clock.now();
        {
            let State { counts, unwritten, .. } = &mut *self.lock();
            counts.collect(unwritten, now, at_the_end);
        }
        let written = self.write().await;
        if at_the_end {
            self.tell_of_missing();
        }
        written
    }

    async fn write(&self) -> Result<(), StoreError> {
        let mut portion = Portion::new(BATCH);
        loop {
            let events: Vec<Event> =
                self.lock().unwritten.iter().take(portion.rows()).map(|line| line.event.clone()).collect();
            if events.is_empty() {
                return Ok(());
            }
            let rows: Vec<EventRow> = events.iter().map(EventRow::from).collect();
            match self.store.append_events(&rows).await {
                Ok(()) => {
                    self.notifier.tell(&events);
                    self.lock().unwritten.drain(..events.len());
                    portion.written();
                }
                Err(error) if portion.is_refused(&error, rows.len()) => {
                    if rows.len() == 1 {
                        self.drop_refused(&error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Drops the first line, which the store refuses.
    fn drop_refused(&self, _error: &StoreError) {
        {
            let mut state = self.lock();
            let attempts = state.unwritten.pop_front().map_or(0, |line| line.attempts);
            state.missing += attempts;
        }
        if let Some(_times) = self.refused.happened() {
            // Without the line itself: it contains text that a caller chose.
            let _error = _error as &dyn std::error::Error;
            log!(
                error,
                times = _times,
                error = _error,
                "a line of denied attempts was dropped: the store does not take it"
            );
            self.tell_of_missing();
        }
    }

    /// Logs how many attempts are missing in the trail, if any are since the last report.
    fn tell_of_missing(&self) {
        let _missing = mem::take(&mut self.lock().missing);
        if _missing > 0 {
            log!(error, attempts = _missing, "denied attempts are missing in the audit trail");
        }
    }

    /// Logs that they will be written later.
    fn tell_of(&self, _error: &StoreError) {
        if let Some(_times) = self.failed.happened() {
            let _error = _error as &dyn std::error::Error;
            log!(warn, times = _times, error = _error, "denied attempts could not be added to the audit trail yet");
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

    /// A panic elsewhere leaves the counts usable: each is a whole number at any moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DenialLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialLog").finish_non_exhaustive()
    }
}
