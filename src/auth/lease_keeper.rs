use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, sleep_until};

use super::{background::Background, log_reader::LogReader};
use crate::store::{KeyReader, guarded};

/// After a read the next hint waits so long: a burst of changes is a read of them all.
const BETWEEN_HINTS: Duration = Duration::from_millis(1);

/// Reads the change log four times within each bound, and when the store says that it moved, so that no request has to.
#[derive(Default)]
pub(super) struct LeaseKeeper(Background);

impl LeaseKeeper {
    /// Starts reading, unless that is under way, for as long as somebody holds the reader. Needs a tokio runtime.
    pub(super) fn start<R: KeyReader>(&self, log: &Arc<LogReader<R>>, bound: Duration) {
        self.0.start(|| keep(Arc::downgrade(log), bound / 4));
    }
}

async fn keep<R: KeyReader>(log: Weak<LogReader<R>>, interval: Duration) {
    while let Some(reader) = log.upgrade() {
        let next = Instant::now() + interval;
        // A read that fails renews nothing: requests then ask for themselves, and are refused if they cannot.
        drop(reader.read().await);
        let (store, head) = (reader.store(), reader.applied());
        // Only the store is held while there is nothing to do.
        drop(reader);
        sleep(BETWEEN_HINTS).await;
        let left = next.saturating_duration_since(Instant::now());
        let is_hinted = match head {
            Some(head) => guarded(left, || store.moved_beyond(head).map(Ok)).await.is_ok(),
            None => false,
        };
        if !is_hinted {
            sleep_until(next).await;
        }
    }
}
