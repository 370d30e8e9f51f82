use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use getrandom::SysRng;
use rand_core::TryRng;
use tower_api_keys::{
    KeyKind, OrganizationId, Owner, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{AuditedWrite, Change, ChangeId, Erasure, IdempotentRequest, KeyQuery, KeyUpdate, OwnerRef, Write},
};

use crate::unmet::{Unmet, made};

/// 2026-03-01T12:00:00Z, the base of the kit's times.
const NOON: u64 = 1_772_366_400_000;

/// A number of milliseconds after noon.
pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::MIN.saturating_add(Duration::from_millis(NOON.saturating_add(millis)))
}

/// A number of milliseconds after the beginning of 1970: older than all data of a database, so that pruning does no
/// harm.
pub(super) fn ancient(millis: u64) -> Timestamp {
    Timestamp::MIN.saturating_add(Duration::from_millis(millis))
}

/// What one clause works with: an organization of its own, and any number of new names.
pub(super) struct Scene {
    seed: [u8; 32],
    next: AtomicU64,
    organization: OrganizationId,
    owner: Owner,
}

impl Scene {
    pub(super) fn new() -> Result<Self, Unmet> {
        let mut seed = [0; 32];
        made(SysRng.try_fill_bytes(&mut seed))?;
        let name = format!("conformance {}", blake3::hash(&seed).to_hex());
        Ok(Self {
            seed,
            next: AtomicU64::new(0),
            organization: made(OrganizationId::new(name))?,
            owner: made(Owner::new(KeyKind::Team, "engineering"))?,
        })
    }

    pub(super) fn organization(&self) -> OrganizationId {
        self.organization.clone()
    }

    /// The owner of the keys that [`Scene::key`] makes.
    pub(super) fn owner(&self) -> OwnerRef {
        OwnerRef { organization: self.organization(), owner: self.owner.clone() }
    }

    /// Another owner of this organization.
    pub(super) fn owner_named(&self, kind: KeyKind, id: &str) -> Result<OwnerRef, Unmet> {
        Ok(OwnerRef { organization: self.organization(), owner: made(Owner::new(kind, id))? })
    }

    pub(super) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        blake3::Hasher::new_keyed(&self.seed).update(&number).finalize_xof().fill(&mut bytes);
        bytes
    }

    pub(super) fn word(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.bytes::<15>())
    }

    /// A request with an idempotency key, unlike any other.
    pub(super) fn request(&self) -> IdempotentRequest {
        IdempotentRequest { key: self.word(), digest: self.bytes() }
    }

    pub(super) fn id(&self) -> Result<KeyId, Unmet> {
        made(KeyId::new(&self.word()))
    }

    pub(super) fn key(&self) -> Result<Sample, Unmet> {
        self.key_with(self.id()?)
    }

    pub(super) fn key_with(&self, id: KeyId) -> Result<Sample, Unmet> {
        self.sample(KeyRow { id: id.as_str().to_owned(), ..KeyRow::example() }, &self.owner())
    }

    /// A key of this owner.
    pub(super) fn key_of(&self, owner: &OwnerRef) -> Result<Sample, Unmet> {
        self.sample(KeyRow { id: self.word(), ..KeyRow::example() }, owner)
    }

    pub(super) fn keys(&self, count: usize) -> Result<Vec<Sample>, Unmet> {
        (0..count).map(|_| self.key()).collect()
    }

    fn sample(&self, row: KeyRow, owner: &OwnerRef) -> Result<Sample, Unmet> {
        let row = KeyRow {
            lineage: row.id.clone(),
            organization: owner.organization.as_str().to_owned(),
            kind: owner.owner.kind().as_str().to_owned(),
            owner: owner.owner.id().to_owned(),
            created_at: at(0).as_millis(),
            ..row
        };
        Ok(Sample { id: made(KeyId::new(&row.id))?, organization: owner.organization.clone(), row })
    }

    /// A change without guards and with one event for each write, no two alike.
    pub(super) fn change(&self, at: Timestamp, writes: Vec<Write>) -> Change {
        let writes = writes.into_iter().map(|write| AuditedWrite { event: self.event_of(at, &write), write }).collect();
        Change { id: ChangeId::from_bytes(self.bytes()), at, writes, guards: Vec::new(), idempotency: None }
    }

    /// A change that inserts these keys at noon.
    pub(super) fn insert<'a>(&self, keys: impl IntoIterator<Item = &'a Sample>) -> Change {
        self.change(at(0), keys.into_iter().map(Sample::insert).collect())
    }

    /// An event of this scene's owner, unlike any other.
    pub(super) fn event(&self, at: Timestamp) -> EventRow {
        EventRow {
            sequence: 0,
            organization: self.organization.as_str().to_owned(),
            at: at.as_millis(),
            key: None,
            owner_kind: self.owner.kind().as_str().to_owned(),
            owner: self.owner.id().to_owned(),
            after: Some(self.word()),
            ..EventRow::example()
        }
    }

    fn event_of(&self, at: Timestamp, write: &Write) -> EventRow {
        let about =
            |id: &str, action: &str| EventRow { key: Some(id.to_owned()), action: action.to_owned(), ..self.event(at) };
        match write {
            Write::Erase(Erasure { owner, pseudonym, .. }) => EventRow {
                action: "owner.erased".to_owned(),
                owner_kind: owner.as_ref().map_or("organization", |owner| owner.kind().as_str()).to_owned(),
                owner: owner.as_ref().map_or_else(String::new, |_| pseudonym.to_string()),
                after: None,
                ..self.event(at)
            },
            Write::Insert(row) => about(&row.id, "key.issued"),
            Write::Update(update) => about(update.id.as_str(), "key.renamed"),
            Write::Pause { id, .. } => about(id.as_str(), "key.paused"),
            Write::Resume { id, .. } => about(id.as_str(), "key.resumed"),
            Write::Revoke { id, .. } => about(id.as_str(), "key.revoked"),
            Write::WarnOfEnd { id, .. } => about(id.as_str(), "key.ends_soon"),
            Write::Organization(..) => EventRow { action: "organization.suspended".to_owned(), ..self.event(at) },
            Write::Owner(owner, _) => EventRow {
                action: "owner.suspended".to_owned(),
                owner_kind: owner.owner.kind().as_str().to_owned(),
                owner: owner.owner.id().to_owned(),
                ..self.event(at)
            },
            // The kit makes no others.
            _ => self.event(at),
        }
    }

    /// All keys of this organization.
    pub(super) fn query(&self) -> KeyQuery {
        KeyQuery { limit: 1_000, ..KeyQuery::all(self.organization()) }
    }
}

