use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{
    erasure::Erasure,
    error::{Conflict, StoreError},
    owner_change::OwnerChange,
};
use crate::{
    audit::EventRow,
    key::KeyId,
    owner::{OrganizationId, Owner, OwnerRef},
    record::{ActorId, KeyRow},
    time::Timestamp,
    words::words,
};

/// One to fifty writes with their events, done all or none.
///
/// ```
/// use tower_api_keys::{Timestamp, audit::EventRow, record::KeyRow, store::{Applied, AuditedWrite, Change, ChangeId}};
/// use tower_api_keys::store::{KeyStore, MemoryStore, Write, Effect};
/// # let (row, event) = (KeyRow::example(), EventRow::example());
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let change = Change {
///     id: ChangeId::from_bytes([7; 16]),
///     at: Timestamp::from_millis(row.created_at)?,
///     writes: vec![AuditedWrite { write: Write::Insert(row), event }],
///     guards: vec![],
///     idempotency: None,
/// };
/// let store = MemoryStore::new();
/// assert_eq!(store.apply(&change).await?, Applied { effects: vec![Effect::Changed] });
/// assert_eq!(store.apply(&change).await?, Applied { effects: vec![Effect::Changed] }); // the first one's answer
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Names the change, so that it can be repeated when its outcome is unknown.
    pub id: ChangeId,
    /// The present, as the guards see it.
    pub at: Timestamp,
    /// What to write, in this order. 1 to 50.
    pub writes: Vec<AuditedWrite>,
    /// What must hold at the moment of commit.
    pub guards: Vec<Guard>,
    /// What makes a repeat of the client's request harmless: a second change with the same idempotency key is refused as
    /// [`Conflict::IdempotencyKeyUsed`](super::Conflict::IdempotencyKeyUsed), which says what the first one made.
    pub idempotency: Option<IdempotentRequest>,
}

impl Change {
    /// The first key that it inserts, which a repeat of the request is told of.
    #[must_use]
    pub fn key_made(&self) -> Option<&str> {
        self.writes.iter().find_map(|audited| match &audited.write {
            Write::Insert(row) => Some(row.id.as_str()),
            _ => None,
        })
    }

    /// That it erases nobody beside another write.
    ///
    /// # Errors
    /// Refused.
    pub fn erases_alone(&self) -> Result<(), StoreError> {
        match self.writes.len() > 1 && self.writes.iter().any(|audited| audited.write.erases()) {
            true => Err(StoreError::refused("an erasure is the only write of its change")),
            false => Ok(()),
        }
    }
}

/// A request that a client may repeat, by its idempotency key. `Debug` prints nothing of it: with the idempotency key,
/// another client can ask as this one did.
///
/// ```
/// use tower_api_keys::{KeyId, store::{Conflict, IdempotentRequest}};
///
/// let request = IdempotentRequest { key: "3f1c5a4e".into(), digest: [1; 32] };
/// let made = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// let used = |same_request| Conflict::IdempotencyKeyUsed { key: Some(made), same_request };
/// assert_eq!(request.used_for(Some(made.as_str()), &[1; 32]), used(true));
/// assert_eq!(request.used_for(Some(made.as_str()), &[2; 32]), used(false));
/// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The idempotency key, 1 to 256 bytes; unique in the store.
    pub key: String,
    /// A digest of everything else in the request: another request under the same key is told apart by it.
    pub digest: [u8; 32],
}

impl IdempotentRequest {
    /// The conflict with an earlier change under the same idempotency key, which made this key and was asked for by a
    /// request with this digest.
    #[must_use]
    pub fn used_for(&self, key: Option<&str>, digest: &[u8]) -> Conflict {
        let key = key.and_then(|id| KeyId::new(id).ok());
        Conflict::IdempotencyKeyUsed { key, same_request: self.digest.as_slice() == digest }
    }
}

impl fmt::Debug for IdempotentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotentRequest([REDACTED])")
    }
}

