use crate::sentence::told_words;

/// Words that say nothing about where a key is used. In byte order, for a binary search.
#[rustfmt::skip]
const VAGUE: &[&str] = &[
    "a", "abc", "an", "another", "api", "apikey", "asd", "asdf", "asdfg", "asdfgh", "bar", "baz", "blah", "copy",
    "default", "demo", "dummy", "example", "final", "first", "foo", "foobar", "for", "key", "keys", "latest", "me",
    "mine", "misc", "my", "mykey", "name", "new", "none", "null", "of", "old", "one", "other", "personal", "qwe",
    "qwer", "qwert", "qwerty", "sample", "secret", "some", "stuff", "team", "temp", "temporary", "test", "testing",
    "tests", "the", "thing", "this", "tmp", "todo", "token", "tokens", "two", "unknown", "unnamed", "untitled",
    "user", "v", "whatever", "zxcv",
];

told_words! {
    /// What could be better about a name.
    ///
    /// ```
    /// use tower_api_keys::manage::{NameAdvice, lint_name};
    ///
    /// assert_eq!(lint_name("").unwrap().sentence(), "Name the key after what uses it, and where.");
    /// assert_eq!(lint_name("key1"), Some(NameAdvice::Vague));
    /// ```
    #[non_exhaustive]
    pub enum NameAdvice as "name_advice",
    /// What to do about it, as a sentence.
    pub sentence {
        /// There is no name.
        Empty = "empty": "Name the key after what uses it, and where.",
        /// In a year, this name will not show which key this is.
        Vague = "vague": "Name the key after what uses it, and where: `GitHub Actions - production`.",
    }
}

/// Advice about a key's name; `None` if the name is useful. A bad name is allowed: this is for forms and lists.
///
/// ```
/// use tower_api_keys::manage::lint_name;
///
/// assert!(lint_name("my test key 2").is_some());
/// assert!(lint_name("Monday cron").is_none());
/// ```
#[must_use]
pub fn lint_name(name: &str) -> Option<NameAdvice> {
    if name.trim().is_empty() {
        return Some(NameAdvice::Empty);
    }
    let name = name.to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.all(says_nothing).then_some(NameAdvice::Vague)
}

/// A number, one repeated character, or a vague word, numbered or not.
fn says_nothing(word: &str) -> bool {
    let word = word.trim_matches(char::is_numeric);
    let mut rest = word.chars();
    let same = rest.next().is_none_or(|first| first.is_ascii() && rest.all(|c| c == first));
    same || VAGUE.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vague_words_are_in_order() {
        assert!(VAGUE.is_sorted());
    }

    #[test]
    fn names_that_say_nothing_are_vague() {
        for name in [
            "key1",
            "test",
            "my key",
            "asdf",
            "API Key",
            "Test-2",
            "aaaa",
            "x",
            "123",
            "2024-01-01",
            "new_key_v2",
            "???",
            "TEST KEY (copy)",
            "untitled",
            "tmp",
            "team key",
        ] {
            assert_eq!(lint_name(name), Some(NameAdvice::Vague), "{name}");
        }
    }

    #[test]
    fn names_that_say_something_are_fine() {
        for name in [
            "CI pipeline",
            "Monday cron",
            "gha-deploy-main",
            "GitHub Actions - production",
            "test runner of billing",
            "laptop",
            "S3 sync",
            "夜間バッチ",
            "猫",
        ] {
            assert_eq!(lint_name(name), None, "{name}");
        }
    }

    #[test]
    fn no_name_is_empty() {
        for name in ["", " ", "\u{3000}"] {
            assert_eq!(lint_name(name), Some(NameAdvice::Empty));
        }
    }
}
