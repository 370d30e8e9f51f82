//! Every event is posted once it is committed, in the order of the log, and again until the receiver takes it.
//!
//! One event at a time, of all keys: an event that is not taken holds back those behind it. A receiver that is down takes
//! none of them anyway, and nothing is lost meanwhile: the feed keeps what is not confirmed. One that refuses a single event
//! (400, 404, 413, …) would hold the others up for good, so such an event becomes a dead letter after a few attempts.

mod deliver;
mod policy;
mod signature;

use std::{error::Error, time::Duration};

pub use deliver::{DeadLetters, Endpoint};
use tokio::time::sleep;
use tower_api_keys::{feed::Feed, store::Ledger};

pub use signature::{InvalidSecret, Secret};

/// So many events are posted again after a crash, at most.
const BATCH: u16 = 20;

/// Runs until the consumer is forgotten, or a dead letter cannot be written.
///
/// # Errors
/// Those two.
pub async fn run<S: Ledger>(
    mut feed: Feed<S>,
    endpoint: &Endpoint,
    dead_letters: &DeadLetters,
) -> Result<(), Box<dyn Error>> {
    use tower_api_keys::feed::FeedErrorKind::Forgotten;
    loop {
        let batch = match feed.next(BATCH).await {
            Err(error) if error.kind() == Forgotten => return Err(error.into()),
            // The store is away: whatever it was, it is read again.
            Err(_) => {
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            Ok(batch) => batch,
        };
        for sequence in &batch.unreadable {
            eprintln!("the event {sequence} cannot be read: look at its row");
        }
        for entry in &batch.entries {
            if let Err(status) = endpoint.deliver(entry).await? {
                dead_letters.add(entry, status)?;
            }
        }
        // If this fails, they are delivered again, under the same ids.
        if feed.confirm(batch.cursor).await.is_err_and(|error| error.kind() == Forgotten) {
            return Err("this consumer was forgotten".into());
        }
    }
}
