use std::{collections::BTreeSet, time::Duration};

use super::{
    client::{client, is_hand_tool, is_unattended, stands_for_many},
    entry::Attempts,
    flag::KeyFlag,
};
use crate::{
    manage::{
        info::KeyInfo,
        lint::{NameAdvice, lint_name},
    },
    owner::{KeyKind, Owner},
    record::{ActorId, OwnerStatus},
    scope::Scope,
    time::Timestamp,
    usage::{UsageCount, UsageDetail},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What goes on with a key's other outcomes when it was shown at another team's door.
const WRONG_TEAM: &str = "wrong_team";

/// A person uses two programs with one key often enough: an editor and a script.
const MOST_PROGRAMS_OF_A_PERSON: usize = 2;

/// From when on a key gets a [`KeyFlag`].
///
/// - [`NeverUsed`](KeyFlag::NeverUsed): never accepted, and made at least [1 day](Self::with_grace) ago.
/// - [`Unused`](KeyFlag::Unused): accepted, and last so [90 days](Self::with_unused_after) ago or longer.
/// - [`SeveralSources`](KeyFlag::SeveralSources): accepted from at least [2 programs](Self::with_several) within the last
///   [30 days](Self::with_recent). A program is what follows the label of a source: `intake/acme` and `api/acme` are one.
///   Tools with which people try keys by hand, such as curl, Postman and browsers, are not counted: they use a key that is
///   installed somewhere else. More than 64 sources, which are counted as one, are several.
/// - [`LooksShared`](KeyFlag::LooksShared): a personal key, accepted within the last 30 days from a program whose name says
///   that it runs without a person (`GitHub-Hookshot`, `nightly-job`), or from at least 3 programs, counted as above: one
///   person has an editor and a script, and seldom more.
/// - [`TriedAtOtherTeam`](KeyFlag::TriedAtOtherTeam): last refused there within the last 30 days.
/// - [`TriedSinceDeath`](KeyFlag::TriedSinceDeath): last refused for it within the last 30 days.
/// - [`CreatorInactive`](KeyFlag::CreatorInactive): the status as it is. Of a key that people made for themselves,
///   [`OwnerInactive`](KeyFlag::OwnerInactive) says it all.
/// - [`Unnamed`](KeyFlag::Unnamed), [`VagueName`](KeyFlag::VagueName): by [`lint_name`].
///
/// What has been counted once is counted for good. Without the 30 days, a key would never lose a flag, whatever is done.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::manage::{FlagSettings, InventoryQuery};
///
/// let month = Duration::from_secs(30 * 24 * 60 * 60);
/// let query = InventoryQuery::all().with_settings(FlagSettings::new().with_unused_after(month));
/// # let _ = query;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagSettings {
    grace: Duration,
    unused_after: Duration,
    recent: Duration,
    several: usize,
}

impl FlagSettings {
    /// The defaults above.
    #[must_use]
    pub const fn new() -> Self {
        Self { grace: DAY, unused_after: DAY.saturating_mul(90), recent: DAY.saturating_mul(30), several: 2 }
    }

    /// How long a key may stay unused after it was made. Default: 1 day, so that whoever just made it can install it.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// After how long a key that was used counts as unused. Default: 90 days, so that what runs once a quarter is not
    /// blamed.
    #[must_use]
    pub const fn with_unused_after(mut self, unused_after: Duration) -> Self {
        self.unused_after = unused_after;
        self
    }

    /// How long something counts as recent. Default: 30 days.
    #[must_use]
    pub const fn with_recent(mut self, recent: Duration) -> Self {
        self.recent = recent;
        self
    }

    /// How many programs are several. Default: 2, for a key should be installed in one place.
    #[must_use]
    pub const fn with_several(mut self, several: usize) -> Self {
        self.several = several;
        self
    }
}

