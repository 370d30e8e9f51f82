//! The first word of a key: a brand, if the service has one, and the kind.

use std::fmt;

use super::layout::{KIND_LENGTH, LONGEST_BRAND, LONGEST_PREFIX};
use crate::KeyKind;

/// The most brands that one service may accept besides the unbranded prefixes: room for many renamings, and a bound for
/// look-ups.
const MOST_BRANDS: usize = 16;

/// Which of the accepted prefixes a key begins with: a brand and a kind.
///
/// Has a meaning only together with the [`KeyFormat`](super::KeyFormat) it came from and with formats made from that by
/// accepting more.
///
/// ```
/// use tower_api_keys::{KeyKind, key::KeyFormat};
///
/// let format = KeyFormat::unbranded();
/// let (user, team) = (format.generate(KeyKind::User)?, format.generate(KeyKind::Team)?);
/// let prefix = |text: &str| format.parse(text.as_bytes()).map(|key| key.prefix());
/// assert_ne!(prefix(user.expose_secret())?, prefix(team.expose_secret())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixIndex(u8);

impl PrefixIndex {
    const fn new(brand: u8, kind: KeyKind) -> Self {
        Self(brand * 2 + kind as u8)
    }

    /// The kind that the prefix names.
    #[must_use]
    pub const fn kind(self) -> KeyKind {
        if self.0 % 2 == KeyKind::User as u8 { KeyKind::User } else { KeyKind::Team }
    }
}

/// The accepted prefixes. The first brand is the one to issue; an empty brand means none.
#[derive(Clone, Debug)]
pub(super) struct Prefixes {
    brands: Vec<Brand>,
}

/// A brand, stored in place and padded with zeros. Behind a pointer, comparing an empty one would cost 80 ns: a
/// vectored `memcmp` of no bytes at the dangling address of an empty box waits for a missing page.
#[derive(Clone, Copy)]
struct Brand {
    length: usize,
    text: [u8; LONGEST_BRAND],
}

impl Brand {
    const NONE: Self = Self { length: 0, text: [0; LONGEST_BRAND] };

    fn new(brand: &str) -> Result<Self, InvalidBrand> {
        let well_formed = brand.starts_with(|first: char| first.is_ascii_lowercase())
            && brand.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let mut text = [0; LONGEST_BRAND];
        match text.get_mut(..brand.len()) {
            Some(place) if well_formed => place.copy_from_slice(brand.as_bytes()),
            _ => return Err(InvalidBrand(InvalidBrandKind::Form)),
        }
        Ok(Self { length: brand.len(), text })
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or(&self.text)
    }

    /// Without a call if there is nothing to compare, as in a service without a brand.
    #[inline]
    fn is(&self, brand: &[u8]) -> bool {
        self.length == brand.len() && (brand.is_empty() || self.as_bytes() == brand)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Prefixes {
    pub(super) fn unbranded() -> Self {
        Self { brands: vec![Brand::NONE] }
    }

    pub(super) fn branded(brand: &str) -> Result<Self, InvalidBrand> {
        Self { brands: Vec::new() }.accepting(brand)
    }

    pub(super) fn accepting(mut self, brand: &str) -> Result<Self, InvalidBrand> {
        let brand = Brand::new(brand)?;
        if !self.has(&brand) {
            if self.brands.iter().filter(|brand| brand.length > 0).count() >= MOST_BRANDS {
                return Err(InvalidBrand(InvalidBrandKind::TooMany));
            }
            self.brands.push(brand);
        }
        Ok(self)
    }

    pub(super) fn accepting_unbranded(mut self) -> Self {
        if !self.has(&Brand::NONE) {
            self.brands.push(Brand::NONE);
        }
        self
    }

    /// The brand to issue, empty for none.
    pub(super) fn issued(&self) -> &str {
        self.brands.first().map_or("", Brand::as_str)
    }

    /// All brands, the one to issue first.
    pub(super) fn brands(&self) -> impl Iterator<Item = &str> {
        self.brands.iter().map(Brand::as_str)
    }

    /// The accepted prefix that this is, if it is one.
    #[inline]
    pub(super) fn index(&self, prefix: &[u8]) -> Option<PrefixIndex> {
        let (brand, kind) = prefix.split_last_chunk::<KIND_LENGTH>()?;
        let kind = match kind {
            b"user" => KeyKind::User,
            b"team" => KeyKind::Team,
            _ => return None,
        };
        let brand = match brand {
            [] => brand,
            // A lone `_` is not the unbranded prefix.
            [brand @ .., b'_'] if !brand.is_empty() => brand,
            _ => return None,
        };
        let index = self.brands.iter().position(|accepted| accepted.is(brand))?;
        u8::try_from(index).ok().map(|index| PrefixIndex::new(index, kind))
    }

    /// Whether the text begins with an accepted prefix and a dot.
    pub(super) fn begin(&self, text: &[u8]) -> bool {
        first_word(text).is_some_and(|prefix| self.index(prefix).is_some())
    }

    /// The beginning of each accepted brand that, with its `_`, is at the end of the text before a kind. Without a
    /// brand, it is that end itself. In upper or lower case.
    pub(super) fn starts<'a>(&'a self, before_kind: &'a [u8]) -> impl Iterator<Item = usize> + use<'a> {
        self.brands.iter().filter_map(|brand| {
            if brand.length == 0 {
                return Some(before_kind.len());
            }
            let before = before_kind.strip_suffix(b"_")?;
            let start = before.len().checked_sub(brand.length)?;
            before.get(start..)?.eq_ignore_ascii_case(brand.as_bytes()).then_some(start)
        })
    }

    fn has(&self, brand: &Brand) -> bool {
        self.brands.iter().any(|accepted| accepted.is(brand.as_bytes()))
    }
}

/// The text before the first dot, if that can be a prefix.
pub(super) fn first_word(text: &[u8]) -> Option<&[u8]> {
    let dot = text.iter().take(LONGEST_PREFIX + 1).position(|&byte| byte == b'.')?;
    text.get(..dot)
}

/// Why a brand cannot be used.
///
/// ```
/// use tower_api_keys::key::{InvalidBrandKind, KeyFormat};
///
/// let error = KeyFormat::branded("Acme Corp").unwrap_err();
/// assert_eq!(error.kind(), InvalidBrandKind::Form);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", match .0 {
    InvalidBrandKind::Form => "a brand must have 1 to 16 lower-case letters or digits, and the first must be a letter",
    InvalidBrandKind::TooMany => "a key format can accept at most 16 brands",
})]
pub struct InvalidBrand(InvalidBrandKind);

