//! Keys inside other texts: in names, in user agents, in lines on their way to a log.

use std::{borrow::Cow, ops::Range};

use super::{
    find::{Seam, seams},
    layout::{RANDOM_LENGTH, SECRET_LENGTH, is_base64url},
};

pub(super) const REDACTED: &str = "[REDACTED]";

/// At this length or more, a part of a secret is worth hiding from people and refusing in a name.
const SHORTEST_FRAGMENT: usize = 8;

/// The text with `[REDACTED]` instead of the secret in every part that looks like a key of any brand.
///
/// Finds whole keys, keys that lost their end down to a single character of secret, and keys that lost their prefix.
/// Borrows if nothing had to be replaced. Reads the whole text once, at any length.
///
/// ```
/// use tower_api_keys::{KeyKind, key::{KeyFormat, redact}};
///
/// let key = KeyFormat::branded("acme")?.generate(KeyKind::User)?;
/// let line = format!("curl -H 'x-api-key: {}' localhost", key.expose_secret());
/// assert_eq!(redact(&line), format!("curl -H 'x-api-key: {}' localhost", key.redacted()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Security
/// A last safety net for texts that should hold no key. It recognizes keys by their shape, so a secret alone, without
/// its id, passes.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut redacted = String::new();
    let mut kept = 0;
    for secret in secrets(text, 1) {
        redacted.push_str(text.get(kept..secret.start).unwrap_or_default());
        redacted.push_str(REDACTED);
        kept = secret.end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    redacted.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

/// Whether a part of the text looks like a key of any brand, or like an incomplete one: 8 characters of its secret are
/// enough.
///
/// Used to refuse names and labels.
///
/// ```
/// use tower_api_keys::{KeyKind, key::{KeyFormat, contains_key}};
///
/// let key = KeyFormat::unbranded().generate(KeyKind::Team)?;
/// assert!(contains_key(&format!("CI {}", key.expose_secret())));
/// assert!(!contains_key(&format!("CI {}", key.redacted())));
/// assert!(!contains_key("GitHub Actions - production"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn contains_key(text: &str) -> bool {
    secrets(text, SHORTEST_FRAGMENT).next().is_some()
}

/// Whether a text may hold the secret of a key: [a key](contains_key), or a run of characters as long as a secret,
/// which has no other mark. For texts from strangers, where no word is that long.
pub(crate) fn may_hold_secret(text: &str) -> bool {
    let runs = text.as_bytes().chunk_by(|one, two| is_base64url(*one) && is_base64url(*two));
    contains_key(text) || runs.map(<[u8]>::len).any(|length| length >= SECRET_LENGTH)
}

/// The positions of secrets of at least this length, in order and not overlapping.
fn secrets(text: &str, shortest: usize) -> impl Iterator<Item = Range<usize>> {
    // Bounds are next to dots and between base64url characters, so they never split a character.
    seams(text.as_bytes()).filter_map(move |Seam { dot, id_length, kind }| {
        let behind = text.as_bytes().get(dot + 1..)?;
        let length = behind.iter().take_while(|byte| is_base64url(**byte)).count();
        let is_secret = match kind {
            Some(_) => length >= shortest,
            // The prefix was cut off, with or without part of the id.
            None => id_length >= SHORTEST_FRAGMENT && length >= RANDOM_LENGTH,
        };
        is_secret.then(|| dot + 1..dot + 1 + length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "acme_team.__79_Pv6-fj39vX08_Lx.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut";
    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut";

    #[test]
    fn secret_is_replaced_wherever_the_key_stands() {
        for (before, after) in
            [("", ""), ("x-api-key: ", "\r\n"), ("é", "é"), ("(", ")."), ("a.b.c ", ".d.e"), ("x", "=")]
        {
            let redacted = format!("{before}acme_team.__79_Pv6-fj39vX08_Lx.[REDACTED]{after}");
            assert_eq!(redact(&format!("{before}{KEY}{after}")), redacted);
        }
    }

    #[test]
    fn the_last_part_of_a_key_alone_may_be_a_secret() {
        for text in [SECRET.to_owned(), format!("curl/{SECRET}"), format!("({SECRET})"), KEY.to_owned()] {
            assert!(may_hold_secret(&text), "{text}");
        }
        for text in ["", "curl", "github-actions-deployment-controller", &SECRET[1..], "0123456789.".repeat(9).as_str()]
        {
            assert!(!may_hold_secret(text), "{text}");
        }
    }

    #[test]
    fn every_key_of_a_text_is_redacted() {
        let text = format!("{KEY} and {KEY},{KEY}");
        assert!(!redact(&text).contains(&SECRET[..8]));
        assert_eq!(redact(&text).matches(REDACTED).count(), 3);
    }

    #[test]
    fn key_in_the_wrong_case_without_brand_or_cut_off_is_redacted() {
        for text in [KEY.to_uppercase(), KEY.replace("acme_", ""), KEY.replace("acme_team.", ""), KEY[..40].to_owned()]
        {
            let redacted = redact(&text);
            assert!(redacted.ends_with("Lx.[REDACTED]") || redacted.ends_with("LX.[REDACTED]"), "{text} {redacted}");
        }
    }

    #[test]
    fn text_without_a_key_is_borrowed() {
        for text in ["", ".", "..", "user.", "user.profile.settings_page", "curl/8.5.0", "a.b.c", "team.é.ü", "1.2.3.4"]
        {
            assert!(matches!(redact(text), Cow::Borrowed(borrowed) if borrowed == text), "{text:?}");
        }
    }

    #[test]
    fn fragment_counts_from_8_characters_of_secret_on() {
        let id = "acme_team.__79_Pv6-fj39vX08_Lx.".len();
        assert!(!contains_key(&KEY[..id + 7]));
        assert!(contains_key(&KEY[..id + 8]));
        assert!(contains_key(KEY));
    }

    #[test]
    fn ordinary_names_are_no_keys() {
        for name in ["GitHub Actions - production", "team.platform.deployments", "v1.2.3", "user.name@example.com"] {
            assert!(!contains_key(name), "{name:?}");
        }
    }
}
