use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    auth::meter::Meter,
    background::{Background, take_turns},
    key::KeyId,
    log::{Repeated, log},
    metering::{StoredSources, UsageRecorder},
    store::{Calls, Ledger, StoreError, StoreErrorKind, UsageScope},
};

/// The most keys that a store is asked about at a time.
const KEYS_PER_READ: usize = 1_000;

/// The fewest, unless what it has of some cannot be read: with fewer, the first flush after an outage would take long.
const FEWEST_PER_READ: usize = 16;

/// Writes what was counted to the store, at an interval and when asked.
pub(crate) struct UsageFlusher<S> {
    store: Calls<Arc<S>>,
    recorder: Arc<UsageRecorder>,
    meter: Arc<Meter>,
    interval: Duration,
    background: Background,
    /// One flush at a time: batches are written in order, each until it is acknowledged.
    turn: tokio::sync::Mutex<()>,
    /// How many keys to ask about at a time: fewer after a read that failed, which may have asked for too much.
    keys_per_read: AtomicUsize,
    failed: Repeated,
    again: Repeated,
    unreadable: Repeated,
}

impl<S: Ledger> UsageFlusher<S> {
    pub(crate) fn new(
        store: Calls<Arc<S>>,
        recorder: Arc<UsageRecorder>,
        meter: Arc<Meter>,
        interval: Duration,
    ) -> Self {
        Self {
            store,
            recorder,
            meter,
            interval,
            background: Background::default(),
            turn: tokio::sync::Mutex::default(),
            keys_per_read: AtomicUsize::new(KEYS_PER_READ),
            failed: Repeated::new(),
            again: Repeated::new(),
            unreadable: Repeated::new(),
        }
    }

    /// Writes everything that was counted before this call.
    ///
    /// # Errors
    /// Those of [`Ledger::usage`], but for rows that cannot be read, and of [`Ledger::record_usage`]. The counts are
    /// kept; the next flush repeats the batch that failed, and a store that has it already counts it once.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let (flushes, start) = (&self.meter.usage_flushes, self.meter.now());
        flushes.begin();
        let flushed = self.write_all().await;
        if flushed.is_err() {
            // Whoever flushes tells of it.
            flushes.fail();
        } else if flushes.succeed(start) && self.again.happened().is_some() {
            log!(info, "usage is written again");
        }
        flushed
    }

    async fn write_all(&self) -> Result<(), StoreError> {
        self.write_batches().await?;
        // Once: with what is counted meanwhile it would never end on a busy service.
        self.recorder.collect(self.meter.time());
        self.write_batches().await
    }

    async fn write_batches(&self) -> Result<(), StoreError> {
        let stored = self.stored_sources().await?;
        self.recorder.freeze(&stored);
        while let Some(batch) = self.recorder.next_batch() {
            self.store.record_usage(&batch).await?;
            self.recorder.acknowledge(batch.sequence);
        }
        Ok(())
    }

    /// Of the keys that were used from where this process has not seen them written before, the sources in the store:
    /// other processes write too, and earlier ones did. None of a key whose rows cannot be read: its counts are written
    /// all the same, and those of the others.
    async fn stored_sources(&self) -> Result<StoredSources, StoreError> {
        let unsure = self.recorder.unsure();
        let keys: Vec<KeyId> = unsure.iter().copied().flatten().collect();
        let most = self.keys_per_read.load(Ordering::Relaxed);
        let mut reads: Vec<UsageScope> = keys.chunks(most).map(|keys| UsageScope::Keys(keys.to_vec())).collect();
        reads.extend(unsure.contains(&None).then_some(UsageScope::NoKey));
        let mut stored = StoredSources::of(unsure);
        while let Some(of) = reads.pop() {
            match self.store.usage(&of).await {
                Ok(rows) => rows.iter().for_each(|row| stored.add(row)),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => match of {
                    UsageScope::Keys(keys) if keys.len() > 1 => {
                        let (one, two) = keys.split_at(keys.len() / 2);
                        reads.extend([one, two].map(|keys| UsageScope::Keys(keys.to_vec())));
                    }
                    _ => {
                        if let Some(_times) = self.unreadable.happened() {
                            let _error = &error as &dyn std::error::Error;
                            log!(error, ?of, times = _times, error = _error, "stored usage cannot be read");
                        }
                    }
                },
                Err(error) => {
                    self.keys_per_read.store((most / 2).max(FEWEST_PER_READ), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        self.keys_per_read.store((most * 2).min(KEYS_PER_READ), Ordering::Relaxed);
        Ok(stored)
    }

    /// Starts flushing at the interval, unless that is under way, for as long as somebody holds the flusher. Does nothing
    /// outside of a tokio runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            take_turns(Arc::downgrade(self), self.interval, |flusher| async move {
                if let Err(_error) = flusher.flush().await {
                    // Repeated at the next turn; the counts wait, bounded.
                    if let Some(_times) = flusher.failed.happened() {
                        let _error = &_error as &dyn std::error::Error;
                        log!(warn, times = _times, error = _error, "usage could not be written");
                    }
                }
                #[cfg(feature = "metrics")]
                flusher.meter.publish();
                flusher.interval
            })
        });
    }
}
