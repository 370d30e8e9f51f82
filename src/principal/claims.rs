use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{key::KeyId, owner::OwnerRef, scope::Scopes, time::Timestamp};

/// Claims, and what else whoever proved them keeps in the same piece of memory: a check that finds both in one place
/// counts one reference, not two.
#[derive(Debug)]
pub(crate) struct WithClaims<T: ?Sized> {
    pub(crate) claims: Claims,
    pub(crate) rest: T,
}

/// What a [`Principal`](super::Principal) is made of. Slim, for every key that is remembered has them.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) owner: Arc<SharedOwner>,
    pub(crate) key: KeyId,
    /// Which authenticator proved it; 0 for none, as in tests.
    pub(crate) proved_by: u32,
    pub(crate) key_name: Box<str>,
    pub(crate) scopes: Scopes,
    pub(crate) limits: Option<Box<str>>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// An owner, shared by the claims of all its keys that were read while nothing changed about it.
#[derive(Debug)]
pub(crate) struct SharedOwner {
    pub(crate) of: OwnerRef,
    is_outdated: AtomicBool,
}

impl SharedOwner {
    pub(crate) fn new(of: OwnerRef) -> Arc<Self> {
        Arc::new(Self { of, is_outdated: AtomicBool::new(false) })
    }

    /// Something changed about the owner: what is read from now on has another one.
    pub(crate) fn outdate(&self) {
        self.is_outdated.store(true, Ordering::Release);
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Acquire)
    }
}
