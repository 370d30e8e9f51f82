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

/// New hashes that may wait for a thread. While checks wait too, these take a second for each 37 on two cores.
const ISSUE_PLACES: usize = 256;

/// Re-hashes that may wait for a thread. The next use of the key asks again.
const REHASH_PLACES: usize = 16;

/// The longest that issuing and re-hashing wait.
const HASH_WAIT: Duration = Duration::from_secs(10);

/// Makes hashes and checks texts against them, on threads of its own. Cheap to clone.
///
/// - There is one thread for each core, by default, with memory for one run. Threads start with the first runs and end
///   when the last clone is dropped. On Linux they run at nice 19.
/// - Where other work leaves those threads no core for 100 ms, a thread of normal priority takes over what they do not get
///   to, one run at a time. It has memory for one run, as long as there is work.
/// - While checks wait, at most one run of four makes a new hash. Re-hashing comes when nothing else waits. Each has a
///   bounded number of places; when they are taken the answer is an error at once.
/// - Checks of one text against one hash that meet share one run, and for 30 seconds its answer. Of different texts for
///   one public id, one at a time is queued.
/// - A caller that stops waiting leaves its run in the queue. When it asks again, it finds the run or its answer.
///
/// Memory in use is that of the threads, plus about 200 bytes for each run that waits and 100 for each of at most 4,096
/// remembered answers.
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
    /// A hasher. No thread is started yet and no memory is taken.
    ///
    /// # Errors
    /// [`HasherSetupError`] if a number in the configuration makes no sense, or if the operating system gives no
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
    /// A quarter of the runs are for new hashes while checks wait, and as many as there are otherwise. Once the future is
    /// dropped, the hash is not run.
    ///
    /// # Errors
    /// [`HashErrorKind::Overloaded`] if 256 others wait or it took 10 s, [`HashErrorKind::Starved`] if no core was free
    /// for most of that, [`HashErrorKind::Randomness`], [`HashErrorKind::Failed`].
    pub async fn hash(&self, text: &str) -> Result<KeyHash, HashError> {
        self.make(Urgency::Issue, None, text, self.0.params, self.0.peppers.current_id()).await
    }

    /// The same for somebody who has one such hash in the queue at a time: their others wait for their turn, at most 15.
    /// As many as like ask for hashes, each gets as many as any other.
    pub(crate) async fn hash_for(&self, requester: Requester, text: &str) -> Result<KeyHash, HashError> {
        self.make(Urgency::Issue, Some(requester), text, self.0.params, self.0.peppers.current_id()).await
    }

    /// Refuses a text that cannot be that of the key, in under a microsecond. A text that is not refused has proved
    /// nothing: it goes on to [`Hasher::verify`].
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
    /// Asked again within 30 s it answers without a run. A proof is not a permission: whether the key is revoked is
    /// not known here. Dropping the future is harmless; the run stays in the queue.
    ///
    /// # Errors
    /// - [`VerifyErrorKind::Mismatch`]: another text.
    /// - [`VerifyErrorKind::Overloaded`]: at once if the queue is full, or after
    ///   [`HasherConfig::with_check_wait`].
    /// - [`VerifyErrorKind::Starved`]: after that wait, if no core was free to hash for most of it.
    /// - [`VerifyErrorKind::Corrupt`]: a pepper this node does not know, or a cost it does not accept. Found out before
    ///   any memory is taken.
    /// - [`VerifyErrorKind::Failed`]: the run panicked or found no memory. Only those who waited for that run see it.
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

    /// The same for somebody who has one such run in the queue at a time, as [`hash_for`](Self::hash_for) does.
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

    /// Whether the proof beside the hash says that this text matched it: then [`Hasher::verify`] would find the same. None
    /// is asked unless [stored proofs](HasherConfig::with_stored_proofs) are switched on, nor of a hash that this node
    /// would not run. False says nothing against the text.
    #[must_use]
    pub fn is_proved(&self, text: &str, stored: &KeyHash) -> bool {
        // The tag last: most callers have asked for it, and most hashes of a node without proofs have none.
        self.0.accept(stored).is_some_and(|secrets| secrets.is_proved(text, stored).into())
            && self.check_tag(text, stored).is_ok()
    }

    /// The hash with a proof that the text was found to match it by [`Hasher::verify`]. None if proofs are not stored, or
    /// the hash has no pepper.
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

    /// The stored hash is behind: its pepper is older than the current one, or its cost is weaker than the current one.
    ///
    /// Upward only, so that nodes with different configurations never undo each other's work. A cost is weaker if it is
    /// less in one respect and not more in the other; no pepper is older than every pepper.
    #[must_use]
    pub fn wants_rehash(&self, stored: &KeyHash) -> bool {
        self.0.accept(stored).is_some() && self.0.improved(stored) != (stored.params(), stored.pepper())
    }

    /// A new hash of a text that [`Hasher::verify`] found to match `stored`, with the newer pepper and the stronger
    /// cost of the two.
    ///
    /// Waits until nothing else does. Dropping the future gives up the place.
    ///
    /// # Errors
    /// As [`Hasher::hash`], and [`HashErrorKind::Corrupt`] if `stored` is not one this node can check.
    pub async fn rehash(&self, text: &str, stored: &KeyHash) -> Result<KeyHash, HashError> {
        self.0.accept(stored).ok_or(HashError::new(HashErrorKind::Corrupt))?;
        let (params, pepper) = self.0.improved(stored);
        self.make(Urgency::Rehash, None, text, params, pepper).await
    }

    /// For each known pepper, 16 bytes that tell it from every other and reveal nothing about it.
    ///
    /// The first node to know a pepper leaves its value in the store; a node whose value under the same id differs has
    /// a wrong pepper, and must not start.
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
                    // Either way the run has ended; one that failed left no answer.
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
    /// What it takes to run the stored hash, if it may be run.
    fn accept(&self, stored: &KeyHash) -> Option<&Secrets> {
        self.secrets.get(&stored.pepper()).filter(|_| self.accepted.contains(stored.params()))
    }

    fn improved(&self, stored: &KeyHash) -> (Argon2Params, Option<PepperId>) {
        let stronger = self.params.is_stronger_than(stored.params());
        let params = if stronger { self.params } else { stored.params() };
        (params, stored.pepper().max(self.peppers.current_id()))
    }

    /// The whole text counts, not the id: a wrong text with the id of a key is another question. So does the hash: after
    /// a re-hash, and after a restored backup, what was proved before is not asked.
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

    /// Whether the hashing threads got no core for most of a wait, of which they had starved for so long before.
    fn has_starved(&self, before: Duration, waited: Duration) -> bool {
        self.pool.starved_for().saturating_sub(before) > waited / 2
    }

    fn retry_after(&self) -> Duration {
        self.check_wait.max(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests;
