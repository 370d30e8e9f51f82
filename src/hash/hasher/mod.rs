//! Makes hashes and checks texts against them.

mod make;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use subtle::ConstantTimeEq;
use tokio::time::{Instant, timeout};
use zeroize::{Zeroize, Zeroizing};

use super::{
    argon2id::{Memory, SALT_LENGTH},
    config::{HasherConfig, HasherSetupError},
    cpu_time::MEASURE,
    error::{HashError, HashErrorKind, TagError, TagErrorKind, VerifyError, VerifyErrorKind},
    key_hash::KeyHash,
    params::{AcceptedParams, Argon2Params},
    pepper::{PepperId, Peppers},
    pool::{Limits, Pool, Refused},
    queue::{Places, QueueFigures, Urgency},
    runs::{Answer, Next, RunId, Runs},
    tag::key_check_value,
    turns::{Requester, Turns},
    work::{Meter, Secrets, Work},
};
use crate::random::random_bytes;

/// New hashes that may wait for a thread. While checks wait, too, 37 of these take a second on two cores.
const ISSUE_PLACES: usize = 256;

/// Re-hashes that may wait for a thread. If there is no place, the next use of the key tries again.
const REHASH_PLACES: usize = 16;

/// The longest wait of new hashes and re-hashes.
const HASH_WAIT: Duration = Duration::from_secs(10);

/// Makes hashes and checks texts against them, on threads of its own. Cheap to clone.
///
/// - There is one thread for each core, by default, with memory for one run. Threads start with the first runs and end
///   when the last clone is dropped. On Linux they run at nice 19.
/// - If other work leaves those threads no core for 100 ms, a thread of normal priority takes over their work, one run
///   at a time. While there is work, it has memory for one run.
/// - While checks wait, at most one run of four makes a new hash. Re-hashes run when nothing else waits. Each kind has
///   a limited number of places; when they are taken, the answer is an error at once.
/// - Checks of the same text against the same hash share one run, and for 30 seconds its answer. Of different texts for
///   one public id, only one at a time is queued.
/// - A caller that stops waiting leaves its run in the queue. If it asks again, it finds the run or its answer.
///
/// Memory use is that of the threads, plus about 200 bytes for each run that waits and 100 for each of at most 4,096
/// kept answers.
///
/// The asynchronous methods need a tokio runtime with time enabled, and panic without one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use tower_api_keys::hash::{Argon2Params, Hasher, HasherConfig};
///
/// let hasher = Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET))?;
/// let stored = hasher.hash("user.right.text").await?;
///
/// // A wrong text is refused by its tag: no run of Argon2.
/// assert!(hasher.check_tag("user.wrong.text", &stored).is_err());
/// assert_eq!(hasher.runs(), 1);
///
/// hasher.check_tag("user.right.text", &stored)?;
/// hasher.verify(*b"some-public-id-of-20", "user.right.text", &stored).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

impl Hasher {
    /// Makes a hasher. No thread is started yet and no memory is taken.
    ///
    /// # Errors
    /// [`HasherSetupError`] if a number in the configuration is out of range, or if the operating system gives no
    /// randomness.
    pub fn new(config: HasherConfig) -> Result<Self, HasherSetupError> {
        config.refuse_nonsense()?;
        let question_key = random_bytes().map_err(HasherSetupError::randomness)?;
        let has_proofs = config.has_stored_proofs;
        let none = (None, Secrets::new(None, has_proofs));
        let secrets = |pepper| Secrets::new(Some(Arc::clone(pepper)), has_proofs);
        let known = config.peppers.known().map(|(id, pepper)| (Some(id), secrets(pepper)));
        Ok(Self(Arc::new(Inner {
            secrets: std::iter::once(none).chain(known).collect(),
            accepted: AcceptedParams::spanning(config.params, &config.accepted),
            params: config.params,
            peppers: config.peppers,
            check_wait: config.check_wait,
            question_key,
            pool: Pool::new(Limits {
                threads: config.threads,
                places: Places { issue: ISSUE_PLACES, check: config.queue, rehash: REHASH_PLACES },
                measure: MEASURE.filter(|_| config.has_relief),
            }),
            runs: Arc::default(),
            turns: Turns::default(),
            meter: Arc::default(),
        })))
    }

