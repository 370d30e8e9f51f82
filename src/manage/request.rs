use std::fmt;

use crate::{
    key::{KeyId, redact},
    networks::Networks,
    owner::{KeyKind, Owner, TeamId, UserId},
    record::{ActorId, NamePart},
    scope::Scopes,
    store::{KeyCursor, KeyOrder, Liveness},
    time::Timestamp,
};

/// A key to make. [`KeyManager::issue`](super::KeyManager::issue) checks the values.
///
/// ```
/// use tower_api_keys::{IssueKey, Scope, TeamId};
///
/// let request = IssueKey::team(TeamId::new("engineering")?)
///     .named("GitHub Actions - production")
///     .labelled("ticket", "OPS-1234")
///     .scopes([Scope::new("agents:read")?].into_iter().collect())
///     .expires_at("2027-01-01T00:00:00Z".parse()?)
///     .idempotency_key("3f1c5a4e");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is made before `KeyManager::issue`"]
pub struct IssueKey {
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) scopes: Scopes,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) networks: Option<Networks>,
    pub(super) limits: Option<String>,
    pub(super) responsible: String,
    pub(super) idempotency_key: Option<String>,
}

impl IssueKey {
    /// A personal key: it carries this user's permissions and stops when they leave.
    pub fn user(user: UserId) -> Self {
        Self::of(Owner::User(user))
    }

    /// A team key: it reaches this team, of the manager's organization, and outlives the person who makes it.
    ///
    /// # Security
    /// The [`Directory`](super::Directory) decides whether the organization has such a team; without one, the rights of
    /// the actor do.
    pub fn team(team: TeamId) -> Self {
        Self::of(Owner::Team(team))
    }

    /// A key of this owner.
    pub fn of(owner: Owner) -> Self {
        Self {
            owner,
            name: String::new(),
            labels: Vec::new(),
            scopes: Scopes::all(),
            expires_at: None,
            networks: None,
            limits: None,
            responsible: String::new(),
            idempotency_key: None,
        }
    }

    /// Sets the name: see [`KeyName`](crate::record::KeyName) for the rules, and [`lint_name`](super::lint_name) for
    /// advice. Default: empty.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a label: see [`Labels`](crate::record::Labels) for the rules. Default: none.
    pub fn labelled(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((label.into(), value.into()));
        self
    }

    /// Sets what the key may do. Default: [`Scopes::all`], everything its owner may, except managing keys.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets the first moment at which it is refused. Default: none, or the latest that the service allows for such a key
    /// (`longest_life_…` of [`ApiKeysBuilder`](crate::ApiKeysBuilder)).
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Sets the only networks that it may be used from. A rotation keeps them. Default: from anywhere.
    ///
    /// Refused unless the service sets [how addresses are found](crate::ApiKeysBuilder::addresses): otherwise the key
    /// would never be accepted.
    ///
    /// ```
    /// use tower_api_keys::{IssueKey, Networks, TeamId};
    ///
    /// let office = Networks::new(["203.0.113.0/24", "2001:db8::/32"])?;
    /// let request = IssueKey::team(TeamId::new("engineering")?).networks(office);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn networks(mut self, networks: Networks) -> Self {
        self.networks = Some(networks);
        self
    }

    /// Sets what the key may consume, in the service's own words, at most 1,024 bytes. It comes back in
    /// [`Principal::limits`](crate::Principal::limits); this crate does not enforce it. A rotation keeps it. Default:
    /// none.
    pub fn limits(mut self, limits: impl Into<String>) -> Self {
        self.limits = Some(limits.into());
        self
    }

    /// Sets the contact that is told about the key, in the service's own words: see
    /// [`Responsible`](crate::record::Responsible) for the rules. A rotation keeps it. Default: empty, no contact.
    ///
    /// ```
    /// use tower_api_keys::{IssueKey, TeamId};
    ///
    /// let request = IssueKey::team(TeamId::new("engineering")?).responsible("on-call@example.com");
    /// # Ok::<(), tower_api_keys::InvalidId>(())
    /// ```
    pub fn responsible(mut self, responsible: impl Into<String>) -> Self {
        self.responsible = responsible.into();
        self
    }

    /// Makes a repeat of this request harmless. The same request under the same 1 to 256 bytes, by the same actor in
    /// the same organization, is refused as [`IdempotencyKeyUsed`](super::ManageErrorKind::IdempotencyKeyUsed), with
    /// [the key that was made](super::ManageError::replayed), for as long as results of changes are kept: a week.
    /// Another request is refused as [`IdempotencyKeyReused`](super::ManageErrorKind::IdempotencyKeyReused). Default:
    /// none.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// People paste keys into the wrong field: the output has secrets taken out.