impl Default for FlagSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// What flags are raised by.
pub(in crate::manage) struct Facts<'a> {
    pub(in crate::manage) now: Timestamp,
    pub(in crate::manage) key: &'a KeyInfo,
    pub(in crate::manage) is_live: bool,
    pub(in crate::manage) creator: OwnerStatus,
    pub(in crate::manage) usage: &'a UsageDetail,
    pub(in crate::manage) is_half_rotated: bool,
    pub(in crate::manage) has_old_hash: bool,
}

impl Facts<'_> {
    /// The flags of a key, in their order.
    pub(in crate::manage) fn flags(&self, settings: &FlagSettings) -> Vec<KeyFlag> {
        let recent = self.now.saturating_sub(settings.recent);
        let mut flags = BTreeSet::new();
        let mut raise = |flag, holds: bool| {
            if holds {
                flags.insert(flag);
            }
        };
        let attempts = Attempts::since_death(self.usage);
        let is_for_good = !self.is_live || self.key.owner_status.closed_at().is_some();
        raise(KeyFlag::TriedSinceDeath, is_for_good && self.died_before(&attempts) && attempts.last_at >= Some(recent));
        if !self.is_live {
            return flags.into_iter().collect();
        }
        let programs = Programs::of(self.usage.successes().filter(|count| count.last_at >= recent));
        raise(KeyFlag::CreatorInactive, !self.creator.is_active() && !self.is_made_by_owner());
        raise(KeyFlag::LooksShared, self.key.kind == KeyKind::User && programs.look_shared());
        raise(KeyFlag::ManagesKeys, self.key.scopes.allows(&Scope::KEYS_MANAGE));
        raise(KeyFlag::OldHash, self.has_old_hash);
        raise(KeyFlag::OwnerInactive, !self.key.owner_status.is_active());
        raise(KeyFlag::RotationUnfinished, self.is_half_rotated);
        raise(KeyFlag::SeveralSources, programs.are_at_least(settings.several));
        raise(KeyFlag::TriedAtOtherTeam, self.refusals(WRONG_TEAM).any(|count| count.last_at >= recent));
        match lint_name(self.key.name.as_str()) {
            Some(NameAdvice::Empty) => raise(KeyFlag::Unnamed, true),
            Some(NameAdvice::Vague) => raise(KeyFlag::VagueName, true),
            None => {}
        }
        match self.usage.successes().map(|count| count.last_at).max() {
            Some(last) => raise(KeyFlag::Unused, last <= self.now.saturating_sub(settings.unused_after)),
            None => raise(KeyFlag::NeverUsed, self.key.created_at <= self.now.saturating_sub(settings.grace)),
        }
        flags.into_iter().collect()
    }

    /// A key that was refused while its owner was held, and revoked later, was not tried since.
    fn died_before(&self, attempts: &Attempts) -> bool {
        let ended = [self.key.revoked_at, self.key.expires_at, self.key.owner_status.closed_at()];
        ended.into_iter().flatten().min() <= attempts.last_at
    }

    fn is_made_by_owner(&self) -> bool {
        matches!((&self.key.created_by, &self.key.owner), (ActorId::User(creator), Owner::User(owner)) if creator == owner)
    }

    fn refusals(&self, outcome: &str) -> impl Iterator<Item = &UsageCount> {
        self.usage.refusals().filter(move |count| count.outcome.as_str() == outcome)
    }
}

/// What calls with a key, other than the tools of people who try it.
struct Programs<'a> {
    names: BTreeSet<&'a str>,
}

impl<'a> Programs<'a> {
    fn of(counts: impl Iterator<Item = &'a UsageCount>) -> Self {
        let clients = counts.map(|count| client(&count.source));
        Self { names: clients.filter(|client| !client.is_empty() && !is_hand_tool(client)).collect() }
    }

    fn are_at_least(&self, several: usize) -> bool {
        self.names.len() >= several || self.names.iter().any(|client| stands_for_many(client))
    }

    fn look_shared(&self) -> bool {
        self.are_at_least(MOST_PROGRAMS_OF_A_PERSON + 1) || self.names.iter().any(|client| is_unattended(client))
    }
}