impl InvalidBrand {
    /// What is wrong with it.
    #[must_use]
    pub const fn kind(&self) -> InvalidBrandKind {
        self.0
    }
}

/// What is wrong with a brand.
///
/// ```
/// use tower_api_keys::key::{InvalidBrandKind, KeyFormat};
///
/// let mut format = KeyFormat::unbranded();
/// for number in 0..16 {
///     format = format.accepting(&format!("brand{number}"))?;
/// }
/// assert_eq!(format.accepting("brand16").unwrap_err().kind(), InvalidBrandKind::TooMany);
/// # Ok::<(), tower_api_keys::key::InvalidBrand>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidBrandKind {
    /// Not 1 to 16 lower-case ASCII letters and digits, the first a letter.
    Form,
    /// The format accepts 16 brands already.
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brands_have_1_to_16_lower_case_letters_and_digits() {
        for brand in ["a", "acme", "a1", "abcdefghijklmnop"] {
            assert!(Prefixes::branded(brand).is_ok(), "{brand:?}");
        }
        for brand in ["", "1a", "A", "aB", "a_b", "a-b", "a.b", "é", " a", "abcdefghijklmnopq"] {
            assert_eq!(Prefixes::branded(brand).unwrap_err().kind(), InvalidBrandKind::Form, "{brand:?}");
        }
    }

    #[test]
    fn accepting_again_changes_nothing() {
        let prefixes =
            Prefixes::branded("a").unwrap().accepting("a").unwrap().accepting_unbranded().accepting_unbranded();
        assert_eq!(prefixes.brands.len(), 2);
    }

    #[test]
    fn seventeenth_brand_is_refused_and_unbranded_does_not_count() {
        let mut prefixes = Prefixes::unbranded();
        for number in 0..16 {
            prefixes = prefixes.accepting(&format!("b{number}")).unwrap();
        }
        assert_eq!(prefixes.index(b"b15_team").unwrap().kind(), KeyKind::Team);
        assert_eq!(prefixes.clone().accepting("b16").unwrap_err().kind(), InvalidBrandKind::TooMany);
        assert!(prefixes.accepting("b0").is_ok());
    }

    #[test]
    fn each_accepted_prefix_has_an_index_of_its_own_that_accepting_more_keeps() {
        let format = Prefixes::branded("a").unwrap();
        let before = format.index(b"a_team");
        let more = format.accepting("b").unwrap().accepting_unbranded();
        assert_eq!(more.index(b"a_team"), before);
        let all: Vec<_> = [&b"a_user"[..], b"a_team", b"b_user", b"b_team", b"user", b"team"]
            .iter()
            .map(|prefix| more.index(prefix).unwrap())
            .collect();
        for (position, index) in all.iter().enumerate() {
            assert!(!all[..position].contains(index));
            assert_eq!(index.kind(), if position % 2 == 0 { KeyKind::User } else { KeyKind::Team });
        }
    }

    #[test]
    fn only_the_exact_prefix_has_an_index() {
        let prefixes = Prefixes::unbranded().accepting("a").unwrap();
        for prefix in
            ["", "use", "User", "TEAM", "_user", "__user", "auser", "a__user", "b_user", "a_use", "xuser", "user_"]
        {
            assert_eq!(prefixes.index(prefix.as_bytes()), None, "{prefix:?}");
        }
    }
}
