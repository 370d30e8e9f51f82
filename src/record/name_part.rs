use std::fmt;

use crate::{
    key::{contains_credential, redact},
    lengths::NAME,
    sentence::{Sentence, told_words},
};

/// A part of a [name](super::KeyName) to search for: at most 100 characters; every name contains the empty part.
///
/// Small letters and capitals are the same if each is one character and the other's counterpart: `É` and `é`, `Я` and
/// `я`, but not `ß` and `SS`. Everything else is compared literally: `%`, `_` and `*` have no special meaning, and an
/// accent that is a character of its own counts as one.
///
/// People paste keys into the wrong field: a part that contains a key or another credential is refused, and `Debug`
/// prints the part with secrets removed.
///
/// ```
/// use tower_api_keys::record::NamePart;
///
/// let part = NamePart::new("github")?;
/// assert!(part.is_in("GitHub Actions - production") && !part.is_in("GitLab"));
/// assert!(NamePart::new("ÜBUNG")?.is_in("Eine Übung"));
/// # Ok::<(), tower_api_keys::record::InvalidNamePart>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NamePart {
    /// In small letters.
    small: Box<str>,
}

impl NamePart {
    /// A part of a name.
    ///
    /// # Errors
    /// [`InvalidNamePart`] if it is longer than a name, or has a control character or a credential, which no name has.
    pub fn new(part: impl AsRef<str>) -> Result<Self, InvalidNamePart> {
        let part = part.as_ref();
        if part.chars().count() > NAME.characters() {
            return Err(InvalidNamePart(PartRule::TooLong));
        }
        if part.chars().any(char::is_control) {
            return Err(InvalidNamePart(PartRule::Illegible));
        }
        if contains_credential(part) {
            return Err(InvalidNamePart(PartRule::Credential));
        }
        Ok(Self { small: in_small_letters(part).into() })
    }

    /// The part, in small letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.small
    }

    /// Whether the name contains the part.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        has_part(name, &self.small)
    }

    /// The capitals of the part's letters, each once, and those letters in the same order: for a store that searches by
    /// itself. A name contains the part if it contains [the text](Self::as_str) after each of these capitals is
    /// replaced by its small letter, as with `translate(name, capitals, letters)` in SQL.
    ///
    /// ```
    /// use tower_api_keys::record::NamePart;
    ///
    /// let (capitals, letters) = NamePart::new("Année 2026")?.capitals();
    /// assert_eq!((capitals.as_str(), letters.as_str()), ("ANÉE", "anée"));
    /// # Ok::<(), tower_api_keys::record::InvalidNamePart>(())
    /// ```
    #[must_use]
    pub fn capitals(&self) -> (String, String) {
        let (mut capitals, mut letters) = (String::new(), String::new());
        for letter in self.small.chars() {
            if let Some(capital) = capital(letter).filter(|capital| !capitals.contains(*capital)) {
                capitals.push(capital);
                letters.push(letter);
            }
        }
        (capitals, letters)
    }
}

impl fmt::Debug for NamePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamePart({:?})", redact(&self.small))
    }
}

/// The text cannot be a part of a key's name.
///
/// ```
/// use tower_api_keys::record::NamePart;
///
/// let error = NamePart::new("n".repeat(101)).unwrap_err();
/// assert_eq!(error.to_string(), "the part of a name to search for can have at most 100 characters");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.sentence().as_error())]
pub struct InvalidNamePart(PartRule);

impl InvalidNamePart {
    /// The rule that it breaks, in a sentence.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        self.0.sentence()
    }

    /// The sentence of each rule.
    pub(crate) fn sentences() -> Vec<Sentence> {
        PartRule::ALL.map(PartRule::sentence).to_vec()
    }
}

told_words! {
    enum PartRule as "invalid_name_part",
    sentence {
        Credential = "credential":
            "Do not search for an API key or another credential: names never contain one.",
        Illegible = "illegible": "The part of a name to search for must not contain control characters.",
        TooLong = "too_long": "The part of a name to search for can have at most 100 characters.",
    }
}

/// Whether the name contains this part, which is in small letters.
pub(crate) fn has_part(name: &str, small: &str) -> bool {
    in_small_letters(name).contains(small)
}

fn in_small_letters(text: &str) -> String {
    text.chars().map(small).collect()
}

/// The small letter of a capital, or the character itself.
fn small(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    only(c.to_lowercase()).filter(|small| only(small.to_uppercase()) == Some(c)).unwrap_or(c)
}

/// The one other character whose small letter this is.
fn capital(letter: char) -> Option<char> {
    only(letter.to_uppercase()).filter(|capital| *capital != letter && small(*capital) == letter)
}

fn only(mut characters: impl Iterator<Item = char>) -> Option<char> {
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The comparison of a store that does not know letters.
    fn is_translated_in(part: &NamePart, name: &str) -> bool {
        let (capitals, letters) = part.capitals();
        assert_eq!(capitals.chars().count(), letters.chars().count());
        let of = |c| capitals.chars().zip(letters.chars()).find(|(capital, _)| *capital == c).map_or(c, |(_, of)| of);
        name.chars().map(of).collect::<String>().contains(part.as_str())
    }

    #[test]
    fn a_store_that_knows_no_letters_finds_the_same_names() {
        let names = (1..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|c| !c.is_control());
        for c in names {
            let name = format!("x{c}y");
            for spelling in [c.to_lowercase().to_string(), c.to_uppercase().to_string(), c.to_string()] {
                let part = NamePart::new(&spelling).unwrap();
                assert_eq!(part.is_in(&name), is_translated_in(&part, &name), "{spelling:?} in {name:?}");
            }
            assert!(NamePart::new(c.to_string()).unwrap().is_in(&name), "{c:?}");
        }
    }

    #[test]
    fn capitals_are_the_same_and_nothing_else_is() {
        for (part, name, is_in) in [
            ("", "", true),
            ("", "CI", true),
            ("ci", "My CI key", true),
            ("CI KEY", "my ci key", true),
            ("übung", "ÜBUNG", true),
            ("Я", "я", true),
            ("ς", "Σ", false),
            ("σ", "Σ", true),
            ("k", "\u{212a}", false),
            ("ss", "ß", false),
            ("i", "İ", false),
            ("%", "all", false),
            ("c_", "CI", false),
            ("*", "CI", false),
            ("e\u{301}", "é", false),
            ("cii", "CI", false),
        ] {
            let part = NamePart::new(part).unwrap();
            assert_eq!((part.is_in(name), is_translated_in(&part, name)), (is_in, is_in), "{part:?} in {name}");
        }
    }

    #[test]
    fn what_no_name_has_is_refused() {
        let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
        for part in [&"é".repeat(101), "a\0b", "a\nb", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", key.expose_secret()]
        {
            let error = NamePart::new(part).unwrap_err();
            assert!(!error.to_string().contains(part), "{error}");
        }
        assert!(NamePart::new("é".repeat(100)).is_ok());
    }
}
