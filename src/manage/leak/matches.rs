use std::fmt;

use serde::Serialize;

use crate::{manage::info::KeyInfo, words::words};

words! {
    /// How sure it is that a text is about a key, the surest first.
    ///
    /// ```
    /// use tower_api_keys::manage::MatchConfidence;
    ///
    /// assert!(MatchConfidence::WholeKey < MatchConfidence::Id);
    /// assert_eq!(MatchConfidence::WholeKey.sentence(), "the whole key is in the text: whoever has the text can use it");
    /// ```
    #[non_exhaustive]
    pub enum MatchConfidence,
    /// What it means, in a sentence.
    pub sentence {
        /// The whole key is in the text. It was proved: tag and hash match.
        WholeKey = "whole_key": "the whole key is in the text: whoever has the text can use it",
        /// The id is there, and behind it what looks like its secret, whole or in part: cut off, damaged, without its prefix,
        /// or it could not be checked now.
        IdAndSecret = "id_and_secret": "its id is in the text, and what looks like its secret, whole or in part",
        /// A well-formed key of this id is there, with another secret: not this key.
        OtherSecret = "other_secret": "a key of its id is in the text, with another secret: not this key",
        /// The id is there, and no secret was recognised behind it.
        Id = "id": "its id is in the text, and no secret was recognised behind it",
        /// The first characters of the id are there, behind a prefix of its kind.
        Beginning = "beginning": "its id begins like one in the text",
        /// Some characters of the id are there. It may be chance.
        Part = "part": "a part of its id is in the text, which may be chance",
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
#[non_exhaustive]
pub struct KeyMatch {
    /// The key, without its usage.
    pub key: KeyInfo,
    /// How it was found.
    pub evidence: MatchConfidence,
    /// How many characters of its id are in the text, 4 to 20.
    pub characters: usize,
}

impl fmt::Display for KeyMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key.redacted, self.evidence.sentence())
    }
}

/// The keys that a text may be about: of those that the actor may see. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::Actor;
///
/// let found = manager.identify("GET /agents 200 key=team.AbCdEf…", &Actor::system("leak response")?).await?;
/// assert!(found.keys.is_empty());
/// assert_eq!(found.to_string(), "no key that this actor may see is in this text, nor a part of its id");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyMatches {
    /// The keys, the surest first: by evidence, then by the length of the part, then live ones before dead ones, then by
    /// time of creation. At most 100.
    pub keys: Vec<KeyMatch>,
    /// Whether there are more, less sure than these: a longer part would tell them apart.
    pub more: bool,
    /// Keys whose stored records cannot be read, among those that would be here.
    pub unreadable: u64,
}

impl fmt::Display for KeyMatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.keys {
            [] => f.write_str("no key that this actor may see is in this text, nor a part of its id")?,
            [only] => fmt::Display::fmt(only, f)?,
            [surest, rest @ ..] => {
                let more = if self.more { "more than " } else { "" };
                write!(f, "{surest}; {more}{} other keys may be meant", rest.len())?;
            }
        }
        if self.unreadable > 0 {
            write!(f, "; {} keys cannot be read", self.unreadable)?;
        }
        Ok(())
    }
}
