//! Apart from the checks: this is how the manager tells the authenticator of new keys.

use std::sync::{Arc, Weak};

use super::{Authenticator, authenticator::Inner, cache::Proof};
use crate::{
    key::PlaintextKey,
    owner::OwnerRef,
    principal::SharedOwner,
    record::{KeyRecord, NewKeys},
    store::KeyReader,
};

impl<R: KeyReader> Authenticator<R> {
    /// The receiver of keys that are made on this node. It does not keep the authenticator alive.
    pub(crate) fn new_keys(&self) -> Weak<dyn NewKeys> {
        let inner: Weak<Inner<R>> = Arc::downgrade(&self.0);
        inner
    }
}

impl<R: KeyReader> NewKeys for Inner<R> {
    fn made(&self, key: &PlaintextKey, record: &KeyRecord) {
        // A key that this node would refuse to read need not be cached.
        let Ok(parsed) = self.format.parse(key.expose_secret().as_bytes()) else { return };
        let owner = OwnerRef { organization: record.organization.clone(), owner: record.owner.clone() };
        self.cache.remember_proof(Proof {
            digest: self.digest(parsed.secret()),
            prefix: parsed.prefix(),
            fingerprint: record.hash.fingerprint(),
            claims: self.claims_of(record, SharedOwner::new(owner)),
        });
    }
}
