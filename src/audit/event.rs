use std::{borrow::Cow, fmt};

use serde::Serialize;

use crate::{
    key::KeyId,
    lengths::ACTION,
    owner::{KeyKind, OrganizationId, Owner, OwnerRef},
    record::{ActorId, CorruptRow, KeyRow, SystemLabel},
    time::Timestamp,
    words::words,
};

/// What was done, in two words: `key.issued`. An open set: a newer version of this crate may write more.
///
/// ```
/// use tower_api_keys::audit::Action;
///
/// assert_eq!(Action::KEY_REVOKED.as_str(), "key.revoked");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// A key was shown and accepted. Written only where a line for each attempt is asked for.
    pub const ATTEMPT_ACCEPTED: Self = Self(Cow::Borrowed(fits("attempt.accepted")));
    /// Entries of the access log with keys of the organization are missing in this place, or may be. [`Event::after`] is a
    /// line of JSON: the `count`, and when the first and the last of them came, `first_at` and `last_at`. The subject is the
    /// key of the first; the others may have been of any key of the organization.
    pub const ATTEMPT_DROPPED: Self = Self(Cow::Borrowed(fits("attempt.dropped")));
    /// A key that is in the store was shown, or a text with its id, and refused; [`Event::after`] is the code of the
    /// refusal. The actor is the key if it was proved to be that key, which expired, was revoked, or whose owner is
    /// suspended; else `system:unproved caller`. Written only where a line for each attempt is asked for, and of one
    /// key for ten a minute of those with the right text and ten of the others.
    pub const ATTEMPT_REFUSED: Self = Self(Cow::Borrowed(fits("attempt.refused")));
    /// More attempts of one minute like those of [`ATTEMPT_REFUSED`](Self::ATTEMPT_REFUSED), with one key, one code and
    /// from one source, or from several that are told as `other`. [`Event::after`] is a line of JSON: the `code`, the
    /// `count`, and when the first and the last of them came, `first_at` and `last_at`.
    pub const ATTEMPT_REPEATED: Self = Self(Cow::Borrowed(fits("attempt.repeated")));
    /// The inventory was exported, or its export begun. [`Event::after`] is a line of JSON with the `format`. It stands with
    /// the organization, or with each user and team whose keys were asked for.
    pub const INVENTORY_EXPORTED: Self = Self(Cow::Borrowed(fits("inventory.exported")));
    /// The end of a key comes: [`Event::after`] is a line of JSON with its end, `expires_at`, and how many milliseconds
    /// before it this is told, `before_ms`: at one of [these times](crate::ApiKeysBuilder::warn_of_ends), or soon after it.
    /// Told once for each key, end and time, by `system:clock`.
    pub const KEY_ENDS_SOON: Self = Self(Cow::Borrowed(fits("key.ends_soon")));
    /// A key has expired, at the time in [`Event::after`]. Told once for each key and end, by `system:clock`.
    pub const KEY_EXPIRED: Self = Self(Cow::Borrowed(fits("key.expired")));
    /// The expiry of a key was set or moved.
    pub const KEY_EXPIRY_SET: Self = Self(Cow::Borrowed(fits("key.expiry_set")));
    /// A text matched a key's tag and not its hash: a guess of one in 4.3 billion, or made by a reader of the database.
    pub const KEY_FORGED: Self = Self(Cow::Borrowed(fits("key.forged")));
    /// A key was made.
    pub const KEY_ISSUED: Self = Self(Cow::Borrowed(fits("key.issued")));
    /// The scopes of a key were narrowed.
    pub const KEY_NARROWED: Self = Self(Cow::Borrowed(fits("key.narrowed")));
    /// Another list of networks that a key may be used from, or none: then it may be used from anywhere.
    pub const KEY_NETWORKS_SET: Self = Self(Cow::Borrowed(fits("key.networks_set")));
    /// The labels of a key were changed.
    pub const KEY_RELABELLED: Self = Self(Cow::Borrowed(fits("key.relabelled")));
    /// A key was paused. [`Event::after`] says why, if that was said.
    pub const KEY_PAUSED: Self = Self(Cow::Borrowed(fits("key.paused")));
    /// A key that ended long ago was [purged](crate::ApiKeysBuilder::keep_dead_keys). The actor is `system:pruner`.
    pub const KEY_PURGED: Self = Self(Cow::Borrowed(fits("key.purged")));
    /// A key was renamed.
    pub const KEY_RENAMED: Self = Self(Cow::Borrowed(fits("key.renamed")));
    /// The pause of a key was ended. [`Event::after`] says why, if that was said.
    pub const KEY_RESUMED: Self = Self(Cow::Borrowed(fits("key.resumed")));
    /// A key was revoked. [`Event::after`] says why, if that was said.
    pub const KEY_REVOKED: Self = Self(Cow::Borrowed(fits("key.revoked")));
    /// A rotation was given up: the new key was revoked in favour of the old one, whose id stands after.
    pub const KEY_ROTATION_ABORTED: Self = Self(Cow::Borrowed(fits("key.rotation_aborted")));
    /// A key was made to replace another, whose id stands before.
    pub const KEY_ROTATION_BEGUN: Self = Self(Cow::Borrowed(fits("key.rotation_begun")));
    /// A rotation was finished: the old key was revoked in favour of the new one, whose id stands after.
    pub const KEY_ROTATION_FINISHED: Self = Self(Cow::Borrowed(fits("key.rotation_finished")));
    /// A key got a successor, whose id stands after, and kept its expiry. If the rotation gave it an earlier one,
    /// [`KEY_EXPIRY_SET`](Self::KEY_EXPIRY_SET) stands in the place of this.
    pub const KEY_SUCCESSOR_MADE: Self = Self(Cow::Borrowed(fits("key.successor_made")));
    /// The stored record of a key cannot be read; its calls get 503.
    pub const KEY_UNREADABLE: Self = Self(Cow::Borrowed(fits("key.unreadable")));
    /// Attempts to manage keys that were denied: what stands since is a line of JSON with the `action` that was tried,
    /// the `reason`, and the `count`. The reason is [a code](crate::manage::DenialReason::code), `expiry_later` for a
    /// key that would take back an end that it did not give itself, `hidden` for what exists and may not be known of,
    /// or `not_found` for a `key`, a user or a team that does not exist: that line is about the actor itself, and one for
    /// all of them; it names the key if that is the only one. What an actor repeats within an hour is added up. Attempts
    /// on hidden keys, on hidden owners and those whose reason the actor is told have room of their own, for 8 lines of an
    /// actor in any case and 100 at most; the rest is `various`. Of an organization's actors, 1,000 are told apart; what more of
    /// them try has the room of one, in lines that name them, and the rest is `other_actors`. Lines of these three
    /// reasons are shown only to actors that may see the trail of the whole organization.
    pub const MANAGE_DENIED: Self = Self(Cow::Borrowed(fits("manage.denied")));
    /// The organization was closed for good.
    pub const ORGANIZATION_CLOSED: Self = Self(Cow::Borrowed(fits("organization.closed")));
    /// The organization was [erased](crate::KeyManager::erase). It stands under the pseudonym, as its whole trail does.
    pub const ORGANIZATION_ERASED: Self = Self(Cow::Borrowed(fits("organization.erased")));
    /// A suspension of the organization was ended; [`Event::before`] says which.
    pub const ORGANIZATION_REINSTATED: Self = Self(Cow::Borrowed(fits("organization.reinstated")));
    /// The organization was suspended; [`Event::after`] says why.
    pub const ORGANIZATION_SUSPENDED: Self = Self(Cow::Borrowed(fits("organization.suspended")));
    /// An owner was closed for good.
    pub const OWNER_CLOSED: Self = Self(Cow::Borrowed(fits("owner.closed")));
    /// An owner was [erased](crate::KeyManager::erase). It is about the pseudonym.
    pub const OWNER_ERASED: Self = Self(Cow::Borrowed(fits("owner.erased")));
    /// An owner was suspended; [`Event::after`] says why.
    pub const OWNER_SUSPENDED: Self = Self(Cow::Borrowed(fits("owner.suspended")));
    /// A suspension of an owner was ended; [`Event::before`] says which.
    pub const OWNER_REINSTATED: Self = Self(Cow::Borrowed(fits("owner.reinstated")));

    /// The audit trail was exported, or its export begun. [`Event::after`] is a line of JSON with the `format`, and with
    /// `attempts`, which says whether the access log was asked for. It stands with the key that was asked about, or as that of an
    /// [inventory](Self::INVENTORY_EXPORTED).
    pub const TRAIL_EXPORTED: Self = Self(Cow::Borrowed(fits("trail.exported")));

    /// The words as they are stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The kind of owner in the row of an event that is about the whole organization.
