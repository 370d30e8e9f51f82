use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;

use crate::audit::{Event, EventRow};

/// A position in the feed: all events up to it.
///
/// ```
/// use tower_api_keys::feed::FeedCursor;
///
/// assert!(FeedCursor::after(7) > FeedCursor::after(6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct FeedCursor(i64);

impl FeedCursor {
    /// The position after the event with this [`sequence`](Event::sequence). 0 is before all events.
    #[must_use]
    pub const fn after(sequence: i64) -> Self {
        Self(sequence)
    }

    /// The sequence of the event before this position; 0 if it is before all events.
    #[must_use]
    pub const fn sequence(self) -> i64 {
        self.0
    }
}

/// An event of the feed.
///
/// ```
/// use tower_api_keys::{ApiKeys, IssueKey, Actor, TeamId, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let keys = ApiKeys::builder(MemoryStore::new()).params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?;
/// keys.manager().issue(IssueKey::team(TeamId::new("blue")?), &Actor::system("first start")?).await?;
/// let batch = keys.feed("notifier")?.next(100).await?;
/// println!("{} {}", batch.entries[0].id, serde_json::to_string(&batch.entries[0].event)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedEntry {
    /// The same whenever this event is delivered, and different from that of any other event: a receiver that has seen
    /// it drops the event. Letters, digits, `-` and `_`, at most 42 characters. It stays the same in a copy of the
    /// store, and after the person that the event names was [erased](crate::KeyManager::erase). After a restore from a
    /// backup, an event that gets the number of a lost one has another id, unless time, action and key are also the
    /// same.
    pub id: String,
    /// The event, in the same form as in the [trail](crate::KeyManager::events).
    pub event: Event,
}

impl FeedEntry {
    pub(super) fn new(row: &EventRow, event: Event) -> Self {
        Self { id: id_of(row), event }
    }

    /// The cursor to confirm this event and all before it.
    #[must_use]
    pub const fn cursor(&self) -> FeedCursor {
        FeedCursor(self.event.sequence)
    }
}

/// Some events of the feed, in log order.
///
/// ```
/// # fn deliver(_: &tower_api_keys::feed::FeedEntry) {}
/// fn all(batch: &tower_api_keys::feed::FeedBatch) {
///     batch.entries.iter().for_each(deliver);
///     for sequence in &batch.unreadable {
///         eprintln!("the event {sequence} cannot be read");
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedBatch {
    /// The events.
    pub entries: Vec<FeedEntry>,
    /// The sequences of events among them that cannot be read because they were written with plain SQL.
    pub unreadable: Vec<i64>,
    /// The cursor to confirm all of them.
    pub cursor: FeedCursor,
}

impl FeedBatch {
    /// None if there are no rows.
    pub(super) fn of(rows: &[EventRow]) -> Option<Self> {
        let mut batch = Self { entries: Vec::new(), unreadable: Vec::new(), cursor: FeedCursor(rows.last()?.sequence) };
        for row in rows {
            match Event::try_from(row) {
                Ok(event) => batch.entries.push(FeedEntry::new(row, event)),
                Err(_) => batch.unreadable.push(row.sequence),
            }
        }
        Some(batch)
    }
}

/// The number, for people, and a digest, because a restored store may use a number a second time. The digest covers
/// what [erasing](crate::KeyManager::erase) a person does not change: an event that is delivered before and after has
/// the same id.
fn id_of(row: &EventRow) -> String {
    let EventRow { sequence, at, action, key, owner_kind, audience, .. } = row;
    let mut hasher = blake3::Hasher::new_derive_key("tower-api-keys v1 event id");
    hasher.update(&sequence.to_le_bytes()).update(&at.to_le_bytes());
    for text in [Some(action), key.as_ref(), Some(owner_kind), Some(audience)] {
        // With the length of each, so that no two lists of texts give the same bytes. No text has the greatest length.
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        hasher.update(&length.to_le_bytes()).update(text.map_or("", String::as_str).as_bytes());
    }
    let digest = hasher.finalize();
    let (digest, _) = digest.as_bytes().split_at(16);
    format!("{sequence}-{}", Base64UrlUnpadded::encode_string(digest))
}
