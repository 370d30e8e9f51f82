use std::{fmt, pin::pin, sync::Arc, time::Duration};

use futures_util::future::select;

use super::{
    entry::{FeedBatch, FeedCursor},
    error::{FeedError, FeedErrorKind, InvalidFeedName},
    register::Register,
};
use crate::store::{Calls, Changes, Effect, Head, KeyReader, Ledger};

/// How often a waiting consumer looks for new events. Changes that are in the change log are noticed sooner, with
/// stores that send hints.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a call of the store may take, for a feed without [`ApiKeys`](crate::ApiKeys).
const ANSWER: Duration = Duration::from_secs(5);

/// Where a new consumer begins. A consumer that the store knows continues where it was.
///
/// ```
/// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
/// use tower_api_keys::feed::FeedStart;
///
/// let feed = keys.feed("notifier")?.starting(FeedStart::Now);
/// # let _ = feed;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedStart {
    /// After this position: to continue in a copy of a store, which has the same positions and no consumers.
    After(FeedCursor),
    /// With the first event that the store still has.
    #[default]
    Beginning,
    /// With the next event that is written.
    Now,
}

/// The events of all organizations in log order, for one consumer: each is delivered at least once.
///
/// The events from [`next`](Self::next) stay in the feed until they are [confirmed](Self::confirm), even if this
/// process dies. Two readers with the same name both get the events that neither has confirmed, and share one position.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
/// # let keys = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?;
/// # use tower_api_keys::{Actor, IssueKey, TeamId};
/// # keys.manager().issue(IssueKey::team(TeamId::new("blue")?), &Actor::system("first start")?).await?;
/// # async fn deliver(_: &tower_api_keys::feed::FeedEntry) {}
/// let mut feed = keys.feed("notifier")?;
/// # for _ in 0..1 {
/// let batch = feed.next(100).await?; // waits for the first one
/// for entry in &batch.entries {
///     deliver(entry).await;
/// }
/// feed.confirm(batch.cursor).await?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Entries of the access log are not in the feed.
///
/// # Security
/// The feed crosses organizations, and has events that are for the admins of each: it is for the service itself.
pub struct Feed<S> {
    register: Register<S>,
    name: Box<str>,
    start: FeedStart,
    has_begun: bool,
}

impl<S: Ledger> Feed<S> {
    pub(crate) fn new(register: Register<S>, name: &str) -> Result<Self, InvalidFeedName> {
        let is_letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
        if !(1..=48).contains(&name.len()) || !name.chars().all(is_letter) {
            return Err(InvalidFeedName {});
        }
        Ok(Self { register, name: name.into(), start: FeedStart::default(), has_begun: false })
    }

    /// The feed of this store, for a process that does nothing else with keys: it needs no pepper. If there is an
    /// [`ApiKeys`](crate::ApiKeys), use [its feed](crate::ApiKeys::feed).
    ///
    /// ```
    /// use tower_api_keys::{feed::Feed, store::MemoryStore};
    ///
    /// let feed = Feed::over(MemoryStore::new(), "notifier")?;
    /// # let _ = feed;
    /// # Ok::<(), tower_api_keys::feed::InvalidFeedName>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidFeedName`].
    pub fn over(store: S, name: &str) -> Result<Self, InvalidFeedName> {
        Self::new(Register::new(Calls::new(Arc::new(store), ANSWER)), name)
    }

    /// Where the consumer begins if the store does not know its name. Default: [`FeedStart::Beginning`].
    #[must_use]
    pub fn starting(self, start: FeedStart) -> Self {
        Self { start, ..self }
    }

    /// The next events that this consumer has not confirmed, 1 to 1,000 of them; waits until there is one.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`FeedErrorKind`]: busy, corrupt, forgotten (once it has begun), store unavailable, too many.
    pub async fn next(&mut self, limit: u16) -> Result<FeedBatch, FeedError> {
        loop {
            // Read before the events: a later event moves it, and is not overlooked.
            let head = self.head().await;
            if let Some(batch) = self.try_next(limit).await? {
                return Ok(batch);
            }
            self.wait(head).await;
        }
    }

    /// Like [`next`](Self::next), without waiting; none if this consumer has confirmed all events.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?;
    /// assert!(keys.feed("report")?.try_next(100).await?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub async fn try_next(&mut self, limit: u16) -> Result<Option<FeedBatch>, FeedError> {
        let place = self.place().await?;
        let page = self.register.store().feed(Some(place), limit.clamp(1, 1_000)).await?;
        Ok(FeedBatch::of(&page.rows))
    }

    /// Confirms all events up to this position: they are not delivered again, and may be deleted. A position that was
    /// confirmed before changes nothing.
    ///
    /// # Errors
    /// [`FeedErrorKind`]: busy, corrupt, forgotten, store unavailable.
    pub async fn confirm(&self, cursor: FeedCursor) -> Result<Effect, FeedError> {
        self.register.confirm(&self.name, cursor.sequence()).await
    }

    /// The position of this consumer.
    async fn place(&mut self) -> Result<i64, FeedError> {
        if let Some(place) = self.register.place(&self.name).await? {
            self.has_begun = true;
            return Ok(place);
        }
        if self.has_begun {
            return Err(FeedError::new(FeedErrorKind::Forgotten));
        }
        let start = match self.start {
            FeedStart::After(cursor) => cursor.sequence(),
            FeedStart::Beginning => 0,
            FeedStart::Now => self.register.end().await?,
        };
        let place = self.register.begin(&self.name, start).await?;
        self.has_begun = true;
        Ok(place)
    }

    async fn head(&self) -> Option<Head> {
        let store = self.register.store();
        if let Some(head) = store.try_head() {
            return Some(head);
        }
        match store.changes_since(None).await {
            Ok(Changes::Reset { head }) => Some(head),
            _ => None,
        }
    }

    async fn wait(&self, head: Option<Head>) {
        let interval = tokio::time::sleep(INTERVAL);
        let Some(head) = head else { return interval.await };
        let _sooner = select(pin!(self.register.store().wait_for_change(head)), pin!(interval)).await;
    }
}

impl<S> fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("name", &self.name).field("start", &self.start).finish_non_exhaustive()
    }
}
