use std::{collections::BTreeSet, time::Duration};

use super::flag::KeyFlag;
use crate::{
    manage::{
        advice::{InstalledAt, installed_at, personal_because, shared_because},
        lifetimes::Lifetimes,
        lint::{NameAdvice, lint_name},
        soon::{SOON, ends_within},
    },
    outcome::{Outcome, Proved, RefusalCode},
    owner::{KeyKind, Owner},
    record::{ActorId, KeyRecord, OwnerStatus},
    time::Timestamp,
    usage::{UsageCount, UsageDetail, is_of_a_wrong_clock},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The thresholds at which a key gets a [`KeyFlag`].
///
/// - [`EndsSoon`](KeyFlag::EndsSoon): the end is within the next [7 days](Self::with_ends_within), and the key is not
///   being rotated.
/// - [`LivesTooLong`](KeyFlag::LivesTooLong): by the service's longest life for [its
///   kind](crate::ApiKeysBuilder::longest_life_of_user_keys) and [its
///   scopes](crate::ApiKeysBuilder::longest_life_with_scope), counted from its creation.
/// - [`RotationDue`](KeyFlag::RotationDue): made at least [a set period](crate::ApiKeysBuilder::rotation_due_after)
///   ago, if the service sets one, and without a live successor.
/// - [`NeverUsed`](KeyFlag::NeverUsed): never accepted, and made at least [1 day](Self::with_grace) ago.
/// - [`Unused`](KeyFlag::Unused): accepted, but last at least [90 days](Self::with_unused_after) ago.
/// - [`SeveralSources`](KeyFlag::SeveralSources): accepted from at least [2 programs](Self::with_several) within the
///   last [30 days](Self::with_recent). A program is what follows the label of a source, without its network:
///   `intake/acme` and `api/acme@203.0.113.0/24` are one. Where no program is named, each network counts as one. Tools
///   for trying keys by hand, such as curl, Postman and browsers, are not counted: their key is installed somewhere
///   else. More than 64 sources, which are counted as one, are several.
/// - [`LooksPersonal`](KeyFlag::LooksPersonal): a team key whose accepted requests of the last 30 days say that a
///   person uses it by hand, with an editor, an API client or a browser, while nothing says that it does a team's work.
/// - [`LooksShared`](KeyFlag::LooksShared): a personal key whose accepted requests of the last 30 days say, as in a
///   [blast radius](crate::manage::StoppingKey::shared_because), that more than one person depends on it: CI, a
///   schedule, a webhook, a shared host, or 4 programs or more.
/// - [`TriedAtOtherTeam`](KeyFlag::TriedAtOtherTeam): last refused for another team within the last 30 days.
/// - [`TriedSinceDeath`](KeyFlag::TriedSinceDeath): last refused as dead within the last 30 days.
/// - [`CreatorInactive`](KeyFlag::CreatorInactive): by the creator's status, and by whether the
///   [`Directory`](crate::manage::Directory) says they have left. Not for a key that people made for themselves:
///   [`OwnerInactive`](KeyFlag::OwnerInactive) and [`OwnerLeft`](KeyFlag::OwnerLeft) cover that.
/// - [`OwnerLeft`](KeyFlag::OwnerLeft): while they are neither suspended nor closed. People count as left only if the
///   directory says so; if it did not answer, the names with the keys are not
///   [complete](crate::manage::Names::is_complete).
/// - [`OwnerUnknown`](KeyFlag::OwnerUnknown): likewise, for an owner that the directory says is
///   [unknown](crate::manage::Names::with_unknown). [`reconcile`](crate::KeyManager::reconcile) finds them all.
/// - [`Unnamed`](KeyFlag::Unnamed), [`VagueName`](KeyFlag::VagueName): by [`lint_name`].
/// - [`WrongClock`](KeyFlag::WrongClock): made or used more than 5 minutes in the future, so a node that made or
///   counted it has or had a wrong clock. No other flag relies on such a time: the first use that is not in the future
///   counts instead.
///
/// Counts are never deleted: without the 30 days, a key would never lose a flag, whatever is done.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::manage::{FlagSettings, InventoryQuery};
///
/// let month = Duration::from_secs(30 * 24 * 60 * 60);
/// let query = InventoryQuery::all().flag_settings(FlagSettings::new().with_unused_after(month));
/// # let _ = query;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagSettings {
    grace: Duration,
    unused_after: Duration,
    recent: Duration,
    several: usize,
    ends_within: Duration,
}

impl FlagSettings {
    /// The defaults above.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            grace: DAY,
            unused_after: DAY.saturating_mul(90),
            recent: DAY.saturating_mul(30),
            several: 2,
            ends_within: SOON,
        }
    }

    /// How long a key may stay unused after it was made. Default: 1 day, which leaves time to install it.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// After how long without use a key counts as unused. Default: 90 days, so that a quarterly job is not flagged.
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

    /// How long before its end a key ends soon. Default: 7 days.
    #[must_use]
    pub const fn with_ends_within(mut self, ends_within: Duration) -> Self {
        self.ends_within = ends_within;
        self
    }

    /// How many programs are several. Default: 2, because a key should be installed in one place.
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

/// Whether people made a key for themselves.
pub(super) fn is_made_by_owner(creator: &ActorId, owner: &Owner) -> bool {
    matches!((creator, owner), (ActorId::User(creator), Owner::User(owner)) if creator == owner)
}

