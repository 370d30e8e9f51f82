//! The kinds of characters in a text: those of keys, those that people and programs put around them, and those that
//! look like them.

use std::str::{self, Utf8Chunk};

use crate::{key::layout::is_base64url, text::is_ignorable};

/// A byte order mark that was read as three characters of Latin-1.
const MISREAD_MARK: &[u8] = "\u{ef}\u{bb}\u{bf}".as_bytes();

/// The kinds of characters in a text.
#[derive(Clone, Copy)]
pub(super) struct CharacterKinds(u16);

impl CharacterKinds {
    pub(super) const BRACKET: u16 = 1;
    pub(super) const COLON: u16 = 2;
    /// `-`, `_` and the dot: characters of keys that are no letters.
    const JOINT: u16 = 4;
    /// What a masked copy has instead of the secret.
    pub(super) const MASK: u16 = 8;
    const NOT_ASCII: u16 = 16;
    /// The rest of ASCII.
    const OTHER: u16 = 32;
    pub(super) const QUOTE: u16 = 64;
    /// Includes invisible characters.
    pub(super) const SPACE: u16 = 128;
    pub(super) const STAR: u16 = 256;
    /// Beyond ASCII, and none of the others; includes look-alikes of dashes, dots and letters.
    pub(super) const STRANGE: u16 = 512;
    /// Letters and digits of ASCII, and of scripts that no one-byte encoding confuses with something else.
    pub(super) const WORD: u16 = 1024;

