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

/// One to fifty writes with their events, all of them done or none.
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
    /// The present time for guards and writes.
    pub at: Timestamp,
    /// What to write, in this order. 1 to 50.
    pub writes: Vec<AuditedWrite>,
    /// What must hold at the moment of commit.
    pub guards: Vec<Guard>,
    /// The idempotency key of the client's request, which makes a repeat harmless. A second change with the same
    /// idempotency key is refused as [`Conflict::IdempotencyKeyUsed`](super::Conflict::IdempotencyKeyUsed), which says
    /// what the first one made.
    pub idempotency: Option<IdempotentRequest>,
}

impl Change {
    /// The first key that it inserts. The answer to a repeat of the request names it.
    #[must_use]
    pub fn key_made(&self) -> Option<&str> {
        self.writes.iter().find_map(|audited| match &audited.write {
            Write::Insert(row) => Some(row.id.as_str()),
            _ => None,
        })
    }

    /// Checks that an erasure is the only write of the change.
    ///
    /// # Errors
    /// Refused if another write comes with an erasure.
    pub fn erases_alone(&self) -> Result<(), StoreError> {
        match self.writes.len() > 1 && self.writes.iter().any(|audited| audited.write.erases()) {
            true => Err(StoreError::refused("an erasure is the only write of its change")),
            false => Ok(()),
        }
    }
}

/// A request that a client may repeat, by its idempotency key. `Debug` prints nothing of it: another client that knows
/// the idempotency key could repeat the request.
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
    /// A digest of everything else in the request: it shows whether another request used the same idempotency key.
    pub digest: [u8; 32],
}

impl IdempotentRequest {
    /// The conflict with an earlier change under the same idempotency key. `key` is the key that the earlier change
    /// made, and `digest` that of its request.
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

/// A write and its event, which is written if and only if the write changed something.
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
    /// Its entry in the audit trail.
    pub event: EventRow,
}

/// One write. A store [refuses](super::StoreError::refused) a change with a write of a newer version that it does not
/// know.
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
    /// Erases a user, a team or an organization that is closed; one that is not closed is a conflict. It must be the
    /// only write of its change: with another one it is [refused](super::StoreError::refused).
    Erase(Erasure),
    /// A new key. An existing key with this id is a conflict, even if it is identical.
    Insert(KeyRow),
    /// New values for what may change about a key that is not revoked.
    Update(KeyUpdate),
    /// Pauses a key at the change's time, under a new version. A paused key is [`Unchanged`](Effect::Unchanged), which
    /// is no conflict. A revoked key is a conflict.
    Pause {
        /// Organization of the key.
        organization: OrganizationId,
        /// Id of the key.
        id: KeyId,
        /// [`ActorId`](crate::record::ActorId) of the actor who pauses it.
        by: String,
    },
    /// Ends this pause of a key, under a new version. A key that is not paused is [`Unchanged`](Effect::Unchanged),
    /// which is no conflict. Another pause ([`Conflict::Version`]) and a revoked key are conflicts.
    Resume {
        /// Organization of the key.
        organization: OrganizationId,
        /// Id of the key.
        id: KeyId,
        /// When the pause began, as in [`KeyRow`].
        paused_at: i64,
        /// The actor who paused it, as in [`KeyRow`].
        paused_by: Option<String>,
    },
    /// Revokes a key at the change's time. A revoked key is [`Unchanged`](Effect::Unchanged), which is no conflict.
    Revoke {
        /// Organization of the key.
        organization: OrganizationId,
        /// Id of the key.
        id: KeyId,
        /// [`ActorId`](crate::record::ActorId) of the actor who revokes it.
        by: String,
    },
    /// Notes on a key that its end was announced this long before it. There is no new version: the key means the same,
    /// and an update that was decided before still fits. It is [`Unchanged`](Effect::Unchanged), and no conflict, if
    /// the key does not [want that warning](KeyRow::wants_warning) or there is no such key.
    WarnOfEnd {
        /// Organization of the key.
        organization: OrganizationId,
        /// Id of the key.
        id: KeyId,
        /// When it ends, as in [`KeyRow`].
        expires_at: i64,
        /// How long before that it is announced, in milliseconds; 0 or more.
        before_ms: i64,
    },
    /// Suspends, reinstates or closes an organization, with all its owners, at the change's time.
    Organization(OrganizationId, OwnerChange),
    /// Suspends, reinstates or closes an owner at the change's time.
    Owner(OwnerRef, OwnerChange),
}

impl Write {
    /// Whether it is an erasure.
    pub(crate) const fn erases(&self) -> bool {
        matches!(self, Self::Erase(_))
    }
}

/// New values for what may change about a key that is not revoked, with the version that they are based on.
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
    /// Organization of the key.
    pub organization: OrganizationId,
    /// Id of the key.
    pub id: KeyId,
    /// The version that was read; if the key has another one, that is a conflict. The update adds one.
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
    /// Fewer than `limit` keys of the owner's organization were made from `since` to `until` by this user, or with keys
    /// of this user or team, live or dead. The store may have to read every key that the owner ever had.
    IssuedBelow {
        /// The user who made them, or the user or team whose keys did.
        by: OwnerRef,
        /// The first moment that counts.
        since: Timestamp,
        /// The last moment that counts: a later time comes from a wrong clock.
        until: Timestamp,
        /// One more than the allowed number.
        limit: u32,
    },
    /// The key exists and is neither revoked nor expired at the change's time.
    Live(KeyId),
    /// Fewer than `limit` keys of this owner are neither revoked nor expired at the change's time. The store may have
    /// to read every key that the owner ever had.
    LiveKeysBelow {
        /// The owner of the keys.
        owner: OwnerRef,
        /// One more than the allowed number.
        limit: u32,
    },
    /// No key that is live at the change's time replaces this one.
    NoLiveSuccessor(KeyId),
    /// Neither the owner nor its organization is suspended or closed.
    OwnerActive(OwnerRef),
    /// The key exists, is not paused, and still has the scopes, the networks and the end on which a decision was based.
    SameRights {
        /// Id of the key.
        key: KeyId,
        /// Its scopes, byte for byte.
        scopes: String,
        /// Its networks, byte for byte; none if it has none.
        allowed_networks: Option<String>,
        /// Its end.
        expires_at: Option<Timestamp>,
    },
    /// The key exists and has this version: its name, labels, scopes, networks and end are the same as when it was
    /// read.
    SameVersion {
        /// Id of the key.
        key: KeyId,
        /// Its version.
        version: i64,
    },
}

/// The `created_by` of the keys that this user made. For a team, a text that no key has: a team makes keys only with
/// its keys.
pub(crate) fn created_by(owner: &Owner) -> String {
    match owner {
        Owner::Team(_) => String::new(),
        Owner::User(user) => ActorId::User(user.clone()).to_string(),
    }
}

/// What [`KeyStore::apply`](super::KeyStore::apply) did: one effect for each write.
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
        /// The write was done, and its event written.
        Changed = "changed",
        /// There was nothing to change: a second revocation, a second suspension. Nothing was written, and no event.
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
