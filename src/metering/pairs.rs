//! Alone, since it has a lock of its own.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use super::counted_for::CountedFor;
use crate::{outcome::Proved, usage::Source};

/// The most pairs of key or organization and source that are known to be in the store, of some 18 bytes each.
const MOST_PAIRS: usize = 1_000_000;

/// Which pairs of key or organization and source this process has written, or found in the store: hashes of them. Two that share one are
/// as likely as any two random numbers of 64 bits, and cost a list one source more than it should have.
#[derive(Debug, Default)]
pub(super) struct StoredPairs {
    /// Held for one look at a time: whoever counts may wait for it.
    hashes: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl StoredPairs {
    pub(super) fn has(&self, counted_for: &CountedFor, proof: Proved, source: &Source) -> bool {
        let hash = self.hash(counted_for, proof, source);
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }

    pub(super) fn add(&self, counted_for: &CountedFor, proof: Proved, source: &Source) {
        let hash = self.hash(counted_for, proof, source);
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= MOST_PAIRS {
            hashes.clear();
        }
        hashes.insert(hash);
    }

    fn hash(&self, counted_for: &CountedFor, proof: Proved, source: &Source) -> u64 {
        self.hasher.hash_one((counted_for, proof, source))
    }
}
