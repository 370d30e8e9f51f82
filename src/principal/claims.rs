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
    pub(crate) texts: Texts,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What stands before the first key of a chain.
const LINEAGE: &str = "\0\0";

/// A key's name; behind a NUL, its limits, which few keys have; and behind two NULs, the first key of its chain of rotations,
/// where that is another one. Each remembered key has room for one text.
#[derive(Debug)]
pub(crate) struct Texts(Box<str>);

impl Texts {
    /// Neither names nor limits nor ids have a NUL in them.
    pub(crate) fn new(name: &str, limits: Option<&str>, lineage: Option<&KeyId>) -> Self {
        if limits.is_none() && lineage.is_none() {
            return Self(name.into());
        }
        let (limits, lineage) = (limits.map(|limits| ["\0", limits]), lineage.map(|first| [LINEAGE, first.as_str()]));
        let parts = limits.into_iter().flatten().chain(lineage.into_iter().flatten());
        Self(std::iter::once(name).chain(parts).collect::<String>().into())
    }

    pub(crate) fn name(&self) -> &str {
        self.0.split_once('\0').map_or(&self.0, |(name, _)| name)
    }

    pub(crate) fn limits(&self) -> Option<&str> {
        let named = self.0.rsplit_once(LINEAGE).map_or(&*self.0, |(named, _)| named);
        named.split_once('\0').map(|(_, limits)| limits)
    }

    pub(crate) fn lineage(&self) -> Option<KeyId> {
        self.0.rsplit_once(LINEAGE).and_then(|(_, first)| KeyId::new(first).ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_limits_and_lineage_come_back_in_every_combination() {
        let first = KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap();
        for name in ["", "CI"] {
            for limits in [None, Some(""), Some("a budget")] {
                for lineage in [None, Some(first)] {
                    let texts = Texts::new(name, limits, lineage.as_ref());
                    assert_eq!((texts.name(), texts.limits(), texts.lineage()), (name, limits, lineage));
                }
            }
        }
    }
}
