use super::action::Action;
use crate::{
    key::KeyId,
    owner::{KeyKind, OrganizationId, Owner, OwnerRef},
    record::{ActorId, CorruptRow, KeyRow, SystemLabel},
    time::Timestamp,
    words::words,
};

/// The kind of owner in the row of an event about the whole organization.
const ORGANIZATION: &str = "organization";

/// What an event is about. It serializes as `{"kind": …, "key": …, "owner": …}`. The key is `null` if the event is
/// about an owner; both are `null` if it is about the whole organization.
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
    /// A key, and its owner.
    Key(KeyId, Owner),
    /// The organization of the event.
    Organization,
    /// A user or a team.
    Owner(Owner),
}

impl Subject {
    /// The user or team that the event is about, or the owner of the key.
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
        /// Only those who may read the trail of the whole organization: to others it would reveal what is hidden from
        /// them.
        Organization = "organization",
        /// Everyone who may read the trail of the key or the owner that it is about.
        Subject = "subject",
    }
}

/// One line of the audit trail. The texts before and after the change serialize as objects: `{"name": …}`,
/// `{"scopes": […]}`, `{"key": …}`; a text of unknown meaning as `{"text": …}`.
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
    /// Its position in the log of its store; 0 before it is written.
    pub sequence: i64,
    /// The organization it concerns.
    pub organization: OrganizationId,
    /// When it happened.
    pub at: Timestamp,
    /// The actor who did it.
    pub actor: ActorId,
    /// What was done.
    pub action: Action,
    /// What it was done to.
    pub subject: Subject,
    /// The value before, if something changed.
    pub before: Option<String>,
    /// The value after, if something changed.
    pub after: Option<String>,
    /// Where the request came from, if the embedder says so.
    pub source: Option<String>,
    /// The audience that may read it.
    pub audience: Audience,
}

impl Event {
    /// An event that is not written yet, without a value before or after, and without a source.
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

    /// This event, with the values before and after the change.
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

    /// This event, with the source of the request.
    #[must_use]
    pub fn with_source(mut self, source: Option<String>) -> Self {
        self.source = source;
        self
    }
}

/// An event as stores keep it. A store sets [`sequence`](Self::sequence) and writes the rest unchanged.
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
    /// Its position in the log: set by the store, greater than that of any event written before.
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
    /// `user` or `team`: the kind of the owner it is about, or of the key's owner; `organization` if it is about the
    /// whole organization.
    pub owner_kind: String,
    /// The owner's id; empty if it is about the whole organization.
    pub owner: String,
    /// The value before.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
    /// The source of the request.
    pub source: Option<String>,
    /// [`Audience`]; `subject` or `organization`.
    pub audience: String,
}

impl EventRow {
    /// Whether this is a line of the access log, which stores keep apart from all other events: its action begins with
    /// `attempt.`.
    #[must_use]
    pub fn is_attempt(&self) -> bool {
        self.action.starts_with("attempt.")
    }

    /// The event of a key that is [purged](Action::KEY_PURGED); none if its row does not say which key it is and who
    /// owns it. Such a key is kept, so that a person can look at it.
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
            action: Action::stored(row.action.clone()),
            subject,
            before: row.before.clone(),
            after: row.after.clone(),
            source: row.source.clone(),
            audience: row.audience.parse().map_err(|_| CorruptRow::new("audience"))?,
        })
    }
}