const ORGANIZATION: &str = "organization";

/// Words that a store has room for; others do not compile.
const fn fits(words: &'static str) -> &'static str {
    assert!(words.len() <= ACTION.bytes());
    words
}

/// Any words: those that another version of this crate wrote are found by them, and others nowhere.
impl From<&str> for Action {
    fn from(words: &str) -> Self {
        Self(Cow::Owned(words.to_owned()))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an event is about. It serializes as `{"kind": …, "key": …, "owner": …}`; the key is `null` where it is about an owner,
/// and both are where it is about the whole organization.
///
/// ```
/// use tower_api_keys::{Owner, TeamId, audit::Subject};
///
/// let subject = Subject::Owner(Owner::Team(TeamId::new("engineering")?));
/// assert!(matches!(subject, Subject::Owner(_)));
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A key, and whose it is.
    Key(KeyId, Owner),
    /// The organization of the event.
    Organization,
    /// A user or a team.
    Owner(Owner),
}

impl Subject {
    /// The user or team that it is about, or whose key.
    #[must_use]
    pub const fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Key(_, owner) | Self::Owner(owner) => Some(owner),
            Self::Organization => None,
        }
    }
}

words! {
    /// Who may read an event.
    ///
    /// ```
    /// use tower_api_keys::audit::Audience;
    ///
    /// assert_eq!(Audience::Organization.as_str(), "organization");
    /// ```
    #[non_exhaustive]
    pub enum Audience {
        /// Only those who may read the trail of the whole organization: to others it would tell what is hidden from them.
        Organization = "organization",
        /// Everybody who may read the trail of the key or the owner that it is about.
        Subject = "subject",
    }
}

