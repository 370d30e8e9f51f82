//! One run: everything that a thread needs for it, and nothing that would keep the pool alive.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use subtle::Choice;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{
    argon2id::{self, Memory, OUTPUT_LENGTH, SALT_LENGTH},
    job::{Ending, Outcome},
    key_hash::KeyHash,
    params::Argon2Params,
    pepper::Pepper,
    stored_proof::{ProofKey, StoredProof},
    tag::{Tag, TagKey},
};

/// A pepper, or none, with the keys of its tags and proofs.
pub(super) struct Secrets {
    pepper: Option<Arc<Pepper>>,
    tag_key: TagKey,
    /// None without a pepper, or if proofs are not stored.
    proof_key: Option<ProofKey>,
}

impl Secrets {
    pub(super) fn new(pepper: Option<Arc<Pepper>>, has_proofs: bool) -> Self {
        let tag_key = TagKey::new(pepper.as_deref());
        let proof_key = pepper.as_deref().filter(|_| has_proofs).and_then(ProofKey::new);
        Self { pepper, tag_key, proof_key }
    }

    pub(super) fn tag(&self, text: &str) -> Tag {
        self.tag_key.tag(text)
    }

    /// The hash, made with this pepper, that this text was found to match. It includes the proof if proofs are stored.
    pub(super) fn proved(&self, text: &str, hash: KeyHash) -> KeyHash {
        let proof = self.proof(text, &hash).map(StoredProof::to_bytes);
        hash.with_proof(proof)
    }

    /// Whether the proof beside the hash, made with this pepper, belongs to this text.
    pub(super) fn is_proved(&self, text: &str, hash: &KeyHash) -> Choice {
        match (hash.stored_proof(), self.proof(text, hash)) {
            (Some(stored), Some(made)) => stored.matches(&made),
            _ => Choice::from(0),
        }
    }

    fn proof(&self, text: &str, hash: &KeyHash) -> Option<StoredProof> {
        self.proof_key.as_ref()?.proof(text, hash.phc())
    }
}

/// The output of Argon2id for a text.
pub(super) type Output = Zeroizing<[u8; OUTPUT_LENGTH]>;

/// Counts runs.
#[derive(Default)]
pub(super) struct Meter {
    runs: AtomicU64,
    #[cfg(test)]
    pub(super) panic_next: AtomicBool,
}

impl Meter {
    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }
}

/// A text to hash. It is wiped when the run ends, or when it is dropped from the queue.
pub(super) struct Work {
    pepper: Option<Arc<Pepper>>,
    params: Argon2Params,
    text: Zeroizing<String>,
    salt: [u8; SALT_LENGTH],
    meter: Arc<Meter>,
    /// A run that is done twice, because it got no core, counts once.
    is_counted: AtomicBool,
}

impl Work {
    pub(super) fn new(
        secrets: &Secrets,
        params: Argon2Params,
        text: &str,
        salt: [u8; SALT_LENGTH],
        meter: &Arc<Meter>,
    ) -> Self {
        let text = Zeroizing::new(text.to_owned());
        let (pepper, meter) = (secrets.pepper.clone(), Arc::clone(meter));
        Self { pepper, params, text, salt, meter, is_counted: AtomicBool::new(false) }
    }

    pub(super) fn run(&self, memory: &mut Memory) -> Outcome<Output> {
        if !self.is_counted.swap(true, Ordering::Relaxed) {
            self.meter.runs.fetch_add(1, Ordering::Relaxed);
        }
        #[cfg(test)]
        assert!(!self.meter.panic_next.swap(false, Ordering::Relaxed), "injected");
        argon2id::hash(self.pepper.as_deref(), self.params, &self.text, &self.salt, memory)
    }
}

/// Gives the output to the caller that waits for it.
pub(super) struct Reply(oneshot::Sender<Outcome<Output>>);

impl Reply {
    pub(super) fn new() -> (Self, oneshot::Receiver<Outcome<Output>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

impl Ending<Output> for Reply {
    fn is_wanted(&self) -> bool {
        !self.0.is_closed()
    }

    fn end(self, outcome: Outcome<Output>) {
        let _ = self.0.send(outcome);
    }
}
