//! The one search for keys in other texts: in headers, names, user agents, lines of logs, pasted leaks.

use std::ops::Range;

use super::{
    checksum::checksum,
    id::KeyId,
    layout::{ID_LENGTH, KIND_LENGTH, LONGEST_BRAND, SECRET_LENGTH, all_base64url, is_base64url},
    prefix::Prefixes,
};
use crate::owner::KeyKind;

/// A key found in a text. Holds its position, and copies only the id.
///
/// Made by [`KeyFormat::find_in`](super::KeyFormat::find_in).
///
/// ```
/// use tower_api_keys::key::KeyFormat;
///
/// let line = b"x-api-key: user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ\r\n";
/// let found = KeyFormat::unbranded().find_in(line).next().ok_or("no key")?;
/// assert_eq!((found.at, found.id.as_str(), found.is_whole), (11..85, "AAECAwQFBgcICQoLDA0O", true));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInText {
    /// Its bytes in the text, from the prefix to the checksum: 74 to 91 of them.
    pub at: Range<usize>,
    /// Its id, as in the text.
    pub id: KeyId,
    /// The kind that its prefix names.
    pub kind: KeyKind,
    /// Whether these bytes are a well-formed key: the prefix is in lower case and the checksum is right. Otherwise at
    /// least one character differs from the issued key, and all others may be those of a secret.
    pub is_whole: bool,
}

/// All keys with an accepted prefix, in order of position.
pub(super) fn find<'a>(text: &'a [u8], prefixes: &'a Prefixes) -> impl Iterator<Item = KeyInText> + use<'a> {
    seams(text).filter_map(move |seam| key_at(text, &seam, prefixes))
}

/// The dot between a possible id, or the end of one, and a possible secret.
pub(super) struct Seam {
    pub(super) dot: usize,
    /// How many characters of an id come before it: 1 to 20.
    pub(super) id_length: usize,
    /// The word before the id, if the id has its full length and a dot before it. In upper or lower case, of any brand.
    pub(super) kind: Option<KeyKind>,
}

/// All positions where an id and a secret may join. Reads each byte, and 26 more for each dot.
pub(super) fn seams(text: &[u8]) -> impl Iterator<Item = Seam> {
    dots(text).filter_map(move |dot| {
        let before = text.get(..dot)?;
        let id_length = before.iter().rev().take(ID_LENGTH + 1).take_while(|byte| is_base64url(**byte)).count();
        let kind = before.len().checked_sub(ID_LENGTH).filter(|_| id_length == ID_LENGTH);
        let kind = kind.and_then(|id| kind_before(before.get(..id)?));
        (1..=ID_LENGTH).contains(&id_length).then_some(Seam { dot, id_length, kind })
    })
}

/// The positions of the dots. Most texts have few, and vector instructions skip parts without one.
fn dots(text: &[u8]) -> impl Iterator<Item = usize> {
    const STRIDE: usize = 32;
    let strides = text.chunks(STRIDE).enumerate();
    let dotted = strides.filter(|(_, stride)| stride.iter().fold(false, |any, &byte| any | (byte == b'.')));
    dotted.flat_map(|(number, stride)| {
        let bytes = stride.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        bytes.map(move |(place, _)| number * STRIDE + place)
    })
}

/// The kind at the end of a text, followed by a dot.
fn kind_before(text: &[u8]) -> Option<KeyKind> {
    let [rest @ .., b'.'] = text else { return None };
    let word = rest.last_chunk::<KIND_LENGTH>()?;
    [KeyKind::User, KeyKind::Team].into_iter().find(|kind| word.eq_ignore_ascii_case(kind.as_str().as_bytes()))
}

/// The key around this dot, if it has an accepted prefix.
///
/// Any text may come before the prefix: people glue keys to words. So `old_user.…` may be a key of the brand `old`, or
/// a key without a brand after `old_`. The checksum decides, because it covers the prefix.
fn key_at(text: &[u8], seam: &Seam, prefixes: &Prefixes) -> Option<KeyInText> {
    let kind = seam.kind?;
    let (before, behind) = text.split_at_checked(seam.dot)?;
    let secret = behind.get(1..)?.first_chunk::<SECRET_LENGTH>()?;
    if !all_base64url(secret) {
        return None;
    }
    let id = KeyId::from_bytes(before.last_chunk()?)?;
    let prefix_end = before.len().checked_sub(ID_LENGTH + 1)?;
    let before_kind = text.get(..prefix_end.checked_sub(KIND_LENGTH)?)?;
    let end = seam.dot + 1 + SECRET_LENGTH;
    let key = |start, is_whole| KeyInText { at: start..end, id, kind, is_whole };
    let has_its_checksum = |start: usize| {
        let split = text.get(start..end).and_then(<[u8]>::split_last_chunk);
        split.is_some_and(|(covered, stated)| checksum(covered) == *stated)
    };
    let mut longest: Option<usize> = None;
    for start in prefixes.starts(before_kind) {
        if has_its_checksum(start) && prefixes.index(text.get(start..prefix_end)?).is_some() {
            return Some(key(start, true));
        }
        longest = Some(longest.map_or(start, |longest| longest.min(start)));
    }
    let longest = longest?;
    let is_of_another_brand = brand_starts(before_kind).any(has_its_checksum);
    (!is_of_another_brand).then(|| key(longest, false))
}

/// The possible beginnings of a brand whose `_` is the last character of the text.
fn brand_starts(text: &[u8]) -> impl Iterator<Item = usize> {
    let brand = text.strip_suffix(b"_").unwrap_or_default();
    let letters = |byte: &&u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let length = brand.iter().rev().take(LONGEST_BRAND).take_while(letters).count();
    let places = brand.len() - length..brand.len();
    places.filter(|place| brand.get(*place).is_some_and(u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests;
