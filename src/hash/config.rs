//! How keys are hashed, and how much of the machine hashing may use.

use std::{error::Error, fmt, num::NonZero, ops::RangeInclusive, thread, time::Duration};

use super::{params::Argon2Params, pepper::Peppers};
use crate::random::RandomnessError;

/// How a [`Hasher`](super::Hasher) hashes. [`Hasher::new`](super::Hasher::new) refuses values out of range.
///
/// ```
/// use std::time::Duration;
/// use tower_api_keys::hash::{Argon2Params, Hasher, HasherConfig};
///
/// let config = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_check_wait(Duration::from_secs(2));
/// let hasher = Hasher::new(config)?;
/// assert!(Hasher::new(HasherConfig::new().with_threads(0)).is_err());
/// # Ok::<(), tower_api_keys::hash::HasherSetupError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HasherConfig {
    pub(super) params: Argon2Params,
    pub(super) accepted: Vec<Argon2Params>,
    pub(super) peppers: Peppers,
    pub(super) threads: usize,
    pub(super) queue: usize,
    pub(super) check_wait: Duration,
    pub(super) has_stored_proofs: bool,
    pub(super) has_relief: bool,
}

impl HasherConfig {
    const THREADS: RangeInclusive<usize> = 1..=1_024;
    const QUEUE: RangeInclusive<usize> = 1..=65_536;
    const CHECK_WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            params: Argon2Params::STANDARD,
            accepted: vec![Argon2Params::LOW_MEMORY, Argon2Params::MACHINE_SECRET, Argon2Params::STANDARD],
            peppers: Peppers::none(),
            threads: thread::available_parallelism().map_or(1, NonZero::get).min(*Self::THREADS.end()),
            queue: 256,
            check_wait: Duration::from_secs(5),
            has_stored_proofs: false,
            has_relief: true,
        }
    }

    /// The cost of new hashes. Default: [`Argon2Params::STANDARD`]. A stronger cost is applied to existing keys as they
    /// are used; a weaker one never is.
    #[must_use]
    pub fn with_params(mut self, params: Argon2Params) -> Self {
        self.params = params;
        self
    }

    /// The profiles that stored hashes may have. A stored hash is run if its cost is within the least and the most of
    /// these and of the cost of new hashes. Default: the three profiles that [`Argon2Params`] names.
    ///
    /// The largest profile limits the memory that an attacker who can write to the database can make each thread take.
    #[must_use]
    pub fn with_accepted(mut self, accepted: impl IntoIterator<Item = Argon2Params>) -> Self {
        self.accepted = accepted.into_iter().collect();
        self
    }

    /// The peppers. Default: [`Peppers::none`].
    #[must_use]
    pub fn with_peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = peppers;
        self
    }

    /// Keeps beside each hash a proof of the text that matched it, so that no node runs Argon2id for that key after a
    /// restart: 100,000 keys take seconds instead of twelve minutes on two cores. Default: off. Needs a current pepper.
    /// Set it on every node: nodes without it run the hash.
    ///
    /// At rest, each key is an Argon2id hash, made when it is issued. With a pepper and stored proofs, the database
    /// also has an HMAC-SHA-256 of text and hash for each key, under a key that is not in the database. It saves nodes
    /// the run after a restart. Without the pepper no one can make or check one.
    ///
    /// New keys get their proof when they are issued, others after their next first use on a node that may write to the
    /// store. A proof can only accept: one that is missing, of another text, of another hash or of another pepper is
    /// ignored. The proof of a key that is revoked, expired or suspended is not used.
    ///
    /// # Security
    /// An attacker with a pepper and a copy of the database tests guesses at the speed of the [`Tag`](super::Tag) under
    /// either setting, and runs Argon2id for one guess in 4.3 billion; with proofs, an HMAC for that one. A text has
    /// 264 random bits. To switch proofs off, do not call this; stored proofs are then ignored.
    #[must_use]
    pub fn with_stored_proofs(mut self) -> Self {
        self.has_stored_proofs = true;
        self
    }

    /// Threads that hash, 1 to 1,024, each with the memory of one run. Default: the number of cores. More than that
    /// makes hashing slower. On Linux there is one more thread, which takes memory for one run while other work leaves
    /// the hashing threads no core.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Checks that may wait for a thread, 1 to 65,536. Default: 256. One more is refused at once. New keys have
    /// separate places.
    #[must_use]
    pub fn with_queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// The longest that a check waits, 1 ms to 60 s. Default: 5 s. A refused caller is told to retry after this time,
    /// but never sooner than after 1 s.
    #[must_use]
    pub fn with_check_wait(mut self, wait: Duration) -> Self {
        self.check_wait = wait;
        self
    }

    /// Nothing is taken over: otherwise a test that holds a hashing thread would look like a thread that gets no core.
    #[cfg(test)]
    pub(crate) fn without_relief(mut self) -> Self {
        self.has_relief = false;
        self
    }

    pub(super) fn refuse_nonsense(&self) -> Result<(), HasherSetupError> {
        let kind = if !Self::CHECK_WAIT.contains(&self.check_wait) {
            HasherSetupErrorKind::CheckWait
        } else if !Self::QUEUE.contains(&self.queue) {
            HasherSetupErrorKind::Queue
        } else if self.has_stored_proofs && self.peppers.current_id().is_none() {
            HasherSetupErrorKind::StoredProofs
        } else if !Self::THREADS.contains(&self.threads) {
            HasherSetupErrorKind::Threads
        } else {
            return Ok(());
        };
        Err(HasherSetupError { kind, source: None })
    }
}

