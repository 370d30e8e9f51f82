use std::collections::BTreeMap;

use serde::Serialize;

use super::{entry::InventoryEntry, flag::KeyFlag};
use crate::{
    manage::{
        counted::CountedUntil,
        names::{Mentions, Names, Naming},
    },
    owner::Owner,
    record::OwnerStatus,
    time::Timestamp,
};

/// An inventory in numbers, for each user and team with keys in it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let actor = tower_api_keys::Actor::system("first start")?;
/// # manager.issue(tower_api_keys::IssueKey::team("blue".parse()?).named("key1"), &actor).await?;
/// use tower_api_keys::manage::{InventoryQuery, KeyFlag};
///
/// let summary = manager.inventory_summary(InventoryQuery::all(), &actor).await?;
/// let blue = &summary.owners[0];
/// assert_eq!((blue.live, blue.dead, blue.flagged(KeyFlag::VagueName)), (1, 0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct InventorySummary {
    /// When it was taken. Keys that were made after that may be among those counted.
    pub asked_at: Timestamp,
    /// Users first, then teams, each by id.
    pub owners: Vec<OwnerSummary>,
    /// How many stored records cannot be read; no owner's counts include them.
    pub unreadable: u64,
    /// Until when usage is counted in it.
    pub counted: CountedUntil,
    /// The names of these users and teams, and which users have left. If they are not [complete](Names::is_complete),
    /// more keys may deserve a flag about people who left.
    pub names: Names,
}

/// The keys of one user or team in numbers.
///
/// ```
/// use tower_api_keys::manage::{KeyFlag, OwnerSummary};
///
/// fn needs_a_look(owner: &OwnerSummary) -> bool {
///     owner.flagged(KeyFlag::LooksShared) + owner.flagged(KeyFlag::TriedSinceDeath) > 0
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OwnerSummary {
    /// The user or team.
    pub owner: Owner,
    /// Whether they are suspended or closed.
    pub status: OwnerStatus,
    /// Keys that are neither revoked nor expired.
    pub live: u64,
    /// Keys that are revoked or expired.
    pub dead: u64,
    /// How many keys have each flag; a flag that none has is not in here.
    pub flags: BTreeMap<KeyFlag, u64>,
    /// When one of the keys was last accepted.
    pub last_success_at: Option<Timestamp>,
}

impl OwnerSummary {
    /// How many keys have this flag.
    #[must_use]
    pub fn flagged(&self, flag: KeyFlag) -> u64 {
        self.flags.get(&flag).copied().unwrap_or(0)
    }

    fn count(&mut self, entry: &InventoryEntry) {
        if entry.is_live {
            self.live += 1;
        } else {
            self.dead += 1;
        }
        for flag in &entry.flags {
            *self.flags.entry(*flag).or_default() += 1;
        }
        self.status = entry.key.owner_status;
        self.last_success_at = self.last_success_at.max(entry.last_success_at());
    }
}

/// A summary that is still being counted.
#[derive(Default)]
pub(in crate::manage) struct SummaryCount {
    owners: BTreeMap<Owner, OwnerSummary>,
    unreadable: u64,
}

impl SummaryCount {
    pub(in crate::manage) fn add(&mut self, entry: &InventoryEntry) {
        let empty = || OwnerSummary {
            owner: entry.key.owner.clone(),
            status: OwnerStatus::default(),
            live: 0,
            dead: 0,
            flags: BTreeMap::new(),
            last_success_at: None,
        };
        self.owners.entry(entry.key.owner.clone()).or_insert_with(empty).count(entry);
    }

    pub(in crate::manage) fn add_unreadable(&mut self, keys: usize) {
        self.unreadable += keys as u64;
    }

    /// The totals, with the names of their users and teams.
    pub(in crate::manage) fn summary(
        self,
        asked_at: Timestamp,
        counted: CountedUntil,
        naming: &Naming,
    ) -> InventorySummary {
        let mut mentions = Mentions::default();
        self.owners.keys().for_each(|owner| mentions.owner(owner));
        let names = naming.of_whole(&mentions);
        let owners = self.owners.into_values().collect();
        InventorySummary { asked_at, owners, unreadable: self.unreadable, counted, names }
    }
}
