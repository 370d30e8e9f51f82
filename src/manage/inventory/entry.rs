use std::time::Duration;

use serde::Serialize;

use super::{flag::KeyFlag, judge::is_made_by_owner};
use crate::{
    json::json_form,
    key::KeyId,
    manage::{
        advice::{Advice, AdvisedKey, advise},
        counted::CountedUntil,
        info::KeyInfo,
        names::{Names, Presence},
        soon::ends_soon,
    },
    outcome::Proved,
    record::{ActorId, OwnerStatus},
    sentence::{Sentence, sentences},
    store::KeyCursor,
    time::Timestamp,
    usage::{Source, UsageDetail},
};

/// A key as an inventory shows it: the key, how it is used, and what needs attention. It serializes, with its flags as
/// `[{"flag": …, "sentence": …}]`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let actor = tower_api_keys::Actor::system("first start")?;
/// # manager.issue(tower_api_keys::IssueKey::team("blue".parse()?).named("key1"), &actor).await?;
/// use tower_api_keys::manage::{InventoryQuery, KeyFlag};
///
/// let page = manager.inventory(InventoryQuery::all(), &actor).await?;
/// let entry = &page.entries[0];
/// assert_eq!((entry.age().as_secs(), entry.last_success_at()), (0, None));
/// assert_eq!(entry.flags, [KeyFlag::VagueName]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InventoryEntry {
    /// The key: its creator, the key that made it, when it was made, its labels, the keys before and after it in a
    /// rotation, and its usage totals.
    pub key: KeyInfo,
    /// When the inventory was taken.
    pub asked_at: Timestamp,
    /// Whether it was neither revoked nor expired then. Its owner may still be suspended.
    pub is_live: bool,
    /// Whether the user who made it is suspended or closed. Active for keys that a key or the system made. The names of
    /// the [page](InventoryPage::names) say whether they have left.
    pub creator_status: OwnerStatus,
    /// How often it was used, by outcome and source.
    pub usage: UsageDetail,
    /// The requests with it after it was dead.
    pub attempts_since_death: Attempts,
    /// What needs attention.
    pub flags: Vec<KeyFlag>,
    /// Whether the actor's plan includes team keys, as far as its rights say: advice and sentences depend on it.
    pub has_team_keys: bool,
}

impl InventoryEntry {
    /// How long ago it was made, to the millisecond.
    #[must_use]
    pub fn age(&self) -> Duration {
        let millis = self.asked_at.as_millis().saturating_sub(self.key.created_at.as_millis());
        Duration::from_millis(millis.try_into().unwrap_or(0))
    }

    /// When it was last accepted, commonly called *last used*.
    #[must_use]
    pub fn last_success_at(&self) -> Option<Timestamp> {
        self.key.usage.and_then(|usage| usage.last_success_at)
    }

    /// Whether it should be a personal key or a team key, and why: what
    /// [`KeyManager::advise`](crate::KeyManager::advise) would say at the time of the inventory, without a read of the
    /// store. The page says until when usage is counted.
    #[must_use]
    pub fn advice(&self) -> Advice {
        let key = AdvisedKey {
            id: self.key.id,
            kind: self.key.kind,
            name: &self.key.name,
            labels: &self.key.labels,
            created_via_key: self.key.created_via_key.as_ref(),
            is_live: self.is_live,
            has_team_keys: self.has_team_keys,
        };
        advise(&key, &self.usage, self.asked_at)
    }

