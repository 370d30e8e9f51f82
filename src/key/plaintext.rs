//! A whole key, owned.

use std::fmt;

use zeroize::Zeroizing;

use super::{
    id::KeyId,
    layout::{LONGEST_KEY, SECRET_LENGTH},
};
use crate::KeyKind;

/// The whole text of a key, wiped from memory when dropped.
///
/// Only [`expose_secret`](Self::expose_secret) gives the text; `Debug` shows prefix and id.
///
/// ```
/// use tower_api_keys::{KeyKind, key::KeyFormat};
///
/// let key = KeyFormat::unbranded().generate(KeyKind::User)?;
/// assert_eq!(key.expose_secret().len(), 74);
/// assert_eq!(key.redacted(), format!("user.{}.[REDACTED]", key.id()));
/// assert_eq!(format!("{key:?}"), format!("PlaintextKey({})", key.redacted()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It cannot be copied, printed, compared with `==` or serialized by accident:
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<tower_api_keys::key::PlaintextKey>();
/// ```
/// ```compile_fail
/// fn needs_display<T: std::fmt::Display>() {}
/// needs_display::<tower_api_keys::key::PlaintextKey>();
/// ```
/// ```compile_fail
/// fn needs_partial_eq<T: PartialEq>() {}
/// needs_partial_eq::<tower_api_keys::key::PlaintextKey>();
/// ```
/// ```compile_fail
/// fn needs_serialize<T: serde::Serialize>() {}
/// needs_serialize::<tower_api_keys::key::PlaintextKey>();
/// ```
/// ```
/// fn needs_debug<T: std::fmt::Debug + Send + Sync>() {}
/// needs_debug::<tower_api_keys::key::PlaintextKey>();
/// ```
pub struct PlaintextKey {
    /// Has room for any key from the start: growth would leave a copy behind that is not wiped.
    text: Zeroizing<String>,
    id: KeyId,
    kind: KeyKind,
}

impl PlaintextKey {
    /// From a text that was checked, or made, by this module.
    pub(super) fn copy_of(text: &str, id: KeyId, kind: KeyKind) -> Self {
        let mut key = Self { text: empty_text(), id, kind };
        key.text.push_str(text);
        key
    }

    /// From a text that this module wrote into [`empty_text`].
    pub(super) const fn from_text(text: Zeroizing<String>, id: KeyId, kind: KeyKind) -> Self {
        Self { text, id, kind }
    }

    /// The whole text.
    ///
    /// # Security
    /// A reader of this text can use the key. Show it once to the person it was made for; do not log or store it.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.text
    }

    /// The public part.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Personal, or a team's.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The text with `[REDACTED]` instead of the secret: safe to log.
    #[must_use]
    pub fn redacted(&self) -> String {
        format!("{}[REDACTED]", before_secret(&self.text))
    }
}

impl fmt::Debug for PlaintextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaintextKey(")?;
        write_redacted(f, &self.text)?;
        f.write_str(")")
    }
}

/// Room for the text of any key.
pub(super) fn empty_text() -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(LONGEST_KEY))
}

/// Writes a well-formed key without its secret.
pub(super) fn write_redacted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(before_secret(text))?;
    f.write_str("[REDACTED]")
}

fn before_secret(text: &str) -> &str {
    text.len().checked_sub(SECRET_LENGTH).and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn text_wipes_itself() {
        fn wiped(_: &impl ZeroizeOnDrop) {}
        wiped(&PlaintextKey::copy_of("", KeyId::new(&"a".repeat(20)).unwrap(), KeyKind::User).text);
    }

    #[test]
    fn longest_key_fits_without_growing() {
        let mut text = empty_text();
        let (start, capacity) = (text.as_ptr(), text.capacity());
        text.push_str(&"a".repeat(LONGEST_KEY));
        assert_eq!((text.as_ptr(), text.capacity()), (start, capacity));
    }
}
