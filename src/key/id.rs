//! The public part of a key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::layout::{ID_BYTES, ID_LENGTH, all_base64url, encode};

/// The public part of a key, which identifies it in logs, lists and the store.
///
/// 20 base64url characters: 15 random bytes. Compared byte by byte; text and serde use the characters.
///
/// ```
/// use tower_api_keys::key::KeyId;
///
/// let id = KeyId::new("Zk3sT9wQ_x2LmB7-aYcD")?;
/// assert_eq!(id.as_str(), "Zk3sT9wQ_x2LmB7-aYcD");
/// assert_eq!(format!("{id:?}"), "KeyId(Zk3sT9wQ_x2LmB7-aYcD)");
/// assert!(KeyId::new("too short").is_err());
/// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; ID_LENGTH]);

impl KeyId {
    /// The key of principals made up for tests.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) const FAKE: Self = Self(*b"fakefakefakefakefake");

    /// The id of no key: a key has it only if 120 random bits are zero.
    pub(crate) const ABSENT: Self = Self([b'A'; ID_LENGTH]);

    /// The first of all ids in byte order; no key has it. For [`Prune::usage_after`](crate::store::Prune::usage_after).
    ///
    /// ```
    /// use tower_api_keys::KeyId;
    ///
    /// assert!(KeyId::LEAST < KeyId::new("AAAAAAAAAAAAAAAAAAAA")?);
    /// # Ok::<(), tower_api_keys::key::InvalidKeyId>(())
    /// ```
    pub const LEAST: Self = Self([b'-'; ID_LENGTH]);

    /// The id with this text.
    ///
    /// # Errors
    /// [`InvalidKeyId`] unless the text is 20 base64url characters.
    pub fn new(text: &str) -> Result<Self, InvalidKeyId> {
        let bytes = text.as_bytes().try_into().map_err(|_| InvalidKeyId(()))?;
        Self::from_bytes(bytes).ok_or(InvalidKeyId(()))
    }

    /// The id with these characters, if they are valid.
    pub(super) fn from_bytes(bytes: &[u8; ID_LENGTH]) -> Option<Self> {
        all_base64url(bytes).then_some(Self(*bytes))
    }

    /// The id of these random bytes.
    pub(super) fn encode(bytes: &[u8; ID_BYTES]) -> Self {
        let mut text = [0; ID_LENGTH];
        encode(bytes, &mut text);
        Self(text)
    }

    /// The 20 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always UTF-8: every constructor checked the characters.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The 20 characters as ASCII bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_LENGTH] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.as_str())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for KeyId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for KeyId {
    type Error = InvalidKeyId;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidKeyId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.as_str().to_owned()
    }
}

/// The text is not a valid id of a key.
///
/// ```
/// use tower_api_keys::key::KeyId;
///
/// assert_eq!(KeyId::new("").unwrap_err().to_string(), "a key id must have 20 base64url characters");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id must have 20 base64url characters")]
pub struct InvalidKeyId(());

#[cfg(test)]
mod tests {

    use super::*;

    const TEXT: &str = "Zk3sT9wQ_x2LmB7-aYcD";

    #[test]
    fn anything_but_20_base64url_characters_is_refused() {
        for text in [
            "",
            "Zk3sT9wQ_x2LmB7-aYc",
            "Zk3sT9wQ_x2LmB7-aYcDD",
            "Zk3sT9wQ+x2LmB7-aYcD",
            "Zk3sT9wQ_x2LmB7-aYc=",
            "Zk3sT9wQ_x2LmB7-aYé",
        ] {
            assert!(KeyId::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn serde_uses_the_text_and_refuses_what_new_refuses() {
        let id = KeyId::new(TEXT).unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{TEXT}\""));
        assert_eq!(serde_json::from_str::<KeyId>(&format!("\"{TEXT}\"")).unwrap(), id);
        assert!(serde_json::from_str::<KeyId>("\"Zk3sT9wQ\"").is_err());
    }

    #[test]
    fn order_is_that_of_the_bytes() {
        let [small, large] = ["-".repeat(20), "z".repeat(20)].map(|text| KeyId::new(&text).unwrap());
        assert!(small < large);
    }
}
