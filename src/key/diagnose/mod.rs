//! Says why a text is no key.
//!
//! Runs only for texts that are refused already, so a mistake here costs a worse sentence and never a wrong admission.
//! It allocates nothing and looks at the first 256 bytes at most.

use super::{
    error::{MalformedKey, MalformedReason},
    find::find,
    foreign::ForeignPrefixes,
    layout::{LOOKED_AT, TAIL_LENGTH, all_base64url, is_base64url, split},
    prefix::{Prefixes, first_word},
};

const WORD: &[u8] = b"bearer";
const HEADER: &[u8] = b"authorization";

/// The first reason that fits.
#[cold]
pub(super) fn diagnose(prefixes: &Prefixes, foreign: &ForeignPrefixes, text: &[u8]) -> MalformedKey {
    let head = text.get(..LOOKED_AT).unwrap_or(text);
    let seen = CharacterKinds::in_text(head);
    let (bare, behind_bearer) = bare(prefixes, head, seen);
    // What begins like one of ours is ours, whatever a foreign prefix or a word in it looks like.
    let first = first_word(bare);
    let ours = first.is_some_and(|word| prefixes.index(word).is_some());
    if !ours && let Some(issuer) = foreign.issuer(bare) {
        return MalformedKey::foreign(issuer);
    }
    MalformedKey::new(if text.is_empty() {
        MalformedReason::Empty
    } else if (is_masked(prefixes, bare, seen) || (!ours && is_placeholder(bare, seen)))
        // A key in brackets or braces is no placeholder. One that was masked at its full length has no right checksum.
        && !find(head, prefixes).any(|found| found.is_whole)
    {
        MalformedReason::Placeholder
    } else if behind_bearer {
        MalformedReason::BearerInside
    } else if seen.has(CharacterKinds::QUOTE) {
        MalformedReason::Quotes
    } else if seen.has(CharacterKinds::SPACE) {
        MalformedReason::Whitespace
    } else {
        // As long as the whole text: nothing was taken off.
        let first = if bare.len() == text.len() { first } else { first_word(text) };
        structural(prefixes, first.unwrap_or(text), text)
    })
}

/// The reason for a text that has nothing in it that could be said in words.
fn structural(prefixes: &Prefixes, prefix: &[u8], text: &[u8]) -> MalformedReason {
    if prefixes.index(prefix).is_none() {
        return MalformedReason::UnknownPrefix;
    }
    let length = prefix.len() + TAIL_LENGTH;
    if text.len() < length {
        return MalformedReason::Truncated;
    }
    if text.len() > length {
        return MalformedReason::TooLong;
    }
    let Some(parts) = split(text) else { return MalformedReason::Alphabet };
    if !all_base64url(parts.id) || !all_base64url(parts.secret) {
        return MalformedReason::Alphabet;
    }
    MalformedReason::Checksum
}

/// The reason for a key that stands in a credential of another kind, by what is before it. Where the scheme is missing or
/// is a wrong one, that comes first: whoever writes `Bearer` has the rest told next.
pub(super) fn misplaced(before: &[u8]) -> MalformedReason {
    if !before.windows(WORD.len()).any(|word| word.eq_ignore_ascii_case(WORD)) {
        return MalformedReason::MissingScheme;
    }
    let end = |length: usize| before.get(before.len().saturating_sub(length)..).unwrap_or_default();
    let edges = [before, end(3), end(2), end(1)];
    let is_quote = |text: &[u8]| {
        text.first().is_some_and(|byte| CharacterKinds::class(*byte) == CharacterKinds::QUOTE)
            || CharacterKinds::class_beyond_ascii(text) == CharacterKinds::QUOTE
    };
    if edges.into_iter().any(is_quote) {
        MalformedReason::Quotes
    } else if edges.into_iter().any(|text| CharacterKinds::class_beyond_ascii(text) == CharacterKinds::SPACE)
        || before.ends_with(b"\xa0")
    {
        // The last is the no-break space of Latin-1.
        MalformedReason::Whitespace
    } else if before.get(..HEADER.len()).is_some_and(|header| header.eq_ignore_ascii_case(HEADER)) {
        MalformedReason::BearerInside
    } else {
        MalformedReason::MissingScheme
    }
}

/// What kinds of characters a text has.
#[derive(Clone, Copy)]
struct CharacterKinds(u8);

impl CharacterKinds {
    const BRACKET: u8 = 1;
    const COLON: u8 = 2;
    const MASK: u8 = 4;
    const NOT_ASCII: u8 = 8;
    const QUOTE: u8 = 16;
    const SPACE: u8 = 32;
    const STAR: u8 = 64;

