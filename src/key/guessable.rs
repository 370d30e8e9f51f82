//! Texts in the form of a key with a secret that can be guessed.

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::{
    layout::{CHECKSUM_LENGTH, RANDOM_LENGTH, SECRET_BYTES},
    plaintext::PlaintextKey,
};

/// With fewer different characters, or bytes, than this a text is no secret. One of 10^13 random secrets has fewer
/// characters.
const FEWEST: usize = 16;

impl PlaintextKey {
    /// Whether the secret follows a pattern, as in documentation: few different characters, one repeated part, or steps
    /// of one size. Other invented secrets cannot be recognized.
    ///
    /// False for every key that was made at random, except one of 10^13.
    pub(crate) fn is_guessable(&self) -> bool {
        let text = self.expose_secret().as_bytes();
        let random = text.split_last_chunk::<CHECKSUM_LENGTH>().and_then(|(text, _)| text.split_last_chunk());
        let Some((_, random)) = random else { return true };
        let random: &[u8; RANDOM_LENGTH] = random;
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        let is_decoded = Base64UrlUnpadded::decode(random, bytes.as_mut_slice()).is_ok();
        !is_decoded || follows_pattern(random) || follows_pattern(bytes.as_slice())
    }
}

fn follows_pattern(values: &[u8]) -> bool {
    has_few(values) || is_repeated(values) || is_counted(values)
}

fn has_few(values: &[u8]) -> bool {
    let mut seen = [false; 256];
    for value in values {
        if let Some(seen) = seen.get_mut(usize::from(*value)) {
            *seen = true;
        }
    }
    seen.iter().filter(|seen| **seen).count() < FEWEST
}

/// One part, at least twice, and nothing else.
fn is_repeated(values: &[u8]) -> bool {
    (1..=values.len() / 2).any(|period| values.iter().zip(values.iter().skip(period)).all(|(one, next)| one == next))
}

/// Most values have the same distance from the one before: `abcdef`, 1, 3, 5.
fn is_counted(values: &[u8]) -> bool {
    let mut steps = [0_usize; 256];
    for (one, next) in values.iter().zip(values.iter().skip(1)) {
        if let Some(count) = steps.get_mut(usize::from(next.wrapping_sub(*one))) {
            *count += 1;
        }
    }
    steps.iter().any(|count| *count > values.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyKind, key::KeyFormat};

    fn key(secret: [u8; SECRET_BYTES]) -> PlaintextKey {
        KeyFormat::unbranded().assemble(KeyKind::Team, &[7; 15], &secret)
    }

    fn of_characters(random: &str) -> PlaintextKey {
        let mut secret = [0; SECRET_BYTES];
        Base64UrlUnpadded::decode(random, &mut secret).unwrap();
        key(secret)
    }

    #[test]
    fn patterns_are_told() {
        let place = |place: usize| u8::try_from(place).unwrap();
        for secret in [
            [0; SECRET_BYTES],
            [15; SECRET_BYTES],
            std::array::from_fn(place),
            std::array::from_fn(|at| 255 - place(at) * 3),
            std::array::from_fn(|at| place(at % 16).wrapping_mul(59)),
            std::array::from_fn(|at| place(at % 15).wrapping_mul(83)),
        ] {
            assert!(key(secret).is_guessable(), "{secret:?}");
        }
        for random in [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr",
            "this-is-a-test-key-this-is-a-test-key-this-i",
            "ThisIsNotASecret-12345ThisIsNotASecret-12345",
        ] {
            assert!(of_characters(random).is_guessable(), "{random}");
        }
    }

    #[test]
    fn keys_of_the_documentation_are_told() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let pages = [readme.as_str(), include_str!("format.rs"), include_str!("redact.rs")];
        let format = KeyFormat::branded("acme").unwrap().accepting_unbranded();
        let mut found = 0;
        for page in pages {
            for key in format.find_in(page.as_bytes()).filter(|key| key.is_whole) {
                let parsed = format.parse(&page.as_bytes()[key.at]).unwrap();
                assert!(parsed.to_plaintext().is_guessable(), "{parsed:?}");
                found += 1;
            }
        }
        assert!(found >= 3, "{found}");
    }

    #[test]
    fn what_is_made_at_random_is_none() {
        for _ in 0..20_000 {
            assert!(!KeyFormat::unbranded().generate(KeyKind::User).unwrap().is_guessable());
        }
        // At the limit: few different characters, and even steps.
        assert!(!of_characters("abcdefghijklmnopAAAABBBBCCCCDDDDEEEEFFFFGGGG").is_guessable());
    }
}
