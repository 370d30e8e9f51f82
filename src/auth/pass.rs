use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{key::KeyId, metering::Seen, outcome::RefusalCode, principal::Principal, usage::Source};

/// A key that was accepted.
pub(crate) struct Accepted {
    pub(crate) principal: Principal,
    /// None if nothing is counted.
    pub(crate) seen: Option<Seen>,
}

/// What is kept of an accepted key while its request is with the inner service, in case that turns it away.
///
/// Numbers and letters, which cost nothing to hold: a request that goes well counts no references for it.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(super) authenticator: u32,
    pub(super) key: KeyId,
    pub(super) seen: Seen,
}

impl Accepted {
    /// Whose key it is, and what to keep of it.
    #[inline]
    pub(crate) fn into_parts(self) -> (Principal, Option<Pass>) {
        let Self { principal, seen } = self;
        let (authenticator, key) = (principal.proved_by(), *principal.key_id());
        (principal, seen.map(|seen| Pass { authenticator, key, seen }))
    }
}

impl Pass {
    /// The key was good and what it was shown for was refused.
    #[cold]
    pub(crate) fn turned_away(&self, code: RefusalCode) {
        if let Some(doorkeeper) = doorkeeper(self.authenticator) {
            doorkeeper.turned_away(self, code);
        }
    }
}

/// What is kept of a request without a key while it is with the inner service, in case that asks for one.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(super) authenticator: u32,
    pub(super) source: Source,
}

impl Visit {
    /// There was no key, and one was asked for.
    #[cold]
    pub(crate) fn turned_away(&self, code: RefusalCode) {
        if let Some(doorkeeper) = doorkeeper(self.authenticator) {
            doorkeeper.visitor_turned_away(self, code);
        }
    }
}

/// Counts for whom the door stayed shut.
pub(super) trait Doorkeeper: Send + Sync {
    fn turned_away(&self, pass: &Pass, code: RefusalCode);

    fn visitor_turned_away(&self, visit: &Visit, code: RefusalCode);
}

/// The authenticators of this process that count, by their number.
static DOORKEEPERS: Mutex<BTreeMap<u32, Weak<dyn Doorkeeper>>> = Mutex::new(BTreeMap::new());

/// From now on, passes of the authenticator with this number come here.
pub(super) fn employ(authenticator: u32, doorkeeper: Weak<dyn Doorkeeper>) {
    let mut doorkeepers = doorkeepers();
    doorkeepers.retain(|_, doorkeeper| doorkeeper.strong_count() > 0);
    doorkeepers.insert(authenticator, doorkeeper);
}

/// The authenticator with this number, if anybody still holds it.
fn doorkeeper(authenticator: u32) -> Option<Arc<dyn Doorkeeper>> {
    doorkeepers().get(&authenticator).and_then(Weak::upgrade)
}

fn doorkeepers() -> MutexGuard<'static, BTreeMap<u32, Weak<dyn Doorkeeper>>> {
    DOORKEEPERS.lock().unwrap_or_else(PoisonError::into_inner)
}
