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

/// Which events of the audit trail to read: of all that the actor may see, but for entries of the access log, which are
/// [asked for apart](Self::attempts). All conditions hold together.
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
    /// Every event that the actor may see, but no line of an attempt, the newest first.
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

    /// Entries of the access log instead of the trail of changes: who showed a key and what came of it, where
    /// [`access_log`](crate::ApiKeysBuilder::access_log) asks for them. A busy key has millions of them, among which
    /// nobody would find who changed it.
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

    /// Only those about the keys of this chain of rotations, which is called by its first key
    /// ([`lineage`](crate::manage::KeyInfo::lineage)): those that the store has and whose trail the actor may see. If it may see
    /// none of these keys, the answer is *not found*.
    pub const fn of_lineage(mut self, first: KeyId) -> Self {
        self.lineage = Some(first);
        self
    }

    /// Only those about this user or team, or a key of theirs.
    pub fn of(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only what this user, key or part of the system did.
    pub fn by(mut self, actor: ActorId) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Only this action.
    pub fn action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }

    /// Only what was asked for from this source.
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

    /// In the order in which it happened, instead of the newest first.
    pub const fn oldest_first(mut self) -> Self {
        self.newest_first = false;
        self
    }

    /// The page that follows one whose [`next`](EventPage::next) this is, in the same order.
    pub const fn after(mut self, sequence: i64) -> Self {
        self.after = Some(sequence);
        self
    }

    /// At most so many events, 1 to 1,000. Default: 100.
    pub const fn limit(mut self, limit: u16) -> Self {
        self.limit = limit;
        self
    }
}

/// Some of the events that a query asks for. It serializes.
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
    /// The events, in the order that was asked for. Where the actor may not see many thousands in a row, there may be fewer
    /// than the limit though more follow.
    pub entries: Vec<AuditEntry>,
    /// Events of this page that cannot be read: somebody's plain SQL, or a newer version of this crate.
    pub unreadable: u64,
    /// What the people and teams of these events are called, and who has left.
    pub names: Names,
    /// Where the next page begins, if there is one.
    #[serde(serialize_with = "as_text")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<String>"))]
    pub next: Option<i64>,
}

/// A place in a list is a text, as everywhere.
fn as_text<S: Serializer>(place: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    place.map(|place| place.to_string()).serialize(serializer)
}

/// An event, and who is behind it.
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
    /// Whose key that is; unknown if the store no longer has it, or cannot read whose it is.
    pub on_behalf_of: Option<Owner>,
}
