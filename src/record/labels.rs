use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    key::contains_credential,
    lengths::{LABEL, LABEL_VALUE, MOST_LABELS},
    sentence::{Sentence, told_words},
    text::is_legible,
};

/// At most 16 short pairs for what a name cannot say: where a key is installed, when its rotation is due, which ticket
/// requested it.
///
/// A label has 1 to 32 characters of `a-z`, `0-9`, `-`, `_` and `.`. A value has at most 128 characters, and follows
/// the other rules of a [`KeyName`](super::KeyName): for example, it contains no credential.
///
/// ```
/// use tower_api_keys::record::Labels;
///
/// let labels = Labels::new([("installed", "ci.example.com"), ("ticket", "OPS-1234")])?;
/// assert_eq!(labels.value("ticket"), Some("OPS-1234"));
/// # Ok::<(), tower_api_keys::record::InvalidLabels>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Labels and their values; if a label is given twice, the last value counts.
    ///
    /// # Errors
    /// [`InvalidLabels`] if there are more than 16 or one breaks a rule above.
    pub fn new<L: Into<String>, V: Into<String>>(
        labels: impl IntoIterator<Item = (L, V)>,
    ) -> Result<Self, InvalidLabels> {
        let mut kept = BTreeMap::new();
        for (label, value) in labels {
            let (label, value) = (label.into(), value.into());
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
            if label.is_empty() || label.len() > LABEL.bytes() || !label.bytes().all(plain) {
                return Err(InvalidLabels(LabelRule::Label));
            }
            if value.chars().count() > LABEL_VALUE.characters() || !is_legible(&value) || contains_credential(&value) {
                return Err(InvalidLabels(LabelRule::Value));
            }
            kept.insert(label, value);
            if kept.len() > MOST_LABELS {
                return Err(InvalidLabels(LabelRule::TooMany));
            }
        }
        Ok(Self(kept))
    }

    /// The value of a label.
    #[must_use]
    pub fn value(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }

    /// All labels with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = InvalidLabels;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        Self::new(labels)
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

/// The pairs are not valid labels of a key.
///
/// ```
/// use tower_api_keys::record::Labels;
///
/// let error = Labels::new([("Ticket", "OPS-1234")]).unwrap_err();
/// assert_eq!(error.to_string(), "a label must have 1 to 32 characters of a-z, 0-9, `-`, `_` and `.`");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.sentence().as_error())]
pub struct InvalidLabels(LabelRule);

impl InvalidLabels {
    /// The rule that they break, in a sentence.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        self.0.sentence()
    }

    /// The sentence of each rule.
    pub(crate) fn sentences() -> Vec<Sentence> {
        LabelRule::ALL.map(LabelRule::sentence).to_vec()
    }
}

told_words! {
    enum LabelRule as "invalid_labels",
    sentence {
        Label = "label": "A label must have 1 to 32 characters of a-z, 0-9, `-`, `_` and `.`.",
        TooMany = "too_many": "A key can have at most 16 labels.",
        Value = "value":
            "The value of a label can have at most 128 characters, and must not contain invisible characters, \
             characters that change the direction of text, API keys or other credentials.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_labels_are_enough() {
        let labels = |count: usize| (0..count).map(|index| (format!("label{index}"), "value"));
        assert!(Labels::new(labels(16)).is_ok());
        assert!(Labels::new(labels(17)).is_err());
    }

    #[test]
    fn bad_labels_and_values_are_refused() {
        for (label, value) in [
            ("", "v"),
            ("Upper", "v"),
            ("l", "two\nlines"),
            ("l", "a\u{202e}b"),
            ("l", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ] {
            assert!(Labels::new([(label, value)]).is_err(), "{label:?} {value:?}");
        }
        assert!(Labels::new([("l", "v".repeat(129))]).is_err());
        assert!(Labels::new([("l".repeat(33), "v")]).is_err());
    }
}
