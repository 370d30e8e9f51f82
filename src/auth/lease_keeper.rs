use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::log_reader::LogReader;
use crate::store::KeyReader;

/// Reads the change log four times within each bound, so that no request has to.
#[derive(Default)]
pub(super) struct LeaseKeeper {
    is_running: Arc<AtomicBool>,
}

impl LeaseKeeper {
    /// Starts reading, unless that is under way, for as long as somebody holds the reader. Needs a tokio runtime.
    pub(super) fn start<R: KeyReader>(&self, log: &Arc<LogReader<R>>, bound: Duration) {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Running(Arc::clone(&self.is_running));
        let log: Weak<LogReader<R>> = Arc::downgrade(log);
        tokio::spawn(async move {
            let _running = running;
            loop {
                tokio::time::sleep(bound / 4).await;
                let Some(log) = log.upgrade() else { break };
                // A read that fails renews nothing: requests then ask for themselves, and are refused if they cannot.
                let _ = log.read().await;
            }
        });
    }
}

/// Ends with its runtime: then another one may start it again.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
