//! The pepper: a secret of the service that every hash depends on and no database contains.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64ct::{Base64, Base64Unpadded, Encoding};
use zeroize::Zeroizing;

/// The id of the pepper that a hash was made with. Each record stores it; a greater id is a newer pepper.
///
/// ```
/// use tower_api_keys::hash::PepperId;
///
/// assert!(PepperId::new(2) > PepperId::new(1));
/// assert_eq!(PepperId::new(7).as_u32(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperId(u32);

impl PepperId {
    /// The id with this number.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pepper: 32 secret bytes, kept apart from the database: Argon2's secret parameter (RFC 9106 section 3.1).
///
/// With a pepper, a reader of the database can neither test a guess nor make a text whose [tag](super::Tag) matches. If
/// you lose a pepper, no key that was hashed with it can be checked again.
///
/// ```
/// use tower_api_keys::hash::Pepper;
///
/// // openssl rand -base64 32
/// let pepper = Pepper::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?;
/// assert_eq!(format!("{pepper:?}"), "Pepper([REDACTED])");
/// # Ok::<(), tower_api_keys::hash::InvalidPepper>(())
/// ```
///
/// It cannot be copied, printed or compared:
///
/// ```compile_fail,E0599
/// # use tower_api_keys::hash::Pepper;
/// let copy = Pepper::from_bytes([1; 32]).clone();
/// ```
///
/// ```compile_fail,E0277
/// # use tower_api_keys::hash::Pepper;
/// println!("{}", Pepper::from_bytes([1; 32]));
/// ```
///
/// ```compile_fail,E0369
/// # use tower_api_keys::hash::Pepper;
/// assert!(Pepper::from_bytes([1; 32]) == Pepper::from_bytes([1; 32]));
/// ```
pub struct Pepper(Zeroizing<[u8; Self::LENGTH]>);

impl Pepper {
    /// The number of bytes of a pepper.
    pub const LENGTH: usize = 32;

    /// A pepper of these bytes, which must come from a random generator: a pepper made from a word can be guessed.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 32 bytes that this text encodes: standard base64 (RFC 4648 section 4), with or without padding. Spaces and
    /// line ends around it are ignored, because files and environment variables add them.
    ///
    /// # Errors
    /// [`InvalidPepper`] if it is not base64 of exactly 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, InvalidPepper> {
        let text = text.trim_ascii();
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        let decoded = if text.ends_with('=') {
            Base64::decode(text, bytes.as_mut_slice())
        } else {
            Base64Unpadded::decode(text, bytes.as_mut_slice())
        };
        match decoded {
            Ok(decoded) if decoded.len() == Self::LENGTH => Ok(Self(bytes)),
            _ => Err(InvalidPepper(())),
        }
    }

    /// The secret bytes.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([REDACTED])")
    }
}

/// The text is not a valid pepper.
///
/// ```
/// use tower_api_keys::hash::Pepper;
///
/// let error = Pepper::from_base64("c2hvcnQ=").unwrap_err();
/// assert_eq!(error.to_string(), "a pepper must be 32 bytes in base64: make one with `openssl rand -base64 32`");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pepper must be 32 bytes in base64: make one with `openssl rand -base64 32`")]
pub struct InvalidPepper(());

/// The peppers that a node knows, and the one that it hashes with. Cheap to clone.
///
/// To introduce a pepper, first make it *known* on every node, then make it *current*: a node that does not know the
/// pepper of a hash cannot check that key. After a pepper was current on a node of a store, no node starts that knows
/// neither this pepper nor a newer one that was current, and no node makes keys without one of them. Keep old peppers
/// known until no record names them.
///
/// ```
/// use tower_api_keys::hash::{Pepper, PepperId, Peppers};
///
/// let peppers = Peppers::new()
///     .with(PepperId::new(1), Pepper::from_bytes([1; 32]))
///     .with(PepperId::new(2), Pepper::from_bytes([2; 32]))
///     .current(PepperId::new(1))?;
/// assert!(Peppers::new().current(PepperId::new(1)).is_err());
/// # Ok::<(), tower_api_keys::hash::UnknownPepper>(())
/// ```
#[derive(Clone, Default)]
pub struct Peppers {
    known: BTreeMap<PepperId, Arc<Pepper>>,
    current: Option<PepperId>,
}

impl Peppers {
    /// No pepper: the default.
    ///
    /// # Security
    /// A reader of a database of hashes without a pepper can make texts that match a record's tag. Each such text costs
    /// this node one Argon2 run, and is still refused.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// No pepper yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also knows this pepper. It replaces one with the same id.
    #[must_use]
    pub fn with(mut self, id: PepperId, pepper: Pepper) -> Self {
        self.known.insert(id, Arc::new(pepper));
        self
    }

    /// Makes this pepper the current one: new hashes use it.
    ///
    /// # Errors
    /// [`UnknownPepper`] if it was not made known before.
    pub fn current(mut self, id: PepperId) -> Result<Self, UnknownPepper> {
        if !self.known.contains_key(&id) {
            return Err(UnknownPepper(id));
        }
        self.current = Some(id);
        Ok(self)
    }

    /// The id of the pepper that new hashes are made with, if there is one.
    #[must_use]
    pub fn current_id(&self) -> Option<PepperId> {
        self.current
    }

    pub(crate) fn knows(&self, id: PepperId) -> bool {
        self.known.contains_key(&id)
    }

    pub(crate) fn any(&self) -> bool {
        !self.known.is_empty()
    }

    pub(super) fn known(&self) -> impl Iterator<Item = (PepperId, &Arc<Pepper>)> {
        self.known.iter().map(|(id, pepper)| (*id, pepper))
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = self.known.keys().collect();
        f.debug_struct("Peppers").field("known", &known).field("current", &self.current).finish()
    }
}

/// The pepper to make current is not known.
///
/// ```
/// use tower_api_keys::hash::{PepperId, Peppers};
///
/// let error = Peppers::new().current(PepperId::new(3)).unwrap_err();
/// assert_eq!(error.id(), PepperId::new(3));
/// assert_eq!(error.to_string(), "pepper 3 is not known: add it before you make it current");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pepper {0} is not known: add it before you make it current")]
pub struct UnknownPepper(PepperId);

impl UnknownPepper {
    /// The id of the unknown pepper.
    #[must_use]
    pub const fn id(self) -> PepperId {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn base64_is_read_with_and_without_padding_and_line_end() {
        let expected: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        for text in [TEXT.to_owned(), TEXT.trim_end_matches('=').to_owned(), format!("{TEXT}\r\n")] {
            assert_eq!(Pepper::from_base64(&text).unwrap().expose_secret(), &expected);
        }
    }

    #[test]
    fn base64_of_another_length_or_alphabet_is_refused() {
        for text in [
            "",
            "AAEC",
            "_AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            &TEXT.repeat(2),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        ] {
            assert!(Pepper::from_base64(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_names_ids_and_no_secret() {
        let peppers = Peppers::new().with(PepperId::new(3), Pepper::from_bytes([b'x'; 32]));
        let peppers = peppers.current(PepperId::new(3)).unwrap();
        assert_eq!(format!("{peppers:?}"), "Peppers { known: [PepperId(3)], current: Some(PepperId(3)) }");
    }

    #[test]
    fn only_a_known_pepper_becomes_current() {
        let id = PepperId::new(9);
        assert_eq!(Peppers::none().current(id).unwrap_err().id(), id);
        let peppers = Peppers::none().with(id, Pepper::from_bytes([0; 32]));
        assert_eq!(peppers.current_id(), None);
        assert_eq!(peppers.current(id).unwrap().current_id(), Some(id));
    }
}