/// One line of the audit trail. It serializes with what stood before and what stands since as objects: `{"name": …}`,
/// `{"scopes": […]}`, `{"key": …}`; a text of which this version does not know what it is, as `{"text": …}`.
///
/// ```
/// use tower_api_keys::audit::{Action, Event, EventRow};
/// # let row = EventRow::example();
///
/// let event = Event::try_from(&row)?;
/// assert_eq!(event.action, Action::KEY_ISSUED);
/// assert_eq!(event.actor.to_string(), "user:alice");
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its place in the log of its store; 0 before it is written.
    pub sequence: i64,
    /// The customer it concerns.
    pub organization: OrganizationId,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: ActorId,
    /// What was done.
    pub action: Action,
    /// To whom or what.
    pub subject: Subject,
    /// What stood before, if something changed.
    pub before: Option<String>,
    /// What stands since, if something changed.
    pub after: Option<String>,
    /// From where it was asked, if the embedder says.
    pub source: Option<String>,
    /// Who may read it.
    pub audience: Audience,
}

impl Event {
    /// An event that is not written yet, with nothing before, after or of its source.
    #[must_use]
    pub fn new(organization: OrganizationId, at: Timestamp, actor: ActorId, action: Action, subject: Subject) -> Self {
        Self {
            sequence: 0,
            organization,
            at,
            actor,
            action,
            subject,
            before: None,
            after: None,
            source: None,
            audience: Audience::Subject,
        }
    }

    /// This event, with what stood before and what stands since.
    #[must_use]
    pub fn with_change(mut self, before: Option<String>, after: Option<String>) -> Self {
        (self.before, self.after) = (before, after);
        self
    }

    /// This event, for this audience. Default: [`Audience::Subject`].
    #[must_use]
    pub fn with_audience(mut self, audience: Audience) -> Self {
        self.audience = audience;
        self
    }

    /// This event, with where it was asked for.
    #[must_use]
    pub fn with_source(mut self, source: Option<String>) -> Self {
        self.source = source;
        self
    }
}

