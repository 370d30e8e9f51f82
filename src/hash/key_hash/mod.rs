//! What a record stores instead of a key.

use std::{fmt, sync::Arc};

use base64ct::{Base64Unpadded, Encoding};
use phc::PasswordHash;

use super::{
    argon2id::{OUTPUT_LENGTH, SALT_LENGTH},
    params::Argon2Params,
    pepper::PepperId,
    stored_proof::StoredProof,
    tag::Tag,
};
use crate::lengths::HASH;

/// What a record stores instead of a key: a PHC string of Argon2id, the [`Tag`], the id of the pepper of both, and the
/// [stored proof](super::HasherConfig::with_stored_proofs) if there is one.
///
/// The PHC string is always in exactly the form that this crate writes: `$argon2id$v=19$m=…,t=…,p=1$salt$hash` with 16
/// bytes of salt and 32 of hash, and costs within [`Argon2Params`].
///
/// It does not implement `PartialEq`: [`Hasher`](super::Hasher) checks a text, and [`KeyHash::fingerprint`] tells
/// whether a record still has the same hash.
///
/// ```
/// use tower_api_keys::hash::{Argon2Params, CorruptHashKind, KeyHash};
///
/// let phc = "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// let hash = KeyHash::from_parts(phc, [1, 2, 3, 4], None)?;
/// assert_eq!(hash.phc(), phc);
/// assert_eq!(hash.params(), Argon2Params::MACHINE_SECRET);
///
/// let four_gib = phc.replace("m=64", "m=4194304");
/// let error = KeyHash::from_parts(&four_gib, [1, 2, 3, 4], None).unwrap_err();
/// assert_eq!(error.kind(), CorruptHashKind::Params);
/// # Ok::<(), tower_api_keys::hash::CorruptHash>(())
/// ```
///
/// ```compile_fail,E0369
/// # fn same(a: tower_api_keys::hash::KeyHash, b: tower_api_keys::hash::KeyHash) -> bool {
/// a == b
/// # }
/// ```
#[derive(Clone)]
pub struct KeyHash {
    phc: Arc<str>,
    tag: Tag,
    pepper: Option<PepperId>,
    proof: Option<StoredProof>,
    params: Argon2Params,
    salt: [u8; SALT_LENGTH],
    output: [u8; OUTPUT_LENGTH],
}

impl KeyHash {
    /// A hash from the columns of a store: the PHC string, the tag, and the number of the pepper if there was one.
    /// Without a [proof](Self::with_proof).
    ///
    /// No memory is taken for the cost that the string names.
    ///
    /// # Errors
    /// [`CorruptHash`] for every string that this crate does not write.
    pub fn from_parts(phc: &str, tag: [u8; 4], pepper: Option<u32>) -> Result<Self, CorruptHash> {
        let Some((params, salt, output)) = parts(phc) else { return Err(diagnosis(phc)) };
        let (tag, pepper) = (Tag::from_bytes(tag), pepper.map(PepperId::new));
        Ok(Self { phc: phc.into(), tag, pepper, proof: None, params, salt, output })
    }

    /// With the proof that a store keeps beside it, or without one. The proof is not checked here: one that does not
    /// match counts as none.
    #[must_use]
    pub fn with_proof(self, proof: Option<[u8; 32]>) -> Self {
        Self { proof: proof.map(StoredProof::from_bytes), ..self }
    }

    /// The PHC string for a store to keep.
    #[must_use]
    pub fn phc(&self) -> &str {
        &self.phc
    }

    /// The tag for a store to keep.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// The pepper that the hash and the tag were made with.
    #[must_use]
    pub const fn pepper(&self) -> Option<PepperId> {
        self.pepper
    }

    /// The proof for a store to keep, if the hasher makes [stored proofs](super::HasherConfig::with_stored_proofs).
    #[must_use]
    pub fn proof(&self) -> Option<[u8; 32]> {
        self.proof.map(StoredProof::to_bytes)
    }

    /// The cost that the hash was made with.
    #[must_use]
    pub const fn params(&self) -> Argon2Params {
        self.params
    }

    /// Answers "is it still the same hash?" in 16 bytes of BLAKE3 over all parts except the proof, which does not
    /// change the hash. It proves nothing about any text.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("tower-api-keys v1 hash fingerprint");
        // Parts of fixed length first, so that no two hashes give the same bytes.
        hasher.update(&self.tag.to_bytes());
        hasher.update(&[u8::from(self.pepper.is_some())]);
        hasher.update(&self.pepper.map_or(0, PepperId::as_u32).to_be_bytes());
        hasher.update(self.phc.as_bytes());
        let mut fingerprint = [0; 16];
        hasher.finalize_xof().fill(&mut fingerprint);
        fingerprint
    }

    pub(super) fn assemble(
        params: Argon2Params,
        salt: [u8; SALT_LENGTH],
        output: [u8; OUTPUT_LENGTH],
        tag: Tag,
        pepper: Option<PepperId>,
    ) -> Self {
        let (mut salt_text, mut output_text) = ([0; 22], [0; 43]);
        let phc = format!(
            "$argon2id$v=19$m={},t={},p=1${}${}",
            params.memory_kib(),
            params.iterations(),
            // 16 and 32 bytes always fit 22 and 43 characters. An empty field is never a valid hash.
            Base64Unpadded::encode(&salt, &mut salt_text).unwrap_or_default(),
            Base64Unpadded::encode(&output, &mut output_text).unwrap_or_default(),
        );
        Self { phc: phc.into(), tag, pepper, proof: None, params, salt, output }
    }

    pub(super) const fn salt(&self) -> &[u8; SALT_LENGTH] {
        &self.salt
    }

    pub(super) const fn stored_proof(&self) -> Option<&StoredProof> {
        self.proof.as_ref()
    }

    pub(super) const fn output(&self) -> &[u8; OUTPUT_LENGTH] {
        &self.output
    }
}

