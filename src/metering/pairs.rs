//! In a file of its own, because it has its own lock.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use super::counted_for::CountedFor;
use crate::{outcome::Proved, usage::Source};

/// The most pairs of key or organization and source that are known to be in the store, of some 18 bytes each.
const MOST_PAIRS: usize = 1_000_000;

/// The pairs of key or organization and source that this process has written, or found in the store, as hashes. Two
/// pairs with the same hash are as unlikely as with any random numbers of 64 bits; the cost is one source more in a
/// list than allowed.
#[derive(Debug, Default)]
pub(super) struct StoredPairs {
    /// Held for one look-up at a time: a request that counts may wait for it.
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