/// The facts that decide which flags are raised.
pub(in crate::manage) struct FlagFacts<'a> {
    pub(in crate::manage) now: Timestamp,
    pub(in crate::manage) record: &'a KeyRecord,
    pub(in crate::manage) owner: OwnerStatus,
    pub(in crate::manage) creator: OwnerStatus,
    pub(in crate::manage) usage: &'a UsageDetail,
    pub(in crate::manage) is_half_rotated: bool,
    /// Whether it has a live successor.
    pub(in crate::manage) is_replaced: bool,
    pub(in crate::manage) has_old_hash: bool,
    pub(in crate::manage) lifetimes: &'a Lifetimes,
}

impl FlagFacts<'_> {
    /// The flags that the store's data decides, in their order.
    pub(in crate::manage) fn flags(&self, settings: &FlagSettings) -> Vec<KeyFlag> {
        let recent = self.now.saturating_sub(settings.recent);
        let mut flags = BTreeSet::new();
        let mut raise = |flag, holds: bool| {
            if holds {
                flags.insert(flag);
            }
        };
        raise(KeyFlag::TriedSinceDeath, self.is_tried_since_death(recent));
        if !self.record.is_live(self.now) {
            return flags.into_iter().collect();
        }
        raise(
            KeyFlag::CreatorInactive,
            !self.creator.is_active() && !is_made_by_owner(&self.record.created_by, &self.record.owner),
        );
        raise(
            KeyFlag::EndsSoon,
            !self.is_replaced && ends_within(self.record.expires_at, settings.ends_within, self.now).is_some(),
        );
        let kind = self.record.kind();
        raise(KeyFlag::LivesTooLong, self.lifetimes.is_exceeded_by(self.record));
        raise(KeyFlag::LooksPersonal, kind == KeyKind::Team && self.looks_personal(recent));
        raise(KeyFlag::LooksShared, kind == KeyKind::User && self.looks_shared(recent));
        raise(KeyFlag::ManagesKeys, self.record.scopes.manage_keys());
        raise(KeyFlag::OldHash, self.has_old_hash);
        raise(KeyFlag::OwnerInactive, !self.owner.is_active());
        raise(KeyFlag::Paused, self.record.paused.is_some());
        let is_due = self.lifetimes.rotation_due_since(self.record, self.now).is_some();
        raise(KeyFlag::RotationDue, is_due && !self.is_replaced);
        raise(KeyFlag::RotationUnfinished, self.is_half_rotated);
        raise(KeyFlag::SeveralSources, self.is_installed_in(settings.several, recent));
        raise(
            KeyFlag::TriedAtOtherTeam,
            self.refusals(RefusalCode::WrongTeam).any(|count| self.is_at_or_after(count, recent)),
        );
        match lint_name(self.record.name.as_str()) {
            Some(NameAdvice::Empty) => raise(KeyFlag::Unnamed, true),
            Some(NameAdvice::Vague) => raise(KeyFlag::VagueName, true),
            None => {}
        }
        raise(KeyFlag::WrongClock, self.has_a_wrong_time());
        match self.usage.successes().filter_map(|count| count.last_known_at(self.now)).max() {
            Some(last) => raise(KeyFlag::Unused, last <= self.now.saturating_sub(settings.unused_after)),
            // It was used, but no usable time of that is known.
            None if self.usage.successes().next().is_some() => {}
            None => raise(KeyFlag::NeverUsed, self.record.created_at <= self.now.saturating_sub(settings.grace)),
        }
        flags.into_iter().collect()
    }

    /// Whether it was used recently, after it died or its owner was closed. Requests that were refused while its owner
    /// was suspended, before it was revoked, do not count.
    fn is_tried_since_death(&self, recent: Timestamp) -> bool {
        let revoked = self.record.revoked.as_ref().map(|revoked| revoked.at);
        let expired = self.record.expires_at.filter(|end| *end <= self.now);
        let died = [revoked, expired, self.owner.closed_at()].into_iter().flatten().min();
        let mut tries = self.usage.refusals().filter(|count| count.outcome.proves() == Proved::Dead);
        died.is_some_and(|died| tries.any(|count| self.is_at_or_after(count, died.max(recent))))
    }

    fn looks_personal(&self, recent: Timestamp) -> bool {
        !personal_because(self.record, &self.used_since(recent), self.now).is_empty()
    }

    fn looks_shared(&self, recent: Timestamp) -> bool {
        !shared_because(self.record, &self.used_since(recent), self.now).is_empty()
    }

    /// Its accepted requests since this time: an older problem may be solved by now.
    fn used_since(&self, recent: Timestamp) -> UsageDetail {
        let counts = self.usage.successes().filter(|count| self.is_at_or_after(count, recent)).cloned().collect();
        UsageDetail { counts }
    }

    fn is_installed_in(&self, several: usize, recent: Timestamp) -> bool {
        let counts = self.usage.successes().filter(|count| self.is_at_or_after(count, recent));
        let places: BTreeSet<_> = counts.filter_map(|count| installed_at(&count.source)).collect();
        places.len() >= several || places.contains(&InstalledAt::Many)
    }

    /// Whether the last of them was made then or later, as far as that is known.
    fn is_at_or_after(&self, count: &UsageCount, time: Timestamp) -> bool {
        count.last_known_at(self.now).is_some_and(|last| last >= time)
    }

    fn has_a_wrong_time(&self) -> bool {
        let mut times = self.usage.counts.iter().flat_map(|count| [count.first_at, count.last_at]);
        is_of_a_wrong_clock(self.record.created_at, self.now) || times.any(|time| is_of_a_wrong_clock(time, self.now))
    }

    fn refusals(&self, code: RefusalCode) -> impl Iterator<Item = &UsageCount> {
        self.usage.refusals().filter(move |count| count.outcome == Outcome::Refused(code))
    }
}