/// A write and the event that tells of it, which is written if and only if the write changed something.
///
/// ```
/// use tower_api_keys::{audit::EventRow, record::KeyRow, store::{AuditedWrite, Write}};
/// # let (row, event) = (KeyRow::example(), EventRow::example());
///
/// let issue = AuditedWrite { write: Write::Insert(row), event };
/// assert!(matches!(issue.write, Write::Insert(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedWrite {
    /// What to write.
    pub write: Write,
    /// What the audit trail says of it.
    pub event: EventRow,
}

/// One write. A store [refuses](super::StoreError::refused) a change with one of a newer version, which it does not know.
///
/// ```
/// use tower_api_keys::{OrganizationId, key::KeyId, store::Write};
///
/// let revoke = Write::Revoke {
///     organization: OrganizationId::single(),
///     id: KeyId::new("AAAAAAAAAAAAAAAAAAAA")?,
///     by: "user:alice".into(),
/// };
/// assert!(matches!(revoke, Write::Revoke { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a change has one to fifty of them and is built once")]
#[non_exhaustive]
pub enum Write {
    /// Erases a user, a team or an organization that is closed; one that is not is a conflict. The only write of its
    /// change: beside another one it is [refused](super::StoreError::refused).
    Erase(Erasure),
    /// A new key. A key of this id is a conflict, whatever it holds.
    Insert(KeyRow),
    /// New values for what may change about a living key.
    Update(KeyUpdate),
    /// Pauses a key at the change's time, under a new version. One that is paused stays as it is: unchanged, and no
    /// conflict, as one that is revoked is.
    Pause {
        /// Whose key.
        organization: OrganizationId,
        /// Which.
        id: KeyId,
        /// [`ActorId`](crate::record::ActorId) of who pauses it.
        by: String,
    },
    /// Ends this pause of a key, under a new version. One that is not paused stays as it is: unchanged, and no conflict,
    /// as another pause ([`Conflict::Version`]) and one that is revoked are.
    Resume {
        /// Whose key.
        organization: OrganizationId,
        /// Which.
        id: KeyId,
        /// Since when it is paused, as in [`KeyRow`].
        paused_at: i64,
        /// By whom, as in [`KeyRow`].
        paused_by: Option<String>,
    },
    /// Revokes a key at the change's time. A key that is revoked stays as it is: unchanged, and no conflict.
    Revoke {
        /// Whose key.
        organization: OrganizationId,
        /// Which.
        id: KeyId,
        /// [`ActorId`](crate::record::ActorId) of who revokes it.
        by: String,
    },
    /// Notes at a key that its end was told so long before it, under no new version: the key means the same, and nobody
    /// who looked at it is in the way. Unchanged, and no conflict, unless the key
    /// [wants that word](KeyRow::wants_warning), and where there is no such key.
    WarnOfEnd {
        /// Whose key.
        organization: OrganizationId,
        /// Which.
        id: KeyId,
        /// When it ends, as in [`KeyRow`].
        expires_at: i64,
        /// How long before that it is told, in milliseconds; 0 or more.
        before_ms: i64,
    },
    /// Suspends, reinstates or closes an organization, with all its owners, at the change's time.
    Organization(OrganizationId, OwnerChange),
    /// Suspends, reinstates or closes an owner at the change's time.
    Owner(OwnerRef, OwnerChange),
}

impl Write {
    /// Whether it erases somebody.
    pub(crate) const fn erases(&self) -> bool {
        matches!(self, Self::Erase(_))
    }
}

/// New values for what may change about a living key, under the version they were decided on.
///
/// ```
/// use tower_api_keys::{OrganizationId, key::KeyId, store::KeyUpdate};
///
/// let rename = KeyUpdate {
///     organization: OrganizationId::single(),
///     id: KeyId::new("AAAAAAAAAAAAAAAAAAAA")?,
///     expected_version: 1,
///     name: "Monday cron".into(),
///     labels: "{}".into(),
///     scopes: "*".into(),
///     allowed_networks: None,
///     responsible: None,
///     expires_at: None,
/// };
/// assert_eq!(rename.expected_version, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUpdate {
    /// Whose key.
    pub organization: OrganizationId,
    /// Which.
    pub id: KeyId,
    /// The version that was read; another one is a conflict. The update adds one.
    pub expected_version: i64,
    /// As in [`KeyRow`].
    pub name: String,
    /// As in [`KeyRow`].
    pub labels: String,
    /// As in [`KeyRow`].
    pub scopes: String,
    /// As in [`KeyRow`].
    pub allowed_networks: Option<String>,
    /// As in [`KeyRow`].
    pub responsible: Option<String>,
    /// As in [`KeyRow`].
    pub expires_at: Option<i64>,
}