impl fmt::Debug for IssueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueKey")
            .field("owner", &self.owner)
            .field("name", &redact(&self.name))
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Which keys to list: of all that the actor may see, or of some owners. A key must meet all conditions.
///
/// ```
/// use tower_api_keys::{KeyKind, TeamId, manage::ListKeys, record::NamePart, store::Liveness};
///
/// let live = ListKeys::of(TeamId::new("engineering")?).liveness(Liveness::Live).limit(20);
/// let search = ListKeys::all().kind(KeyKind::Team).named_like(NamePart::new("github")?).newest_first();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `KeyManager::list`"]
pub struct ListKeys {
    /// `None` for all that the actor may see.
    pub(super) owners: Option<Vec<Owner>>,
    pub(super) kind: Option<KeyKind>,
    pub(super) named_like: Option<NamePart>,
    pub(super) creator: Option<ActorId>,
    pub(super) created_via_key: Option<KeyId>,
    pub(super) lineage: Option<KeyId>,
    pub(super) liveness: Option<Liveness>,
    pub(super) unused_since: Option<Timestamp>,
    pub(super) expires_before: Option<Timestamp>,
    pub(super) order: KeyOrder,
    pub(super) after: Option<KeyCursor>,
    pub(super) limit: u16,
}

impl ListKeys {
    /// Every key of the organization that the actor may see.
    pub const fn all() -> Self {
        Self {
            owners: None,
            kind: None,
            named_like: None,
            creator: None,
            created_via_key: None,
            lineage: None,
            liveness: None,
            unused_since: None,
            expires_before: None,
            order: KeyOrder::OldestFirst,
            after: None,
            limit: 100,
        }
    }

    /// The keys of this user or team. If the actor may not see them, the answer is *not found*.
    pub fn of(owner: impl Into<Owner>) -> Self {
        Self::of_any([owner])
    }

    /// The keys of these users and teams together, in one order; no keys, if the list is empty. If the actor may not
    /// see the keys of one of them, the answer is *not found*.
    pub fn of_any<O: Into<Owner>>(owners: impl IntoIterator<Item = O>) -> Self {
        Self { owners: Some(owners.into_iter().map(Into::into).collect()), ..Self::all() }
    }

    /// Only personal keys, or only team keys.
    pub const fn kind(mut self, kind: KeyKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only keys whose name contains this text. The right to see a key includes its name.
    pub fn named_like(mut self, part: NamePart) -> Self {
        self.named_like = Some(part);
        self
    }

    /// Only keys made by this user, key or system.
    pub fn created_by(mut self, creator: ActorId) -> Self {
        self.creator = Some(creator);
        self
    }

    /// Only those made with this key.
    pub const fn created_via_key(mut self, key: KeyId) -> Self {
        self.created_via_key = Some(key);
        self
    }

    /// Only keys of this chain of rotations, named by its first key ([`lineage`](super::KeyInfo::lineage)).
    pub const fn lineage(mut self, first: KeyId) -> Self {
        self.lineage = Some(first);
        self
    }

    /// Only live ones, or only dead ones. A key is dead if it is revoked or expired.
    pub const fn liveness(mut self, liveness: Liveness) -> Self {
        self.liveness = Some(liveness);
        self
    }

    /// Only those that were not accepted at or after this time. Leaves out keys whose usage the actor may not see.
    pub const fn unused_since(mut self, time: Timestamp) -> Self {
        self.unused_since = Some(time);
        self
    }

    /// Newest first. Default: oldest first.
    pub const fn newest_first(mut self) -> Self {
        self.order = KeyOrder::NewestFirst;
        self
    }

    /// The earliest end first, past ends included; keys without an end come last. Default: oldest first.
    pub const fn soonest_end_first(mut self) -> Self {
        self.order = KeyOrder::SoonestEndFirst;
        self
    }

    /// Only keys with an end before this time, live or dead. For keys that are still to end, add
    /// [live](Liveness::Live).
    pub const fn expires_before(mut self, time: Timestamp) -> Self {
        self.expires_before = Some(time);
        self
    }

    /// The page after one that ended here, of the same query.
    pub const fn after(mut self, cursor: KeyCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// At most this many keys, 1 to 1,000. Default: 100.
    pub const fn limit(mut self, limit: u16) -> Self {
        self.limit = limit;
        self
    }
}
