//! Saves a node the run at a key's first use: a proof kept beside the hash, worth nothing without the pepper.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::pepper::Pepper;

const CONTEXT: &[u8] = b"tower-api-keys v1 stored proof";

/// The stored statement "this text matched this hash": an HMAC-SHA-256 of both, under a key that is made from the
/// pepper.
///
/// It can only accept. If it is missing or does not match, the hash is run. The proof of another hash does not match,
/// nor does that of another key, because the key's id is in the text.
#[derive(Clone, Copy)]
pub(super) struct StoredProof([u8; Self::LENGTH]);

impl StoredProof {
    pub(super) const LENGTH: usize = 32;

    pub(super) const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(super) const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }

    pub(super) fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for StoredProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredProof([REDACTED])")
    }
}

/// Makes the proofs of one pepper. Neither the tag's key nor the pepper can be derived from its key (HKDF, RFC 5869).
pub(super) struct ProofKey(Hmac<Sha256>);

impl ProofKey {
    pub(super) fn new(pepper: &Pepper) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, pepper.expose_secret()).expand(CONTEXT, key.as_mut_slice()).ok()?;
        Hmac::new_from_slice(key.as_slice()).ok().map(Self)
    }

    /// The proof that `text` matched the hash of this PHC string. None for a text that is longer than any key.
    pub(super) fn proof(&self, text: &str, phc: &str) -> Option<StoredProof> {
        let length = u16::try_from(text.len()).ok()?;
        let mut mac = self.0.clone();
        // With its length, so that no two pairs give the same bytes.
        mac.update(&length.to_be_bytes());
        mac.update(text.as_bytes());
        mac.update(phc.as_bytes());
        Some(StoredProof(mac.finalize().into_bytes().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ProofKey {
        ProofKey::new(&Pepper::from_bytes([byte; 32])).unwrap()
    }

    fn same(one: StoredProof, other: StoredProof) -> bool {
        one.matches(&other).into()
    }

    /// HMAC (RFC 2104) and HKDF (RFC 5869) written out.
    #[test]
    fn a_proof_is_an_hmac_under_a_key_of_the_pepper() {
        use sha2::Digest;
        let hmac = |key: &[u8], message: &[u8]| {
            let mut padded = [0; 64];
            padded[..key.len()].copy_from_slice(key);
            let inner = Sha256::digest([&padded.map(|byte| byte ^ 0x36), message].concat());
            Sha256::digest([&padded.map(|byte| byte ^ 0x5c)[..], &inner].concat())
        };
        let extracted = hmac(&[0; 32], &[7; 32]);
        let expanded = hmac(&extracted, &[CONTEXT, &[1]].concat());
        let expected = hmac(&expanded, b"\x00\x08user.a.b$argon2id$");
        assert_eq!(key(7).proof("user.a.b", "$argon2id$").unwrap().to_bytes(), expected[..]);
    }

    #[test]
    fn it_is_of_one_text_one_hash_and_one_pepper() {
        let proof = key(1).proof("user.a.b", "$argon2id$x").unwrap();
        assert!(same(proof, key(1).proof("user.a.b", "$argon2id$x").unwrap()));
        for (pepper, text, phc) in [
            (2, "user.a.b", "$argon2id$x"),
            (1, "user.a.c", "$argon2id$x"),
            (1, "user.a.b", "$argon2id$y"),
            (1, "user.a.b$", "argon2id$x"),
        ] {
            assert!(!same(proof, key(pepper).proof(text, phc).unwrap()), "{pepper} {text} {phc}");
        }
        for byte in 0..StoredProof::LENGTH {
            let mut bytes = proof.to_bytes();
            bytes[byte] ^= 1;
            assert!(!same(proof, StoredProof::from_bytes(bytes)), "{byte}");
        }
    }

    #[test]
    fn a_text_longer_than_any_key_has_none() {
        assert!(key(1).proof(&"x".repeat(65_535), "").is_some());
        assert!(key(1).proof(&"x".repeat(65_536), "").is_none());
    }
}
