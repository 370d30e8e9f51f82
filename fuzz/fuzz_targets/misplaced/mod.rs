//! An independent description of the places in a text where a key may be.

use super::shared::ALPHABET;

/// Whether the text, plain or decoded once, contains something with the shape of an unbranded key.
pub fn holds_key(text: &[u8]) -> bool {
    let base64 = |byte: u8| match byte {
        b'+' => Some(62),
        b'/' => Some(63),
        _ => ALPHABET.iter().position(|&character| character == byte),
    };
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as usize);
    let in_any_case = |text: &[u8]| has_shape(text, |word| is_prefix(&word.to_ascii_lowercase()));
    let joined = join(text);
    let in_digits = |text: &[u8]| any_run(text, 6, 2, base64) || any_run(text, 4, 1, hex);
    in_any_case(text) || in_digits(text) || in_digits(&joined) || in_any_case(&unescape(text))
}

/// The text without blanks, if one of them follows 32 or more other characters. A backslash with `n`, `r` or `t` is
/// also a blank.
fn join(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let (mut lines, mut place) = (vec![Vec::new()], 0);
    while place < text.len() {
        let is_escape = text[place] == b'\\' && text.get(place + 1).is_some_and(|byte| b"nrt".contains(byte));
        if is_escape || text[place].is_ascii_whitespace() {
            lines.push(Vec::new());
        } else if let Some(line) = lines.last_mut() {
            line.push(text[place]);
        }
        place += if is_escape { 2 } else { 1 };
    }
    let last = lines.pop().unwrap_or_default();
    if lines.iter().any(|line| line.len() >= 32) { [lines.concat(), last].concat() } else { Vec::new() }
}

fn is_prefix(word: &[u8]) -> bool {
    word == b"user." || word == b"team."
}

fn has_shape(text: &[u8], is_word: impl Fn(&[u8]) -> bool) -> bool {
    text.windows(74).any(|key| {
        let alphabet = |range: std::ops::Range<usize>| key[range].iter().all(|byte| ALPHABET.contains(byte));
        is_word(&key[..5]) && alphabet(5..25) && key[25] == b'.' && alphabet(26..74)
    })
}

/// Whether a run of digits of `bits` bits holds a key. The key may begin at one of the first places of the run, and
/// each character may take 1 to `widest` bytes.
fn any_run(text: &[u8], bits: usize, widest: usize, value: impl Fn(u8) -> Option<usize>) -> bool {
    text.split(|&byte| value(byte).is_none()).any(|run| {
        (0..run.len().min(4)).any(|start| {
            let digits = run[start..].iter().filter_map(|&byte| value(byte));
            let stream: Vec<usize> =
                digits.flat_map(|digit| (0..bits).rev().map(move |bit| (digit >> bit) & 1)).collect();
            let byte = |bits: &[usize]| bits.iter().fold(0, |byte, &bit| (byte << 1) | bit as u8);
            let bytes: Vec<u8> = stream.chunks_exact(8).map(byte).collect();
            (1..=widest).any(|width| {
                let has_key =
                    |skip| has_shape(&bytes.iter().copied().skip(skip).step_by(width).collect::<Vec<_>>(), is_prefix);
                (0..width).any(has_key)
            })
        })
    })
}

/// The text without escapes: two digits after `%`, `%u00`, `\x`, `\u00` and `\U000000`; `\u{2e}`, `\056`, `\.` and
/// `=2E`; `&#46;`, `&#x2E;` and `&period;`. Zero bytes are left out.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some(&first) = text.first() {
        let number = |digits: &[u8], radix| {
            let digits = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, radix).ok()
        };
        let fixed =
            |from: usize, length: usize, radix| Some((number(text.get(from..from + length)?, radix)?, from + length));
        // The bytes between a beginning and an end that is at most nine bytes later.
        let between = |from: usize, end: u8| {
            let length = text.get(from..)?.iter().take(9).position(|&byte| byte == end)?;
            Some((&text[from..from + length], from + length + 1))
        };
        let entity = || {
            let (name, end) = between(1, b';')?;
            let byte = match name {
                b"period" => b'.',
                b"lowbar" => b'_',
                [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
                [b'#', digits @ ..] => number(digits, 10)?,
                _ => return None,
            };
            Some((byte, end))
        };
        let escape = match text {
            [b'%', b'u' | b'U', b'0', b'0', ..] => fixed(4, 2, 16),
            [b'%', ..] => fixed(1, 2, 16),
            [b'\\', b'x', ..] => fixed(2, 2, 16),
            [b'\\', b'u', b'0', b'0', ..] => fixed(4, 2, 16),
            [b'\\', b'U', b'0', b'0', b'0', b'0', b'0', b'0', ..] => fixed(8, 2, 16),
            [b'\\', b'u', b'{', ..] => between(3, b'}').and_then(|(digits, end)| Some((number(digits, 16)?, end))),
            [b'\\', b'0' | b'1', ..] => fixed(1, 3, 8),
            [b'\\', byte @ (b'.' | b'-' | b'_'), ..] => Some((*byte, 2)),
            [b'=', ..] => fixed(1, 2, 16).filter(|(byte, _)| b".-_".contains(byte)),
            [b'&', ..] => entity(),
            _ => None,
        };
        let (byte, length) = escape.unwrap_or((first, 1));
        // UTF-16 has a zero beside each character.
        if byte != 0 {
            plain.push(byte);
        }
        text = &text[length..];
    }
    plain
}
