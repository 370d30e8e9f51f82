//! The format of the keys of one service.

use zeroize::Zeroizing;

use super::{
    checksum::checksum,
    diagnose::{diagnose, misplaced},
    encoded::any_decoded,
    error::{MalformedKey, MalformedReason},
    find::{KeyInText, find},
    foreign::{ForeignPrefixes, InvalidForeignPrefix},
    id::KeyId,
    layout::{ID_BYTES, ID_LENGTH, LOOKED_AT, RANDOM_LENGTH, SECRET_BYTES, SHORTEST_KEY, all_base64url, encode, split},
    parsed::{LocatedKey, ParsedKey},
    plaintext::{PlaintextKey, empty_text},
    prefix::{InvalidBrand, Prefixes, first_word},
};
use crate::{
    owner::KeyKind,
    random::{RandomnessError, random_bytes},
};

/// The format of the keys of one service: the brand it issues, and the brands it accepts.
///
/// The default has no brand: `user.…` and `team.…`. A brand tells people and secret scanners which service a found key
/// belongs to. A service that is renamed issues the new brand and still accepts the old one, so all keys still work:
///
/// ```
/// use tower_api_keys::{KeyKind, key::KeyFormat};
///
/// let old = KeyFormat::branded("acme")?;
/// let key = old.generate(KeyKind::User)?;
///
/// let new = KeyFormat::branded("globex")?.accepting("acme")?;
/// assert!(new.parse(key.expose_secret().as_bytes()).is_ok());
/// assert!(new.generate(KeyKind::User)?.expose_secret().starts_with("globex_user."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFormat {
    prefixes: Prefixes,
    foreign: ForeignPrefixes,
}

impl KeyFormat {
    /// Keys that begin with `user.` or `team.`.
    #[must_use]
    pub fn unbranded() -> Self {
        Self { prefixes: Prefixes::unbranded(), foreign: ForeignPrefixes::default() }
    }

    /// Keys that begin with `<brand>_user.` or `<brand>_team.`. Others are accepted only if you add them.
    ///
    /// # Errors
    /// [`InvalidBrand`] unless the brand has 1 to 16 lower-case ASCII letters and digits and begins with a letter.
    pub fn branded(brand: &str) -> Result<Self, InvalidBrand> {
        Ok(Self { prefixes: Prefixes::branded(brand)?, foreign: ForeignPrefixes::default() })
    }

    /// Also accepts the keys of another brand: 16 brands in total at most.
    ///
    /// # Errors
    /// [`InvalidBrand`] if the brand does not have the form that [`branded`](Self::branded) requires, or is one too
    /// many.
    pub fn accepting(self, brand: &str) -> Result<Self, InvalidBrand> {
        Ok(Self { prefixes: self.prefixes.accepting(brand)?, ..self })
    }

    /// Also accepts keys without a brand.
    #[must_use]
    pub fn accepting_unbranded(self) -> Self {
        Self { prefixes: self.prefixes.accepting_unbranded(), ..self }
    }

    /// The beginning of new keys of this kind, including the dot.
    ///
    /// ```
    /// use tower_api_keys::{KeyKind, key::KeyFormat};
    ///
    /// let format = KeyFormat::branded("globex")?.accepting("acme")?.accepting_unbranded();
    /// assert_eq!(format.prefix(KeyKind::Team), "globex_team.");
    /// let accepted: Vec<String> = format.accepted_prefixes(KeyKind::Team).collect();
    /// assert_eq!(accepted, ["globex_team.", "acme_team.", "team."]);
    /// # Ok::<(), tower_api_keys::key::InvalidBrand>(())
    /// ```
    #[must_use]
    pub fn prefix(&self, kind: KeyKind) -> String {
        prefix(self.prefixes.issued(), kind)
    }

    /// The beginnings of accepted keys of this kind, including the dot: new keys first, then others in the order in
    /// which they were added.
    pub fn accepted_prefixes(&self, kind: KeyKind) -> impl Iterator<Item = String> {
        self.prefixes.brands().map(move |brand| prefix(brand, kind))
    }

    /// The brand of new keys; none for keys without one.
    #[must_use]
    pub fn brand(&self) -> Option<&str> {
        Some(self.prefixes.issued()).filter(|brand| !brand.is_empty())
    }

    /// The brands of accepted keys, the brand of new ones first; none means keys without a brand.
    pub fn accepted_brands(&self) -> impl Iterator<Item = Option<&str>> {
        self.prefixes.brands().map(|brand| Some(brand).filter(|brand| !brand.is_empty()))
    }

