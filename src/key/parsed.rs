//! A key that a caller presented, still where it was read.

use std::fmt;

use super::{
    id::KeyId,
    layout::{ID_LENGTH, SECRET_LENGTH},
    plaintext::{PlaintextKey, write_redacted},
    prefix::PrefixIndex,
};
use crate::KeyKind;

/// A well-formed key: prefix, lengths, characters and checksum are right. It need not have been issued.
///
/// Borrows the text it was parsed from and copies nothing of the secret. `Debug` shows prefix and id only; there is no
/// `Clone`, `Display`, `PartialEq` or `Serialize`.
///
/// ```
/// use tower_api_keys::{KeyKind, key::KeyFormat};
///
/// let format = KeyFormat::unbranded();
/// let key = format.generate(KeyKind::User)?;
/// let parsed = format.parse(key.expose_secret().as_bytes())?;
///
/// assert_eq!(parsed.kind(), KeyKind::User);
/// assert_eq!(format!("{parsed:?}"), format!("ParsedKey(user.{}.[REDACTED])", key.id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<tower_api_keys::key::ParsedKey<'static>>();
/// ```
pub struct ParsedKey<'a> {
    pub(super) text: &'a str,
    pub(super) id: KeyId,
    pub(super) secret: &'a [u8; SECRET_LENGTH],
    pub(super) prefix: PrefixIndex,
}

impl<'a> ParsedKey<'a> {
    /// The public part.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The kind that the prefix names. The check compares it with the kind in the record.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.prefix.kind()
    }

    /// The accepted prefix of the key.
    #[must_use]
    pub const fn prefix(&self) -> PrefixIndex {
        self.prefix
    }

    /// The text after the second dot, including the checksum: 48 ASCII characters.
    ///
    /// # Security
    /// This is the secret. Compare it, or values derived from it, in constant time only.
    #[must_use]
    pub const fn secret(&self) -> &'a [u8; SECRET_LENGTH] {
        self.secret
    }

    /// The whole text.
    ///
    /// # Security
    /// A reader of this text can use the key. Do not log or store it.
    #[must_use]
    pub const fn expose_secret(&self) -> &'a str {
        self.text
    }

    /// A copy that outlives the text it was parsed from and wipes itself.
    #[must_use]
    pub fn to_plaintext(&self) -> PlaintextKey {
        PlaintextKey::copy_of(self.text, self.id, self.kind())
    }
}

impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParsedKey(")?;
        write_redacted(f, self.text)?;
        f.write_str(")")
    }
}

/// A text with the length, an accepted prefix and the dots of a key. Nothing else is checked.
///
/// Enough to look an id up. If a digest of the secret then equals a cached digest from a full check, characters and
/// checksum are proved, too; otherwise the text has to be parsed.
pub(crate) struct LocatedKey<'a> {
    pub(super) id: &'a [u8; ID_LENGTH],
    pub(super) secret: &'a [u8; SECRET_LENGTH],
    pub(super) prefix: PrefixIndex,
}

impl<'a> LocatedKey<'a> {
    /// The text where an id should be. Any bytes.
    #[inline]
    pub(crate) const fn id(&self) -> &'a [u8; ID_LENGTH] {
        self.id
    }

    /// The accepted prefix of the text.
    #[inline]
    pub(crate) const fn prefix(&self) -> PrefixIndex {
        self.prefix
    }

    /// The text where a secret should be. Any bytes.
    #[inline]
    pub(crate) const fn secret(&self) -> &'a [u8; SECRET_LENGTH] {
        self.secret
    }
}

impl fmt::Debug for LocatedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocatedKey([REDACTED])")
    }
}
