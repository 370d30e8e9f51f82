use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    manage::{
        inventory::entry::InventoryEntry,
        names::{Mentions, Naming},
    },
    record::{ActorId, OwnerStatus, Suspension},
    time::Timestamp,
    words::words,
};

words! {
    /// A column of a [table](super::ExportFormat::Csv). New ones are added at the end.
    ///
    /// ```
    /// use tower_api_keys::manage::InventoryColumn;
    ///
    /// assert_eq!(InventoryColumn::ALL[3].as_str(), "name");
    /// ```
    #[non_exhaustive]
    pub enum InventoryColumn {
        /// The public middle part of the key's text.
        Id = "id",
        /// `user` or `team`.
        Kind = "kind",
        /// The id of the user or team.
        Owner = "owner",
        /// The name of the key.
        Name = "name",
        /// `live`, `revoked` or `expired`; of the latter two, the one that happened first.
        State = "state",
        /// `active`, `closed`, `suspended`, `plan_suspended`, or both with a space between: `suspended plan_suspended`.
        OwnerStatus = "owner_status",
        /// [`KeyFlag`](crate::manage::KeyFlag)s, with spaces between.
        Flags = "flags",
        /// When it was made, in RFC 3339, like all times.
        CreatedAt = "created_at",
        /// How many whole days before the inventory it was made.
        AgeDays = "age_days",
        /// `user:`, `key:` or `system:`, and an id.
        CreatedBy = "created_by",
        /// The status of the creator, in the words of the owner's.
        CreatorStatus = "creator_status",
        /// The key that made it.
        CreatedViaKey = "created_via_key",
        /// When it was last accepted.
        LastSuccessAt = "last_success_at",
        /// How often it was accepted.
        Successes = "successes",
        /// When it was last refused.
        LastFailureAt = "last_failure_at",
        /// How often it was refused.
        Failures = "failures",
        /// How often it was refused because it was dead, or its owner suspended or closed.
        AttemptsSinceDeath = "attempts_since_death",
        /// When the last of these attempts was made.
        LastAttemptSinceDeathAt = "last_attempt_since_death_at",
        /// The sources from which it was accepted: a JSON list of texts.
        Sources = "sources",
        /// The labels: a JSON object of texts.
        Labels = "labels",
        /// The scopes, with spaces between.
        Scopes = "scopes",
        /// The first moment at which it is refused.
        ExpiresAt = "expires_at",
        /// When it was revoked.
        RevokedAt = "revoked_at",
        /// The actor that revoked it, in the form of the creator.
        RevokedBy = "revoked_by",
        /// The key it succeeds.
        Replaces = "replaces",
        /// The live key that succeeds it.
        Successor = "successor",
        /// 1 when it was made, one more with each change.
        Version = "version",
        /// The organization it belongs to.
        Organization = "organization",
        /// When the inventory was taken.
        AskedAt = "asked_at",
        /// The name of the owner. Empty where a [`Directory`](crate::manage::Directory) does not give it, like the
        /// other names.
        OwnerName = "owner_name",
        /// The name of the person who made it.
        CreatedByName = "created_by_name",
        /// `true` if the person who made it has left, `false` if the directory does not say so. Empty where the
        /// directory did not answer, and where a key or the system made it.
        CreatorLeft = "creator_left",
        /// The name of the person who revoked it.
        RevokedByName = "revoked_by_name",
        /// `false` if the directory did not answer about all people and teams of the key, as in
        /// [`Names::is_complete`](crate::manage::Names::is_complete): then names may be missing, and flags of people
        /// who left. `true` if it did, or if there is no directory.
        NamesComplete = "names_complete",
        /// Since when it is paused.
        PausedAt = "paused_at",
        /// The actor that paused it, in the form of the creator.
        PausedBy = "paused_by",
        /// The name of the person who paused it.
        PausedByName = "paused_by_name",
        /// The only networks that it may be used from, with spaces between; empty for anywhere.
        Networks = "networks",
        /// The first key of its chain of rotations; the key itself if it succeeds none.
        Lineage = "lineage",
        /// When its lineage was last rotated: when this key was made, if it succeeds another key.
        RotatedAt = "rotated_at",
        /// `true` if its text was known before it was made, and is in a configuration; else `false`.
        KnownBeforehand = "known_beforehand",
        /// The contact that is told about it, in the service's own words.
        Responsible = "responsible",
    }
}

impl InventoryColumn {
    /// The text of the cell, before it is made safe.
    pub(super) fn cell<'a>(self, entry: &'a InventoryEntry, naming: &'a Naming) -> Cow<'a, str> {
        let (key, names) = (&entry.key, naming.names());
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
            Self::CreatedViaKey => text(key.created_via_key),
            Self::LastSuccessAt => text(usage.last_success_at),
            Self::Successes => usage.successes.to_string().into(),
            Self::LastFailureAt => text(usage.last_failure_at),
            Self::Failures => usage.failures.to_string().into(),
            Self::AttemptsSinceDeath => entry.attempts_since_death.count.to_string().into(),
            Self::LastAttemptSinceDeathAt => text(entry.attempts_since_death.last_at),
            Self::Sources => json(entry.sources().map(ToString::to_string).collect::<BTreeSet<_>>()),
            Self::Labels => json(&key.labels),
            Self::Scopes => key.scopes.to_string().into(),
            Self::ExpiresAt => text(key.expires_at),
            Self::RevokedAt => text(key.revoked_at),
            Self::RevokedBy => text(key.revoked_by.as_ref()),
            Self::Replaces => text(key.replaces),
            Self::Successor => text(key.successor),
            Self::Version => key.version.to_string().into(),
            Self::Organization => key.organization.as_str().into(),
            Self::AskedAt => entry.asked_at.to_string().into(),
            Self::OwnerName => names.of_owner(&key.owner).unwrap_or_default().into(),
            Self::CreatedByName => names.of_actor(&key.created_by).unwrap_or_default().into(),
            Self::CreatorLeft => match &key.created_by {
                ActorId::User(creator) => text(naming.has_left(creator)),
                ActorId::Key(_) | ActorId::System(_) => "".into(),
            },
            Self::RevokedByName => key.revoked_by.as_ref().and_then(|by| names.of_actor(by)).unwrap_or_default().into(),
            Self::PausedAt => text(key.paused_at),
            Self::PausedBy => text(key.paused_by.as_ref()),
            Self::PausedByName => key.paused_by.as_ref().and_then(|by| names.of_actor(by)).unwrap_or_default().into(),
            Self::Lineage => key.lineage.as_str().into(),
            Self::RotatedAt => text(key.rotated_at),
            Self::KnownBeforehand => text(Some(key.known_beforehand)),
            Self::NamesComplete => {
                let mut mentions = Mentions::default();
                mentions.key(key);
                naming.of(&mentions).is_complete().to_string().into()
            }
            Self::Networks => text(key.networks.as_ref()),
            Self::Responsible => text(key.responsible.as_ref()),
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
    let words = [(Suspension::Admin, "suspended"), (Suspension::Plan, "plan_suspended")];
    let suspended = joined(words.into_iter().filter(|(suspension, _)| status.has(*suspension)).map(|(_, word)| word));
    if suspended.is_empty() { "active".to_owned() } else { suspended }
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