    /// The class of each byte: whoever is refused is told in tens of nanoseconds.
    #[expect(clippy::indexing_slicing, reason = "the loop ends where the table does, and runs in the compiler")]
    const CLASSES: [u8; 256] = {
        let mut classes = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            classes[byte] = Self::class(byte as u8);
            byte += 1;
        }
        classes
    };

    fn in_text(text: &[u8]) -> Self {
        if is_plain(text) {
            return Self(0);
        }
        #[expect(clippy::indexing_slicing, reason = "there is a class for each of 256 bytes")]
        let mut seen = text.iter().fold(0, |seen, &byte| seen | Self::CLASSES[usize::from(byte)]);
        if seen & Self::NOT_ASCII != 0 {
            let mut rest = text;
            while let [_, behind @ ..] = rest {
                seen |= Self::class_beyond_ascii(rest);
                rest = behind;
            }
        }
        Self(seen)
    }

    const fn class(byte: u8) -> u8 {
        match byte {
            b'<' | b'[' => Self::BRACKET,
            b':' => Self::COLON,
            0x80.. => Self::NOT_ASCII,
            b'"' | b'\'' | b'`' => Self::QUOTE,
            b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => Self::SPACE,
            b'*' => Self::STAR,
            _ => 0,
        }
    }

    /// The kind of the UTF-8 character the text begins with: what word processors, web pages and chats make of
    /// quotation marks and spaces, and what a masked copy has in place of the secret.
    const fn class_beyond_ascii(text: &[u8]) -> u8 {
        match text {
            // « » and curly quotation marks.
            [0xc2, 0xab | 0xbb, ..] | [0xe2, 0x80, 0x98..=0x9f, ..] => Self::QUOTE,
            // The no-break space, the soft hyphen; spaces of all widths including none, marks of direction; separators
            // of lines; the word joiner; the ideographic space; the byte order mark.
            [0xc2, 0xa0 | 0xad, ..]
            | [0xe2, 0x80, 0x80..=0x8f | 0xa8..=0xaf, ..]
            | [0xe2, 0x81, 0x9f | 0xa0, ..]
            | [0xe3, 0x80, 0x80, ..]
            | [0xef, 0xbb, 0xbf, ..] => Self::SPACE,
            // Bullets and the ellipsis.
            [0xe2, 0x80, 0xa2 | 0xa6, ..] | [0xe2, 0x97, 0x8f, ..] => Self::MASK,
            _ => 0,
        }
    }

    const fn has(self, class: u8) -> bool {
        self.0 & class != 0
    }
}

/// Whether a text has nothing but the characters of keys in it, as most have. By 16 at a time, for which there are vector
/// instructions, and the last 16 once more: what is left over would be looked at one by one.
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

/// The text without what people wrap keys in, and whether the word `Bearer` was part of that.
fn bare<'a>(prefixes: &Prefixes, text: &'a [u8], seen: CharacterKinds) -> (&'a [u8], bool) {
    let has_wraps = seen.has(CharacterKinds::SPACE | CharacterKinds::COLON | CharacterKinds::QUOTE);
    let unwrapped = |text| if has_wraps { unwrapped(text) } else { text };
    let mut bare = unwrapped(text);
    let mut behind_bearer = false;
    // Each word found shortens the text; nobody means the ninth.
    for _ in 0..8 {
        let Some(rest) = behind_word(prefixes, bare, seen) else { break };
        bare = unwrapped(rest);
        behind_bearer = true;
    }
    (bare, behind_bearer)
}

/// What stands behind the word `Bearer`, if the text has it as a word, or stuck to the front of a key.
fn behind_word<'a>(prefixes: &Prefixes, text: &'a [u8], seen: CharacterKinds) -> Option<&'a [u8]> {
    let ends_word = |rest: &[u8]| match rest.first() {
        None => true,
        Some(&byte) => {
            matches!(CharacterKinds::class(byte), CharacterKinds::SPACE | CharacterKinds::COLON | CharacterKinds::QUOTE)
                || matches!(byte, b'=' | b'%' | b'+')
        }
    };
    if let Some((word, rest)) = text.split_at_checked(WORD.len())
        && word.eq_ignore_ascii_case(WORD)
        && (ends_word(rest) || prefixes.begin(rest))
    {
        return Some(rest);
    }
    // Further inside it is a word only where something separates it from what follows.
    if !seen.has(CharacterKinds::SPACE | CharacterKinds::COLON) {
        return None;
    }
    let start = text.windows(WORD.len() + 1).position(|window| {
        window
            .split_at_checked(WORD.len())
            .is_some_and(|(word, next)| word.eq_ignore_ascii_case(WORD) && ends_word(next))
    })?;
    text.get(start + WORD.len()..)
}

