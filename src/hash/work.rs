//! One run: all that a thread needs for it, and nothing that would keep the pool alive.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use zeroize::Zeroizing;

use super::{
    argon2id::{self, Memory, OUTPUT_LENGTH, SALT_LENGTH},
    params::Argon2Params,
    pepper::Pepper,
    tag::{Tag, TagKey},
};

/// A pepper, or the lack of one, with the key of its tags.
pub(super) struct Secrets {
    pepper: Option<Arc<Pepper>>,
    tag_key: TagKey,
}

impl Secrets {
    pub(super) fn new(pepper: Option<Arc<Pepper>>) -> Self {
        Self { tag_key: TagKey::new(pepper.as_deref()), pepper }
    }

    pub(super) fn tag(&self, text: &str) -> Tag {
        self.tag_key.tag(text)
    }
}

/// Counts runs.
#[derive(Default)]
pub(super) struct Meter {
    runs: AtomicU64,
    #[cfg(test)]
    pub(super) panic_next: std::sync::atomic::AtomicBool,
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
        Self { pepper: secrets.pepper.clone(), params, text, salt, meter: Arc::clone(meter) }
    }

    pub(super) fn run(&self, memory: &mut Memory) -> Result<Zeroizing<[u8; OUTPUT_LENGTH]>, argon2::Error> {
        self.meter.runs.fetch_add(1, Ordering::Relaxed);
        #[cfg(test)]
        assert!(!self.meter.panic_next.swap(false, Ordering::Relaxed), "injected");
        argon2id::hash(self.pepper.as_deref(), self.params, &self.text, &self.salt, memory)
    }
}