/// A key of the kit.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) id: KeyId,
    pub(super) organization: OrganizationId,
    /// The row as it is inserted.
    pub(super) row: KeyRow,
}

impl Sample {
    /// The same key with a changed row.
    pub(super) fn with(mut self, change: impl FnOnce(&mut KeyRow)) -> Self {
        change(&mut self.row);
        self
    }

    pub(super) fn insert(&self) -> Write {
        Write::Insert(self.row.clone())
    }

    pub(super) fn revoke(&self) -> Write {
        self.revoke_by("user:alice")
    }

    pub(super) fn revoke_by(&self, by: &str) -> Write {
        Write::Revoke { organization: self.organization.clone(), id: self.id, by: by.to_owned() }
    }

    pub(super) fn pause_by(&self, by: &str) -> Write {
        Write::Pause { organization: self.organization.clone(), id: self.id, by: by.to_owned() }
    }

    /// The end of a pause that began at this time.
    pub(super) fn resume(&self, paused_at: Timestamp, paused_by: Option<&str>) -> Write {
        Write::Resume {
            organization: self.organization.clone(),
            id: self.id,
            paused_at: paused_at.as_millis(),
            paused_by: paused_by.map(str::to_owned),
        }
    }

    /// The note that its end was announced this number of milliseconds before it.
    pub(super) fn warn_of_end(&self, expires_at: Timestamp, before_ms: i64) -> Write {
        let (organization, expires_at) = (self.organization.clone(), expires_at.as_millis());
        Write::WarnOfEnd { organization, id: self.id, expires_at, before_ms }
    }

    /// An update that writes the columns of the row, for a key that has this version.
    pub(super) fn update(&self, expected_version: i64) -> KeyUpdate {
        KeyUpdate {
            organization: self.organization.clone(),
            id: self.id,
            expected_version,
            name: self.row.name.clone(),
            labels: self.row.labels.clone(),
            scopes: self.row.scopes.clone(),
            allowed_networks: self.row.allowed_networks.clone(),
            responsible: self.row.responsible.clone(),
            expires_at: self.row.expires_at,
        }
    }

    /// An update of only the name.
    pub(super) fn rename(&self, expected_version: i64, name: &str) -> Write {
        Write::Update(KeyUpdate { name: name.to_owned(), ..self.update(expected_version) })
    }
}
