use std::{sync::Arc, time::Duration};

use super::addresses::Addresses;
use crate::{
    hash::{HasherConfig, HasherSetupError},
    key::KeyFormat,
    random::RandomnessError,
    time::{Clock, SystemClock},
};

const MOST_PROOFS: usize = 100_000_000;
const LONGEST: Duration = Duration::from_secs(3_600);

/// How an [`Authenticator`](super::Authenticator) checks keys.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::auth::{AuthSettings, Freshness};
///
/// let settings = AuthSettings::new().with_freshness(Freshness::Strict).with_answer_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
pub struct AuthSettings {
    pub(crate) format: KeyFormat,
    pub(crate) hasher: HasherConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) freshness: Freshness,
    pub(crate) proofs: usize,
    pub(crate) finds: usize,
    pub(crate) find_wait: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) coalescing: Duration,
    pub(crate) addresses: Option<Addresses>,
}

/// How current a key's record must be when a request is checked against it.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::auth::Freshness;
///
/// assert_ne!(Freshness::default(), Freshness::Bounded(Duration::from_secs(1)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// The record is as of a read of the store's change log that began at most this long ago. No request waits for the
    /// store, and a revoked key may be accepted until then. If the store cannot be read for longer, requests are
    /// refused with 503. 100 ms to an hour, of which 60 ms are kept back, because the clock that each request reads may
    /// lag by that much.
    ///
    /// The elapsed time is the longer one of two clocks, the monotonic and the wall clock, so that a suspension of the
    /// machine is noticed. Nothing notices if both clocks stop: in a virtual machine that its host pauses, moves live
    /// or restores from a snapshot, and in a function that is frozen between calls. There the bound continues from
    /// where it was when the machine stopped: use [`Strict`](Self::Strict).
    Bounded(Duration),
    /// The record is as of a read of the store's change log that began after the request arrived. No request that
    /// begins after a revocation returned is accepted, on any node. The default.
    #[default]
    Strict,
}

impl Freshness {
    /// How old a record may be when a request is checked against it, apart from changes by the same node.
    #[cfg(any(test, feature = "manage"))]
    pub(crate) const fn longest(self) -> Duration {
        match self {
            Self::Bounded(bound) => bound,
            Self::Strict => Duration::ZERO,
        }
    }

    pub(crate) fn is_in_range(self) -> bool {
        match self {
            Self::Bounded(bound) => bound >= Duration::from_millis(100) && bound <= LONGEST,
            Self::Strict => true,
        }
    }
}