    /// The sources from which it was accepted, as far as they are known.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.usage.successes().map(|count| &count.source).filter(|source| !source.is_empty())
    }

    /// What to do about a flag of this key: the [sentence](KeyFlag::sentence) of the flag, or a more specific one where
    /// the date or the plan adds something.
    #[must_use]
    pub fn flag_sentence(&self, flag: KeyFlag) -> Sentence {
        match (flag, self.key.expires_at) {
            (KeyFlag::EndsSoon, Some(end)) => ends_soon(end),
            (KeyFlag::LooksShared, _) if !self.has_team_keys => looks_shared_without_team_keys(),
            _ => flag.sentence(),
        }
    }

    /// Raises the flags of people who have left or are unknown. Keys and the system do not leave.
    pub(super) fn flag_leavers(&mut self, names: &Names) {
        let Self { key, flags, .. } = self;
        if !self.is_live {
            return;
        }
        if matches!(&key.created_by, ActorId::User(creator) if names.has_left(creator))
            && !is_made_by_owner(&key.created_by, &key.owner)
        {
            flags.push(KeyFlag::CreatorInactive);
        }
        match names.presence(&key.owner) {
            Some(Presence::Left) if key.owner_status.is_active() => flags.push(KeyFlag::OwnerLeft),
            Some(Presence::Unknown) if key.owner_status.is_active() => flags.push(KeyFlag::OwnerUnknown),
            _ => {}
        }
        flags.sort_unstable();
        flags.dedup();
    }

    pub(super) fn has_source(&self, source: &Source) -> bool {
        self.usage.counts.iter().any(|count| count.source == *source)
    }
}

sentences! {
    pub(in crate::manage) fn all;

    fn looks_shared_without_team_keys() = "flag.looks_shared_without_team_keys":
        "It is a personal key, but a service seems to use it. It stops working when the person leaves. Create a \
         separate user for the service, and a key for that user.";
}

/// A flag with its sentence.
#[derive(Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
struct RaisedFlag {
    flag: KeyFlag,
    sentence: Sentence,
}

json_form! {
    InventoryEntry<'a>, |entry| InventoryEntry {
        key, asked_at, is_live, creator_status, usage, attempts_since_death, flags, has_team_keys
    } => {
        key: &'a KeyInfo = key,
        asked_at: Timestamp = *asked_at,
        is_live: bool = *is_live,
        creator_status: OwnerStatus = *creator_status,
        usage: &'a UsageDetail = usage,
        attempts_since_death: Attempts = *attempts_since_death,
        flags: Vec<RaisedFlag> =
            flags.iter().map(|flag| RaisedFlag { flag: *flag, sentence: entry.flag_sentence(*flag) }).collect(),
        has_team_keys: bool = *has_team_keys,
    }
}

/// Requests with a key that were refused because it was revoked or had expired, or because its owner was suspended or
/// closed.
///
/// ```
/// use tower_api_keys::manage::Attempts;
///
/// assert_eq!(Attempts::default().last_at, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Attempts {
    /// How many requests.
    pub count: i64,
    /// When the last of them was made.
    pub last_at: Option<Timestamp>,
}

impl Attempts {
    pub(in crate::manage) fn since_death(usage: &UsageDetail) -> Self {
        let dead = || usage.refusals().filter(|count| count.outcome.proves() == Proved::Dead);
        Self {
            count: dead().map(|count| count.count).fold(0, i64::saturating_add),
            last_at: dead().map(|count| count.last_at).max(),
        }
    }
}

/// A page of the keys that an inventory asks for. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, manage::InventoryQuery};
///
/// let actor = Actor::system("report")?;
/// let mut page = manager.inventory(InventoryQuery::all(), &actor).await?;
/// while let Some(next) = page.next {
///     page = manager.inventory(InventoryQuery::all().after(next), &actor).await?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct InventoryPage {
    /// When it was taken.
    pub asked_at: Timestamp,
    /// The keys, by time of creation, then id, or in reverse if the newest were requested first.
    pub entries: Vec<InventoryEntry>,
    /// The ids of keys whose stored records cannot be read, whatever flags, labels and sources were asked for; requests
    /// with these keys get 503.
    pub unreadable: Vec<KeyId>,
    /// The names of the people and teams of these keys, and who has left. If they are not
    /// [complete](Names::is_complete), keys lack flags, and a query for people who left lacks keys: ask for the page
    /// again.
    pub names: Names,
    /// Where the next page begins, if there may be one. Even a short or empty page can have a next one: one call looks
    /// at 5,000 keys at most.
    pub next: Option<KeyCursor>,
    /// Until when usage on this page is counted.
    pub counted: CountedUntil,
}
