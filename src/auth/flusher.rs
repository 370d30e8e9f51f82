use std::{sync::Arc, time::Duration};

use super::meter::Meter;
use crate::{
    background::Background,
    key::KeyId,
    log::log,
    store::{KeyStore, StoreError, UsageOf, guarded, guarded_change},
    usage::{StoredSources, UsageRecorder},
};

/// The most keys that a store is asked about at a time.
const KEYS_PER_READ: usize = 1_000;

/// Writes what was counted to the store, at an interval and when asked.
pub(crate) struct UsageFlusher<S> {
    store: Arc<S>,
    recorder: Arc<UsageRecorder>,
    meter: Arc<Meter>,
    interval: Duration,
    timeout: Duration,
    background: Background,
    /// One flush at a time: batches are written in order, each until it is acknowledged.
    turn: tokio::sync::Mutex<()>,
}

impl<S: KeyStore> UsageFlusher<S> {
    pub(crate) fn new(
        store: Arc<S>,
        recorder: Arc<UsageRecorder>,
        meter: Arc<Meter>,
        interval: Duration,
        timeout: Duration,
    ) -> Self {
        Self {
            store,
            recorder,
            meter,
            interval,
            timeout,
            background: Background::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Writes everything that was counted before this call.
    ///
    /// # Errors
    /// Those of [`KeyStore::usage`] and [`KeyStore::record_usage`]. The counts are kept; the next flush repeats the batch that failed, and a store
    /// that has it already counts it once.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let (flushes, start) = (&self.meter.usage_flushes, self.meter.now());
        flushes.begin();
        let flushed = self.write_all().await;
        if flushed.is_err() {
            // Whoever flushes tells of it.
            flushes.fail();
        } else if flushes.succeed(start) {
            log!(info, "usage is written again");
        }
        flushed
    }

    async fn write_all(&self) -> Result<(), StoreError> {
        self.write_batches().await?;
        // Once: with what is counted meanwhile it would never end on a busy service.
        self.recorder.collect();
        self.write_batches().await
    }

    async fn write_batches(&self) -> Result<(), StoreError> {
        let stored = self.stored_sources().await?;
        self.recorder.freeze(&stored);
        while let Some(batch) = self.recorder.next_batch() {
            guarded_change(self.timeout, || self.store.record_usage(&batch)).await?;
            self.recorder.acknowledge(batch.sequence);
        }
        Ok(())
    }

    /// Of the keys that were used from where this process has not seen them written before, the sources in the store:
    /// other processes write too, and earlier ones did.
    async fn stored_sources(&self) -> Result<StoredSources, StoreError> {
        let unsure = self.recorder.unsure();
        let keys: Vec<KeyId> = unsure.iter().copied().flatten().collect();
        let mut reads: Vec<UsageOf> = keys.chunks(KEYS_PER_READ).map(|keys| UsageOf::Keys(keys.to_vec())).collect();
        reads.extend(unsure.contains(&None).then_some(UsageOf::NoKey));
        let mut stored = StoredSources::of(unsure);
        for of in &reads {
            guarded(self.timeout, || self.store.usage(of)).await?.iter().for_each(|row| stored.add(row));
        }
        Ok(stored)
    }

    /// Starts flushing at the interval, unless that is under way, for as long as somebody holds the flusher. Does nothing
    /// outside of a tokio runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            let (flusher, interval) = (Arc::downgrade(self), self.interval);
            async move {
                loop {
                    tokio::time::sleep(interval).await;
                    let Some(flusher) = flusher.upgrade() else { break };
                    if let Err(_error) = flusher.flush().await {
                        // Repeated at the next turn; the counts wait, bounded.
                        log!(warn, error = &_error as &dyn std::error::Error, "usage could not be written");
                    }
                    #[cfg(feature = "metrics")]
                    flusher.meter.publish();
                }
            }
        });
    }
}
