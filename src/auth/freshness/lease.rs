use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::reader::LogReader;
use crate::{
    background::Background,
    store::{Calls, Head, KeyReader},
};

/// The pause after a read before the next hint counts: a burst of changes becomes one read. A hint without a change
/// doubles the pause, at most to the interval: hints prove nothing, and a store that sends them endlessly must not be
/// read endlessly.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long the store is held after all others have dropped it.
const SLICE: Duration = Duration::from_secs(1);

/// Reads the change log four times within each bound, and when the store says that it changed, so that no request has
/// to.
#[derive(Default)]
pub(in crate::auth) struct LeaseKeeper(Background);

impl LeaseKeeper {
    /// Starts to read, unless that is running, until the last other reference to the reader is dropped. Needs a tokio
    /// runtime.
    pub(in crate::auth) fn start<R: KeyReader>(&self, log: &Arc<LogReader<R>>, bound: Duration) {
        self.0.start(|| keep(Arc::downgrade(log), bound / 4));
    }
}

async fn keep<R: KeyReader>(log: Weak<LogReader<R>>, interval: Duration) {
    let (mut pause, mut head, mut is_hinted) = (SHORTEST_PAUSE, None, false);
    while let Some(reader) = log.upgrade() {
        let next = Instant::now() + interval;
        // A read that fails renews nothing: requests then ask the store themselves, and are refused if they cannot.
        reader.refresh().await;
        let applied = reader.applied();
        if applied != head {
            pause = SHORTEST_PAUSE;
        } else if is_hinted {
            pause = pause.saturating_mul(2).min(interval);
        }
        head = applied;
        let store = reader.store();
        // While it waits, it holds only the store.
        drop(reader);
        is_hinted = wait(&log, &store, head, Instant::now() + pause, next).await;
    }
}

/// Waits until `next`, or for a hint of the store after `pause`, or until the reader is dropped. Returns whether it was
/// a hint.
async fn wait<R: KeyReader>(
    log: &Weak<LogReader<R>>,
    store: &Arc<R>,
    head: Option<Head>,
    pause: Instant,
    next: Instant,
) -> bool {
    while log.strong_count() > 0 {
        let now = Instant::now();
        if now >= next {
            break;
        }
        let slice = next.min(now + SLICE);
        match head {
            _ if now < pause => sleep_until(slice.min(pause)).await,
            Some(head) => {
                if Calls::new(Arc::clone(store), slice - now).hint(head).await {
                    return true;
                }
                sleep_until(slice).await;
            }
            None => sleep_until(slice).await,
        }
    }
    false
}