    /// Names the issuer of texts with this beginning, for the sentence to a caller that sends one: "This is a
    /// credential of the previous key system. …". Callers see the name. 16 at most; GitHub, GitLab, Stripe, OpenAI,
    /// Anthropic, Slack, AWS and JSON web tokens are known already.
    ///
    /// Changes no decision: a text that begins with an accepted prefix and a dot never counts as a foreign credential,
    /// and a text that is no key is refused in any case.
    ///
    /// ```
    /// use tower_api_keys::key::KeyFormat;
    ///
    /// let format = KeyFormat::unbranded().with_foreign_prefix("old_", "the previous key system")?;
    /// assert_eq!(format.parse(b"old_3f9a").unwrap_err().issuer(), Some("the previous key system"));
    /// # Ok::<(), tower_api_keys::key::InvalidForeignPrefix>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidForeignPrefix`] unless the prefix has 3 to 32 printable ASCII characters and the issuer 1 to 64 bytes
    /// without control characters, quotation marks and backslashes, or if it is one too many.
    pub fn with_foreign_prefix(self, prefix: &str, issuer: &str) -> Result<Self, InvalidForeignPrefix> {
        Ok(Self { foreign: self.foreign.with(prefix, issuer)?, ..self })
    }

    /// A new key of the brand to issue, from the operating system's randomness: the id has almost 120 bits, the secret
    /// 264 bits.
    ///
    /// The id begins with a letter or a digit. With a dash in front, most command lines would read it as an option, and
    /// exports would mark it in spreadsheets so that it is no formula.
    ///
    /// # Errors
    /// [`RandomnessError`] if the operating system gives none. There is no fallback to another source.
    pub fn generate(&self, kind: KeyKind) -> Result<PlaintextKey, RandomnessError> {
        let mut id = random_bytes::<ID_BYTES>()?;
        // One draw in 32 is rejected, and draws are independent: the rest is uniform.
        while !begins_plainly(&id) {
            id = random_bytes::<ID_BYTES>()?;
        }
        let secret = random_bytes::<SECRET_BYTES>()?;
        Ok(self.assemble(kind, &id, &secret))
    }

