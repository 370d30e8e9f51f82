use std::{sync::Arc, time::Duration};

use crate::{
    auth::meter::Meter,
    background::{Background, take_turns},
    log::{Repeated, log},
    metering::{Days, Unwritten},
    store::{Calls, Ledger, StoreError},
};

/// Writes the counts to the store, at an interval and on request.
pub(crate) struct UsageFlusher<S> {
    store: Calls<Arc<S>>,
    /// One flush at a time: the lock holds what is to be written.
    turn: tokio::sync::Mutex<Unwritten>,
    meter: Arc<Meter>,
    interval: Duration,
    background: Background,
    failed: Repeated,
    again: Repeated,
}

impl<S: Ledger> UsageFlusher<S> {
    pub(crate) fn new(store: Calls<Arc<S>>, unwritten: Unwritten, meter: Arc<Meter>, interval: Duration) -> Self {
        Self {
            store,
            turn: tokio::sync::Mutex::new(unwritten),
            meter,
            interval,
            background: Background::default(),
            failed: Repeated::new(),
            again: Repeated::new(),
        }
    }

    /// Writes everything that was counted before this call, and these `days` of it.
    ///
    /// # Errors
    /// Those of [`Unwritten::flush`], which keeps the counts.
    pub(crate) async fn flush(&self, days: Days) -> Result<(), StoreError> {
        let mut unwritten = self.turn.lock().await;
        let (flushes, start) = (&self.meter.usage_flushes, self.meter.now());
        flushes.begin();
        let flushed = unwritten.flush(&self.store, days, || self.meter.time()).await;
        if flushed.is_err() {
            // The caller of the flush reports it.
            flushes.fail();
        } else if flushes.succeed(start) && self.again.happened().is_some() {
            log!(info, "usage is written again");
        }
        flushed
    }

    /// Starts to flush at the interval, unless that is running, until the last other reference to the flusher is
    /// dropped. Does nothing outside a tokio runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            take_turns(Arc::downgrade(self), self.interval, |flusher| async move {
                if let Err(_error) = flusher.flush(Days::IfDue).await {
                    // The next turn tries again; the counts wait, bounded.
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