impl Default for HasherConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The error if a [`Hasher`](super::Hasher) cannot be made.
///
/// ```
/// use tower_api_keys::hash::{Hasher, HasherConfig, HasherSetupErrorKind};
///
/// let error = Hasher::new(HasherConfig::new().with_queue(0)).unwrap_err();
/// assert_eq!(error.kind(), HasherSetupErrorKind::Queue);
/// assert_eq!(error.to_string(), "the queue of the hasher must have room for 1 to 65536 checks");
/// ```
#[derive(Debug)]
pub struct HasherSetupError {
    kind: HasherSetupErrorKind,
    source: Option<RandomnessError>,
}

impl HasherSetupError {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> HasherSetupErrorKind {
        self.kind
    }

    pub(super) const fn randomness(source: RandomnessError) -> Self {
        Self { kind: HasherSetupErrorKind::Randomness, source: Some(source) }
    }
}

impl fmt::Display for HasherSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            HasherSetupErrorKind::CheckWait => "the check wait of the hasher must be 1 millisecond to 60 seconds",
            HasherSetupErrorKind::Queue => "the queue of the hasher must have room for 1 to 65536 checks",
            HasherSetupErrorKind::Randomness => "no secret could be made for the hasher",
            HasherSetupErrorKind::StoredProofs => {
                "stored proofs need a current pepper: set one, or turn stored proofs off"
            }
            HasherSetupErrorKind::Threads => "the hasher must have 1 to 1024 threads",
        })
    }
}

impl Error for HasherSetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Why a [`Hasher`](super::Hasher) cannot be made.
///
/// ```
/// use tower_api_keys::hash::{Hasher, HasherConfig, HasherSetupErrorKind};
///
/// let error = Hasher::new(HasherConfig::new().with_threads(0)).unwrap_err();
/// assert_eq!(error.kind(), HasherSetupErrorKind::Threads);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HasherSetupErrorKind {
    /// [`HasherConfig::with_check_wait`] is outside its range.
    CheckWait,
    /// [`HasherConfig::with_queue`] is outside its range.
    Queue,
    /// The operating system gave no randomness.
    Randomness,
    /// [`HasherConfig::with_stored_proofs`] without a current pepper.
    StoredProofs,
    /// [`HasherConfig::with_threads`] is outside its range.
    Threads,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Pepper, PepperId};

    #[test]
    fn zero_and_absurd_values_are_refused() {
        use HasherSetupErrorKind::{CheckWait, Queue, StoredProofs, Threads};
        let config = HasherConfig::new;
        let known = Peppers::new().with(PepperId::new(1), Pepper::from_bytes([1; 32]));
        for (config, expected) in [
            (config().with_threads(0), Threads),
            (config().with_threads(1_025), Threads),
            (config().with_queue(0), Queue),
            (config().with_queue(65_537), Queue),
            (config().with_check_wait(Duration::ZERO), CheckWait),
            (config().with_check_wait(Duration::from_secs(61)), CheckWait),
            (config().with_stored_proofs(), StoredProofs),
            (config().with_stored_proofs().with_peppers(known), StoredProofs),
        ] {
            assert_eq!(config.refuse_nonsense().unwrap_err().kind(), expected);
        }
        assert!(config().refuse_nonsense().is_ok());
    }
}
