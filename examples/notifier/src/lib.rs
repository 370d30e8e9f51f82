//! Posts every committed event, in the order of the log, and repeats each until the receiver accepts it.
//!
//! One event at a time, for all keys: an event that is not accepted delays the events behind it. A receiver that is
//! down accepts none of them anyway, and no event is lost: the feed keeps what is not confirmed. But a receiver that
//! refuses one event (400, 404, 413, …) would block all others forever. So such an event becomes a dead letter after a
//! few attempts.

mod deliver;
mod policy;
mod signature;

use std::{error::Error, time::Duration};

pub use deliver::{DeadLetters, Endpoint};
use tokio::time::sleep;
use tower_api_keys::{feed::Feed, store::Ledger};

pub use signature::{InvalidSecret, Secret};

/// Events per batch. After a crash, at most this many are posted again.
const BATCH: u16 = 20;

/// Runs until the consumer is forgotten, or a dead letter cannot be written.
///
/// # Errors
/// The consumer was forgotten, an event cannot be written as JSON, or a dead letter cannot be written.
pub async fn run<S: Ledger>(
    mut feed: Feed<S>,
    endpoint: &Endpoint,
    dead_letters: &DeadLetters,
) -> Result<(), Box<dyn Error>> {
    use tower_api_keys::feed::FeedErrorKind::Forgotten;
    loop {
        let batch = match feed.next(BATCH).await {
            Err(error) if error.kind() == Forgotten => return Err(error.into()),
            // The store is not available. The feed reads the same events again.
            Err(_) => {
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            Ok(batch) => batch,
        };
        for sequence in &batch.unreadable {
            eprintln!("event {sequence} cannot be read: check its row");
        }
        for entry in &batch.entries {
            if let Err(status) = endpoint.deliver(entry).await? {
                dead_letters.add(entry, status)?;
            }
        }
        // If this fails, the events are delivered again, with the same ids.
        if feed.confirm(batch.cursor).await.is_err_and(|error| error.kind() == Forgotten) {
            return Err("this consumer was forgotten".into());
        }
    }
}
