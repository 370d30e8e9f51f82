use serde::{Serialize, Serializer};

use crate::{
    audit::{Action, Event},
    key::KeyId,
    manage::names::Names,
    owner::Owner,
    record::ActorId,
    time::Timestamp,
    usage::Source,
};

/// Which events of the audit trail to read, of those that the actor may see. Entries of the access log are [queried
/// separately](Self::attempts). An event must meet all conditions.
///
/// ```
/// use tower_api_keys::{TeamId, audit::Action, manage::AuditQuery};
///
/// let who_revoked = AuditQuery::all()
///     .of(TeamId::new("blue")?)
///     .action(Action::KEY_REVOKED)
///     .from("2026-03-01T00:00:00Z".parse()?)
///     .limit(20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `KeyManager::events`"]
pub struct AuditQuery {
    pub(in crate::manage) attempts: bool,
    pub(in crate::manage) key: Option<KeyId>,
    pub(in crate::manage) lineage: Option<KeyId>,
    pub(in crate::manage) owner: Option<Owner>,
    pub(in crate::manage) actor: Option<ActorId>,
    pub(in crate::manage) action: Option<Action>,
    pub(in crate::manage) source: Option<Source>,
    pub(in crate::manage) from: Option<Timestamp>,
    pub(in crate::manage) until: Option<Timestamp>,
    pub(in crate::manage) newest_first: bool,
    pub(in crate::manage) after: Option<i64>,
    pub(in crate::manage) limit: u16,
}

impl AuditQuery {
    /// Every event that the actor may see, without the access log, newest first.
    pub const fn all() -> Self {
        Self {
            attempts: false,
            key: None,
            lineage: None,
            owner: None,
            actor: None,
            action: None,
            source: None,
            from: None,
            until: None,
            newest_first: true,
            after: None,
            limit: 100,
        }
    }

    /// Entries of the access log instead of the trail of changes: which caller showed a key, and the result, if
    /// [`access_log`](crate::ApiKeysBuilder::access_log) turns the log on. A busy key has millions of them, which would
    /// bury the changes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{Actor, ApiKeys, IssueKey, TeamId, manage::AuditQuery, store::MemoryStore};
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new())
    /// #   .params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET)
    ///     .access_log(true)
    ///     .build()
    ///     .await?;
    /// let actor = Actor::system("first start")?;
    /// let issued = keys.manager().issue(IssueKey::team(TeamId::new("blue")?), &actor).await?;
    /// keys.authenticator().authenticate(issued.plaintext().expose_secret()).await?;
    /// keys.shutdown().await?;
    ///
    /// let page = keys.manager().events(AuditQuery::all().of_key(issued.info().id).attempts(), &actor).await?;
    /// assert_eq!(page.entries[0].event.action.as_str(), "attempt.accepted");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn attempts(mut self) -> Self {
        self.attempts = true;
        self
    }

    /// Only those about this key.
    pub const fn of_key(mut self, key: KeyId) -> Self {
        self.key = Some(key);
        self
    }

    /// Only events about the keys of this chain of rotations, named by its first key
    /// ([`lineage`](crate::manage::KeyInfo::lineage)), as far as the store has them and the actor may see their trail.
    /// If it may see none of these keys, the answer is *not found*.
    pub const fn of_lineage(mut self, first: KeyId) -> Self {
        self.lineage = Some(first);
        self
    }

    /// Only events about this user or team, or a key of theirs.
    pub fn of(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only events by this user, key or system.
    pub fn by(mut self, actor: ActorId) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Only this action.
    pub fn action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }

    /// Only events from this source.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Only at or after this time.
    pub const fn from(mut self, time: Timestamp) -> Self {
        self.from = Some(time);
        self
    }

    /// Only before this time.
    pub const fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// Oldest first, instead of newest first.
    pub const fn oldest_first(mut self) -> Self {
        self.newest_first = false;
        self
    }

    /// The page after one with this [`next`](EventPage::next), in the same order.
    pub const fn after(mut self, sequence: i64) -> Self {
        self.after = Some(sequence);
        self
    }

    /// At most this many events, 1 to 1,000. Default: 100.
    pub const fn limit(mut self, limit: u16) -> Self {
        self.limit = limit;
        self
    }
}

/// A page of the events that a query asks for. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, manage::AuditQuery};
///
/// let actor = Actor::system("report")?;
/// let mut page = manager.events(AuditQuery::all(), &actor).await?;
/// while let Some(next) = page.next {
///     page = manager.events(AuditQuery::all().after(next), &actor).await?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EventPage {
    /// The events, in the requested order. After many thousands in a row that the actor may not see, there may be fewer
    /// than the limit although more follow.
    pub entries: Vec<AuditEntry>,
    /// How many events of this page cannot be read: written by plain SQL, or by a newer version of this crate.
    pub unreadable: u64,
    /// The names of the people and teams of these events, and who has left.
    pub names: Names,
    /// Where the next page begins, if there is one.
    #[serde(serialize_with = "as_text")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<String>"))]
    pub next: Option<i64>,
}

/// A cursor is a text in JSON, as everywhere.
fn as_text<S: Serializer>(place: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    place.map(|place| place.to_string()).serialize(serializer)
}

/// An event, and the owner behind it.
///
/// ```
/// use tower_api_keys::manage::AuditEntry;
///
/// fn line(entry: &AuditEntry) -> String {
///     let behind = entry.on_behalf_of.as_ref().map(|owner| format!(", a key of {owner},")).unwrap_or_default();
///     format!("{} {}{behind} {}", entry.event.at, entry.event.actor, entry.event.action)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AuditEntry {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// The key that acted, if one did.
    pub acting_key: Option<KeyId>,
    /// The owner of that key; `None` if the store no longer has the key, or cannot read its owner.
    pub on_behalf_of: Option<Owner>,
}
