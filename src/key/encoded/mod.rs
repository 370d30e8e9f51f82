//! Keys that were encoded on their way: in base64, also of UTF-16, in hexadecimal digits, with escapes, or in UTF-16
//! that was read as bytes.

use zeroize::Zeroizing;

use super::layout::{LONGEST_BRAND, SHORTEST_KEY};

/// `user.` and `team.` within base64 and in hexadecimal digits: the characters that do not depend on their neighbours.
///
/// In base64 they depend on how many bytes of their group of three come before. Both alphabets write keys alike: no
/// three characters of a key give one of the two characters in which the alphabets differ.
const MARKS: [Mark; 14] = [
    Mark { text: *b"dXNlci", code: Code::Base64 { before: 0, width: 1 } },
    Mark { text: *b"VzZXIu", code: Code::Base64 { before: 1, width: 1 } },
    Mark { text: *b"1c2VyL", code: Code::Base64 { before: 2, width: 1 } },
    Mark { text: *b"dGVhbS", code: Code::Base64 { before: 0, width: 1 } },
    Mark { text: *b"RlYW0u", code: Code::Base64 { before: 1, width: 1 } },
    Mark { text: *b"0ZWFtL", code: Code::Base64 { before: 2, width: 1 } },
    // The same in UTF-16, which is what PowerShell and .NET call Unicode. In both byte orders a zero is between two
    // characters.
    Mark { text: *b"dQBzAG", code: Code::Base64 { before: 0, width: 2 } },
    Mark { text: *b"UAcwBl", code: Code::Base64 { before: 1, width: 2 } },
    Mark { text: *b"1AHMAZ", code: Code::Base64 { before: 2, width: 2 } },
    Mark { text: *b"dABlAG", code: Code::Base64 { before: 0, width: 2 } },
    Mark { text: *b"QAZQBh", code: Code::Base64 { before: 1, width: 2 } },
    Mark { text: *b"0AGUAY", code: Code::Base64 { before: 2, width: 2 } },
    Mark { text: *b"757365", code: Code::Hex },
    Mark { text: *b"746561", code: Code::Hex },
];

/// Characters of a mark.
const MARK: usize = 6;
/// How many bytes before the kind may belong to a prefix.
const BRAND: usize = LONGEST_BRAND + 1;
/// Bytes around a mark that are decoded: a brand, the key, and the rest of two groups of base64.
const AROUND: usize = BRAND + SHORTEST_KEY + 5;
/// No name of a scheme is this long, and all lines of base64 that tools break are longer.
const SHORTEST_LINE: usize = 32;
/// Where the dots of a key are, counted from its kind.
const DOTS: [usize; 2] = [4, 25];

#[derive(Clone, Copy)]
struct Mark {
    text: [u8; MARK],
    code: Code,
}

#[derive(Clone, Copy)]
enum Code {
    /// How many bytes of the first group come before the kind, and the bytes of each character of a key.
    Base64 {
        before: usize,
        width: usize,
    },
    Hex,
}

/// The marks that have a byte as their first, second or third, one bit each.
#[expect(clippy::indexing_slicing, reason = "the loops end where the tables do, and run in the compiler")]
const MARKED: [[u16; 256]; 3] = {
    let mut marked = [[0; 256]; 3];
    let mut mark = 0;
    while mark < MARKS.len() {
        let mut place = 0;
        while place < marked.len() {
            marked[place][MARKS[mark].text[place] as usize] |= 1 << mark;
            place += 1;
        }
        mark += 1;
    }
    marked
};

/// Whether a part of this text, decoded once, satisfies the function. The function gets each part that may be a key,
/// with enough text before it for the longest prefix.
///
/// Takes time in proportion to the length of the text, and memory only if the text has blanks or escapes. Decoded text
/// is wiped.
pub(super) fn any_decoded(text: &[u8], mut is_it: impl FnMut(&[u8]) -> bool) -> bool {
    any_marked(text, &mut is_it)
        || joined(text).is_some_and(|text| any_marked(&text, &mut is_it))
        || unescaped(text).is_some_and(|text| is_it(&text))
}

