use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    key::contains_credential,
    lengths::NAME,
    sentence::{Sentence, told_words},
    text::is_legible,
};

/// The name of a key: at most 100 characters, may be empty.
///
/// A name has no control character, no character that reorders text and no invisible one; a joiner or a variation
/// selector is allowed if it belongs to a word or an emoji. A name that contains a key or a credential of another
/// service is refused, because names are shown, logged and exported.
///
/// ```
/// use tower_api_keys::record::KeyName;
///
/// assert_eq!(KeyName::new("GitHub Actions - production")?.as_str(), "GitHub Actions - production");
/// assert!(KeyName::new("two\nlines").is_err());
/// # Ok::<(), tower_api_keys::record::InvalidName>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(Box<str>);

impl KeyName {
    /// A name.
    ///
    /// # Errors
    /// [`InvalidName`] if it breaks a rule above.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
        let name = name.as_ref();
        if name.chars().count() > NAME.characters() {
            return Err(InvalidName(NameRule::TooLong));
        }
        if !is_legible(name) {
            return Err(InvalidName(NameRule::Illegible));
        }
        if contains_credential(name) {
            return Err(InvalidName(NameRule::Credential));
        }
        Ok(Self(name.into()))
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0.into()
    }
}

/// The text is not a valid name of a key.
///
/// ```
/// use tower_api_keys::record::KeyName;
///
/// let error = KeyName::new("n".repeat(101)).unwrap_err();
/// assert_eq!(error.to_string(), "the name of a key can have at most 100 characters");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.sentence().as_error())]
pub struct InvalidName(NameRule);

impl InvalidName {
    /// The rule that it breaks, in a sentence.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        self.0.sentence()
    }

    /// The sentence of each rule.
    pub(crate) fn sentences() -> Vec<Sentence> {
        NameRule::ALL.map(NameRule::sentence).to_vec()
    }
}

told_words! {
    enum NameRule as "invalid_name",
    sentence {
        Credential = "credential":
            "The name of a key must not contain an API key or another credential: names are shown to other people.",
        Illegible = "illegible":
            "The name of a key must not contain control characters, invisible characters or characters that change \
             the direction of text.",
        TooLong = "too_long": "The name of a key can have at most 100 characters.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_characters_are_enough() {
        assert!(KeyName::new("é".repeat(100)).is_ok());
        assert!(KeyName::new("é".repeat(101)).is_err());
        assert_eq!(KeyName::new("").unwrap(), KeyName::default());
    }

    #[test]
    fn a_name_that_misleads_is_refused() {
        for name in ["a\0b", "a\u{202e}b", "a\u{2066}b", "a\u{200b}b", "a\u{7f}", "a\u{85}b", "\u{feff}a"] {
            assert!(KeyName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_of_all_writing_systems_are_taken() {
        for name in [
            "laptop \u{1f469}\u{200d}\u{1f4bb}",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}",
            "\u{d28}\u{d4d}\u{200d}\u{d2e}",
        ] {
            assert_eq!(KeyName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_that_contains_a_credential_is_refused() {
        for name in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "CI: AKIAIOSFODNN7EXAMPLE",
            "(sk_live_4eC39HqLyjWDarjtT1zdp7dc)",
        ] {
            let error = KeyName::new(name).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the name of a key must not contain an API key or another credential: names are shown to other people"
            );
        }
    }

    #[test]
    fn a_name_that_contains_a_key_is_refused() {
        let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
        let error = KeyName::new(format!("mine: {}", key.expose_secret())).unwrap_err();
        assert!(!error.to_string().contains(key.id().as_str()));
    }
}