    /// The hash of the whole text of a new key, with the current pepper and cost.
    ///
    /// While checks wait, a quarter of the runs are for new hashes; otherwise all of them can be. If the future is
    /// dropped, the hash is not run.
    ///
    /// # Errors
    /// [`HashErrorKind::Overloaded`] if 256 others wait or it took 10 s, [`HashErrorKind::Starved`] if no core was free
    /// for most of that, [`HashErrorKind::Randomness`], [`HashErrorKind::Failed`].
    pub async fn hash(&self, text: &str) -> Result<KeyHash, HashError> {
        self.make(Urgency::Issue, None, text, self.0.params, self.0.peppers.current_id()).await
    }

    /// The same for a requester that has one such hash in the queue at a time: at most 15 others of the requester wait
    /// for their turn. Any number of requesters may ask; each gets the same share.
    pub(crate) async fn hash_for(&self, requester: Requester, text: &str) -> Result<KeyHash, HashError> {
        self.make(Urgency::Issue, Some(requester), text, self.0.params, self.0.peppers.current_id()).await
    }

    /// Refuses a text that cannot be that of the key, in under a microsecond. A text that is not refused is not proved:
    /// check it with [`Hasher::verify`].
    ///
    /// # Errors
    /// [`TagErrorKind::Mismatch`], or [`TagErrorKind::UnknownPepper`] if the record names a pepper this node does not
    /// know.
    pub fn check_tag(&self, text: &str, stored: &KeyHash) -> Result<(), TagError> {
        let secrets = self.0.secrets.get(&stored.pepper()).ok_or(TagError::new(TagErrorKind::UnknownPepper))?;
        if secrets.tag(text).matches(stored.tag()).into() { Ok(()) } else { Err(TagError::new(TagErrorKind::Mismatch)) }
    }

