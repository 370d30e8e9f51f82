use std::time::Duration;

use crate::{
    key::MalformedReason,
    outcome::{Proved, RefusalCode},
    time::Timestamp,
};

/// What an [`Authenticator`](super::Authenticator) has done so far: the cost and outcome of checks, and its current
/// state.
///
/// Counts begin with 0 when the authenticator is made and only grow. No figure names a key, an owner or an
/// organization. The figures are read one after the other: they may differ by the checks of that moment.
///
/// ```
/// use tower_api_keys::{Authenticator, RefusalCode, auth::AuthSettings, store::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let authenticator = Authenticator::new(MemoryStore::new(), AuthSettings::new())?;
/// authenticator.authenticate("$API_KEY").await.unwrap_err();
///
/// let metrics = authenticator.metrics();
/// assert_eq!((metrics.proof_hits, metrics.argon2_runs), (0, 0));
/// assert_eq!(metrics.refused(RefusalCode::MalformedKey), 1);
/// for refusal in metrics.refusals.iter().filter(|refusal| refusal.count > 0) {
///     println!("{} {:?} {}", refusal.code, refusal.reason, refusal.count);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthMetrics {
    /// Argon2 runs begun: first uses, and with [`ApiKeys`](crate::ApiKeys) new keys and better hashes.
    pub argon2_runs: u64,
    /// Hashes of every kind that wait for a thread now. With the default settings at most 256 checks, 256 new keys and
    /// 16 better hashes.
    pub hashes_queued: usize,
    /// Hashes that a thread took from the queue: the number of waits in the next two figures.
    pub hash_waits: u64,
    /// How long hashes waited until a thread took them, added up.
    pub hash_wait_total: Duration,
    /// The longest of these waits since the start. The limit of
    /// [`with_check_wait`](crate::hash::HasherConfig::with_check_wait) applies to the caller: its hash stays in the
    /// queue.
    pub hash_wait_longest: Duration,
    /// Hashes that found the queue full. A check is then refused as `overloaded`, as is one that waited too long.
    pub hashes_refused: u64,
    /// Hashes that ran at normal priority, because the hashing threads got no core. Each counts once in
    /// [`argon2_runs`](Self::argon2_runs).
    pub hashes_taken_over: u64,
    /// How long the hashing threads had work but got no core, added up: other work on the machine keeps all cores busy.
    pub hash_starvation: Duration,
    /// Checks that the cache was enough for: no look-up, no hash.
    pub proof_hits: u64,
    /// Checks of well-formed keys that took a look-up, and a hash if no proof was cached: first uses, first uses after
    /// a change, ids that are not in the store.
    pub proof_misses: u64,
    /// Checks of well-formed keys that needed no hash because of a [stored
    /// proof](crate::hash::HasherConfig::with_stored_proofs). They are among the [misses](Self::proof_misses).
    pub stored_proofs_used: u64,
    /// Keys in the cache now.
    pub proofs_remembered: usize,
    /// The capacity of the cache: [`with_cache_capacity`](super::AuthSettings::with_cache_capacity).
    pub proof_capacity: usize,
    /// Requests that were refused by this authenticator or one of its layers, by code and reason, sorted. All
    /// combinations are listed, also those with a count of 0.
    ///
    /// Refusals by a handler or a [`RequireKeyLayer`](crate::middleware::RequireKeyLayer) are not included.
    pub refusals: Vec<RefusalCount>,
    /// Started reads of the store's change log. A store that knows its head at once is read only when there is
    /// something to read.
    pub freshness_reads: u64,
    /// Reads of the store's change log that failed or took too long.
    pub freshness_reads_failed: u64,
    /// How often the store said that its log does not continue from where this node had read it. Every key is then
    /// looked up again at its next use; no proof is lost. Happens to a node that fell far behind, and to one whose
    /// store was restored, or failed over to a server that had not received everything.
    pub log_resets: u64,
    /// [Resets](Self::log_resets) that a continuous log does not explain: the log ends before the position that this
    /// node had read, or has another change there. Changes that the store had made are lost; repeat the revocations
    /// among them.
    pub log_losses: u64,
    /// When the last successful read of the change log began, by the wall clock. None: no read was successful yet.
    pub last_freshness_read: Option<Timestamp>,
    /// How long ago the last successful read of the change log began, by the monotonic clock.
    pub last_freshness_read_age: Option<Duration>,
    /// Attempts to write the counts of usage to the store. None without [`ApiKeys`](crate::ApiKeys), which counts.
    pub usage_flushes: u64,
    /// Attempts to write the counts of usage that failed. The counts are kept, and written by the next that succeeds.
    pub usage_flushes_failed: u64,
    /// When the last successful write of the counts of usage began: everything that was counted before is in the store.
    pub last_usage_flush: Option<Timestamp>,
    /// Requests that are missing in the counts of usage because the store does not accept a value of their count: a
    /// column of its tables is too narrow. The service's log says why.
    pub usage_refused: u64,
    /// Requests that were counted under the source `other`, because their key, or the requests without a key, came from
    /// too many [sources](crate::middleware::Sources) to count each.
    pub usage_sources_folded: u64,
    /// Users and teams with live keys that were missing in the [`Directory`](crate::manage::Directory) when this
    /// process last [reconciled](crate::KeyManager::reconcile) each organization, added up. None before that.
    pub owners_missing: Option<usize>,
    /// Attempts with keys that were written to the access log, each in a line or added up with others. 0 unless the log
    /// is [enabled](crate::ApiKeysBuilder::access_log).
    pub access_log_written: u64,
    /// Attempts that are missing in the access log, or may be: the queue was full, the store did not say whether it has
    /// them, or the owner of the key is unknown.
    pub access_log_dropped: u64,
}

impl AuthMetrics {
    /// How long a hash waited for a thread on average, since the start. None before the first wait.
    #[must_use]
    pub fn mean_hash_wait(&self) -> Option<Duration> {
        let nanos = self.hash_wait_total.as_nanos().checked_div(self.hash_waits.into())?;
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }

    /// The requests that were refused with this code, for any reason.
    #[must_use]
    pub fn refused(&self, code: RefusalCode) -> u64 {
        self.refusals.iter().filter(|refusal| refusal.code == code).map(|refusal| refusal.count).sum()
    }
}

/// How many requests were refused with one code, and for `malformed_key` one reason.
///
/// ```
/// use tower_api_keys::{Authenticator, RefusalCode, auth::AuthSettings, key::MalformedReason, store::MemoryStore};
///
/// let authenticator = Authenticator::new(MemoryStore::new(), AuthSettings::new())?;
/// let refusals = authenticator.metrics().refusals;
/// let truncated = refusals.iter().find(|refusal| refusal.reason == Some(MalformedReason::Truncated)).unwrap();
/// assert_eq!((truncated.code, truncated.count), (RefusalCode::MalformedKey, 0));
/// # Ok::<(), tower_api_keys::auth::AuthSetupError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalCount {
    /// The code that the refusal carried.
    pub code: RefusalCode,
    /// For [`MalformedKey`](RefusalCode::MalformedKey), why the text was no key.
    pub reason: Option<MalformedReason>,
    /// The number of requests.
    pub count: u64,
}

impl RefusalCount {
    /// Whether a check of a request can end like this: not one refused further in, and with a reason if the code has
    /// one.
    pub(super) fn is_of_a_check(&self) -> bool {
        match self.code {
            RefusalCode::MalformedKey => self.reason.is_some(),
            RefusalCode::Misconfigured => false,
            code => code.proves() != Proved::Good,
        }
    }
}
