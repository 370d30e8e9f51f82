use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use super::{AuthError, AuthErrorKind};
use crate::{
    audit::Action,
    key::KeyId,
    log::{Repeated, log},
    store::StoreError,
};

/// The most keys that are reported one by one.
const MOST_KEYS: usize = 1_024;

/// Reports temporary refusals to the operator: each kind once, and then how many there were, at most once a minute. An
/// outage of the store refuses every request.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// How many of the ways to the store are blocked. Negative if the message that one is free came first.
    blocked: AtomicI64,
    refused: Repeated,
    clock: Repeated,
    corrupt: Repeated,
    hashing: Repeated,
    overloaded: Repeated,
    starved: Repeated,
    unavailable: Repeated,
    without_address: Repeated,
    /// Stored keys with a problem.
    keys: Mutex<HashMap<KeyId, Repeated>>,
}

impl Trouble {
    /// A way to the store is blocked by this error.
    pub(super) fn begins(&self, error: &StoreError) {
        if self.blocked.fetch_add(1, Ordering::Relaxed) == 0 && self.refused.begins() {
            log!(
                warn,
                error = error as &dyn std::error::Error,
                "the key store does not answer: requests that need it are refused until it does"
            );
        }
        let _ = error; // without the feature `tracing`
    }

    /// A way to the store is free again.
    pub(super) fn ends(&self) {
        if self.blocked.fetch_sub(1, Ordering::Relaxed) == 1
            && let Some(_refused) = self.refused.is_over()
        {
            log!(info, refused = _refused, "the key store answers again");
        }
    }

    /// A refused request that may succeed later.
    pub(super) fn refused(&self, error: &AuthError, key: Option<KeyId>) {
        if error.is_of_outage() {
            if self.blocked.load(Ordering::Relaxed) <= 0 {
                // The outage is over, which was reported.
                self.refused.happened_before();
            } else if let Some(_refused) = self.refused.happened() {
                log!(warn, refused = _refused, "the key store still does not answer: requests are refused");
            }
            return;
        }
        let repeated = match error.kind() {
            AuthErrorKind::ClockUnsure => &self.clock,
            AuthErrorKind::CorruptRecord => &self.corrupt,
            AuthErrorKind::HashFailed => &self.hashing,
            AuthErrorKind::Overloaded => &self.overloaded,
            AuthErrorKind::Starved => &self.starved,
            _ => &self.unavailable,
        };
        if let Some(_refused) = repeated.happened() {
            log!(
                warn,
                code = error.kind().code().as_str(),
                key = key.as_ref().map(KeyId::as_str),
                refused = _refused,
                error = error as &dyn std::error::Error,
                "a key could not be checked"
            );
        }
        let _ = key; // without the feature `tracing`
    }

    /// A key with a list of networks was refused, because the caller's address is not known.
    pub(super) fn without_address(&self, key: KeyId, somebody_looked: bool) {
        if let Some(_refused) = self.without_address.happened() {
            if somebody_looked {
                log!(
                    warn,
                    key = key.as_str(),
                    refused = _refused,
                    "a key that may be used from some networks only is refused: the request has no address where the \
                     setting `addresses` looks for it"
                );
            } else {
                log!(
                    warn,
                    key = key.as_str(),
                    refused = _refused,
                    "a key that may be used from some networks only is refused, because this service looks for no addresses: \
                     set `ApiKeysBuilder::addresses` or `AuthSettings::with_addresses`"
                );
            }
        }
        let _ = key; // without the feature `tracing`
    }

    /// A stored key has a problem. Each is reported by itself: the operator needs to know them all.
    pub(super) fn of_key(&self, action: &Action, key: KeyId) {
        if let Some(_times) = self.of_key_happened(key) {
            log!(
                warn,
                action = action.as_str(),
                key = key.as_str(),
                times = _times,
                "something is wrong with a stored key"
            );
        }
        let _ = action; // without the feature `tracing`
    }

    fn of_key_happened(&self, key: KeyId) -> Option<u64> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        // Further keys are reported together.
        let of = if keys.len() < MOST_KEYS || keys.contains_key(&key) { key } else { KeyId::ABSENT };
        keys.entry(of).or_default().happened()
    }
}
