use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
};

use super::matches::MatchConfidence;
use crate::{
    key::{KeyFormat, KeyId, ParsedKey, PlaintextKey},
    owner::KeyKind,
};

/// The number of characters of an id.
const ID: usize = 20;
/// The number of characters of a secret, checksum included.
const SECRET: usize = 48;
/// From this many characters, the text after an id counts as part of its secret.
const SHORTEST_SECRET: usize = 8;
/// The shortest beginning of an id to look for, after a prefix.
const SHORTEST_BEGINNING: usize = 4;
/// The shortest part of an id to look for where there is no prefix: by chance, one key in four billion has a given part
/// of this length.
const SHORTEST_PART: usize = 6;

/// What may be keys, ids, or parts of ids in a text. Borrows the text, and copies only whole ids, and keys that it has
/// to decode: what looks like part of an id may be part of a secret.
#[derive(Default)]
pub(in crate::manage) struct Scan<'a> {
    /// Well-formed keys.
    keys: Vec<ParsedKey<'a>>,
    /// Well-formed keys that were encoded.
    decoded: Vec<PlaintextKey>,
    /// Whole ids, and whether something like a secret followed one of them.
    pub(in crate::manage) ids: BTreeMap<KeyId, MatchConfidence>,
    /// Parts after a prefix, for each kind.
    user_beginnings: Fragments<'a>,
    team_beginnings: Fragments<'a>,
    parts: Fragments<'a>,
    /// Every run of 20 characters within a longer one.
    within: HashSet<&'a [u8]>,
    /// The lower-case ids of texts in the form of a key: something may have changed the case of all letters.
    in_small_letters: HashSet<[u8; ID]>,
}

/// How an id was found in a text, and how many of its characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manage) struct Finding {
    pub(in crate::manage) evidence: MatchConfidence,
    pub(in crate::manage) characters: usize,
}

/// Texts grouped by length.
#[derive(Default)]
struct Fragments<'a> {
    lengths: BTreeSet<usize>,
    texts: HashSet<&'a [u8]>,
}

impl<'a> Scan<'a> {
    pub(in crate::manage) fn of(text: &'a str, format: &KeyFormat) -> Self {
        let mut scan = Self::of_bytes(text.as_bytes(), format);
        KeyFormat::for_each_decoded(text.as_bytes(), |decoded| {
            let inside = Scan::of_bytes(decoded, format);
            scan.decoded.extend(inside.keys.iter().map(ParsedKey::to_plaintext));
            inside.ids.into_iter().for_each(|(id, evidence)| scan.note(id, evidence));
            scan.in_small_letters.extend(inside.in_small_letters);
        });
        scan
    }

    /// A scan that decodes nothing.
    fn of_bytes(bytes: &'a [u8], format: &KeyFormat) -> Self {
        let mut scan = Self::default();
        let mut place = 0;
        for found in format.find_in(bytes) {
            let key = bytes.get(found.at.clone()).and_then(|key| format.parse(key).ok());
            match key {
                Some(key) => scan.keys.push(key),
                None => {
                    scan.note_id(found.id, SECRET);
                    scan.in_small_letters.insert(found.id.as_bytes().map(|byte| byte.to_ascii_lowercase()));
                }
            }
            // Keys that overlap are all noted. The text between them is searched once.
            if found.at.start >= place {
                scan.less_than_keys(bytes, place..found.at.start, format);
            }
            let behind = bytes.get(found.at.end..).unwrap_or_default();
            place = place.max(found.at.end + run(behind));
        }
        scan.less_than_keys(bytes, place..bytes.len(), format);
        scan
    }

    /// What may be ids or parts of ids, where there is no whole key.
    fn less_than_keys(&mut self, text: &'a [u8], range: Range<usize>, format: &KeyFormat) {
        let (mut place, end) = (range.start, range.end);
        let bytes = text.get(..end).unwrap_or_default();
        let mut run_begins = true;
        while let Some(byte) = bytes.get(place) {
            if run_begins || !byte_before(bytes, place).is_ascii_alphanumeric() {
                let rest = bytes.get(place..).unwrap_or_default();
                if format.begins_like_a_key(rest)
                    && let Some(end) = self.behind_prefix(rest)
                {
                    place += end;
                    run_begins = true;
                    continue;
                }
                if run_begins && is_base64url(*byte) {
                    let length = run(rest);
                    // A prefix may begin within the run: the text before that prefix is not part of an id. Neither is
                    // text that a whole key is attached to.
                    let prefix = prefix_within(rest, length, format);
                    if prefix.is_none() && !(place + length == end && end < text.len()) {
                        self.without_prefix(rest, length);
                    }
                    place += prefix.unwrap_or(length);
                    run_begins = false;
                    continue;
                }
            }
            run_begins = !is_base64url(*byte);
            place += 1;
        }
    }

    /// All well-formed keys.
    pub(in crate::manage) fn keys(&self) -> impl Iterator<Item = (KeyId, &str)> {
        let plain = self.keys.iter().map(|key| (key.id(), key.expose_secret()));
        plain.chain(self.decoded.iter().map(|key| (key.id(), key.expose_secret())))
    }