    /// The class of each byte: with a table the reason takes tens of nanoseconds.
    #[expect(clippy::indexing_slicing, reason = "the loop ends where the table does, and runs in the compiler")]
    const CLASSES: [u16; 256] = {
        let mut classes = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            classes[byte] = Self::class(byte as u8);
            byte += 1;
        }
        classes
    };

    #[inline]
    pub(super) fn in_text(text: &[u8]) -> Self {
        if is_plain(text) { Self(if text.is_empty() { 0 } else { Self::WORD }) } else { Self::in_odd_text(text) }
    }

    // Not inlined, like other code that few texts need: the path of texts that are nearly keys has to stay short.
    #[inline(never)]
    fn in_odd_text(text: &[u8]) -> Self {
        #[expect(clippy::indexing_slicing, reason = "there is a class for each of 256 bytes")]
        let seen = text.iter().fold(0, |seen, &byte| seen | Self::CLASSES[usize::from(byte)]);
        if seen & Self::NOT_ASCII == 0 {
            return Self(seen);
        }
        Self(seen & !Self::NOT_ASCII | Self::beyond_ascii(text))
    }

    pub(super) const fn class(byte: u8) -> u16 {
        match byte {
            b'<' | b'[' => Self::BRACKET,
            b':' => Self::COLON,
            0x80.. => Self::NOT_ASCII,
            b'"' | b'\'' | b'`' => Self::QUOTE,
            b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => Self::SPACE,
            b'*' => Self::STAR,
            b'-' | b'_' | b'.' => Self::JOINT,
            _ if byte.is_ascii_alphanumeric() => Self::WORD,
            _ => Self::OTHER,
        }
    }

    /// The kinds of the first character and of the last, except blanks of ASCII: these are where a scheme has one.
    pub(super) fn at_edges(text: &[u8]) -> Self {
        let kinds = |character: &[u8]| match character {
            &[byte @ ..0x80] => Self::class(byte) & Self::QUOTE,
            _ => Self::beyond_ascii(character),
        };
        Self(kinds(first_character(text)) | kinds(last_character(text)))
    }

    /// The kinds of the characters that are not ASCII, in UTF-8 or of one byte each.
    fn beyond_ascii(mut text: &[u8]) -> u16 {
        let mut seen = 0;
        if let Some(rest) = text.strip_prefix(MISREAD_MARK) {
            (seen, text) = (Self::SPACE, rest);
        }
        for chunk in text.utf8_chunks() {
            let characters = chunk.valid().chars().filter(|character| !character.is_ascii());
            seen = characters.fold(seen, |seen, character| seen | Self::of_character(character));
            seen = chunk.invalid().iter().fold(seen, |seen, &byte| seen | Self::of_lone_byte(byte));
        }
        seen
    }

    /// By the properties `Quotation_Mark` and `White_Space` of the Unicode Character Database, by what programs may
    /// leave out, and by what people type and paste instead.
    fn of_character(character: char) -> u16 {
        match character {
            // Includes primes, accents and angle brackets.
            '\u{ab}'
            | '\u{b4}'
            | '\u{bb}'
            | '\u{2b9}'..='\u{2bf}'
            | '\u{2c8}'
            | '\u{2ca}'
            | '\u{2cb}'
            | '\u{2ee}'
            | '\u{5f3}'
            | '\u{5f4}'
            | '\u{2018}'..='\u{201f}'
            | '\u{2032}'..='\u{2037}'
            | '\u{2039}'
            | '\u{203a}'
            | '\u{275b}'..='\u{275e}'
            | '\u{276e}'
            | '\u{276f}'
            | '\u{2e42}'
            | '\u{3008}'..='\u{300f}'
            | '\u{301d}'..='\u{301f}'
            | '\u{fe41}'..='\u{fe44}'
            | '\u{ff02}'
            | '\u{ff07}'
            | '\u{ff40}'
            | '\u{ff62}'
            | '\u{ff63}'
            | '\u{1f676}'..='\u{1f678}' => Self::QUOTE,
            // Bullets, ellipses, stars, and blocks.
            '\u{2022}' | '\u{2025}' | '\u{2026}' | '\u{2217}' | '\u{22ef}' | '\u{2588}' | '\u{25a0}' | '\u{25aa}'
            | '\u{25cb}' | '\u{25cf}' | '\u{25e6}' | '\u{26ab}' | '\u{2b1b}' | '\u{2b24}' | '\u{ff0a}' => Self::MASK,
            _ if character.is_whitespace() || is_ignorable(character) => Self::SPACE,
            _ if character > '\u{ff}' && character.is_alphanumeric() => Self::STRANGE | Self::WORD,
            _ => Self::STRANGE,
        }
    }

    /// A byte outside UTF-8, as read by Latin-1 and Windows-1252: some clients send those, one byte for each character.
    const fn of_lone_byte(byte: u8) -> u16 {
        match byte {
            0x82 | 0x84 | 0x8b | 0x91..=0x94 | 0x9b | 0xab | 0xb4 | 0xbb => Self::QUOTE,
            0x85 | 0x95 => Self::MASK,
            0xa0 | 0xad => Self::SPACE,
            _ => Self::STRANGE,
        }
    }

    pub(super) const fn has(self, class: u16) -> bool {
        self.0 & class != 0
    }

    /// Whether there is anything visible that people do not mistake for the edge of the key.
    pub(super) const fn has_text(self) -> bool {
        self.has(!(Self::QUOTE | Self::SPACE | Self::STRANGE))
    }

    pub(super) const fn is_plain(self) -> bool {
        self.0 & !Self::WORD == 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

fn first_character(text: &[u8]) -> &[u8] {
    let of_chunk = |chunk: Utf8Chunk<'_>| chunk.valid().chars().next().map_or(1, char::len_utf8);
    let length =
        if text.starts_with(MISREAD_MARK) { MISREAD_MARK.len() } else { text.utf8_chunks().next().map_or(0, of_chunk) };
    text.get(..length).unwrap_or_default()
}

fn last_character(text: &[u8]) -> &[u8] {
    let of_length = |length: usize| text.get(text.len().checked_sub(length)?..);
    let is_one = |end: &&[u8]| str::from_utf8(end).is_ok_and(|end| end.chars().count() == 1);
    (2..=4).filter_map(of_length).find(is_one).or_else(|| of_length(1)).unwrap_or_default()
}

/// How many characters a text has, where each byte outside UTF-8 counts as one.
pub(super) fn count(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// Whether a text has only characters of keys, as most have. Checks 16 at a time, for which there are vector
/// instructions, and the last 16 a second time: otherwise the remainder would be checked one by one.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let is_odd = |byte: u8| u8::from(!(is_base64url(byte) | (byte == b'.')));
    let look = |mut odd: [u8; 16], chunk: &[u8; 16]| {
        odd.iter_mut().zip(chunk).for_each(|(odd, &byte)| *odd |= is_odd(byte));
        odd
    };
    let (chunks, rest) = text.as_chunks();
    match text.last_chunk() {
        Some(last) => chunks.iter().fold(look([0; 16], last), look) == [0; 16],
        None => rest.iter().all(|&byte| is_odd(byte) == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_character_is_seen_wherever_it_stands() {
        for length in 0..=64 {
            let mut text = vec![b'a'; length];
            assert!(is_plain(&text));
            for place in 0..length {
                text[place] = b'"';
                assert!(!is_plain(&text), "{place} of {length}");
                text[place] = b'.';
            }
        }
    }

    #[test]
    fn every_byte_has_a_kind_and_so_has_nothing() {
        for byte in 0..=u8::MAX {
            let kinds = CharacterKinds::in_text(&[byte]);
            assert_ne!(kinds.0, 0, "{byte}");
            assert!(!kinds.has(CharacterKinds::NOT_ASCII), "{byte}");
            assert_eq!(kinds.is_plain(), is_base64url(byte) || byte == b'.', "{byte}");
        }
        assert!(!CharacterKinds::in_text(b"").has_text());
    }

    #[test]
    fn edges_are_characters_of_any_length() {
        let has = |text: &[u8], class| CharacterKinds::at_edges(text).has(class);
        for text in ["'x", "x\"", "\u{201e}x", "x\u{300d}", "\u{1f676}x", "'", "\u{bb}"] {
            assert!(has(text.as_bytes(), CharacterKinds::QUOTE), "{text}");
        }
        for text in ["\u{a0}x", "x\u{200b}", "\u{ef}\u{bb}\u{bf}x", "\u{e0001}"] {
            assert!(has(text.as_bytes(), CharacterKinds::SPACE), "{text}");
        }
        assert!(has(b"x\xa0", CharacterKinds::SPACE) && has(b"\x93x", CharacterKinds::QUOTE));
        for text in ["", "x", " x ", "x'x", "x\u{2019}x", "\u{e9}"] {
            assert!(!has(text.as_bytes(), CharacterKinds::QUOTE | CharacterKinds::SPACE), "{text}");
        }
    }

    #[test]
    fn characters_are_counted_in_any_encoding() {
        for (text, characters) in [(&b""[..], 0), (b"abc", 3), ("a\u{2013}b".as_bytes(), 3), (b"a\xa0\xffb", 4)] {
            assert_eq!(count(text), characters, "{}", text.escape_ascii());
        }
    }
}
