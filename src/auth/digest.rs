use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::{RandomnessError, random_bytes};

/// What the cache keeps instead of a secret: 128 bits of a keyed hash, under a random key of this process. Who does not
/// know that key can only guess, and a guess fits once in 2^128 requests.
#[derive(Clone)]
pub(super) struct Digest([u64; 2]);

/// The key under which secrets are digested, for as long as the process runs, and the hash that is quicker here. Both
/// take one block of work for a secret.
pub(super) enum DigestKey {
    /// A hash that has taken in 64 random bytes, which fill its first block. It keys messages of one length only, as
    /// secrets are, for half of what HMAC would cost. With the processor's own instructions for SHA-256 it takes
    /// three quarters of the time of BLAKE3, without them four times as long.
    Sha256(Sha256),
    /// Keyed BLAKE3.
    Blake3(Zeroizing<[u8; 32]>),
}

impl DigestKey {
    /// # Errors
    /// [`RandomnessError`] if the operating system gives no randomness.
    pub(super) fn new() -> Result<Self, RandomnessError> {
        if has_sha256() { Self::sha256() } else { Self::blake3() }
    }

    fn sha256() -> Result<Self, RandomnessError> {
        Ok(Self::Sha256(Sha256::new_with_prefix(random_bytes::<64>()?.as_slice())))
    }

    fn blake3() -> Result<Self, RandomnessError> {
        Ok(Self::Blake3(random_bytes()?))
    }

    /// The digest of the 48 characters behind a key's id: 44 of the secret and 4 of the checksum, which in turn covers
    /// everything before them.
    pub(super) fn digest(&self, secret: &[u8; 48]) -> Digest {
        match self {
            Self::Sha256(begun) => Digest::first_words(&begun.clone().chain_update(secret).finalize()),
            Self::Blake3(key) => Digest::first_words(blake3::keyed_hash(key, secret).as_bytes()),
        }
    }
}

/// Whether the processor has instructions for SHA-256.
fn has_sha256() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

impl Digest {
    fn first_words(hash: &[u8]) -> Self {
        let mut words = [0; 2];
        for (word, bytes) in words.iter_mut().zip(hash.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_equal_only_of_one_secret_under_one_key() {
        let (secret, mut other) = ([b'a'; 48], [b'a'; 48]);
        other[47] = b'b';
        for new in [DigestKey::sha256, DigestKey::blake3, DigestKey::new] {
            let (key, another) = (new().unwrap(), new().unwrap());
            let digest = key.digest(&secret);
            assert!(digest.matches(&key.digest(&secret)).is_ok());
            assert!(digest.matches(&key.digest(&other)).is_err());
            assert!(digest.matches(&another.digest(&secret)).is_err());
        }
    }
}
