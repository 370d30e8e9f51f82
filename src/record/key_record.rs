use super::{ActorId, KeyName, Labels, Responsible};
use crate::{
    hash::KeyHash,
    key::KeyId,
    networks::Networks,
    owner::{KeyKind, OrganizationId, Owner},
    scope::Scopes,
    time::Timestamp,
};

/// All that is known of one key, except how it is used, which lives beside the record and never in it.
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
    /// The customer it belongs to.
    pub organization: OrganizationId,
    /// The public middle part of its text.
    pub id: KeyId,
    /// The user or the team whose permissions it carries.
    pub owner: Owner,
    /// What people call it; may be empty.
    pub name: KeyName,
    /// Where it is installed, when it is due, which ticket asked for it.
    pub labels: Labels,
    /// What is stored instead of its text.
    pub hash: KeyHash,
    /// What it may do.
    pub scopes: Scopes,
    /// Where it may be used from; from anywhere if none.
    pub networks: Option<Networks>,
    /// The embedder's own words about what it may consume; nothing here enforces them.
    pub limits: Option<Box<str>>,
    /// Who is told about it.
    pub responsible: Option<Responsible>,
    /// Who made it. Whatever becomes of them, a team key goes on.
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
    /// The key it succeeds.
    pub replaces: Option<KeyId>,
    /// The first key of its chain of rotations: itself if it succeeds none.
    pub lineage: KeyId,
    /// What its rotation did to the key it succeeds.
    pub(crate) rotated: Rotated,
    /// Of which end it was told that it comes.
    pub(crate) warned: Warned,
    /// Columns that this version keeps and does not use.
    pub(crate) reserved: Reserved,
    /// 1 when it is made, one more with each update. Revoking is no update.
    pub version: i64,
}

/// When and by whom a key was revoked. There is no way back.
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
    /// By whom; unknown if somebody's plain SQL did it.
    pub by: Option<ActorId>,
}

/// When and by whom a key was paused: refused until somebody resumes it.
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
    /// By whom; unknown if plain SQL did it.
    pub by: Option<ActorId>,
}

/// What a rotation did to the key that this one succeeds, so that it can be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotated {
    /// The expiry that it had before.
    pub(crate) predecessor_expires_at: Option<Timestamp>,
    /// The end of grace that it was given.
    pub(crate) grace_ends_at: Option<Timestamp>,
}

/// Of which end of a key it was told that it comes, and how long before it, as in the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Warned {
    pub(crate) end: Option<i64>,
    pub(crate) before_ms: Option<i64>,
}

/// Columns that this version hardly uses, so that a record becomes the row again that it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(super) imported_from: Option<String>,
}

impl Reserved {
    /// Where the text of a key comes from that was known before the key was made.
    const CONFIGURATION: &str = "configuration";

    /// Those of such a key.
    pub(crate) fn known_beforehand() -> Self {
        Self { imported_from: Some(Self::CONFIGURATION.to_owned()) }
    }

    /// Whether they are those of such a key.
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

    /// Whether its time is over: it is refused from the very millisecond it names.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}