    /// Whether there is anything besides whole ids that only a comparison with all keys can find.
    pub(in crate::manage) fn has_beginnings(&self) -> bool {
        !self.user_beginnings.texts.is_empty() || !self.team_beginnings.texts.is_empty()
    }

    /// The same for parts without a prefix.
    pub(in crate::manage) fn has_parts(&self) -> bool {
        !self.parts.texts.is_empty() || !self.within.is_empty() || !self.in_small_letters.is_empty()
    }

    /// How a part of this id is found in the text; parts without a prefix only if `unprefixed`.
    pub(in crate::manage) fn find_part(&self, id: &KeyId, kind: KeyKind, unprefixed: bool) -> Option<Finding> {
        let id = id.as_bytes();
        if unprefixed && self.in_small_letters.contains(&id.map(|byte| byte.to_ascii_lowercase())) {
            return Some(Finding { evidence: MatchConfidence::IdAndSecret, characters: ID });
        }
        if unprefixed && self.within.contains(id.as_slice()) {
            return Some(Finding { evidence: MatchConfidence::Id, characters: ID });
        }
        let beginnings = match kind {
            KeyKind::Team => &self.team_beginnings,
            KeyKind::User => &self.user_beginnings,
        };
        if let Some(characters) = beginnings.longest_at(id) {
            return Some(Finding { evidence: MatchConfidence::Beginning, characters });
        }
        let parts = (0..id.len()).filter(|_| unprefixed).filter_map(|start| self.parts.longest_at(id.get(start..)?));
        parts.max().map(|characters| Finding { evidence: MatchConfidence::Part, characters })
    }

    /// Notes what follows an accepted prefix and is not a key. Returns where it ends, if there is something.
    fn behind_prefix(&mut self, text: &'a [u8]) -> Option<usize> {
        let dot = text.iter().position(|byte| *byte == b'.')?;
        let (prefix, behind) = (text.get(..dot)?, text.get(dot + 1..)?);
        let length = run(behind);
        if length == ID {
            let secret = secret_behind(behind);
            self.note_id(id_at(behind)?, secret);
            return Some(dot + 1 + ID + if secret > 0 { 1 + secret } else { 0 });
        }
        if !(SHORTEST_BEGINNING..ID).contains(&length) {
            return None;
        }
        let beginnings = if prefix.ends_with(b"team") { &mut self.team_beginnings } else { &mut self.user_beginnings };
        beginnings.insert(behind.get(..length)?);
        Some(dot + 1 + length)
    }

    /// Notes a run of base64url characters without a prefix.
    fn without_prefix(&mut self, text: &'a [u8], length: usize) {
        let Some(run) = text.get(..length) else { return };
        match length {
            ID => id_at(text).into_iter().for_each(|id| self.note_id(id, secret_behind(text))),
            SHORTEST_PART..ID => self.parts.insert(run),
            _ if length > ID => self.within.extend(run.windows(ID)),
            _ => {}
        }
    }

    /// Notes an id that is followed by this many characters of a secret.
    fn note_id(&mut self, id: KeyId, secret: usize) {
        self.note(id, if secret < SHORTEST_SECRET { MatchConfidence::Id } else { MatchConfidence::IdAndSecret });
    }

    fn note(&mut self, id: KeyId, evidence: MatchConfidence) {
        self.ids.entry(id).and_modify(|best| *best = evidence.min(*best)).or_insert(evidence);
    }
}

impl<'a> Fragments<'a> {
    fn insert(&mut self, text: &'a [u8]) {
        self.lengths.insert(text.len());
        self.texts.insert(text);
    }

    /// The length of the longest fragment that this text begins with.
    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        let is_there = |length: &&usize| text.get(..**length).is_some_and(|begin| self.texts.contains(begin));
        self.lengths.iter().rev().find(is_there).copied()
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn byte_before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).and_then(|before| text.get(before)).copied().unwrap_or(b' ')
}

/// How many base64url characters the text begins with.
fn run(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_base64url(**byte)).count()
}

/// The id that a text begins with.
fn id_at(text: &[u8]) -> Option<KeyId> {
    KeyId::new(std::str::from_utf8(text.get(..ID)?).ok()?).ok()
}

/// How many characters are where a text that begins with an id has its secret.
fn secret_behind(text: &[u8]) -> usize {
    match text.get(ID..) {
        Some([b'.', secret @ ..]) => run(secret),
        _ => 0,
    }
}

/// Where in a run an accepted prefix begins that continues to its end, such as in `KEY_team.AbCd`.
fn prefix_within(text: &[u8], length: usize, format: &KeyFormat) -> Option<usize> {
    // The longest prefix has a brand of 16 characters, and the dot after it is not part of a run.
    let begins = |place: &usize| {
        !byte_before(text, *place).is_ascii_alphanumeric()
            && text.get(*place..).is_some_and(|rest| format.begins_like_a_key(rest))
    };
    (length.saturating_sub(32).max(1)..length).find(begins)
}
