//! Credentials of any kind in what people write about a key: names, labels, reasons.

use std::{borrow::Cow, ops::Range};

use super::{
    foreign::known,
    layout::is_base64url,
    redact::{REDACTED, contains_key, redact},
};

/// Random parts of the known credentials have at least this number of characters, and most words have fewer.
const RANDOM: usize = 16;

/// The length of the shortest prefix of a credential whose random part may have hyphens and underscores.
const SHORTEST_PREFIX: usize = 4;

/// Whether a text contains a key, or a part of one, or a credential of a well-known service.
pub(crate) fn contains_credential(text: &str) -> bool {
    contains_key(text) || contains_foreign_credential(text)
}

/// Whether a text contains a credential of a well-known service.
pub(crate) fn contains_foreign_credential(text: &str) -> bool {
    foreign(text).next().is_some()
}

/// The text with `[REDACTED]` instead of what only the holder of a credential may know.
pub(crate) fn without_credentials(text: &str) -> Cow<'_, str> {
    let mut cleaned = redact(text);
    loop {
        let Some(found) = foreign(&cleaned).next() else { return cleaned };
        cleaned.to_mut().replace_range(found, REDACTED);
    }
}

/// Finds credentials of other services. For texts of some hundred characters: it may read each of them that many times.
fn foreign(text: &str) -> impl Iterator<Item = Range<usize>> {
    // Most names are shorter than any credential.
    let bytes = if text.len() < RANDOM + SHORTEST_PREFIX { &[] } else { text.as_bytes() };
    let ends_word = |byte: u8| !is_base64url(byte) && byte != b'.';
    let begins_word = move |start: &usize| {
        start.checked_sub(1).and_then(|before| bytes.get(before)).is_none_or(|before| !before.is_ascii_alphanumeric())
    };
    (0..bytes.len()).filter(begins_word).filter_map(move |start| {
        let rest = bytes.get(start..)?;
        let word = rest.get(..rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len()))?;
        (known(word).is_some() && has_random_part(word)).then(|| start..start + word.len())
    })
}

/// `sk-` with a chosen name is no credential: words are shorter, or all in one case.
fn has_random_part(word: &[u8]) -> bool {
    let has_digit = word.iter().any(u8::is_ascii_digit);
    let is_upper = word.iter().all(u8::is_ascii_uppercase);
    let is_mixed = word.iter().any(u8::is_ascii_uppercase) && word.iter().any(u8::is_ascii_lowercase);
    let mut parts = word.split(|byte| !byte.is_ascii_alphanumeric());
    let has_long_part = parts.any(|part| part.len() >= RANDOM);
    (has_long_part && (has_digit || is_upper)) || (has_digit && is_mixed && word.len() >= RANDOM + SHORTEST_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyKind, key::KeyFormat};

    /// Examples from the documentation of their issuers.
    const FOREIGN: [&str; 8] = [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "glpat-AbCdEfGh1J-kLmNo_qRs",
        "github_pat_11AAAAAAA0abcdefghijkl_0123456789abcdefghijklmnop",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk-ant-api03-AbCdEfGh1JkLmNoPqRsTuVwXyZ-0123456789_abcdefghij",
        "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ];

    #[test]
    fn credentials_of_others_are_found_wherever_they_stand() {
        for credential in FOREIGN {
            for text in [credential.to_owned(), format!("token={credential}"), format!("CI ({credential}), old")] {
                assert!(contains_credential(&text), "{text}");
                let cleaned = without_credentials(&text);
                assert!(!cleaned.contains(credential) && cleaned.contains("[REDACTED]"), "{cleaned}");
            }
        }
        let both = format!("{} {}", FOREIGN[0], FOREIGN[1]);
        assert_eq!(without_credentials(&both), "[REDACTED] [REDACTED]");
    }

    #[test]
    fn what_people_call_things_is_no_credential() {
        for text in [
            "GitHub Actions - production",
            "sk-learn-pipeline-production-2024",
            "ghp_token of the old runner",
            "AKIA is the prefix of AWS",
            "eyJ",
            "pk_test_for_the_sandbox",
            "laptop \u{1f469}\u{200d}\u{1f4bb}",
        ] {
            assert!(!contains_credential(text), "{text}");
            assert_eq!(without_credentials(text), text);
        }
    }

    #[test]
    fn keys_are_found_too() {
        let key = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
        let text = format!("{} and {}", key.expose_secret(), FOREIGN[3]);
        assert!(contains_credential(&text));
        assert_eq!(without_credentials(&text), format!("{} and [REDACTED]", key.redacted()));
    }
}
