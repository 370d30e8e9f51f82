use std::fmt;

use serde::Serialize;

use super::said;
use crate::{
    json::json_form,
    manage::{info::KeyInfo, names::Names},
    sentence::{Sentence, joined, told_words},
};

told_words! {
    /// How sure it is that a text is about a key, from the surest to the least sure.
    ///
    /// ```
    /// use tower_api_keys::manage::MatchConfidence;
    ///
    /// assert!(MatchConfidence::WholeKey < MatchConfidence::Id);
    /// assert_eq!(MatchConfidence::WholeKey.sentence(), "The text contains the whole key: everybody who has the text can use the key.");
    /// ```
    #[non_exhaustive]
    pub enum MatchConfidence as "match",
    /// The meaning as a sentence.
    pub sentence {
        /// The whole key is in the text, proved by tag and hash.
        WholeKey = "whole_key": "The text contains the whole key: everybody who has the text can use the key.",
        /// The id is in the text, followed by what looks like its secret, whole or in part: cut off, damaged, without
        /// its prefix, or impossible to check now.
        IdAndSecret = "id_and_secret": "The text contains the id of this key, and probably all or part of its secret.",
        /// A well-formed key with this id is in the text, but with another secret: not this key.
        OtherSecret = "other_secret":
            "The text contains the id of this key, but with a different secret, so it does not contain this key.",
        /// The id is in the text, without a recognizable secret after it.
        Id = "id": "The text contains the id of this key, but no secret.",
        /// The first characters of the id are in the text, after a prefix of its kind.
        Beginning = "beginning": "The text contains an id that begins like the id of this key.",
        /// Some characters of the id are in the text, which may be chance.
        Part = "part": "The text contains a part of the id of this key. This may be a coincidence.",
    }
}

/// A key that a text may be about, and how sure that is. It serializes.
///
/// ```
/// use tower_api_keys::manage::{MatchConfidence, KeyMatch};
///
/// fn has_to_be_revoked(found: &KeyMatch) -> bool {
///     found.evidence <= MatchConfidence::IdAndSecret && found.key.revoked_at.is_none()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct KeyMatch {
    /// The key, without its usage.
    pub key: KeyInfo,
    /// How it was found.
    pub evidence: MatchConfidence,
    /// The evidence as a sentence.
    pub evidence_sentence: Sentence,
    /// How many characters of its id are in the text, 4 to 20.
    pub characters: usize,
}

impl fmt::Display for KeyMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key.redacted, self.evidence_sentence)
    }
}

/// The keys that a text may be about, as far as the actor may see them. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::Actor;
///
/// let found = manager.identify("GET /agents 200 key=team.AbCdEf…", &Actor::system("leak response")?).await?;
/// assert!(found.keys.is_empty());
/// assert_eq!(found.to_string(), "This text contains no key that you have access to, and no part of its id.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyMatches {
    /// The keys, the surest first: by evidence, then by the length of the matching part, then live ones before dead
    /// ones, then by time of creation. At most 100.
    pub keys: Vec<KeyMatch>,
    /// Whether there are more keys, less sure than these: a longer part would distinguish them.
    pub more: bool,
    /// How many matching keys have stored records that cannot be read.
    pub unreadable: u64,
    /// The names of the people and teams of these keys, and who has left.
    pub names: Names,
}

impl KeyMatches {
    /// The matches as sentences for people.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        let (surest, others) = match &*self.keys {
            [] => (said::no_match(), None),
            [only] => (said::surest_match(only.key.id, only.evidence.sentence()), None),
            [surest, rest @ ..] => {
                let others = if self.more { said::more_matches(rest.len()) } else { said::other_matches(rest.len()) };
                (said::surest_match(surest.key.id, surest.evidence.sentence()), Some(others))
            }
        };
        let unreadable = (self.unreadable > 0).then(|| said::matches_unreadable(self.unreadable));
        [Some(surest), others, unreadable].into_iter().flatten().collect()
    }
}

impl fmt::Display for KeyMatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.sentences()))
    }
}

json_form! {
    KeyMatches<'a>, |matches| KeyMatches { keys, more, unreadable, names } => {
        keys: &'a [KeyMatch] = keys,
        more: bool = *more,
        unreadable: u64 = *unreadable,
        names: &'a Names = names,
        sentences: Vec<Sentence> = matches.sentences(),
    }
}
