use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    key::KeyId, metering::SuccessSource, outcome::RefusalCode, owner::OrganizationId, principal::Principal,
    usage::Source,
};

/// A key that was accepted.
pub(crate) struct Accepted {
    pub(crate) principal: Principal,
    /// None if nothing is counted.
    pub(crate) seen: Option<SuccessSource>,
}

/// What is kept of an accepted key while its request is with the inner service, in case that refuses it.
///
/// Numbers and letters, which cost nothing to hold: a successful request counts no references for it.
#[derive(Clone, Debug)]
pub(crate) struct UsageTicket {
    pub(super) authenticator: u32,
    pub(super) key: KeyId,
    pub(super) seen: SuccessSource,
}

impl Accepted {
    /// The principal, and what to keep of the key.
    #[inline]
    pub(crate) fn into_parts(self) -> (Principal, Option<UsageTicket>) {
        let Self { principal, seen } = self;
        let (authenticator, key) = (principal.proved_by(), *principal.key_id());
        (principal, seen.map(|seen| UsageTicket { authenticator, key, seen }))
    }
}

impl UsageTicket {
    /// Counts that the key was good and the request was refused.
    #[cold]
    pub(crate) fn denied_downstream(&self, code: RefusalCode) {
        if let Some(counter) = counter(self.authenticator) {
            counter.denied_downstream(self, code);
        }
    }
}

/// What is kept of a request without a key while it is with the inner service, in case that requires one.
#[derive(Debug)]
pub(crate) struct AnonymousUse {
    pub(super) authenticator: u32,
    pub(super) source: Source,
    /// The organization of the layer, if it has one.
    pub(super) organization: Option<OrganizationId>,
}

impl AnonymousUse {
    /// Counts that a key was required and there was none.
    #[cold]
    pub(crate) fn denied_downstream(&self, code: RefusalCode) {
        if let Some(counter) = counter(self.authenticator) {
            counter.anonymous_denied_downstream(self, code);
        }
    }
}

/// Counts refusals by the inner service.
pub(super) trait RefusalCounter: Send + Sync {
    fn denied_downstream(&self, pass: &UsageTicket, code: RefusalCode);

    fn anonymous_denied_downstream(&self, visit: &AnonymousUse, code: RefusalCode);
}

/// The authenticators of this process that count, by their number.
static COUNTERS: Mutex<BTreeMap<u32, Weak<dyn RefusalCounter>>> = Mutex::new(BTreeMap::new());

/// Registers the counter for tickets of the authenticator with this number.
pub(super) fn register(authenticator: u32, counter: Weak<dyn RefusalCounter>) {
    let mut counters = counters();
    counters.retain(|_, counter| counter.strong_count() > 0);
    counters.insert(authenticator, counter);
}

/// The authenticator with this number, if it still exists.
fn counter(authenticator: u32) -> Option<Arc<dyn RefusalCounter>> {
    counters().get(&authenticator).and_then(Weak::upgrade)
}

fn counters() -> MutexGuard<'static, BTreeMap<u32, Weak<dyn RefusalCounter>>> {
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner)
}
