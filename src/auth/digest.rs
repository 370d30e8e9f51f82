use std::{fmt, slice};

use sha2::block_api::compress256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroizing, optimization_barrier};

use crate::random::{RandomnessError, random_bytes};

/// What the cache keeps instead of a secret: 128 bits of a keyed hash, under a random key of this process. Without that
/// key one can only guess, and a guess fits once in 2^128 requests.
#[derive(Clone)]
pub(super) struct Digest([u64; 2]);

/// The key for digests of secrets, for the lifetime of the process, and the hash that is quicker on this machine. Both
/// hashes take one block of work for a secret.
pub(super) enum DigestKey {
    /// SHA-256 that begins with these words instead of the standard's: the inner half of NMAC, on which the proof of
    /// HMAC rests. It keys messages of one length only, which secrets are, at two fifths of the cost of HMAC. With the
    /// processor's SHA-256 instructions it takes two thirds of the time of BLAKE3; without them, four times as long.
    Sha256(Zeroizing<[u32; 8]>),
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
        let (bytes, mut words) = (random_bytes::<32>()?, Zeroizing::new([0; 8]));
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        Ok(Self::Sha256(words))
    }

    fn blake3() -> Result<Self, RandomnessError> {
        Ok(Self::Blake3(random_bytes()?))
    }

    /// The digest of the 48 characters behind a key's id: 44 of the secret and 4 of the checksum, which in turn covers
    /// everything before them.
    pub(super) fn digest(&self, secret: &[u8; 48]) -> Digest {
        match self {
            Self::Sha256(words) => {
                // Not through bytes, which would take several nanoseconds.
                let [one, two, three, four, ..] = sha256_from(**words, secret);
                Digest([[one, two], [three, four]].map(|[high, low]| u64::from(high) << 32 | u64::from(low)))
            }
            Self::Blake3(key) => Digest::first_words(blake3::keyed_hash(key, secret).as_bytes()),
        }
    }
}

/// The SHA-256 of a message, with `state` instead of the standard's initial hash value (FIPS 180-4 §5.3.3).
fn sha256_from(mut state: [u32; 8], message: &[u8; 48]) -> [u32; 8] {
    // The message, a bit that ends it, and its length in bits (FIPS 180-4 §5.1.1): one block.
    let mut block = [0; 64];
    block[..48].copy_from_slice(message);
    block[48] = 0x80;
    block[62..].copy_from_slice(&(48 * 8_u16).to_be_bytes());
    compress256(&mut state, slice::from_ref(&block));
    // Wipes the copy of the secret in large pieces: byte by byte, as `Zeroize` does, takes a fifth of the hash's time.
    block = [0; 64];
    optimization_barrier(&block);
    state
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

    /// Whether both are digests of the same secret, in constant time: the differences of two words, and one comparison.
    ///
    /// # Errors
    /// Only that they differ.
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
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn from_the_words_of_the_standard_it_is_sha_256() {
        // FIPS 180-4 §5.3.3.
        let standard =
            [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
        for message in [[0; 48], [b'a'; 48], std::array::from_fn(|at| at as u8)] {
            assert_eq!(sha256_from(standard, &message).map(u32::to_be_bytes).concat(), Sha256::digest(message)[..]);
        }
    }

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

    /// Two words that differ by the same bits do not make up for each other.
    #[test]
    fn every_bit_of_a_digest_counts() {
        let digest = Digest([5, 6]);
        for bits in (0..64).map(|place| 1_u64 << place) {
            for other in [[5 ^ bits, 6], [5, 6 ^ bits], [5 ^ bits, 6 ^ bits]] {
                assert!(digest.matches(&Digest(other)).is_err(), "{other:?}");
            }
        }
        assert!(digest.matches(&Digest([5, 6])).is_ok());
    }
}