/// The parts of a PHC string, if it is exactly in the form that this crate writes: one hash has one text. A wrong
/// secret costs this call, so it takes a fraction of a microsecond.
fn parts(phc: &str) -> Option<(Argon2Params, [u8; SALT_LENGTH], [u8; OUTPUT_LENGTH])> {
    let rest = phc.strip_prefix("$argon2id$v=19$m=")?;
    let (memory_kib, rest) = rest.split_once(",t=")?;
    let (iterations, rest) = rest.split_once(",p=1$")?;
    let (salt, output) = rest.split_once('$')?;
    let params = Argon2Params::new(decimal(memory_kib)?, decimal(iterations)?).ok()?;
    Some((params, bytes(salt)?, bytes(output)?))
}

/// A number without a sign and without leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// `N` bytes in unpadded base64 without spare bits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let decoded = Base64Unpadded::decode(text, &mut bytes).ok()?.len();
    (decoded == N).then_some(bytes)
}

/// What is wrong with a string that this crate does not write.
#[cold]
fn diagnosis(phc: &str) -> CorruptHash {
    // Length and alphabet first: the code after this line sees only a few bytes of unknown origin.
    if phc.len() > HASH.bytes() || !phc.is_ascii() {
        return CorruptHash::new(CorruptHashKind::Syntax);
    }
    let parsed = match PasswordHash::new(phc) {
        Ok(parsed) => parsed,
        Err(error) => return CorruptHash::syntax(error),
    };
    let cost = |name: &str| parsed.params.get_decimal(name);
    let has_params = match (cost("m"), cost("t"), cost("p")) {
        (Some(memory_kib), Some(iterations), Some(1)) => Argon2Params::new(memory_kib, iterations).is_ok(),
        _ => false,
    };
    CorruptHash::new(if parsed.algorithm.as_str() != "argon2id" {
        CorruptHashKind::Algorithm
    } else if parsed.version != Some(19) {
        CorruptHashKind::Version
    } else if !has_params {
        CorruptHashKind::Params
    } else if parsed.salt.is_none_or(|salt| salt.as_ref().len() != SALT_LENGTH) {
        CorruptHashKind::Salt
    } else if parsed.hash.is_none_or(|hash| hash.as_bytes().len() != OUTPUT_LENGTH) {
        CorruptHashKind::Output
    } else {
        // Order, key ids, associated data and everything else that is not read.
        CorruptHashKind::Syntax
    })
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHash").field("params", &self.params).field("pepper", &self.pepper).finish_non_exhaustive()
    }
}

/// A stored hash that this crate did not write. The record is damaged, or was changed.
///
/// ```
/// use tower_api_keys::hash::{CorruptHashKind, KeyHash};
///
/// let error = KeyHash::from_parts("$2b$10$bcrypt", [0; 4], None).unwrap_err();
/// assert_eq!(error.to_string(), "the stored hash is not an argon2id hash of this crate: syntax");
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("the stored hash is not an argon2id hash of this crate: {}", kind.as_str())]
pub struct CorruptHash {
    kind: CorruptHashKind,
    source: Option<phc::Error>,
}

impl CorruptHash {
    /// The part that is wrong.
    #[must_use]
    pub const fn kind(&self) -> CorruptHashKind {
        self.kind
    }

    const fn new(kind: CorruptHashKind) -> Self {
        Self { kind, source: None }
    }

    const fn syntax(source: phc::Error) -> Self {
        Self { kind: CorruptHashKind::Syntax, source: Some(source) }
    }
}

/// The part of a stored hash that is wrong.
///
/// ```
/// use tower_api_keys::hash::{CorruptHashKind, KeyHash};
///
/// let phc = "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// let error = KeyHash::from_parts(phc, [0; 4], None).unwrap_err();
/// assert_eq!(error.kind(), CorruptHashKind::Algorithm);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptHashKind {
    /// Another algorithm than `argon2id`.
    Algorithm,
    /// Not 32 bytes of hash.
    Output,
    /// A cost is missing or outside [`Argon2Params`], or parallelism is not 1.
    Params,
    /// Not 16 bytes of salt.
    Salt,
    /// Not a PHC string, or not in the form that this crate writes.
    Syntax,
    /// Another version than 19 (0x13).
    Version,
}

impl CorruptHashKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Output => "output",
            Self::Params => "params",
            Self::Salt => "salt",
            Self::Syntax => "syntax",
            Self::Version => "version",
        }
    }
}

#[cfg(test)]
mod tests;
