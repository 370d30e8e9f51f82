//! Thirty-two bits beside the hash that refuse a wrong guess before it costs anything.

use std::fmt;

use blake3::KEY_LEN;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::pepper::Pepper;

const TAG_CONTEXT: &str = "tower-api-keys v1 tag";
const KEY_CHECK_CONTEXT: &str = "tower-api-keys v1 pepper check";

/// The first four bytes of a keyed BLAKE3 over the whole text of a key.
///
/// A tag that differs refutes a text in a fraction of a microsecond. A tag that matches proves nothing: one wrong guess
/// in 4.3 billion matches, and is then checked with Argon2id. Only [`Hasher::check_tag`](super::Hasher::check_tag)
/// compares tags, in constant time.
///
/// ```
/// use tower_api_keys::hash::Tag;
///
/// let stored: [u8; 4] = Tag::from_bytes([1, 2, 3, 4]).to_bytes();
/// assert_eq!(stored, [1, 2, 3, 4]);
/// ```
#[derive(Clone, Copy)]
pub struct Tag([u8; 4]);

impl Tag {
    /// The tag with these bytes from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The bytes for a store to keep.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    pub(super) fn matches(self, other: Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag([REDACTED])")
    }
}

/// Makes the tags of one pepper, or of none. The key is derived once.
pub(super) struct TagKey(Zeroizing<[u8; KEY_LEN]>);

impl TagKey {
    pub(super) fn new(pepper: Option<&Pepper>) -> Self {
        let material: &[u8] = pepper.map_or(&[], |pepper| pepper.expose_secret());
        Self(Zeroizing::new(blake3::derive_key(TAG_CONTEXT, material)))
    }

    pub(super) fn tag(&self, text: &str) -> Tag {
        let [a, b, c, d, ..] = *blake3::keyed_hash(&self.0, text.as_bytes()).as_bytes();
        Tag([a, b, c, d])
    }
}

/// A value that a node publishes, so that another node with a different pepper under the same id notices. It reveals
/// nothing about the pepper, and the tag's key cannot be derived from it.
pub(super) fn key_check_value(pepper: &Pepper) -> [u8; 16] {
    let derived = Zeroizing::new(blake3::derive_key(KEY_CHECK_CONTEXT, pepper.expose_secret()));
    let mut value = [0; 16];
    value.iter_mut().zip(derived.iter()).for_each(|(to, from)| *to = *from);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_first_four_bytes_of_a_keyed_blake3_over_the_text() {
        let key = blake3::derive_key("tower-api-keys v1 tag", &[7; 32]);
        let expected = blake3::keyed_hash(&key, b"user.a.b");
        let tag = TagKey::new(Some(&Pepper::from_bytes([7; 32]))).tag("user.a.b");
        assert_eq!(tag.to_bytes(), expected.as_bytes()[..4]);
    }

    #[test]
    fn without_a_pepper_the_key_is_derived_from_nothing() {
        let key = blake3::derive_key("tower-api-keys v1 tag", &[]);
        let expected = blake3::keyed_hash(&key, b"user.a.b");
        assert_eq!(TagKey::new(None).tag("user.a.b").to_bytes(), expected.as_bytes()[..4]);
    }

    #[test]
    fn every_byte_of_a_tag_counts() {
        let tag = Tag([1, 2, 3, 4]);
        assert!(bool::from(tag.matches(Tag([1, 2, 3, 4]))));
        for other in [[0, 2, 3, 4], [1, 0, 3, 4], [1, 2, 0, 4], [1, 2, 3, 0]] {
            assert!(!bool::from(tag.matches(Tag(other))));
        }
    }

    #[test]
    fn the_key_check_value_differs_by_pepper_and_from_the_tag_key() {
        let one = Pepper::from_bytes([1; 32]);
        assert_ne!(key_check_value(&one), key_check_value(&Pepper::from_bytes([2; 32])));
        assert_ne!(key_check_value(&one), TagKey::new(Some(&one)).0[..16]);
    }
}