/// Without spaces, quotation marks and separators around it.
fn unwrapped(mut text: &[u8]) -> &[u8] {
    let wraps = |byte: u8| {
        matches!(CharacterKinds::class(byte), CharacterKinds::SPACE | CharacterKinds::COLON | CharacterKinds::QUOTE)
    };
    while let [first, rest @ ..] = text
        && wraps(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && wraps(*last)
    {
        text = rest;
    }
    text
}

/// Whether somebody took the secret out: `user.….[REDACTED]`, `user.****`, `user.<id>.<secret>`, `user.xxxxxxxx`.
fn is_masked(prefixes: &Prefixes, text: &[u8], seen: CharacterKinds) -> bool {
    let bracketed = || {
        let open = text.iter().position(|byte| matches!(byte, b'<' | b'['))?;
        let inside = text.get(open + 1..)?;
        // Something described, not a list of strings, nor a key that somebody put in brackets.
        Some(
            inside.first()?.is_ascii_alphabetic()
                && inside.iter().any(|byte| matches!(byte, b'>' | b']'))
                && !prefixes.begin(inside),
        )
    };
    let crossed_out = || {
        text.last_chunk::<8>().is_some_and(|end| {
            let [first, ..] = end;
            matches!(first, b'x' | b'X') && end.iter().all(|byte| byte == first)
        })
    };
    (seen.has(CharacterKinds::BRACKET) && bracketed() == Some(true))
        || (seen.has(CharacterKinds::STAR) && text.windows(3).any(|window| window == b"***"))
        || seen.has(CharacterKinds::MASK)
        || text.ends_with(b"...")
        || crossed_out()
}

/// Whether this stands where a key should have been put.
fn is_placeholder(text: &[u8], seen: CharacterKinds) -> bool {
    match text {
        // A variable of a shell or a template. `$argon2id$…` is a hash, not a variable.
        [b'$', b'{' | b'(' | b'_' | b'A'..=b'Z' | b'a'..=b'z', ..] => !text.starts_with(b"$argon2"),
        // With quotation marks it is JSON.
        [b'{', .., b'}'] => !seen.has(CharacterKinds::QUOTE),
        [b'%', .., b'%'] => true,
        _ => is_placeholder_word(text),
    }
}

fn is_placeholder_word(text: &[u8]) -> bool {
    let (begins, is): (&[&[u8]], &[&[u8]]) = match text.first().map(u8::to_ascii_lowercase) {
        Some(b'a') => (&[b"apikeyhere"], &[b"apikey", b"accesstoken", b"authtoken"]),
        Some(b'c') => (&[b"changeme", b"changethis"], &[]),
        Some(b'd') => (&[], &[b"dummy"]),
        Some(b'e') => (&[b"enteryour"], &[b"example"]),
        Some(b'f') => (&[], &[b"fixme", b"foo", b"foobar"]),
        Some(b'i') => (&[b"insertyour", b"insertapikey", b"insertkey"], &[]),
        Some(b'k') => (&[], &[b"key"]),
        Some(b'm') => (&[b"myapikey"], &[b"mykey", b"mytoken", b"mysecret"]),
        Some(b'n') => (&[], &[b"nil", b"none", b"null"]),
        Some(b'p') => (&[b"pasteyour", b"placeholder", b"processenv", b"putyour"], &[]),
        Some(b'r') => (&[b"replaceme", b"replacethis", b"replacewith"], &[]),
        Some(b's') => (&[], &[b"secret", b"secretkey"]),
        Some(b't') => (&[], &[b"tbd", b"test", b"todo", b"token"]),
        Some(b'u') => (&[], &[b"undefined"]),
        Some(b'x') => (&[], &[b"xxx", b"xxxx", b"xxxxx"]),
        Some(b'y') => (
            &[
                b"yourapi",
                b"yourkey",
                b"yourtoken",
                b"yoursecret",
                b"youraccess",
                b"yourauth",
                b"yourbearer",
                b"yourpersonal",
                b"yourteam",
            ],
            &[],
        ),
        _ => return false,
    };
    begins.iter().any(|word| behind_letters(text, word).is_some())
        || is.iter().any(|word| behind_letters(text, word).is_some_and(<[u8]>::is_empty))
}

/// What stands behind the word, in any case and however its parts are joined: `YOUR_API_KEY`, `your-api-key`.
fn behind_letters<'a>(mut text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let mut word = word.iter();
    let mut expected = word.next()?;
    while let [byte, rest @ ..] = text {
        text = rest;
        if byte.to_ascii_lowercase() == *expected {
            match word.next() {
                Some(next) => expected = next,
                None => return Some(text),
            }
        } else if !matches!(byte, b'_' | b'-' | b' ' | b'.') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests;
