use super::{entry::InventoryEntry, flag::KeyFlag, judge::FlagSettings};
use crate::{
    manage::request::ListKeys,
    owner::Owner,
    record::{KeyRecord, NamePart},
    store::KeyCursor,
    time::Timestamp,
    usage::Source,
};

/// Which keys an inventory is about. A key must meet all conditions.
///
/// The conditions of [`ListKeys`] come with [`matching`](Self::matching). Conditions on flags, labels and sources need
/// a look at each key: one call looks at 5,000 keys at most, then returns what it found, with a cursor to continue
/// from.
///
/// ```
/// use tower_api_keys::{TeamId, manage::{InventoryQuery, KeyFlag, ListKeys}, store::Liveness};
///
/// let live = ListKeys::of(TeamId::new("engineering")?).liveness(Liveness::Live);
/// let query = InventoryQuery::matching(live)
///     .flagged([KeyFlag::NeverUsed, KeyFlag::Unused])
///     .created_before("2026-01-01T00:00:00Z".parse()?);
/// # let _ = query;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `KeyManager::inventory`"]
pub struct InventoryQuery {
    pub(in crate::manage) list: ListKeys,
    pub(in crate::manage) created_since: Option<Timestamp>,
    pub(in crate::manage) created_before: Option<Timestamp>,
    pub(in crate::manage) settings: FlagSettings,
    flags: Vec<KeyFlag>,
    label: Option<(String, Option<String>)>,
    source: Option<Source>,
}

impl InventoryQuery {
    /// Every key of the organization whose usage the actor may see.
    pub const fn all() -> Self {
        Self::matching(ListKeys::all())
    }

    /// The keys of this user or team. If the actor may not see them, the answer is *not found*; if it may see them but
    /// not their usage, it is *denied*.
    pub fn of(owner: impl Into<Owner>) -> Self {
        Self::matching(ListKeys::of(owner))
    }

    /// The keys of this list whose usage the actor may see.
    pub const fn matching(list: ListKeys) -> Self {
        Self {
            list,
            created_since: None,
            created_before: None,
            settings: FlagSettings::new(),
            flags: Vec::new(),
            label: None,
            source: None,
        }
    }

    /// Sets when keys get flags. Default: [`FlagSettings::new`].
    pub const fn flag_settings(mut self, settings: FlagSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Only those made at or after this time.
    pub const fn created_since(mut self, time: Timestamp) -> Self {
        self.created_since = Some(time);
        self
    }

    /// Only those made before this time.
    pub const fn created_before(mut self, time: Timestamp) -> Self {
        self.created_before = Some(time);
        self
    }

    /// Only keys with at least one of these flags; an empty list means all keys. Default: all.
    ///
    /// The [`Directory`](crate::manage::Directory) decides who has left or is unknown, for
    /// [`CreatorInactive`](KeyFlag::CreatorInactive), [`OwnerLeft`](KeyFlag::OwnerLeft) and
    /// [`OwnerUnknown`](KeyFlag::OwnerUnknown). While it does not answer, matching keys are left out, and the answer
    /// says that its names are not [complete](crate::manage::Names::is_complete).
    pub fn flagged(mut self, flags: impl IntoIterator<Item = KeyFlag>) -> Self {
        self.flags = flags.into_iter().collect();
        self
    }

    /// Only those with this label, whatever its value.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some((label.into(), None));
        self
    }

    /// Only those with this value of this label.
    pub fn label_value(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.label = Some((label.into(), Some(value.into())));
        self
    }

    /// Only keys with requests from exactly this source, accepted or refused: a label alone is not the same source as
    /// that label with a client.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Only keys with an end before this time, live or dead. For keys that are still to end, add
    /// [`Liveness::Live`](crate::store::Liveness::Live) to the list.
    pub fn ends_before(mut self, time: Timestamp) -> Self {
        self.list = self.list.expires_before(time);
        self
    }

    /// Only keys whose name contains this text.
    pub fn named_like(mut self, part: NamePart) -> Self {
        self.list = self.list.named_like(part);
        self
    }

    /// Newest first. Default: oldest first.
    pub fn newest_first(mut self) -> Self {
        self.list = self.list.newest_first();
        self
    }

    /// The earliest end first, past ends included; keys without an end come last. Default: oldest first.
    pub fn soonest_end_first(mut self) -> Self {
        self.list = self.list.soonest_end_first();
        self
    }

    /// The page after one that ended here, of the same query.
    pub fn after(mut self, cursor: KeyCursor) -> Self {
        self.list = self.list.after(cursor);
        self
    }

    /// At most this many keys, 1 to 1,000. Default: 100.
    pub fn limit(mut self, limit: u16) -> Self {
        self.list = self.list.limit(limit);
        self
    }

    /// Whether every key that the store finds matches.
    pub(in crate::manage) fn is_plain(&self) -> bool {
        self.flags.is_empty() && self.label.is_none() && self.source.is_none()
    }

    /// Whether the answer depends on who has left.
    pub(in crate::manage) fn asks_who_left(&self) -> bool {
        [KeyFlag::CreatorInactive, KeyFlag::OwnerLeft, KeyFlag::OwnerUnknown]
            .iter()
            .any(|flag| self.flags.contains(flag))
    }

    /// Whether a key may match, before its usage is read.
    pub(in crate::manage) fn may_match(&self, key: &KeyRecord) -> bool {
        self.label.as_ref().is_none_or(|(label, value)| match (key.labels.value(label), value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(has), Some(value)) => has == value,
        })
    }

    /// Whether a key that [may match](Self::may_match) does.
    pub(in crate::manage) fn matches(&self, entry: &InventoryEntry) -> bool {
        (self.flags.is_empty() || self.flags.iter().any(|flag| entry.flags.contains(flag)))
            && self.source.as_ref().is_none_or(|source| entry.has_source(source))
    }
}
