use std::fmt;

use super::{dead_keys::DeadKeys, key_cursor::KeyCursor};
use crate::{
    hash::KeyHash,
    key::KeyId,
    owner::{KeyKind, OrganizationId, Owner},
    record::{ActorId, NamePart},
    time::Timestamp,
};

/// Which keys to list. All conditions hold together.
///
/// ```
/// use tower_api_keys::{OrganizationId, TeamId, store::{KeyOrder, KeyQuery}};
///
/// let query = KeyQuery {
///     owners: vec![TeamId::new("engineering")?.into(), TeamId::new("research")?.into()],
///     order: KeyOrder::NewestFirst,
///     limit: 20,
///     ..KeyQuery::all(OrganizationId::single())
/// };
/// assert!(query.creator.is_none());
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// The organization that the keys belong to.
    pub organization: OrganizationId,
    /// These keys, at most 1,000; empty for all.
    pub keys: Vec<KeyId>,
    /// Keys of one of these users and teams, at most 1,000; empty for all. One that is named twice counts once.
    pub owners: Vec<Owner>,
    /// Only personal keys, or only team keys.
    pub kind: Option<KeyKind>,
    /// Keys with this in their names.
    pub named_like: Option<NamePart>,
    /// Keys made by this user, key or part of the system.
    pub creator: Option<ActorId>,
    /// Keys made with this key.
    pub created_via_key: Option<KeyId>,
    /// Keys that replace this one, live or dead.
    pub predecessor: Option<KeyId>,
    /// Keys with this one as the [first of their chain of rotations](crate::record::KeyRow::lineage), itself included.
    pub lineage: Option<KeyId>,
    /// Keys that are live, or dead, at the `now` of the query. A key is dead if it is revoked or expired.
    pub liveness: Option<Liveness>,
    /// Keys not used successfully at or after this time, or never.
    pub unused_since: Option<Timestamp>,
    /// Keys made at or after this time.
    pub created_since: Option<Timestamp>,
    /// Keys made before this time.
    pub created_before: Option<Timestamp>,
    /// Keys with an end before this time, live or dead.
    pub expires_before: Option<Timestamp>,
    /// Which come first.
    pub order: KeyOrder,
    /// Keys after the one at this place, in the order of the query: those made later, those made earlier, or those that
    /// end later.
    pub after: Option<KeyCursor>,
    /// Whether each key comes with [how it was used](super::ListedKey::usage), which is about a third of the cost of a
    /// list.
    pub with_usage: bool,
    /// The most keys in the answer, 1 to 1,000.
    pub limit: u16,
}

impl KeyQuery {
    /// All keys of an organization with their usage, the oldest first, 100 a page.
    #[must_use]
    pub fn all(organization: OrganizationId) -> Self {
        Self {
            organization,
            keys: Vec::new(),
            owners: Vec::new(),
            kind: None,
            named_like: None,
            creator: None,
            created_via_key: None,
            predecessor: None,
            lineage: None,
            liveness: None,
            unused_since: None,
            created_since: None,
            created_before: None,
            expires_before: None,
            order: KeyOrder::OldestFirst,
            after: None,
            with_usage: true,
            limit: 100,
        }
    }
}

/// Which keys of a list come first.
///
/// ```
/// use tower_api_keys::store::KeyOrder;
///
/// assert_eq!(KeyOrder::default(), KeyOrder::OldestFirst);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyOrder {
    /// Those made last: by falling time of creation, then falling id.
    NewestFirst,
    /// Those made first: by rising time of creation, then rising id. The default.
    #[default]
    OldestFirst,
    /// Those that end soonest, or ended first: by rising end, then rising id; those without an end come last.
    SoonestEndFirst,
}

/// Whether a key is live: neither revoked nor expired.
///
/// ```
/// use tower_api_keys::store::Liveness;
///
/// assert_ne!(Liveness::Dead, Liveness::Live);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Neither revoked nor expired.
    Live,
    /// Revoked or expired.
    Dead,
}

