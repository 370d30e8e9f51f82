//! The cache: what a node remembers of keys that it proved.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::sync::Cache;

use super::{digest::Digest, owners::Owners};
use crate::{
    key::{KeyId, PrefixIndex},
    metering::{Counted, KeyUsage},
    owner::{OrganizationId, OwnerRef},
    principal::{Claims, WithClaims},
};

const STRIPES: usize = 64;

/// No epoch ever has this number: an entry with it is not current.
const STALE: u64 = 0;

/// The keys that were proved on this node: a text that matched a hash, or was hashed, and the record as it was last
/// read.
///
/// A proof is never a permission. It is valid as long as the stored hash is. The record beside it counts only while it
/// is [current](Self::is_current): a change makes the record unknown and keeps the proof.
pub(super) struct ProofCache {
    entries: Cache<ById, Arc<WithClaims<Entry>>>,
    /// What a record read from the store must not be older than. Taken before the read, compared when the record is
    /// cached.
    stripes: Box<[Mutex<u64>]>,
    hasher: RandomState,
    owners: Mutex<Owners>,
    epoch: AtomicU64,
}

/// An id, hashed in one step: the last 4 characters folded into the other 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ById([u8; 20]);

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first @ .., a, b, c, d] = self.0;
        let last = u128::from(u32::from_ne_bytes([a, b, c, d]));
        state.write_u128(u128::from_ne_bytes(first) ^ last);
    }
}

impl ById {
    const fn new(id: &KeyId) -> Self {
        Self(*id.as_bytes())
    }
}

/// What is kept of a proved key besides its claims.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) prefix: PrefixIndex,
    /// The fingerprint of the hash that was matched.
    pub(super) fingerprint: [u8; 16],
    pub(super) usage: KeyUsage,
    /// The epoch in which the record was read, or stale.
    epoch: AtomicU64,
}

/// What is cached of a key.
pub(super) struct Proof {
    pub(super) digest: Digest,
    pub(super) prefix: PrefixIndex,
    pub(super) fingerprint: [u8; 16],
    pub(super) claims: Claims,
}

/// Taken before a record is read from the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    epoch: u64,
    stripe: u64,
    owners: u64,
}

impl ProofCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: Cache::new(capacity),
            stripes: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
            owners: Mutex::default(),
            epoch: AtomicU64::new(STALE + 1),
        }
    }

    /// How many keys are cached.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, id: &[u8; 20]) -> Option<Arc<WithClaims<Entry>>> {
        self.entries.get(&ById(*id))
    }

    /// The same, without marking it as used: a stranger must not keep a key in the cache by naming it.
    pub(super) fn peek(&self, id: &[u8; 20]) -> Option<Arc<WithClaims<Entry>>> {
        self.entries.peek(&ById(*id))
    }

    /// Whether the entry's key and owner are unchanged since its record was read, as far as the applied changes show.
    pub(super) fn is_current(&self, entry: &WithClaims<Entry>) -> bool {
        entry.rest.epoch.load(Ordering::Acquire) == self.epoch.load(Ordering::Acquire)
            && !entry.claims.owner.is_outdated()
    }

    pub(super) fn ticket(&self, id: &KeyId) -> Ticket {
        Ticket { epoch: self.epoch.load(Ordering::Acquire), stripe: *self.stripe(id), owners: self.owners().changes() }
    }

    /// Caches a proof, and the record beside it if no change applied since the ticket concerns it.
    ///
    /// The record must be good, apart from its expiry: only acceptable records are cached as current.
    pub(super) fn remember(&self, ticket: Ticket, proof: Proof) -> Arc<WithClaims<Entry>> {
        let id = proof.claims.key;
        // Invalidation takes the same locks. It comes before this, and the ticket shows it, or after, and finds the
        // entry.
        let stripe = self.stripe(&id);
        let mut owners = self.owners();
        let unchanged = *stripe == ticket.stripe && owners.changes() == ticket.owners;
        // Another task read a later record meanwhile.
        if !unchanged && let Some(entry) = self.entries.get(&ById::new(&id)).filter(|entry| self.is_current(entry)) {
            return entry;
        }
        self.insert(&mut owners, proof, if unchanged { ticket.epoch } else { STALE })
    }

    /// Caches a proof without a record: the record is read at the next use of the key. An entry that exists is not
    /// changed.
    pub(super) fn remember_proof(&self, proof: Proof) {
        let _stripe = self.stripe(&proof.claims.key);
        let mut owners = self.owners();
        if self.entries.peek(&ById::new(&proof.claims.key)).is_none() {
            self.insert(&mut owners, proof, STALE);
        }
    }

    fn insert(&self, owners: &mut Owners, proof: Proof, epoch: u64) -> Arc<WithClaims<Entry>> {
        let Proof { digest, prefix, fingerprint, mut claims } = proof;
        let id = claims.key;
        claims.owner = owners.share(claims.owner);
        let rest = Entry { digest, prefix, fingerprint, usage: KeyUsage::default(), epoch: AtomicU64::new(epoch) };
        let entry = Arc::new(WithClaims { claims, rest });
        self.entries.insert(ById::new(&id), Arc::clone(&entry));
        entry
    }

    pub(super) fn key_changed(&self, id: &KeyId) {
        let mut stripe = self.stripe(id);
        *stripe += 1;
        if let Some(entry) = self.entries.peek(&ById::new(id)) {
            entry.rest.epoch.store(STALE, Ordering::Release);
        }
    }

    pub(super) fn owner_changed(&self, owner: &OwnerRef) {
        self.owners().changed(owner);
    }

    pub(super) fn organization_changed(&self, organization: &OrganizationId) {
        self.owners().organization_changed(organization);
    }

    /// Everything may have changed: no record is current any more, every proof still is.
    pub(super) fn all_changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn forget_proofs(&self) {
        self.all_changed();
        self.entries.clear();
    }

    fn stripe(&self, id: &KeyId) -> MutexGuard<'_, u64> {
        let hash = self.hasher.hash_one(id) as usize;
        #[expect(clippy::indexing_slicing, reason = "a remainder is less than the length, which is 64")]
        let stripe = &self.stripes[hash % STRIPES];
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted for WithClaims<Entry> {
    fn key(&self) -> KeyId {
        self.claims.key
    }

    fn usage(&self) -> &KeyUsage {
        &self.rest.usage
    }
}

#[cfg(test)]
mod tests;
