use std::{collections::BTreeMap, sync::Arc};

use super::{
    entry::FeedCursor,
    error::{FeedError, FeedErrorKind},
    status::FeedStatus,
};
use crate::{
    store::{Calls, Effect, KeyStore, Ledger},
    time::Timestamp,
};

/// The note in which the store keeps the consumers of the feed, and how far each has confirmed it: the sequence of an
/// event by name.
const NOTE: &str = "feeds";

/// The most consumers, so that all of them fit into a note.
const MOST: usize = 64;

/// If two nodes write the note at once, one succeeds, and the other tries again.
const TRIES: usize = 100;

/// The most unconfirmed events that are counted for a consumer.
const COUNTED: u16 = 1_000;

/// The consumers of the feed, and their positions.
pub(crate) struct Register<S> {
    store: Calls<Arc<S>>,
}

type Places = BTreeMap<String, i64>;

impl<S: Ledger> Register<S> {
    pub(crate) const fn new(store: Calls<Arc<S>>) -> Self {
        Self { store }
    }

    pub(super) const fn store(&self) -> &Calls<Arc<S>> {
        &self.store
    }

    async fn read(&self) -> Result<(Vec<u8>, Places), FeedError> {
        let standing = self.store.replace_note(NOTE, &[], &[]).await?;
        if standing.is_empty() {
            return Ok((standing, Places::new()));
        }
        let places = serde_json::from_slice(&standing).map_err(|_| FeedError::new(FeedErrorKind::Corrupt))?;
        Ok((standing, places))
    }

    pub(super) async fn place(&self, name: &str) -> Result<Option<i64>, FeedError> {
        Ok(self.read().await?.1.get(name).copied())
    }

    /// The consumer that is furthest behind, and its position.
    pub(crate) async fn slowest(&self) -> Result<Option<(String, i64)>, FeedError> {
        Ok(self.read().await?.1.into_iter().min_by_key(|(_, place)| *place))
    }

    /// Adds a consumer at this position, unless one with this name exists. Returns its position.
    pub(super) async fn begin(&self, name: &str, at: i64) -> Result<i64, FeedError> {
        self.change(|places| {
            if !places.contains_key(name) && places.len() >= MOST {
                return Err(FeedError::new(FeedErrorKind::TooMany));
            }
            Ok(*places.entry(name.to_owned()).or_insert(at))
        })
        .await
    }

    /// Moves a consumer forward; never back.
    pub(super) async fn confirm(&self, name: &str, to: i64) -> Result<Effect, FeedError> {
        self.change(|places| {
            let place = places.get_mut(name).ok_or(FeedError::new(FeedErrorKind::Forgotten))?;
            let effect = if to > *place { Effect::Changed } else { Effect::Unchanged };
            *place = to.max(*place);
            Ok(effect)
        })
        .await
    }

    pub(crate) async fn forget(&self, name: &str) -> Result<Effect, FeedError> {
        self.change(|places| Ok(if places.remove(name).is_some() { Effect::Changed } else { Effect::Unchanged })).await
    }

    async fn change<T>(&self, change: impl Fn(&mut Places) -> Result<T, FeedError>) -> Result<T, FeedError> {
        for _ in 0..TRIES {
            let (standing, mut places) = self.read().await?;
            let before = places.clone();
            let done = change(&mut places)?;
            if places == before {
                return Ok(done);
            }
            // Fails only on maps whose keys are not strings; these are strings.
            let new = serde_json::to_vec(&places).unwrap_or_default();
            if self.store.replace_note(NOTE, &standing, &new).await? == new {
                return Ok(done);
            }
        }
        Err(FeedError::new(FeedErrorKind::Busy))
    }

    /// All consumers, by name, with their unconfirmed events.
    pub(crate) async fn all(&self) -> Result<Vec<FeedStatus>, FeedError> {
        let mut all = Vec::new();
        for (name, place) in self.read().await?.1 {
            let page = self.store.feed(Some(place), COUNTED).await?;
            let oldest = page.rows.first().and_then(|event| Timestamp::from_millis(event.at).ok());
            all.push(FeedStatus {
                name,
                confirmed: FeedCursor::after(place),
                unconfirmed: page.rows.len() as u64,
                more: page.more,
                oldest_unconfirmed_at: oldest,
            });
        }
        Ok(all)
    }

    /// The position of the last event, in a few dozen reads no matter how many there are: the feed can only be read
    /// after a position.
    pub(super) async fn end(&self) -> Result<i64, FeedError> {
        let (mut last, mut step) = (0, 1_i64);
        loop {
            match self.store.feed(Some(i64::saturating_add(last, step - 1)), 1).await?.rows.first() {
                Some(event) => (last, step) = (event.sequence, step.saturating_mul(2)),
                None if step == 1 => return Ok(last),
                None => step = (step / 4).max(1),
            }
        }
    }
}
