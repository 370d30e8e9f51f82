use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{key::KeyId, networks::Networks, owner::OwnerRef, scope::Scopes, time::Timestamp};

/// Claims, and other data of the code that proved them, in the same allocation: a check that finds both in one place
/// counts one reference, not two.
#[derive(Debug)]
pub(crate) struct WithClaims<T: ?Sized> {
    pub(crate) claims: Claims,
    pub(crate) rest: T,
}

/// The content of a [`Principal`](super::Principal). Small, because every cached key has one.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) owner: Arc<SharedOwner>,
    pub(crate) key: KeyId,
    /// Which authenticator proved it; 0 for none, as in tests.
    pub(crate) proved_by: u32,
    pub(crate) particulars: Particulars,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A key's name, and details that few keys have: each cached key has room for a name.
#[derive(Debug)]
pub(crate) enum Particulars {
    Name(Box<str>),
    More(Box<More>),
}

const _: () = assert!(size_of::<Particulars>() == size_of::<Box<str>>());

#[derive(Debug)]
pub(crate) struct More {
    name: Box<str>,
    limits: Option<Box<str>>,
    networks: Option<Networks>,
    lineage: Option<KeyId>,
}

impl Particulars {
    /// The first key of its chain of rotations, if that is another key.
    pub(crate) fn new(name: &str, limits: Option<&str>, networks: Option<&Networks>, lineage: Option<KeyId>) -> Self {
        let name = name.into();
        if limits.is_none() && networks.is_none() && lineage.is_none() {
            return Self::Name(name);
        }
        Self::More(Box::new(More { name, limits: limits.map(Into::into), networks: networks.cloned(), lineage }))
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::More(more) => &more.name,
        }
    }

    pub(crate) fn limits(&self) -> Option<&str> {
        self.more().and_then(|more| more.limits.as_deref())
    }

    /// The networks that the key may be used from; anywhere if none.
    #[inline]
    pub(crate) fn networks(&self) -> Option<&Networks> {
        self.more().and_then(|more| more.networks.as_ref())
    }

    /// The first key of its chain of rotations, if that is another key.
    pub(crate) fn lineage(&self) -> Option<KeyId> {
        self.more().and_then(|more| more.lineage)
    }

    #[inline]
    fn more(&self) -> Option<&More> {
        match self {
            Self::Name(_) => None,
            Self::More(more) => Some(more),
        }
    }
}

/// An owner, shared by the claims of all its keys that were read while the owner did not change.
#[derive(Debug)]
pub(crate) struct SharedOwner {
    pub(crate) of: OwnerRef,
    is_outdated: AtomicBool,
}

impl SharedOwner {
    pub(crate) fn new(of: OwnerRef) -> Arc<Self> {
        Arc::new(Self { of, is_outdated: AtomicBool::new(false) })
    }

    /// The owner changed: later reads get a new one.
    pub(crate) fn outdate(&self) {
        self.is_outdated.store(true, Ordering::Release);
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_keys_have_comes_back_in_every_combination() {
        let (first, office) = (KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap(), Networks::new(["203.0.113.0/24"]).unwrap());
        for name in ["", "CI"] {
            for limits in [None, Some(""), Some("a budget")] {
                for networks in [None, Some(&office)] {
                    for lineage in [None, Some(first)] {
                        let kept = Particulars::new(name, limits, networks, lineage);
                        assert_eq!((kept.name(), kept.limits()), (name, limits));
                        assert_eq!((kept.networks(), kept.lineage()), (networks, lineage));
                    }
                }
            }
        }
    }
}
