//! The feed of events, for consumers that must not miss one.

use super::ApiKeys;
use crate::{
    feed::{Feed, FeedError, FeedStatus, InvalidFeedName, Register},
    store::{Effect, Ledger},
};

impl<S: Ledger> ApiKeys<S> {
    /// The feed of events of all organizations for the consumer of this name: 1 to 48 characters of `a-z`, `0-9`, `-`,
    /// `_` and `.`. The store knows the consumer after its first [`next`](Feed::next).
    ///
    /// Events that a consumer has not confirmed are kept, no matter what
    /// [`keep_events`](super::ApiKeysBuilder::keep_events) says: [forget](Self::forget_feed) a consumer that will not
    /// return. [How to tell people](crate::manual::told).
    ///
    /// # Errors
    /// [`InvalidFeedName`].
    pub fn feed(&self, name: &str) -> Result<Feed<S>, InvalidFeedName> {
        Feed::new(Register::new(self.0.store.clone()), name)
    }

    /// All consumers of the feed, by name, and how far behind each is. Use it to notice a consumer that hangs or no
    /// longer runs.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
    /// keys.feed("notifier")?.try_next(1).await?;
    /// for feed in keys.feeds().await? {
    ///     println!("{} has {} events before it, the oldest of {:?}", feed.name, feed.unconfirmed, feed.oldest_unconfirmed_at);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FeedErrorKind`](crate::feed::FeedErrorKind): corrupt, store unavailable.
    pub async fn feeds(&self) -> Result<Vec<FeedStatus>, FeedError> {
        Register::new(self.0.store.clone()).all().await
    }

    /// Forgets a consumer and its position: no event is kept for it any more. Stop it first. A running consumer gets
    /// [`Forgotten`](crate::feed::FeedErrorKind::Forgotten); one that starts later begins again with no position.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
    /// use tower_api_keys::store::Effect;
    ///
    /// assert_eq!(keys.forget_feed("of-last-year").await?, Effect::Unchanged); // there is none
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FeedErrorKind`](crate::feed::FeedErrorKind): busy, corrupt, store unavailable.
    pub async fn forget_feed(&self, name: &str) -> Result<Effect, FeedError> {
        Register::new(self.0.store.clone()).forget(name).await
    }
}