/// Which counts of use to read.
///
/// ```
/// use tower_api_keys::{OrganizationId, key::KeyId, store::UsageScope};
///
/// let of = UsageScope::Keys(vec![KeyId::new("AAAAAAAAAAAAAAAAAAAA")?]);
/// assert_ne!(of, UsageScope::NoKey(vec![Some(OrganizationId::new("acme")?), None]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageScope {
    /// Counts of these 1 to 1,000 keys, whether the store has them or not.
    Keys(Vec<KeyId>),
    /// Counts of refusals that name no key and concern one of these 1 to 1,000 organizations; none means those that
    /// concern no organization.
    NoKey(Vec<Option<OrganizationId>>),
}

/// Which events to read: the trail of changes, or the entries of the access log. All conditions hold together.
///
/// ```
/// use tower_api_keys::{OrganizationId, store::EventQuery};
///
/// let query = EventQuery { action: Some("key.revoked".into()), ..EventQuery::all(OrganizationId::single()) };
/// assert_eq!(query.limit, 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// The organization that the events belong to.
    pub organization: OrganizationId,
    /// Whether to read [the access log](crate::audit::EventRow::is_attempt) instead of all other events. They are apart
    /// because a busy key has millions of entries, among which nothing else would be found.
    pub attempts: bool,
    /// Events about this key.
    pub key: Option<KeyId>,
    /// Events about this user or team, or a key of theirs.
    pub owner: Option<Owner>,
    /// Events by this user, key or part of the system.
    pub actor: Option<ActorId>,
    /// Events of this [`Action`](crate::audit::Action), as text.
    pub action: Option<String>,
    /// Events from this source.
    pub source: Option<String>,
    /// Events at or after this time.
    pub from: Option<Timestamp>,
    /// Events before this time.
    pub until: Option<Timestamp>,
    /// Whether they come in falling order of their places in the log, instead of rising.
    pub newest_first: bool,
    /// Events after the one with this place, in the order of the query: with a greater place, or with a smaller one if
    /// the newest come first.
    pub after: Option<i64>,
    /// The most events in the answer, 1 to 1,000.
    pub limit: u16,
}

impl EventQuery {
    /// All events of an organization except the access log, the oldest first, 100 a page.
    #[must_use]
    pub fn all(organization: OrganizationId) -> Self {
        Self {
            organization,
            attempts: false,
            key: None,
            owner: None,
            actor: None,
            action: None,
            source: None,
            from: None,
            until: None,
            newest_first: false,
            after: None,
            limit: 100,
        }
    }
}

/// One page of a list.
///
/// ```
/// use tower_api_keys::store::Page;
///
/// let page = Page { rows: vec![1, 2, 3], more: false };
/// assert_eq!(page.rows.len(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found, in order.
    pub rows: Vec<T>,
    /// Whether more follows.
    pub more: bool,
}

/// The new hash of a key whose text did not change, or the same hash with a proof of that text. `Debug` prints only
/// the id of the pepper.
///
/// ```
/// use tower_api_keys::store::RehashedKey;
///
/// let new = RehashedKey { hash: "$argon2id$…".into(), tag: [1, 2, 3, 4], pepper_id: Some(2), proof: None };
/// assert_eq!(new.pepper_id, Some(2));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RehashedKey {
    /// As in [`KeyRow`](crate::record::KeyRow).
    pub hash: String,
    /// As in [`KeyRow`](crate::record::KeyRow).
    pub tag: [u8; 4],
    /// As in [`KeyRow`](crate::record::KeyRow).
    pub pepper_id: Option<i64>,
    /// As in [`KeyRow`](crate::record::KeyRow).
    pub proof: Option<Vec<u8>>,
}

impl fmt::Debug for RehashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RehashedKey").field("pepper_id", &self.pepper_id).finish_non_exhaustive()
    }
}

impl From<&KeyHash> for RehashedKey {
    fn from(hash: &KeyHash) -> Self {
        Self {
            hash: hash.phc().to_owned(),
            tag: hash.tag().to_bytes(),
            pepper_id: hash.pepper().map(|id| id.as_u32().into()),
            proof: hash.proof().map(Vec::from),
        }
    }
}

