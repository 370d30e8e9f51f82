//! Says why a text is no key.
//!
//! Runs only for texts that are already refused, so a mistake here makes a sentence worse and never admits a wrong
//! text. It looks at the first 256 bytes at most. It allocates nothing, except for a text longer than a key that has
//! escapes or lines in it.

mod characters;
mod placeholder;

use self::{
    characters::{CharacterKinds, count},
    placeholder::{is_crossed_out, is_masked, is_placeholder},
};
use super::{
    encoded::any_decoded,
    error::{MalformedKey, MalformedReason},
    find::find,
    foreign::ForeignPrefixes,
    layout::{ID_LENGTH, LONGEST_KEY, LOOKED_AT, SHORTEST_KEY, TAIL_LENGTH, all_base64url, is_base64url, split},
    prefix::{Prefixes, first_word},
};

const WORD: &[u8] = b"bearer";
const HEADER: &[u8] = b"authorization";

/// The first reason that applies.
#[cold]
pub(super) fn diagnose<'a>(prefixes: &Prefixes, foreign: &ForeignPrefixes, text: &'a [u8]) -> MalformedKey {
    let head = text.get(..LOOKED_AT).unwrap_or(text);
    let seen = CharacterKinds::in_text(head);
    let (bare, behind_bearer) = bare(prefixes, head, seen);
    // A text that begins like one of our keys is ours, even if it looks like a foreign prefix or has words in it.
    let known = |word: Option<&'a [u8]>| word.filter(|word| prefixes.index(word).is_some());
    let prefix = known(first_word(bare));
    // A shorter text cannot hold a key and something else.
    let is_longer = head.len() > prefix.map_or(SHORTEST_KEY, |prefix| prefix.len() + TAIL_LENGTH);
    if is_longer && let Some(reason) = of_longer(prefixes, foreign, head, bare, seen, behind_bearer) {
        return MalformedKey::new(reason);
    }
    if prefix.is_none()
        && let Some(issuer) = foreign.issuer(bare)
    {
        return MalformedKey::foreign(issuer);
    }
    MalformedKey::new(if text.is_empty() {
        MalformedReason::Empty
    } else if is_masked(prefixes, bare, seen) || (prefix.is_none() && is_placeholder(bare, seen)) {
        MalformedReason::Placeholder
    } else if behind_bearer {
        MalformedReason::BearerInside
    } else if seen.has(CharacterKinds::QUOTE) {
        MalformedReason::Quotes
    } else if seen.has(CharacterKinds::SPACE) {
        MalformedReason::Whitespace
    } else if has_look_alikes(head, seen, prefix.is_some()) {
        MalformedReason::Alphabet
    } else {
        // As long as the whole text: nothing was removed.
        let prefix = if bare.len() == text.len() { prefix } else { known(first_word(text)) };
        // Without a dot, all of it may be a prefix.
        match prefix.or_else(|| known(Some(text))) {
            Some(prefix) => structural(prefix, text),
            None => MalformedReason::UnknownPrefix,
        }
    })
}

/// The reason for a text that is longer than a key, if a key is in it, or becomes visible by decoding.
#[inline(never)]
fn of_longer(
    prefixes: &Prefixes,
    foreign: &ForeignPrefixes,
    head: &[u8],
    bare: &[u8],
    seen: CharacterKinds,
    behind_bearer: bool,
) -> Option<MalformedReason> {
    if let Some(inside) = Inside::of(prefixes, head) {
        return inside.reason(prefixes, behind_bearer);
    }
    // Tokens have dots. JSON in base64 begins like one, and has none.
    let is_foreign = || head.contains(&b'.') && foreign.issuer(bare).is_some();
    let may_be_encoded = if prefixes.begin(bare) { !seen.is_plain() } else { !is_foreign() };
    let is_encoded = may_be_encoded && any_decoded(head, |decoded| find(decoded, prefixes).next().is_some());
    is_encoded.then_some(MalformedReason::Encoded)
}

/// The reason for a text with an accepted prefix, and with no more specific problem.
fn structural(prefix: &[u8], text: &[u8]) -> MalformedReason {
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

/// Whether it is meant as a key of ours, by its beginning or its length in characters, and some of its characters are
/// not those of keys: an en dash, a full stop of another script, letters of another script.
fn has_look_alikes(head: &[u8], seen: CharacterKinds, has_prefix: bool) -> bool {
    let is_as_long = || {
        let count = count(head);
        count <= LONGEST_KEY && (count >= SHORTEST_KEY || head.len() == LOOKED_AT)
    };
    seen.has(CharacterKinds::STRANGE) && (has_prefix || is_as_long())
}

/// A part of a longer text with the shape of a key of ours: the first whole one, if there is one.
struct Inside<'a> {
    before: &'a [u8],
    key: &'a [u8],
    after: &'a [u8],
    is_whole: bool,
    /// Whether there is another one.
    has_next: bool,
}