/// What must hold at the moment of commit, before the writes.
///
/// ```
/// use tower_api_keys::{key::KeyId, store::Guard};
///
/// let old = KeyId::new("AAAAAAAAAAAAAAAAAAAA")?;
/// let begin_rotation = [Guard::Live(old), Guard::NoLiveSuccessor(old)];
/// assert_ne!(begin_rotation[0], begin_rotation[1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// Fewer than `limit` keys of the owner's organization were made from `since` to `until` by this user, or with keys of
    /// this user or team, whatever became of them. To know it may take a look at every key that the owner ever had.
    IssuedBelow {
        /// The user who made them, or the user or team whose keys did.
        by: OwnerRef,
        /// The first moment that counts.
        since: Timestamp,
        /// The last moment that counts: what is later was dated by a wrong clock.
        until: Timestamp,
        /// One more than there may be.
        limit: u32,
    },
    /// The key exists and is neither revoked nor expired at the change's time.
    Live(KeyId),
    /// Fewer than `limit` keys of this owner are neither revoked nor expired at the change's time. To know it may take a
    /// look at every key that the owner ever had.
    LiveKeysBelow {
        /// Whose keys.
        owner: OwnerRef,
        /// One more than there may be.
        limit: u32,
    },
    /// No key that is live at the change's time replaces this one.
    NoLiveSuccessor(KeyId),
    /// Neither the owner nor its organization is suspended or closed.
    OwnerActive(OwnerRef),
    /// The key exists, is not paused, and its scopes, its networks and its end are these: what it was when somebody decided by
    /// it.
    SameRights {
        /// Which key.
        key: KeyId,
        /// Its scopes, to the byte.
        scopes: String,
        /// Its networks, to the byte; none if it has none.
        allowed_networks: Option<String>,
        /// Its end.
        expires_at: Option<Timestamp>,
    },
    /// The key exists and has this version: nobody changed its name, labels, scopes, networks or end since somebody looked at it.
    SameVersion {
        /// Which key.
        key: KeyId,
        /// Its version.
        version: i64,
    },
}

/// What `created_by` says of the keys that this user made; that of no key for a team, which makes none but with its keys.
pub(crate) fn created_by(owner: &Owner) -> String {
    match owner {
        Owner::Team(_) => String::new(),
        Owner::User(user) => ActorId::User(user.clone()).to_string(),
    }
}

/// What [`KeyStore::apply`](super::KeyStore::apply) did, one effect for each write.
///
/// ```
/// use tower_api_keys::store::{Applied, Effect};
///
/// let applied = Applied { effects: vec![Effect::Changed] };
/// assert_eq!(applied.effects.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// In the order of the writes.
    pub effects: Vec<Effect>,
}

words! {
    /// What a write, or a call that changes something, did.
    ///
    /// ```
    /// use tower_api_keys::store::Effect;
    ///
    /// assert_ne!(Effect::Unchanged, Effect::Changed);
    /// ```
    pub enum Effect {
        /// It is written, and so is its event.
        Changed = "changed",
        /// What it asks for was so already: a second revocation, a second suspension. Nothing and no event was written.
        Unchanged = "unchanged",
    }
}

/// Names a change: 16 random bytes.
///
/// ```
/// use tower_api_keys::store::ChangeId;
///
/// assert_eq!(ChangeId::from_bytes([0; 16]).to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId([u8; 16]);

impl ChangeId {
    /// A change's name from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeId({self})")
    }
}
