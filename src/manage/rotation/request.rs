use std::fmt;

use serde::Serialize;

use crate::{
    audit::Action,
    key::{KeyId, redact},
    networks::Networks,
    owner::TeamId,
    record::Labels,
    scope::Scopes,
    time::Timestamp,
};

/// The rotation to begin. [`KeyManager::begin_rotation`](crate::KeyManager::begin_rotation) checks the values.
///
/// ```
/// use tower_api_keys::{TeamId, key::KeyId, manage::RotateKey};
///
/// let old = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// let renewed = RotateKey::of(old).old_key_ends_at("2027-01-08T00:00:00Z".parse()?);
/// let made_the_teams = RotateKey::of(old).into_team(TeamId::new("engineering")?).named("GitHub Actions - production");
/// # let _ = (renewed, made_the_teams);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is made before `KeyManager::begin_rotation`"]
pub struct RotateKey {
    pub(in crate::manage) id: KeyId,
    pub(in crate::manage) into_team: Option<TeamId>,
    pub(in crate::manage) name: Option<String>,
    pub(in crate::manage) labels: Option<Labels>,
    pub(in crate::manage) scopes: Option<Scopes>,
    pub(in crate::manage) networks: Option<Option<Networks>>,
    pub(in crate::manage) expiry: SuccessorExpiry,
    pub(in crate::manage) old_key_ends_at: Option<Timestamp>,
    pub(in crate::manage) expected_version: Option<i64>,
    pub(in crate::manage) idempotency_key: Option<String>,
}

/// When the new key ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::manage) enum SuccessorExpiry {
    /// With the expiry that the old key had before the rotation.
    AsBefore,
    /// At this time, or never.
    At(Option<Timestamp>),
}

impl RotateKey {
    /// All fields of the request, to distinguish a repeat from another request.
    pub(in crate::manage) fn asked(&self) -> impl Serialize {
        let Self {
            id,
            into_team,
            name,
            labels,
            scopes,
            networks,
            expiry,
            old_key_ends_at,
            expected_version,
            idempotency_key: _,
        } = self;
        let expiry = match *expiry {
            SuccessorExpiry::AsBefore => (false, None),
            SuccessorExpiry::At(end) => (true, end),
        };
        (
            Action::KEY_ROTATION_BEGUN,
            id,
            into_team,
            name,
            labels,
            scopes,
            expiry,
            old_key_ends_at,
            expected_version,
            networks,
        )
    }

    /// Replaces this key by a new one with its owner, name, labels, responsible person, scopes, networks, limits and
    /// expiry.
    pub const fn of(old: KeyId) -> Self {
        Self {
            id: old,
            into_team: None,
            name: None,
            labels: None,
            scopes: None,
            networks: None,
            expiry: SuccessorExpiry::AsBefore,
            old_key_ends_at: None,
            expected_version: None,
            idempotency_key: None,
        }
    }

    /// The new key belongs to this team: it reaches the team and outlives the old key's owner. It does not get
    /// [`ManagingScope`](crate::ManagingScope)s from the old key unless [`scopes`](Self::scopes) names them. Default:
    /// the owner stays.
    pub fn into_team(mut self, team: TeamId) -> Self {
        self.into_team = Some(team);
        self
    }

    /// Sets the name of the new key: see [`KeyName`](crate::record::KeyName) for the rules. Default: the old key's
    /// name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the labels of the new key. Default: the old key's labels.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Sets what the new key may do. Default: the old key's scopes. More scopes than the old key's also need the right
    /// to [issue](super::super::KeyAction::Issue) such a key for the owner.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Sets the only networks that the new key may be used from; `None` for anywhere. Default: those of the old key.
    /// More networks than the old key's need the right to [issue](super::super::KeyAction::Issue) such a key, and a key
    /// that acts cannot give them.
    pub fn networks(mut self, networks: impl Into<Option<Networks>>) -> Self {
        self.networks = Some(networks.into());
        self
    }

    /// Sets the first moment at which the new key is refused, or `None` for a key that does not expire. Default: what
    /// the old key had before the rotation, and before any earlier one whose new key was revoked or expired and which
    /// left an end of grace in effect.
    ///
    /// A key that acts cannot give the new one a longer life than the old one had; people and the system can.
    pub fn expires_at(mut self, end: impl Into<Option<Timestamp>>) -> Self {
        self.expiry = SuccessorExpiry::At(end.into());
        self
    }

    /// Sets an end of grace: the old key is refused from this moment, even if the rotation is not finished. An earlier
    /// expiry that it has stays. Default: it lives until the rotation is finished.
    pub const fn old_key_ends_at(mut self, end: Timestamp) -> Self {
        self.old_key_ends_at = Some(end);
        self
    }

    /// Begins only if this is the [version](super::super::KeyInfo::version) of the old key: what an `If-Match` asks
    /// for. Default: any version.
    pub const fn expecting(mut self, version: i64) -> Self {
        self.expected_version = Some(version);
        self
    }

    /// Makes a repeat of this request harmless, as
    /// [`IssueKey::idempotency_key`](super::super::IssueKey::idempotency_key) does. Default: none.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// People paste keys into the wrong field: the output has secrets taken out.
impl fmt::Debug for RotateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateKey")
            .field("id", &self.id)
            .field("into_team", &self.into_team)
            .field("name", &self.name.as_deref().map(redact))
            .field("scopes", &self.scopes)
            .field("expiry", &self.expiry)
            .field("old_key_ends_at", &self.old_key_ends_at)
            .field("expected_version", &self.expected_version)
            .finish_non_exhaustive()
    }
}

/// A rotation to finish or abort, named by one of its keys, with an expected version of that key. A key id converts
/// into one.
///
/// ```
/// use tower_api_keys::{key::KeyId, manage::EndRotation};
///
/// let new = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// let end = EndRotation::of(new).expecting(1);
/// # let _ = end;
/// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is ended before `KeyManager::finish_rotation` or `KeyManager::abort_rotation`"]
pub struct EndRotation {
    pub(in crate::manage) id: KeyId,
    pub(in crate::manage) expected_version: Option<i64>,
}

impl EndRotation {
    /// The rotation of which this is the new key or, if there is none, the last of which it is the old one.
    pub const fn of(id: KeyId) -> Self {
        Self { id, expected_version: None }
    }

    /// Ends it only if this is the [version](super::super::KeyInfo::version) of the named key: what an `If-Match` asks
    /// for. A rotation that has ended already stays as it is, whatever version is expected. Default: any version.
    pub const fn expecting(mut self, version: i64) -> Self {
        self.expected_version = Some(version);
        self
    }
}

impl From<KeyId> for EndRotation {
    fn from(id: KeyId) -> Self {
        Self::of(id)
    }
}

impl From<&KeyId> for EndRotation {
    fn from(id: &KeyId) -> Self {
        Self::of(*id)
    }
}
