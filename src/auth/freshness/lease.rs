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

/// After a read the next hint waits so long: a burst of changes is a read of them all. A hint that brings nothing doubles
/// it, up to the interval: hints prove nothing, and a store that gives them without end must not be read without end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long the store is held after everybody else let go of it.
const SLICE: Duration = Duration::from_secs(1);

/// Reads the change log four times within each bound, and when the store says that it moved, so that no request has to.
#[derive(Default)]
pub(in crate::auth) struct LeaseKeeper(Background);

impl LeaseKeeper {
    /// Starts reading, unless that is under way, for as long as somebody holds the reader. Needs a tokio runtime.
    pub(in crate::auth) fn start<R: KeyReader>(&self, log: &Arc<LogReader<R>>, bound: Duration) {
        self.0.start(|| keep(Arc::downgrade(log), bound / 4));
    }
}

async fn keep<R: KeyReader>(log: Weak<LogReader<R>>, interval: Duration) {
    let (mut pause, mut head, mut is_hinted) = (SHORTEST_PAUSE, None, false);
    while let Some(reader) = log.upgrade() {
        let next = Instant::now() + interval;
        // A read that fails renews nothing: requests then ask for themselves, and are refused if they cannot.
        reader.refresh().await;
        let applied = reader.applied();
        if applied != head {
            pause = SHORTEST_PAUSE;
        } else if is_hinted {
            pause = pause.saturating_mul(2).min(interval);
        }
        head = applied;
        let store = reader.store();
        // Only the store is held while there is nothing to do.
        drop(reader);
        is_hinted = wait(&log, &store, head, Instant::now() + pause, next).await;
    }
}

/// Waits until `next`, or for the store's hint from `pause` on, or until nobody holds the reader. Whether it was a hint.
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
