use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What the cache keeps instead of a secret: 128 bits of its keyed BLAKE3 hash, under a random key of this process. Who
/// does not know that key can only guess, and a guess fits once in 2^128 requests.
#[derive(Clone)]
pub(super) struct Digest([u64; 2]);

/// The key under which secrets are digested, for as long as the process runs.
pub(super) struct DigestKey(Zeroizing<[u8; 32]>);

impl DigestKey {
    pub(super) fn new(random: Zeroizing<[u8; 32]>) -> Self {
        Self(random)
    }

    /// The digest of the 48 characters behind a key's id: 44 of the secret and 4 of the checksum, which in turn covers
    /// everything before them.
    pub(super) fn digest(&self, secret: &[u8; 48]) -> Digest {
        let hash = blake3::keyed_hash(&self.0, secret);
        let mut words = [0; 2];
        for (word, bytes) in words.iter_mut().zip(hash.as_bytes().as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Digest(words)
    }
}

impl Digest {
    /// Whether both are of the same secret, in constant time: the differences of two words, and one comparison.
    ///
    /// # Errors
    /// Nothing but that they differ.
    pub(super) fn matches(&self, other: &Self) -> Result<(), ()> {
        let difference = self.0.iter().zip(&other.0).fold(0, |difference, (one, two)| difference | (one ^ two));
        if difference.ct_eq(&0).into() { Ok(()) } else { Err(()) }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest([REDACTED])")
    }
}