/// What to delete because it is old. The default deletes nothing.
///
/// ```
/// use tower_api_keys::store::Prune;
///
/// let prune = Prune { keep_log_rows: Some(100_000), ..Prune::default() };
/// assert!(prune.events_before.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Events before this time, except entries of the access log.
    pub events_before: Option<Timestamp>,
    /// The most of them to delete, those with the earliest times first.
    pub most_events: Option<u64>,
    /// Keeps events with a greater place than this one: a reader of the [feed](super::Ledger::feed) has not confirmed
    /// what comes after it.
    pub events_until: Option<i64>,
    /// [Entries of the access log](crate::audit::EventRow::is_attempt) before this time.
    pub attempts_before: Option<Timestamp>,
    /// The most of them to delete, those with the earliest times first.
    pub most_attempts: Option<u64>,
    /// How many of the last rows of the change log to keep; a reader further behind gets a reset. The head stays. With
    /// less than 1,000, readers that fell behind conclude that the store lost changes, and report that.
    pub keep_log_rows: Option<u32>,
    /// Results and idempotency keys of changes before this time; a repeat of such a change would be applied again.
    pub changes_before: Option<Timestamp>,
    /// Counts of use by day, of days before this one: days since 1970-01-01 in UTC. Counts over all time stay.
    pub days_before: Option<i32>,
    /// Counts of use, and by day, of keys that the store does not have or no longer has, and whose ids come after this
    /// one by their bytes. Begin with [`KeyId::LEAST`], and continue where the call before
    /// [ended](Pruned::usage_next). Counts of requests without a key stay.
    pub usage_after: Option<KeyId>,
    /// Keys that ended long ago.
    pub keys: Option<DeadKeys>,
}

/// How long the access log, or the trail of all other events, is, and how much of it is old.
///
/// ```
/// use tower_api_keys::store::Trail;
///
/// let trail = Trail { events: 100, before: 10, newest_at: None };
/// assert!(trail.before <= trail.events);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// How many events there are, in all organizations.
    pub events: u64,
    /// How many of them lie before the time of the call.
    pub before: u64,
    /// The time of the latest one.
    pub newest_at: Option<Timestamp>,
}

/// How much one call of [`prune`](super::KeyStore::prune) deleted.
///
/// ```
/// use tower_api_keys::store::Pruned;
///
/// assert_eq!(Pruned::default().events, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events other than entries of the access log.
    pub events: u64,
    /// Entries of the access log.
    pub attempts: u64,
    /// Rows of the change log.
    pub log_rows: u64,
    /// Results of changes.
    pub changes: u64,
    /// Counts of use by day: one for each key and day.
    pub days: u64,
    /// Counts of use of keys that the store does not have, and of those by day.
    pub usage: u64,
    /// The id after which the next call continues; none if all were looked at.
    pub usage_next: Option<KeyId>,
    /// Purged keys.
    pub keys: u64,
}

/// The most keys whose counts of use are deleted in one turn. Each may have some hundred counts.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
const MOST_GONE: usize = 20;

/// The next keys that have counts of use, sorted by what to do about them.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) struct UsedKeys {
    /// The keys that the store does not have.
    pub(crate) gone: Vec<String>,
    /// The key after which the next turn continues; none if there are no more.
    pub(crate) next: Option<KeyId>,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl UsedKeys {
    /// Takes the next keys in the order of their ids, each with whether the store has it.
    pub(crate) fn of(used: Vec<(String, bool)>) -> Self {
        let (mut gone, mut next) = (Vec::new(), None);
        for (key, is_there) in used {
            if gone.len() == MOST_GONE {
                break;
            }
            // Plain SQL may have written a key id that is none: it cannot be a place to continue.
            next = KeyId::new(&key).ok().or(next);
            gone.extend((!is_there).then_some(key));
        }
        Self { gone, next }
    }
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    #[test]
    fn a_turn_goes_on_behind_the_last_key_that_it_looked_at() {
        let key = |n: usize, is_there| (format!("{n:020}"), is_there);
        let UsedKeys { gone, next } = UsedKeys::of((0..50).map(|n| key(n, n % 2 == 0)).collect());
        assert_eq!((gone.len(), next), (MOST_GONE, KeyId::new(&key(39, false).0).ok()));
        let UsedKeys { gone, next } = UsedKeys::of(vec![key(1, true), ("no id".into(), false)]);
        assert_eq!((gone, next), (vec!["no id".to_owned()], KeyId::new(&key(1, true).0).ok()));
        assert_eq!(UsedKeys::of(vec![]).next, None);
    }
}