fn any_marked(text: &[u8], mut is_it: impl FnMut(&[u8]) -> bool) -> bool {
    let [first, second, third] = &MARKED;
    #[expect(clippy::indexing_slicing, reason = "the tables have an entry for each of 256 bytes")]
    let marks = |window: &[u8]| match window {
        [a, b, c, ..] => first[usize::from(*a)] & second[usize::from(*b)] & third[usize::from(*c)],
        _ => 0,
    };
    let mut windows = text.windows(MARK).enumerate();
    windows.any(|(place, window)| marks(window) != 0 && is_marked(text, place, window, &mut is_it))
}

#[cold]
fn is_marked(text: &[u8], place: usize, window: &[u8], mut is_it: impl FnMut(&[u8]) -> bool) -> bool {
    MARKS.iter().filter(|mark| mark.text == *window).any(|mark| match mark.code {
        Code::Base64 { before, width } => {
            Coded::<6>::at(text, place, before, width).is_some_and(|coded| coded.holds(&mut is_it))
        }
        Code::Hex => Coded::<4>::at(text, place, 0, 1).is_some_and(|coded| coded.holds(&mut is_it)),
    })
}

/// An encoded text, beginning with a possible brand. Each of its characters has this number of bits.
struct Coded<'a, const BITS: usize> {
    text: &'a [u8],
    /// Which of its bytes is the first of the kind.
    kind: usize,
    /// Bytes for each character.
    width: usize,
}

impl<'a, const BITS: usize> Coded<'a, BITS> {
    /// The fewest characters that hold whole bytes, and the number of those bytes.
    const GROUP: (usize, usize) = if BITS == 6 { (4, 3) } else { (2, 1) };

    /// The coded text of a mark that begins here, with `before` bytes before the kind in its first group.
    fn at(text: &'a [u8], mark: usize, before: usize, width: usize) -> Option<Self> {
        let (characters, bytes) = Self::GROUP;
        // A mark begins with the first character that does not depend on the byte before.
        let group = mark.checked_sub(if before == 0 { 0 } else { before + 1 })?;
        let groups = text.get(..group)?.rchunks_exact(characters).take((BRAND * width).div_ceil(bytes));
        let groups = groups.take_while(|group| group.iter().all(|character| Self::value(*character).is_some())).count();
        Some(Self { text: text.get(group - groups * characters..)?, kind: groups * bytes + before, width })
    }

    /// Whether the text here, decoded, satisfies the function. Checks for two dots in their places first: to decode at
    /// each word `user` would cost more than all the rest.
    fn holds(&self, is_it: impl FnOnce(&[u8]) -> bool) -> bool {
        if !DOTS.iter().all(|dot| self.byte(self.kind + dot * self.width) == Some(b'.')) {
            return false;
        }
        let mut decoded = Zeroizing::new([0; AROUND]);
        let mut length = 0;
        for place in decoded.iter_mut() {
            let Some(byte) = self.byte(self.kind % self.width + length * self.width) else { break };
            *place = byte;
            length += 1;
        }
        decoded.get(..length).is_some_and(is_it)
    }

    /// Its byte with this number.
    fn byte(&self, number: usize) -> Option<u8> {
        let (first, last) = (number * 8 / BITS, (number * 8 + 7) / BITS);
        let mut bits = 0_u16;
        for character in self.text.get(first..=last)? {
            bits = bits << BITS | u16::from(Self::value(*character)?);
        }
        let beyond = (last + 1) * BITS - (number + 1) * 8;
        let [_, byte] = (bits >> beyond).to_be_bytes();
        Some(byte)
    }

    const fn value(character: u8) -> Option<u8> {
        if BITS == 6 { base64_value(character) } else { hex_value(character) }
    }
}

