use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    manage::inventory::entry::InventoryEntry,
    record::{Hold, OwnerStatus},
    time::Timestamp,
};

/// A column of a [table](super::ExportFormat::Csv). New ones are added at the end.
///
/// ```
/// use tower_api_keys::manage::InventoryColumn;
///
/// assert_eq!(InventoryColumn::ALL[3].as_str(), "name");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InventoryColumn {
    /// The public middle part of the key's text.
    Id,
    /// `user` or `team`.
    Kind,
    /// The id of the user or team.
    Owner,
    /// What people call it.
    Name,
    /// `live`, `revoked` or `expired`; the first of the latter two that came.
    State,
    /// `active`, `closed`, or the holds, with spaces between: `plan suspended`.
    OwnerStatus,
    /// [`KeyFlag`](crate::manage::KeyFlag)s, with spaces between.
    Flags,
    /// When it was made, as RFC 3339 has it, like all times.
    CreatedAt,
    /// For how many whole days it was there when the inventory was taken.
    AgeDays,
    /// `user:`, `key:` or `system:`, and an id.
    CreatedBy,
    /// As for the owner.
    CreatorStatus,
    /// The key that made it.
    CreatedWith,
    /// When it was last accepted.
    LastSuccessAt,
    /// How often it was accepted.
    Successes,
    /// When it was last refused.
    LastFailureAt,
    /// How often it was refused.
    Failures,
    /// How often it was refused because it was dead, or its owner held or closed.
    AttemptsSinceDeath,
    /// When last.
    LastAttemptSinceDeathAt,
    /// From where it was accepted: a JSON list of texts.
    Sources,
    /// A JSON object of texts.
    Labels,
    /// With spaces between.
    Scopes,
    /// The first moment at which it is refused.
    ExpiresAt,
    /// When it was revoked.
    RevokedAt,
    /// By whom, as for the creator.
    RevokedBy,
    /// The key it succeeds.
    Replaces,
    /// The live key that succeeds it.
    Successor,
    /// 1 when it was made, one more with each change.
    Version,
    /// The customer it belongs to.
    Organization,
    /// When the inventory was taken.
    AskedAt,
}

impl InventoryColumn {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 29] = [
        Self::Id,
        Self::Kind,
        Self::Owner,
        Self::Name,
        Self::State,
        Self::OwnerStatus,
        Self::Flags,
        Self::CreatedAt,
        Self::AgeDays,
        Self::CreatedBy,
        Self::CreatorStatus,
        Self::CreatedWith,
        Self::LastSuccessAt,
        Self::Successes,
        Self::LastFailureAt,
        Self::Failures,
        Self::AttemptsSinceDeath,
        Self::LastAttemptSinceDeathAt,
        Self::Sources,
        Self::Labels,
        Self::Scopes,
        Self::ExpiresAt,
        Self::RevokedAt,
        Self::RevokedBy,
        Self::Replaces,
        Self::Successor,
        Self::Version,
        Self::Organization,
        Self::AskedAt,
    ];

    /// Its name in the first line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Kind => "kind",
            Self::Owner => "owner",
            Self::Name => "name",
            Self::State => "state",
            Self::OwnerStatus => "owner_status",
            Self::Flags => "flags",
            Self::CreatedAt => "created_at",
            Self::AgeDays => "age_days",
            Self::CreatedBy => "created_by",
            Self::CreatorStatus => "creator_status",
            Self::CreatedWith => "created_with",
            Self::LastSuccessAt => "last_success_at",
            Self::Successes => "successes",
            Self::LastFailureAt => "last_failure_at",
            Self::Failures => "failures",
            Self::AttemptsSinceDeath => "attempts_since_death",
            Self::LastAttemptSinceDeathAt => "last_attempt_since_death_at",
            Self::Sources => "sources",
            Self::Labels => "labels",
            Self::Scopes => "scopes",
            Self::ExpiresAt => "expires_at",
            Self::RevokedAt => "revoked_at",
            Self::RevokedBy => "revoked_by",
            Self::Replaces => "replaces",
            Self::Successor => "successor",
            Self::Version => "version",
            Self::Organization => "organization",
            Self::AskedAt => "asked_at",
        }
    }

    /// What it says of a key, before it is made safe.
    pub(super) fn cell(self, entry: &InventoryEntry) -> Cow<'_, str> {
        let key = &entry.key;
        let usage = key.usage.unwrap_or_default();
        match self {
            Self::Id => key.id.as_str().into(),
            Self::Kind => key.kind.as_str().into(),
            Self::Owner => key.owner.id().into(),
            Self::Name => key.name.as_str().into(),
            Self::State => state(entry).into(),
            Self::OwnerStatus => status(&key.owner_status).into(),
            Self::Flags => joined(entry.flags.iter().map(|flag| flag.as_str())).into(),
            Self::CreatedAt => key.created_at.to_string().into(),
            Self::AgeDays => (entry.age().as_secs() / (24 * 60 * 60)).to_string().into(),
            Self::CreatedBy => key.created_by.to_string().into(),
            Self::CreatorStatus => status(&entry.creator_status).into(),
            Self::CreatedWith => text(key.created_with),
            Self::LastSuccessAt => text(usage.last_success_at),
            Self::Successes => usage.successes.to_string().into(),
            Self::LastFailureAt => text(usage.last_failure_at),
            Self::Failures => usage.failures.to_string().into(),
            Self::AttemptsSinceDeath => entry.attempts_since_death.count.to_string().into(),
            Self::LastAttemptSinceDeathAt => text(entry.attempts_since_death.last_at),
            Self::Sources => json(entry.sources().collect::<BTreeSet<_>>()),
            Self::Labels => json(&key.labels),
            Self::Scopes => key.scopes.to_string().into(),
            Self::ExpiresAt => text(key.expires_at),
            Self::RevokedAt => text(key.revoked_at),
            Self::RevokedBy => text(key.revoked_by.as_ref()),
            Self::Replaces => text(key.replaces),
            Self::Successor => text(entry.successor),
            Self::Version => key.version.to_string().into(),
            Self::Organization => key.organization.as_str().into(),
            Self::AskedAt => entry.asked_at.to_string().into(),
        }
    }
}

fn state(entry: &InventoryEntry) -> &'static str {
    let end = |at: Option<Timestamp>| at.filter(|_| !entry.is_live).unwrap_or(Timestamp::MAX);
    match (entry.is_live, end(entry.key.revoked_at) <= end(entry.key.expires_at)) {
        (true, _) => "live",
        (false, true) => "revoked",
        (false, false) => "expired",
    }
}

fn status(status: &OwnerStatus) -> String {
    if status.closed_at().is_some() {
        return "closed".to_owned();
    }
    let holds = joined([Hold::Plan, Hold::Suspended].into_iter().filter(|hold| status.has(*hold)).map(Hold::as_str));
    if holds.is_empty() { "active".to_owned() } else { holds }
}

fn joined(words: impl Iterator<Item = &'static str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn text(value: Option<impl ToString>) -> Cow<'static, str> {
    value.map(|value| value.to_string()).unwrap_or_default().into()
}

fn json(value: impl serde::Serialize) -> Cow<'static, str> {
    // Texts and tables of texts: nothing that could not be written.
    serde_json::to_string(&value).unwrap_or_default().into()
}
