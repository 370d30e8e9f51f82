use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    key::contains_credential,
    lengths::RESPONSIBLE,
    sentence::{Sentence, told_words},
    text::is_legible,
};

/// The recipient of messages about a key: an address, the id of a person or the name of a channel, in the service's own
/// words. 1 to 128 characters, and not only blanks. This crate does not check whether the recipient exists.
///
/// It follows the rules of a [`KeyName`](super::KeyName), for the same reason: it is shown, logged and exported.
///
/// ```
/// use tower_api_keys::record::Responsible;
///
/// assert_eq!(Responsible::new("on-call@example.com")?.as_str(), "on-call@example.com");
/// assert!(Responsible::new(" ").is_err());
/// # Ok::<(), tower_api_keys::record::InvalidResponsible>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Responsible(Box<str>);

impl Responsible {
    /// A recipient.
    ///
    /// # Errors
    /// [`InvalidResponsible`] if it breaks a rule above.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidResponsible> {
        let text = text.as_ref();
        if text.trim().is_empty() {
            return Err(InvalidResponsible(Rule::Empty));
        }
        if text.chars().count() > RESPONSIBLE.characters() {
            return Err(InvalidResponsible(Rule::TooLong));
        }
        if !is_legible(text) {
            return Err(InvalidResponsible(Rule::Illegible));
        }
        if contains_credential(text) {
            return Err(InvalidResponsible(Rule::Credential));
        }
        Ok(Self(text.into()))
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Responsible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Responsible {
    type Error = InvalidResponsible;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<Responsible> for String {
    fn from(responsible: Responsible) -> Self {
        responsible.0.into()
    }
}

/// The text is not a valid recipient.
///
/// ```
/// use tower_api_keys::record::Responsible;
///
/// let error = Responsible::new("r".repeat(129)).unwrap_err();
/// assert_eq!(error.to_string(), "the responsible person or channel can have at most 128 characters");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.sentence().as_error())]
pub struct InvalidResponsible(Rule);

impl InvalidResponsible {
    /// The rule that it breaks, in a sentence.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        self.0.sentence()
    }

    /// The sentence of each rule.
    pub(crate) fn sentences() -> Vec<Sentence> {
        Rule::ALL.map(Rule::sentence).to_vec()
    }
}

told_words! {
    enum Rule as "invalid_responsible",
    sentence {
        Credential = "credential":
            "The responsible person or channel must not contain an API key or another credential: it is shown to \
             other people.",
        Empty = "empty": "The responsible person or channel must have at least one letter, or be left out.",
        Illegible = "illegible":
            "The responsible person or channel must not contain control characters, invisible characters or \
             characters that change the direction of text.",
        TooLong = "too_long": "The responsible person or channel can have at most 128 characters.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ids_and_channels_are_taken_as_they_are() {
        for text in ["a", "user:bob", "on-call@example.com", "#team-blue", "Zo\u{eb} \u{1f469}\u{200d}\u{1f4bb}", " b "]
        {
            assert_eq!(Responsible::new(text).unwrap().as_str(), text);
        }
        assert!(Responsible::new("\u{1f511}".repeat(128)).is_ok());
    }

    #[test]
    fn each_rule_has_its_sentence() {
        let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
        for (text, rule) in [
            (String::new(), Rule::Empty),
            (" \u{3000}".into(), Rule::Empty),
            ("\u{1f511}".repeat(129), Rule::TooLong),
            ("a\nb".into(), Rule::Illegible),
            ("a\u{202e}b".into(), Rule::Illegible),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a".into(), Rule::Credential),
            (format!("mine: {}", key.expose_secret()), Rule::Credential),
        ] {
            let error = Responsible::new(&text).unwrap_err();
            assert_eq!(error, InvalidResponsible(rule), "{text:?}");
            assert!(!error.to_string().contains(key.id().as_str()));
        }
    }
}