/// The text without blanks, if a long run comes before one: tools break base64 into lines, and a line break becomes a
/// blank on its way into a header, and `\n` on its way into JSON.
fn joined(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = text.trim_ascii();
    let has_breaks = rest.iter().fold(false, |any, &byte| any | matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\\'));
    if !has_breaks {
        return None;
    }
    // Allocated at full size: growth would leave copies behind.
    let mut joined = Zeroizing::new(Vec::with_capacity(rest.len()));
    let (mut line, mut is_broken) = (0, false);
    while let [byte, behind @ ..] = rest {
        let behind_break = match rest {
            [b'\\', b'n' | b'r' | b't', behind @ ..] => Some(behind),
            _ if byte.is_ascii_whitespace() => Some(behind),
            _ => None,
        };
        if behind_break.is_some() {
            is_broken |= line >= SHORTEST_LINE;
            line = 0;
        } else {
            joined.push(*byte);
            line += 1;
        }
        rest = behind_break.unwrap_or(behind);
    }
    is_broken.then_some(joined)
}

/// The text without the escapes of addresses, of programming languages, of HTML, of e-mails (RFC 2047) and of quoted
/// strings (RFC 9110 §5.6.4), and without the zeros that UTF-16 has beside each character, if it has any.
fn unescaped(mut text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let has_escapes = text.iter().fold(false, |any, &byte| any | matches!(byte, 0 | b'%' | b'\\' | b'&'));
    // A `=` is in many credentials.
    if !has_escapes && !text.windows(2).any(|pair| matches!(pair, [b'=', b'2' | b'5'])) {
        return None;
    }
    // Allocated at full size: growth would leave copies behind.
    let mut unescaped = Zeroizing::new(Vec::with_capacity(text.len()));
    while let [byte, rest @ ..] = text {
        let (byte, rest) = escape(text).unwrap_or((*byte, rest));
        if byte != 0 {
            unescaped.push(byte);
        }
        text = rest;
    }
    Some(unescaped)
}

/// The ASCII character whose escape the text begins with, and the rest.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'%', b'u' | b'U', b'0', b'0', rest @ ..]
        | [b'%', rest @ ..]
        | [b'\\', b'x', rest @ ..]
        | [b'\\', b'u', b'0', b'0', rest @ ..]
        | [b'\\', b'U', b'0', b'0', b'0', b'0', b'0', b'0', rest @ ..] => {
            let (digits, rest) = rest.split_at_checked(2)?;
            Some((number(digits, 16)?, rest))
        }
        [b'\\', b'u', b'{', rest @ ..] => {
            let (digits, rest) = up_to(b'}', rest)?;
            Some((number(digits, 16)?, rest))
        }
        [b'\\', b'0' | b'1', _, _, rest @ ..] => Some((number(text.get(1..4)?, 8)?, rest)),
        [b'\\', byte @ (b'.' | b'-' | b'_'), rest @ ..] => Some((*byte, rest)),
        // Only what e-mails escape of a key: a brand may follow a `=`, and many begin like a number.
        [b'=', digits @ ..] => {
            let (digits, rest) = digits.split_at_checked(2)?;
            Some((number(digits, 16).filter(|byte| matches!(byte, b'.' | b'-' | b'_'))?, rest))
        }
        [b'&', rest @ ..] => {
            let (name, rest) = up_to(b';', rest)?;
            let character = match name {
                [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
                [b'#', digits @ ..] => number(digits, 10)?,
                b"period" => b'.',
                b"lowbar" => b'_',
                _ => return None,
            };
            Some((character, rest))
        }
        _ => None,
    }
}

/// The text before the end of an escape, which is near, and the text after it.
fn up_to(end: u8, text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().take(9).position(|byte| *byte == end)?;
    Some((text.get(..length)?, text.get(length + 1..)?))
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    // A sign would be accepted, too.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

const fn base64_value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

const fn hex_value(character: u8) -> Option<u8> {
    Some(match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        b'A'..=b'F' => character - b'A' + 10,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
