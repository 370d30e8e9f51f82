use super::{ActorId, KeyName, Labels, Responsible};
use crate::{
    hash::KeyHash,
    key::KeyId,
    networks::Networks,
    owner::{KeyKind, OrganizationId, Owner},
    scope::Scopes,
    time::Timestamp,
};

/// The record of one key: everything except its usage, which is stored separately.
///
/// ```
/// use tower_api_keys::{KeyKind, record::{KeyRecord, KeyRow}};
/// # let row = KeyRow::example();
///
/// let record = KeyRecord::try_from(&row)?;
/// assert_eq!(record.kind(), KeyKind::Team);
/// assert_eq!(KeyRow::from(&record), row);
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// The public middle part of its text.
    pub id: KeyId,
    /// The user or the team whose permissions it carries.
    pub owner: Owner,
    /// Its name; may be empty.
    pub name: KeyName,
    /// Labels: where it is installed, when it is due, which ticket requested it.
    pub labels: Labels,
    /// The hash that is stored instead of its text.
    pub hash: KeyHash,
    /// Its permissions.
    pub scopes: Scopes,
    /// The networks that it may be used from; anywhere if none.
    pub networks: Option<Networks>,
    /// Its limits, in the embedder's own words; nothing here enforces them.
    pub limits: Option<Box<str>>,
    /// The recipient of messages about it.
    pub responsible: Option<Responsible>,
    /// Who made it. A team key still works if its creator is suspended or leaves.
    pub created_by: ActorId,
    /// The key that made it, if one did.
    pub created_via_key: Option<KeyId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first moment at which it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, and by whom.
    pub revoked: Option<Revocation>,
    /// When it was paused, and by whom. A paused key is refused.
    pub paused: Option<Pause>,
    /// The key it replaces in a rotation.
    pub replaces: Option<KeyId>,
    /// The first key of its chain of rotations: itself if it replaces none.
    pub lineage: KeyId,
    /// What its rotation did to the key it replaces.
    pub(crate) rotated: Rotated,
    /// The end that was told already.
    pub(crate) warned: Warned,
    /// Columns that this version keeps and does not use.
    pub(crate) reserved: Reserved,
    /// 1 when it is made, one more with each update. Revocation does not count.
    pub version: i64,
}

/// When and by whom a key was revoked. It cannot be undone.
///
/// ```
/// use tower_api_keys::{UserId, record::{ActorId, Revocation}};
///
/// fn was_done_by(revocation: &Revocation, user: &UserId) -> bool {
///     matches!(&revocation.by, Some(ActorId::User(by)) if by == user)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// By whom; unknown if it was done with plain SQL.
    pub by: Option<ActorId>,
}

/// When and by whom a key was paused: refused until it is resumed.
///
/// ```
/// use tower_api_keys::record::{KeyRecord, KeyRow};
/// # let row = KeyRow::example();
///
/// let record = KeyRecord::try_from(&KeyRow { paused_at: Some(1_772_366_400_000), ..row })?;
/// assert!(record.paused.is_some_and(|pause| pause.by.is_none()));
/// # Ok::<(), tower_api_keys::record::CorruptRow>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When.
    pub at: Timestamp,
    /// By whom; unknown if it was done with plain SQL.
    pub by: Option<ActorId>,
}

/// What a rotation did to the key that this one replaces, so that it can be undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotated {
    /// The expiry that it had before.
    pub(crate) predecessor_expires_at: Option<Timestamp>,
    /// The end of grace that it was given.
    pub(crate) grace_ends_at: Option<Timestamp>,
}

/// The end of a key that was told already, and how long before it, as in the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Warned {
    pub(crate) end: Option<i64>,
    pub(crate) before_ms: Option<i64>,
}

/// Columns that this version hardly uses, kept so that a record converts back into the same row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(super) imported_from: Option<String>,
}

impl Reserved {
    /// The origin of a key whose text was known before the key was made.
    const CONFIGURATION: &str = "configuration";

    /// The columns of such a key.
    pub(crate) fn known_beforehand() -> Self {
        Self { imported_from: Some(Self::CONFIGURATION.to_owned()) }
    }

    /// Whether these are the columns of such a key.
    pub(crate) fn is_known_beforehand(&self) -> bool {
        self.imported_from.as_deref() == Some(Self::CONFIGURATION)
    }
}

impl KeyRecord {
    /// Personal, or a team's.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.owner.kind()
    }

    /// Whether it is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && !self.is_expired(now)
    }

    /// Whether it has expired: it is refused at and after `expires_at`, to the millisecond.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}
