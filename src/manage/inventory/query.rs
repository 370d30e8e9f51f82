use super::{entry::InventoryEntry, flag::KeyFlag, judge::FlagSettings};
use crate::{
    manage::request::ListKeys,
    owner::Owner,
    record::{KeyRecord, NamePart},
    store::KeyCursor,
    time::Timestamp,
    usage::Source,
};

/// Which keys an inventory is about. All conditions hold together.
///
/// What [`ListKeys`] can ask for comes with [`matching`](Self::matching). Conditions on flags, labels and sources are looked
/// at key by key: one call looks at 5,000 keys at most and then returns what it found, with a place to go on
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

    /// The keys of this user or team. If the actor may not see them, the answer is *not found*; if it may see them and not
    /// their usage, it is *denied*.
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

    /// From when on keys get flags. Default: [`FlagSettings::new`].
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

    /// Only those with at least one of these flags; with none of them in particular, all. Default: all.
    ///
    /// Who has left or is not known, of [`CreatorInactive`](KeyFlag::CreatorInactive), [`OwnerLeft`](KeyFlag::OwnerLeft) and
    /// [`OwnerUnknown`](KeyFlag::OwnerUnknown), the [`Directory`](crate::manage::Directory) says. While it does not answer, keys that would be asked for are left out, and
    /// the answer says that its names are not [complete](crate::manage::Names::is_complete).
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

    /// Only those with which somebody called from exactly this source, accepted or refused: a label alone is not that label
    /// with a client.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Only those with an end before this time, live or dead. Whoever wants those that are to end adds
    /// [`Liveness::Live`](crate::store::Liveness::Live) to the list.
    pub fn ends_before(mut self, time: Timestamp) -> Self {
        self.list = self.list.expires_before(time);
        self
    }

    /// Only those with this in their names.
    pub fn named_like(mut self, part: NamePart) -> Self {
        self.list = self.list.named_like(part);
        self
    }

    /// Those made last first. Default: those made first.
    pub fn newest_first(mut self) -> Self {
        self.list = self.list.newest_first();
        self
    }

    /// Those that end soonest first, or ended first; those without an end come last. Default: those made first.
    pub fn soonest_end_first(mut self) -> Self {
        self.list = self.list.soonest_end_first();
        self
    }

    /// The page that follows one that ended here, of the same query.
    pub fn after(mut self, cursor: KeyCursor) -> Self {
        self.list = self.list.after(cursor);
        self
    }

    /// At most so many keys, 1 to 1,000. Default: 100.
    pub fn limit(mut self, limit: u16) -> Self {
        self.list = self.list.limit(limit);
        self
    }

    /// Whether every key that a store finds is one that was asked for.
    pub(in crate::manage) fn is_plain(&self) -> bool {
        self.flags.is_empty() && self.label.is_none() && self.source.is_none()
    }

    /// Whether who has left decides which keys are asked for.
    pub(in crate::manage) fn asks_who_left(&self) -> bool {
        [KeyFlag::CreatorInactive, KeyFlag::OwnerLeft, KeyFlag::OwnerUnknown]
            .iter()
            .any(|flag| self.flags.contains(flag))
    }

    /// Whether a key may be one that was asked for, before anybody looked how it is used.
    pub(in crate::manage) fn may_match(&self, key: &KeyRecord) -> bool {
        self.label.as_ref().is_none_or(|(label, value)| match (key.labels.value(label), value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(has), Some(value)) => has == value,
        })
    }

    /// Whether a key that [may match](Self::may_match) is one that was asked for.
    pub(in crate::manage) fn matches(&self, entry: &InventoryEntry) -> bool {
        (self.flags.is_empty() || self.flags.iter().any(|flag| entry.flags.contains(flag)))
            && self.source.as_ref().is_none_or(|source| entry.has_source(source))
    }
}
