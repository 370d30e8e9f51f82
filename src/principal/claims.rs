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
    /// The first key of its chain of rotations, where that is another one.
    pub(crate) lineage: Option<Box<KeyId>>,
    /// Which authenticator proved it; 0 for none, as in tests.
    pub(crate) proved_by: u32,
    pub(crate) texts: Texts,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A key's name and, behind a NUL, its limits, which few keys have: each remembered key has room for one text.
#[derive(Debug)]
pub(crate) struct Texts(Box<str>);

impl Texts {
    /// No name has a NUL in it.
    pub(crate) fn new(name: &str, limits: Option<&str>) -> Self {
        Self(limits.map_or_else(|| name.into(), |limits| format!("{name}\0{limits}").into()))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.split_once('\0').map_or(&self.0, |(name, _)| name)
    }

    pub(crate) fn limits(&self) -> Option<&str> {
        self.0.split_once('\0').map(|(_, limits)| limits)
    }
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