    /// Proves that the whole text of a key is the one that was hashed. `id` is the public id in the text.
    ///
    /// A repeated call within 30 s answers without a run. A proof is not a permission: the hasher does not know whether
    /// the key is revoked. Dropping the future is harmless; the run stays in the queue.
    ///
    /// # Errors
    /// - [`VerifyErrorKind::Mismatch`]: another text.
    /// - [`VerifyErrorKind::Overloaded`]: at once if the queue is full, or after
    ///   [`HasherConfig::with_check_wait`].
    /// - [`VerifyErrorKind::Starved`]: after that wait, if no core was free to hash for most of it.
    /// - [`VerifyErrorKind::Corrupt`]: a pepper this node does not know, or a cost it does not accept. Checked before
    ///   any memory is taken.
    /// - [`VerifyErrorKind::Failed`]: the run panicked or found no memory. Only callers that waited for that run see
    ///   it.
    pub async fn verify(&self, id: [u8; 20], text: &str, stored: &KeyHash) -> Result<(), VerifyError> {
        let secrets = self.0.accept(stored).ok_or(VerifyError::new(VerifyErrorKind::Corrupt))?;
        let (wait, starved_before) = (self.0.check_wait, self.0.pool.figures().starved);
        match timeout(wait, self.answer(secrets, id, text, stored)).await {
            Ok(Ok(Answer::Match)) => Ok(()),
            Ok(Ok(Answer::Mismatch)) => Err(VerifyError::new(VerifyErrorKind::Mismatch)),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let starved = self.0.has_starved(starved_before, wait);
                let kind = if starved { VerifyErrorKind::Starved } else { VerifyErrorKind::Overloaded };
                Err(VerifyError::not_done(kind, Some(wait), self.0.retry_after()))
            }
        }
    }

    /// The same for a requester that has one such run in the queue at a time, like [`hash_for`](Self::hash_for).
    pub(crate) async fn verify_for(
        &self,
        requester: Requester,
        id: [u8; 20],
        text: &str,
        stored: &KeyHash,
    ) -> Result<(), VerifyError> {
        let crowded = |_| VerifyError::not_done(VerifyErrorKind::Overloaded, None, self.0.retry_after());
        let _turn = self.0.turns.take(requester).await.map_err(crowded)?;
        self.verify(id, text, stored).await
    }

    /// Whether the proof beside the hash says that this text matched it: then [`Hasher::verify`] would find the same.
    /// Always false unless [stored proofs](HasherConfig::with_stored_proofs) are switched on, and for a hash that this
    /// node would not run. False does not mean that the text is wrong.
    #[must_use]
    pub fn is_proved(&self, text: &str, stored: &KeyHash) -> bool {
        // The tag last: most callers have checked it, and most hashes of a node without proofs have no proof.
        self.0.accept(stored).is_some_and(|secrets| secrets.is_proved(text, stored).into())
            && self.check_tag(text, stored).is_ok()
    }

    /// The hash with a proof that [`Hasher::verify`] found this text to match it. None if proofs are not stored, or the
    /// hash has no pepper.
    pub(crate) fn with_proof_of(&self, text: &str, verified: &KeyHash) -> Option<KeyHash> {
        let proved = self.0.accept(verified)?.proved(text, verified.clone());
        proved.proof().is_some().then_some(proved)
    }

    pub(crate) fn peppers(&self) -> &Peppers {
        &self.0.peppers
    }

    /// Whether this node knows the pepper of the stored hash: without it, no text can be checked.
    pub(crate) fn knows_pepper(&self, stored: &KeyHash) -> bool {
        self.0.secrets.contains_key(&stored.pepper())
    }

    /// Whether this node can run the stored hash: it knows the pepper and accepts the cost.
    pub(crate) fn accepts(&self, stored: &KeyHash) -> bool {
        self.0.accept(stored).is_some()
    }

    /// Whether the stored hash should be replaced: its pepper is older than the current one, or its cost is weaker than
    /// the current one.
    ///
    /// Only upward, so that nodes with different configurations never undo each other's work. A cost is weaker if it is
    /// lower in one respect and not higher in the other; no pepper is older than every pepper.
    #[must_use]
    pub fn wants_rehash(&self, stored: &KeyHash) -> bool {
        self.0.accept(stored).is_some() && self.0.improved(stored) != (stored.params(), stored.pepper())
    }

    /// A new hash of a text that [`Hasher::verify`] found to match `stored`, with the newer pepper and the stronger
    /// cost of the two.
    ///
    /// Waits until no other run waits. Dropping the future gives up the place.
    ///
    /// # Errors
    /// As for [`Hasher::hash`], and [`HashErrorKind::Corrupt`] if `stored` is not one this node can check.
    pub async fn rehash(&self, text: &str, stored: &KeyHash) -> Result<KeyHash, HashError> {
        self.0.accept(stored).ok_or(HashError::new(HashErrorKind::Corrupt))?;
        let (params, pepper) = self.0.improved(stored);
        self.make(Urgency::Rehash, None, text, params, pepper).await
    }

    /// For each known pepper, 16 bytes that distinguish it from all others and reveal nothing about it.
    ///
    /// The first node that knows a pepper leaves its value in the store. A node whose value under the same id differs
    /// has a wrong pepper, and must not start.
    #[must_use]
    pub fn key_check_values(&self) -> Vec<(PepperId, [u8; 16])> {
        self.0.peppers.known().map(|(id, pepper)| (id, key_check_value(pepper))).collect()
    }

    /// Forgets the answers of runs that ended, so that the next check of every key costs a run again.
    pub fn forget_answers(&self) {
        self.0.runs.forget_answers();
    }

    /// Argon2 runs begun so far, of every kind.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.0.meter.runs()
    }

    /// Runs of every kind that wait for a thread.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.pool.queued()
    }

    /// The next run panics.
    #[cfg(test)]
    pub(crate) fn break_next_run(&self) {
        self.0.meter.panic_next.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn queue_figures(&self) -> QueueFigures {
        self.0.pool.figures()
    }

    async fn answer(
        &self,
        secrets: &Secrets,
        id: [u8; 20],
        text: &str,
        stored: &KeyHash,
    ) -> Result<Answer, VerifyError> {
        let question = self.0.question(text, stored);
        loop {
            let job = || {
                let work = self.0.work(secrets, stored.params(), text, *stored.salt());
                let expected = *stored.output();
                move |memory: &mut Memory| {
                    let matches: bool = work.run(memory)?.ct_eq(&expected).into();
                    Ok(if matches { Answer::Match } else { Answer::Mismatch })
                }
            };
            match self.0.runs.ask(&self.0.pool, id, question, Instant::now().into_std(), job) {
                Next::Answered(answer) => return Ok(answer),
                Next::Join(mut outcome) => {
                    // In both cases the run has ended; a failed one left no answer.
                    let answer = outcome.wait_for(Option::is_some).await.map_err(VerifyError::failed)?;
                    return answer.ok_or(VerifyError::new(VerifyErrorKind::Failed));
                }
                Next::WaitForTurn(mut outcome) => {
                    let _ = outcome.wait_for(Option::is_some).await;
                }
                Next::Refused(Refused::Full) => {
                    let retry_after = self.0.retry_after();
                    return Err(VerifyError::not_done(VerifyErrorKind::Overloaded, None, retry_after));
                }
                Next::Refused(Refused::NoThread(error)) => return Err(VerifyError::failed(error)),
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("params", &self.0.params)
            .field("peppers", &self.0.peppers)
            .finish_non_exhaustive()
    }
}

struct Inner {
    params: Argon2Params,
    accepted: AcceptedParams,
    peppers: Peppers,
    secrets: BTreeMap<Option<PepperId>, Secrets>,
    check_wait: Duration,
    question_key: Zeroizing<[u8; blake3::KEY_LEN]>,
    pool: Pool,
    runs: Arc<Runs>,
    turns: Turns,
    meter: Arc<Meter>,
}

impl Inner {
    /// What is needed to run the stored hash, if it may be run.
    fn accept(&self, stored: &KeyHash) -> Option<&Secrets> {
        self.secrets.get(&stored.pepper()).filter(|_| self.accepted.contains(stored.params()))
    }

    fn improved(&self, stored: &KeyHash) -> (Argon2Params, Option<PepperId>) {
        let stronger = self.params.is_stronger_than(stored.params());
        let params = if stronger { self.params } else { stored.params() };
        (params, stored.pepper().max(self.peppers.current_id()))
    }

    /// Covers the whole text, not the id: a wrong text with the id of a key is another question. Covers the hash, too:
    /// after a re-hash or a restored backup, earlier answers are not used.
    fn question(&self, text: &str, stored: &KeyHash) -> RunId {
        let mut hasher = blake3::Hasher::new_keyed(&self.question_key);
        hasher.update(&stored.fingerprint()).update(text.as_bytes());
        let question = RunId::new(*hasher.finalize().as_bytes());
        hasher.zeroize();
        question
    }

    fn work(&self, secrets: &Secrets, params: Argon2Params, text: &str, salt: [u8; SALT_LENGTH]) -> Work {
        Work::new(secrets, params, text, salt, &self.meter)
    }

    /// Whether the hashing threads got no core for most of a wait. `before` is how long they had starved when it began.
    fn has_starved(&self, before: Duration, waited: Duration) -> bool {
        self.pool.starved_for().saturating_sub(before) > waited / 2
    }

    fn retry_after(&self) -> Duration {
        self.check_wait.max(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests;