impl AuthSettings {
    /// The defaults: unbranded keys, the standard hash, no pepper, the system's clock, strict, 100,000 proofs, 64
    /// look-ups at a time, a second for a look-up to wait for its turn, and a second for everything that a check asks
    /// of the store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format: KeyFormat::unbranded(),
            hasher: HasherConfig::new(),
            clock: Arc::new(SystemClock::default()),
            freshness: Freshness::Strict,
            proofs: 100_000,
            finds: 64,
            find_wait: Duration::from_secs(1),
            answer_timeout: Duration::from_secs(1),
            coalescing: Duration::ZERO,
            addresses: None,
        }
    }

    /// The brand to issue keys with, and the brands to accept. Default: none, and only unbranded keys.
    #[must_use]
    pub fn with_format(mut self, format: KeyFormat) -> Self {
        self.format = format;
        self
    }

    /// Hash profile, peppers, hashing threads and their queue. Default: [`HasherConfig::new`].
    #[must_use]
    pub fn with_hasher(mut self, hasher: HasherConfig) -> Self {
        self.hasher = hasher;
        self
    }

    /// The source of the time. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How current records must be. Default: [`Freshness::Strict`]; with a bound, a revoked key may be accepted until
    /// it has passed.
    #[must_use]
    pub fn with_freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// The number of proved keys in the cache, 1 to 100,000,000. With more keys in use, each costs an Argon2 run
    /// whenever it was dropped from the cache. Default: 100,000.
    #[must_use]
    pub fn with_cache_capacity(mut self, proofs: usize) -> Self {
        self.proofs = proofs;
        self
    }

    /// How many keys are looked up in the store at a time, at least 1, and how long a look-up waits for its turn before
    /// the request is refused as overloaded, at most an hour. Default: 64 and a second.
    #[must_use]
    pub fn with_max_concurrent_lookups(mut self, at_a_time: usize, wait: Duration) -> Self {
        (self.finds, self.find_wait) = (at_a_time, wait);
        self
    }

    /// How long a check waits for the store in total, to learn what changed and to look the key up, before it is
    /// refused as unavailable: more than zero, at most an hour. Hashing and its queue do not count. A single answer may
    /// take three quarters of it, so that waiting requests learn why there is no answer. Default: a second.
    ///
    /// If a store does not answer, the first requests wait that time. After that, all requests are refused at once,
    /// while one task asks the store every 100 ms. They are served again as soon as it answers.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// How long a read of the change log waits before it begins, so that more requests share it: at most 100 ms. Each
    /// of these requests waits that much longer. It reduces the reads of the store if many nodes serve few requests
    /// each; a node never runs more than one read at a time. Default: zero.
    #[must_use]
    pub fn with_coalescing(mut self, delay: Duration) -> Self {
        self.coalescing = delay;
        self
    }

    /// How to find the address of a request, for keys that are limited to some [networks](crate::Networks). Default:
    /// addresses are not found, and such keys are refused.
    #[must_use]
    pub fn with_addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = Some(addresses);
        self
    }

    /// How long a read of the change log may take: half of a bound, so that a failed read leaves time for another.
    pub(super) fn read_timeout(&self) -> Duration {
        match self.freshness {
            Freshness::Bounded(bound) => self.find_timeout().min(bound / 2),
            Freshness::Strict => self.find_timeout(),
        }
    }

    /// How long the store may take to look a key up.
    pub(super) fn find_timeout(&self) -> Duration {
        self.answer_timeout * 3 / 4
    }

    /// How long a check may wait for the store in total.
    pub(super) fn patience(&self) -> Duration {
        self.answer_timeout.saturating_add(self.coalescing)
    }

    pub(super) fn check(&self) -> Result<(), AuthSetupError> {
        let ranges = [
            (self.proofs >= 1 && self.proofs <= MOST_PROOFS, "the cache capacity must be 1 to 100,000,000 keys"),
            (self.finds >= 1 && self.finds <= 100_000, "the number of look-ups at the same time must be 1 to 100,000"),
            (self.find_wait <= LONGEST, "a look-up can wait for its turn for at most 1 hour"),
            (
                !self.answer_timeout.is_zero() && self.answer_timeout <= LONGEST,
                "the answer timeout must be more than 0 and at most 1 hour",
            ),
            (
                self.addresses.as_ref().is_none_or(Addresses::is_in_range),
                "the number of trusted proxies must be 1 to 255",
            ),
            (self.coalescing <= Duration::from_millis(100), "the coalescing delay must be at most 100 ms"),
            (self.freshness.is_in_range(), "the bound of `Freshness::Bounded` must be 100 ms to 1 hour"),
        ];
        match ranges.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(AuthSetupError(Cause::OutOfRange(rule))),
            None => Ok(()),
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the settings do not make an [`Authenticator`](super::Authenticator).
///
/// ```
/// use tower_api_keys::{Authenticator, auth::AuthSettings, store::MemoryStore};
///
/// let error = Authenticator::new(MemoryStore::new(), AuthSettings::new().with_cache_capacity(0)).unwrap_err();
/// assert_eq!(error.to_string(), "the cache capacity must be 1 to 100,000,000 keys");
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct AuthSetupError(Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{0}")]
    OutOfRange(&'static str),
    #[error(transparent)]
    Hasher(HasherSetupError),
    #[error(transparent)]
    Randomness(RandomnessError),
}

impl From<HasherSetupError> for AuthSetupError {
    fn from(error: HasherSetupError) -> Self {
        Self(Cause::Hasher(error))
    }
}

impl From<RandomnessError> for AuthSetupError {
    fn from(error: RandomnessError) -> Self {
        Self(Cause::Randomness(error))
    }
}