    /// Reads a key: all of the text, without trimming, without allocating.
    ///
    /// Takes bytes because header values are bytes. Of a text that is too long to be a key, only 256 bytes are read.
    /// They are copied only if they have escapes or lines of something encoded; the copy is wiped.
    ///
    /// ```
    /// use tower_api_keys::key::{KeyFormat, MalformedReason};
    ///
    /// let key = b"user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";
    /// assert_eq!(KeyFormat::unbranded().parse(key)?.id().as_str(), "AAECAwQFBgcICQoLDA0O");
    ///
    /// let cut = KeyFormat::unbranded().parse(&key[..70]).unwrap_err();
    /// assert_eq!(cut.reason(), MalformedReason::Truncated);
    /// # Ok::<(), tower_api_keys::key::MalformedKey>(())
    /// ```
    ///
    /// # Errors
    /// [`MalformedKey`] with the first reason that applies.
    pub fn parse<'a>(&self, text: &'a [u8]) -> Result<ParsedKey<'a>, MalformedKey> {
        self.well_formed(text).ok_or_else(|| self.diagnosis(text))
    }

    /// Why this text is no key.
    #[cold]
    pub(crate) fn diagnosis(&self, text: &[u8]) -> MalformedKey {
        diagnose(&self.prefixes, &self.foreign, text)
    }

    /// Whether the text begins with an accepted prefix and a dot: meant as a key of this service, well-formed or not.
    ///
    /// ```
    /// use tower_api_keys::key::KeyFormat;
    ///
    /// assert!(KeyFormat::unbranded().begins_like_a_key(b"team.and-so-on"));
    /// assert!(!KeyFormat::unbranded().begins_like_a_key(b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"));
    /// ```
    #[must_use]
    pub fn begins_like_a_key(&self, text: &[u8]) -> bool {
        self.prefixes.begin(text)
    }

    /// Finds keys anywhere in a text: an accepted prefix in any case, a dot, 20 characters of the alphabet, a dot, 48
    /// characters, nothing less. Any text may be around them, even letters.
    ///
    /// Works offline, in time proportional to the length of the text, and without allocating. Keys come in order of
    /// position and may overlap. A text that looks like a key and has the right checksum under the prefix of another
    /// brand is a key of that brand, and is not returned.
    ///
    /// ```
    /// use tower_api_keys::key::KeyFormat;
    ///
    /// let format = KeyFormat::unbranded();
    /// let text = b"API_KEY=user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ;user.name=blue";
    /// let found: Vec<_> = format.find_in(text).collect();
    /// assert_eq!(found.len(), 1);
    /// assert!(found[0].is_whole && format.parse(&text[found[0].at.clone()]).is_ok());
    /// ```
    ///
    /// # Security
    /// Every result is a secret even if its checksum is wrong: most of its characters may be right.
    pub fn find_in<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = KeyInText> + use<'a> {
        find(text, &self.prefixes)
    }

    /// Whether the text contains a key, either directly or after the text is decoded once: base64, of UTF-16 too,
    /// hexadecimal digits, escapes such as `%2E`, UTF-16 read as bytes.
    // Not inlined, like the next one: the path of a known key, which needs neither, has to stay short.
    #[inline(never)]
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.find_in(text).next().is_some() || self.is_encoded_in(text)
    }

    /// Why a credential is refused that should have no key: a key is in it, as in [`is_in`](Self::is_in).
    #[inline(never)]
    pub(crate) fn misplaced_in(&self, credential: &[u8]) -> Option<MalformedReason> {
        match self.find_in(credential).next() {
            Some(found) => Some(misplaced(credential.get(..found.at.start).unwrap_or_default())),
            None => self.is_encoded_in(credential).then_some(MalformedReason::MissingScheme),
        }
    }

    /// Gives `visit` each part of the text that may be a key after decoding, as in [`is_in`](Self::is_in), even if its
    /// end is missing. The decoded text is wiped afterwards.
    pub(crate) fn for_each_decoded(text: &[u8], mut visit: impl FnMut(&[u8])) {
        any_decoded(text, |decoded| {
            visit(decoded);
            false
        });
    }

    /// Whether the text begins with an accepted prefix, a dot and a whole id, followed by a dot or the end: a key of
    /// this service, or a part of one.
    pub(crate) fn begins_with_an_id(&self, text: &[u8]) -> bool {
        let behind = first_word(text).and_then(|prefix| text.get(prefix.len() + 1..));
        let id = behind.and_then(<[u8]>::split_first_chunk::<ID_LENGTH>);
        self.begins_like_a_key(text)
            && id.is_some_and(|(id, rest)| all_base64url(id) && matches!(rest, [] | [b'.', ..]))
    }

    /// The id in a text that is no key, if there is one: that of an incomplete key at its beginning, else of the first
    /// key in it.
    #[cold]
    pub(crate) fn id_in(&self, text: &[u8]) -> Option<KeyId> {
        let text = text.get(..LOOKED_AT).unwrap_or(text);
        let behind = first_word(text).filter(|_| self.begins_like_a_key(text));
        let id = behind.and_then(|prefix| text.get(prefix.len() + 1..)?.first_chunk());
        id.and_then(KeyId::from_bytes).or_else(|| self.find_in(text).next().map(|found| found.id))
    }

    fn is_encoded_in(&self, text: &[u8]) -> bool {
        // An encoded key is not shorter.
        text.len() >= SHORTEST_KEY && any_decoded(text, |decoded| self.find_in(decoded).next().is_some())
    }

    /// Finds the parts of a possible key: checks length, accepted prefix, both dots, but not characters and checksum.
    #[inline]
    pub(crate) fn locate<'a>(&self, text: &'a [u8]) -> Option<LocatedKey<'a>> {
        let parts = split(text)?;
        let prefix = self.prefixes.index(parts.prefix)?;
        Some(LocatedKey { id: parts.id, secret: parts.secret, prefix })
    }

    fn well_formed<'a>(&self, text: &'a [u8]) -> Option<ParsedKey<'a>> {
        let LocatedKey { id, secret, prefix } = self.locate(text)?;
        let id = KeyId::from_bytes(id)?;
        let (covered, stated) = text.split_last_chunk()?;
        if !all_base64url(secret) || checksum(covered) != *stated {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        Some(ParsedKey { text, id, secret, prefix })
    }

    /// The key, of the brand to issue, with these random bytes.
    pub(super) fn assemble(&self, kind: KeyKind, id: &[u8; ID_BYTES], secret: &[u8; SECRET_BYTES]) -> PlaintextKey {
        let id = KeyId::encode(id);
        let mut secret_text = Zeroizing::new([0; RANDOM_LENGTH]);
        let mut text = empty_text();
        text.push_str(&self.prefix(kind));
        text.push_str(id.as_str());
        text.push('.');
        text.push_str(encode(secret, secret_text.as_mut_slice()));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        PlaintextKey::from_text(text, id, kind)
    }
}

/// The beginning of keys of this brand; the brand is empty for none.
fn prefix(brand: &str, kind: KeyKind) -> String {
    if brand.is_empty() { format!("{kind}.") } else { format!("{brand}_{kind}.") }
}

/// Whether the id of these bytes begins with a letter or a digit: the last two values of base64url are `-` and `_`.
const fn begins_plainly([first, ..]: &[u8; ID_BYTES]) -> bool {
    *first >> 2 < 62
}

impl Default for KeyFormat {
    fn default() -> Self {
        Self::unbranded()
    }
}