impl<'a> Inside<'a> {
    fn of(prefixes: &Prefixes, head: &'a [u8]) -> Option<Self> {
        let mut all = find(head, prefixes);
        let (mut found, mut has_next) = (all.next()?, false);
        for next in all {
            has_next = true;
            if !found.is_whole {
                found = next;
            }
        }
        let (before, key, after) =
            (head.get(..found.at.start)?, head.get(found.at.clone())?, head.get(found.at.end..)?);
        Some(Self { before, key, after, is_whole: found.is_whole, has_next })
    }

    /// What is wrong with the text around it; none if it is no key of ours, as far as is known.
    fn reason(&self, prefixes: &Prefixes, behind_bearer: bool) -> Option<MalformedReason> {
        if !self.is_whole {
            // It was masked at its full length.
            if is_crossed_out(self.key) {
                return Some(MalformedReason::Placeholder);
            }
            // The text that it is glued to may be part of another prefix.
            if self.before.last().is_some_and(|byte| is_base64url(*byte)) {
                return None;
            }
        }
        if self.before.is_empty() && self.after.is_empty() {
            return None;
        }
        let behind = trim_start(self.after, |byte| !is_base64url(byte));
        if self.has_next || has_id(prefixes, unwrapped(self.before)) || has_id(prefixes, behind) {
            return Some(MalformedReason::TwoKeys);
        }
        Some(self.reason_around(behind_bearer))
    }

    fn reason_around(&self, behind_bearer: bool) -> MalformedReason {
        let (before, after) = (CharacterKinds::in_text(self.before), CharacterKinds::in_text(self.after));
        let around = before.and(after);
        if behind_bearer {
            MalformedReason::BearerInside
        } else if before.has(CharacterKinds::WORD) {
            MalformedReason::TextAround
        } else if around.has(CharacterKinds::QUOTE) {
            MalformedReason::Quotes
        } else if before.has_text() {
            MalformedReason::TextAround
        } else if after.has(CharacterKinds::WORD) {
            MalformedReason::TooLong
        } else if around.has(CharacterKinds::SPACE) {
            MalformedReason::Whitespace
        } else if around.has(CharacterKinds::STRANGE | CharacterKinds::MASK) {
            MalformedReason::Alphabet
        } else {
            MalformedReason::TooLong
        }
    }
}

/// Whether the text begins with an accepted prefix and an id, as an incomplete key does.
fn has_id(prefixes: &Prefixes, text: &[u8]) -> bool {
    let Some(word) = first_word(text).filter(|word| prefixes.index(word).is_some()) else { return false };
    let id = text.get(word.len() + 1..).and_then(<[u8]>::first_chunk::<ID_LENGTH>);
    id.is_some_and(|id| all_base64url(id))
}

/// The reason for a key in a credential of another kind, by the text before it. A missing or wrong scheme comes first:
/// a caller that then writes `Bearer` is told the rest.
pub(super) fn misplaced(before: &[u8]) -> MalformedReason {
    if !before.windows(WORD.len()).any(|word| word.eq_ignore_ascii_case(WORD)) {
        return MalformedReason::MissingScheme;
    }
    let edges = CharacterKinds::at_edges(before);
    if edges.has(CharacterKinds::QUOTE) {
        MalformedReason::Quotes
    } else if edges.has(CharacterKinds::SPACE) {
        MalformedReason::Whitespace
    } else if before.get(..HEADER.len()).is_some_and(|header| header.eq_ignore_ascii_case(HEADER)) {
        MalformedReason::BearerInside
    } else {
        MalformedReason::MissingScheme
    }
}

/// The text without the characters that people wrap keys in, and whether the word `Bearer` was part of that.
fn bare<'a>(prefixes: &Prefixes, text: &'a [u8], seen: CharacterKinds) -> (&'a [u8], bool) {
    let has_wraps = seen.has(CharacterKinds::SPACE | CharacterKinds::COLON | CharacterKinds::QUOTE);
    let unwrapped = |text| if has_wraps { unwrapped(text) } else { text };
    let mut bare = unwrapped(text);
    let mut behind_bearer = false;
    // Each word found shortens the text; a ninth one is not meant.
    for _ in 0..8 {
        let Some(rest) = behind_word(prefixes, bare, seen) else { break };
        bare = unwrapped(rest);
        behind_bearer = true;
    }
    (bare, behind_bearer)
}

/// The text after the word `Bearer`, if the text has it as a word, or stuck to the front of a key.
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
    // Further inside, it is a word only if something separates it from what follows.
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
fn unwrapped(text: &[u8]) -> &[u8] {
    let wraps = |byte: u8| {
        matches!(CharacterKinds::class(byte), CharacterKinds::SPACE | CharacterKinds::COLON | CharacterKinds::QUOTE)
    };
    let mut text = trim_start(text, wraps);
    while let [rest @ .., last] = text
        && wraps(*last)
    {
        text = rest;
    }
    text
}

fn trim_start(mut text: &[u8], is_trimmed: impl Fn(u8) -> bool) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_trimmed(*first)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