/// An event as stores keep it. A store sets [`sequence`](Self::sequence) and writes the rest as it is given.
///
/// ```
/// use tower_api_keys::audit::{Event, EventRow};
/// # let row = EventRow::example();
///
/// assert_eq!(EventRow::from(&Event::try_from(&row)?), row);
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its place in the log: set by the store, greater than that of any event written before.
    pub sequence: i64,
    /// [`OrganizationId`].
    pub organization: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// [`ActorId`].
    pub actor: String,
    /// [`Action`].
    pub action: String,
    /// [`KeyId`], if it is about a key.
    pub key: Option<String>,
    /// `user` or `team`: the owner it is about, or of the key it is about; `organization` if it is about the whole
    /// organization.
    pub owner_kind: String,
    /// The owner's id; empty if it is about the whole organization.
    pub owner: String,
    /// What stood before.
    pub before: Option<String>,
    /// What stands since.
    pub after: Option<String>,
    /// From where.
    pub source: Option<String>,
    /// [`Audience`]; `subject` or `organization`.
    pub audience: String,
}

impl EventRow {
    /// Whether this is a line of an attempt, which stores keep apart from all other events: its action begins with
    /// `attempt.`.
    #[must_use]
    pub fn is_attempt(&self) -> bool {
        self.action.starts_with("attempt.")
    }

    /// What the trail says of a key that is [purged](Action::KEY_PURGED); none if its row does not say what it is and
    /// whose. That one stays: somebody should look at it.
    #[must_use]
    pub fn of_purge(key: &KeyRow, at: Timestamp) -> Option<Self> {
        let OwnerRef { organization, owner } = OwnerRef::of(key)?;
        let (id, pruner) = (KeyId::new(&key.id).ok()?, SystemLabel::new("pruner").ok()?);
        let subject = Subject::Key(id, owner);
        Some(Self::from(&Event::new(organization, at, ActorId::System(pruner), Action::KEY_PURGED, subject)))
    }

    /// A row for documentation and tests of this crate.
    #[doc(hidden)]
    #[must_use]
    pub fn example() -> Self {
        Self {
            sequence: 1,
            organization: "default".into(),
            at: 1_772_366_400_000,
            actor: "user:alice".into(),
            action: "key.issued".into(),
            key: Some("AAAAAAAAAAAAAAAAAAAA".into()),
            owner_kind: "team".into(),
            owner: "engineering".into(),
            before: None,
            after: None,
            source: None,
            audience: "subject".into(),
        }
    }
}

impl From<&Event> for EventRow {
    fn from(event: &Event) -> Self {
        let key = match &event.subject {
            Subject::Key(id, _) => Some(id.as_str().to_owned()),
            Subject::Organization | Subject::Owner(_) => None,
        };
        let owner = event.subject.owner();
        Self {
            sequence: event.sequence,
            organization: event.organization.as_str().to_owned(),
            at: event.at.as_millis(),
            actor: event.actor.to_string(),
            action: event.action.as_str().to_owned(),
            key,
            owner_kind: owner.map_or(ORGANIZATION, |owner| owner.kind().as_str()).to_owned(),
            owner: owner.map_or("", Owner::id).to_owned(),
            before: event.before.clone(),
            after: event.after.clone(),
            source: event.source.clone(),
            audience: event.audience.as_str().to_owned(),
        }
    }
}

impl TryFrom<&EventRow> for Event {
    type Error = CorruptRow;

    fn try_from(row: &EventRow) -> Result<Self, Self::Error> {
        let key = row.key.as_deref().map(KeyId::new).transpose().map_err(|_| CorruptRow::new("key"))?;
        let subject = match (row.owner_kind.as_str(), key) {
            (ORGANIZATION, None) if row.owner.is_empty() => Subject::Organization,
            (kind, key) => {
                let kind: KeyKind = kind.parse().map_err(|_| CorruptRow::new("owner_kind"))?;
                let owner = Owner::new(kind, &row.owner).map_err(|_| CorruptRow::new("owner"))?;
                key.map_or_else(|| Subject::Owner(owner.clone()), |id| Subject::Key(id, owner.clone()))
            }
        };
        Ok(Self {
            sequence: row.sequence,
            organization: OrganizationId::new(&row.organization).map_err(|_| CorruptRow::new("organization"))?,
            at: Timestamp::from_millis(row.at).map_err(|_| CorruptRow::new("at"))?,
            actor: row.actor.parse().map_err(|_| CorruptRow::new("actor"))?,
            action: Action(Cow::Owned(row.action.clone())),
            subject,
            before: row.before.clone(),
            after: row.after.clone(),
            source: row.source.clone(),
            audience: row.audience.parse().map_err(|_| CorruptRow::new("audience"))?,
        })
    }
}
