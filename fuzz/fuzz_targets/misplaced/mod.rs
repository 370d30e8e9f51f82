//! Where in a text a key may be, described a second time.

use super::shared::ALPHABET;

/// Whether something with the shape of a key without a brand is in the text, or in what one decoding makes of it.
pub fn holds_key(text: &[u8]) -> bool {
    let base64 = |byte: u8| match byte {
        b'+' => Some(62),
        b'/' => Some(63),
        _ => ALPHABET.iter().position(|&character| character == byte),
    };
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as usize);
    let in_any_case = |text: &[u8]| has_shape(text, |word| is_prefix(&word.to_ascii_lowercase()));
    let joined = join(text);
    let in_digits = |text: &[u8]| any_run(text, 6, base64) || any_run(text, 4, hex);
    in_any_case(text) || in_digits(text) || in_digits(&joined) || in_any_case(&unescape(text))
}

/// Without blanks, if 32 characters or more stand before one.
fn join(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.trim_ascii().split(u8::is_ascii_whitespace).collect();
    let last = lines.pop().unwrap_or_default();
    if lines.iter().any(|line| line.len() >= 32) { [lines.concat().as_slice(), last].concat() } else { Vec::new() }
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

/// Whether some run of digits of so many bits holds a key, from one of the first places of the run on.
fn any_run(text: &[u8], bits: usize, value: impl Fn(u8) -> Option<usize>) -> bool {
    text.split(|&byte| value(byte).is_none()).any(|run| {
        (0..run.len().min(4)).any(|start| {
            let digits = run[start..].iter().filter_map(|&byte| value(byte));
            let stream: Vec<usize> =
                digits.flat_map(|digit| (0..bits).rev().map(move |bit| (digit >> bit) & 1)).collect();
            let byte = |bits: &[usize]| bits.iter().fold(0, |byte, &bit| (byte << 1) | bit as u8);
            has_shape(&stream.chunks_exact(8).map(byte).collect::<Vec<_>>(), is_prefix)
        })
    })
}

/// Without escapes: two digits behind `%`, `\x` or `\u00`, `\.`, and `&#46;` or `&#x2E;`.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some(&first) = text.first() {
        let two = |from: usize| {
            let digits = text.get(from..from + 2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            Some((u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, from + 2))
        };
        let entity = || {
            let end = 2 + text.get(2..)?.iter().take(8).position(|&byte| byte == b';')?;
            let digits = std::str::from_utf8(&text[2..end]).ok()?;
            let (digits, radix) = digits.strip_prefix(['x', 'X']).map_or((digits, 10), |digits| (digits, 16));
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            Some((u8::from_str_radix(digits, radix).ok()?, end + 1))
        };
        let escape = match text {
            [b'%', ..] => two(1),
            [b'\\', b'x', ..] => two(2),
            [b'\\', b'u', b'0', b'0', ..] => two(4),
            [b'\\', byte @ (b'.' | b'-' | b'_'), ..] => Some((*byte, 2)),
            [b'&', b'#', ..] => entity(),
            _ => None,
        };
        let (byte, length) = escape.unwrap_or((first, 1));
        plain.push(byte);
        text = &text[length..];
    }
    plain
}
