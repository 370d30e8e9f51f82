//! The positions of a key's parts, and the characters they are made of.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::lengths::KEY_ID;

/// Random bytes of an id.
pub(super) const ID_BYTES: usize = 15;
/// Characters of an id.
pub(super) const ID_LENGTH: usize = KEY_ID.bytes();
/// Random bytes of a secret: 264 bits.
pub(super) const SECRET_BYTES: usize = 33;
/// Characters of the random part of a secret.
pub(super) const RANDOM_LENGTH: usize = 44;
/// Characters of the checksum.
pub(super) const CHECKSUM_LENGTH: usize = 4;
/// Characters after the second dot.
pub(super) const SECRET_LENGTH: usize = RANDOM_LENGTH + CHECKSUM_LENGTH;
/// Characters after the prefix, including both dots.
pub(super) const TAIL_LENGTH: usize = 1 + ID_LENGTH + 1 + SECRET_LENGTH;
/// Characters of the longest brand.
pub(super) const LONGEST_BRAND: usize = 16;
/// `user` and `team`, which are equally long.
pub(super) const KIND_LENGTH: usize = 4;
/// The longest prefix: a brand, `_` and a kind.
pub(super) const LONGEST_PREFIX: usize = LONGEST_BRAND + 1 + KIND_LENGTH;
/// An unbranded key.
pub(super) const SHORTEST_KEY: usize = KIND_LENGTH + TAIL_LENGTH;
/// A key with the longest brand.
pub(super) const LONGEST_KEY: usize = LONGEST_PREFIX + TAIL_LENGTH;

/// How many bytes of a text are read to find out why it is no key.
pub(super) const LOOKED_AT: usize = 256;

/// A text cut where a key of its length has its dots. Nothing else is known about the parts.
pub(super) struct Parts<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) id: &'a [u8; ID_LENGTH],
    pub(super) secret: &'a [u8; SECRET_LENGTH],
}

/// Cuts a text of a possible length. `None` for another length or without the dots.
#[inline]
pub(super) fn split(text: &[u8]) -> Option<Parts<'_>> {
    if text.len() < SHORTEST_KEY || text.len() > LONGEST_KEY {
        return None;
    }
    let (rest, secret) = text.split_last_chunk()?;
    let (b'.', rest) = rest.split_last()? else { return None };
    let (rest, id) = rest.split_last_chunk()?;
    let (b'.', prefix) = rest.split_last()? else { return None };
    Some(Parts { prefix, id, secret })
}

/// Whether a byte is a character of base64url (RFC 4648 §5).
#[inline]
pub(super) const fn is_base64url(byte: u8) -> bool {
    // Letters differ by one bit between the cases, so one comparison covers both.
    (byte | 0x20).is_ascii_lowercase() | byte.is_ascii_digit() | (byte == b'-') | (byte == b'_')
}

/// Whether all bytes are characters of base64url. Without an early exit, which lets the compiler use vectors.
#[inline]
pub(super) fn all_base64url(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| all & is_base64url(byte))
}

/// `source` as base64url text in `destination`, which has 4 bytes for each 3 of the source.
pub(super) fn encode<'a>(source: &[u8], destination: &'a mut [u8]) -> &'a str {
    debug_assert_eq!(source.len() * 4, destination.len() * 3);
    // Fails only for a destination that is too short, and both lengths are constants at every call.
    Base64UrlUnpadded::encode(source, destination).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_that_of_the_rfc() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for byte in 0..=u8::MAX {
            assert_eq!(is_base64url(byte), alphabet.contains(&byte), "{byte}");
        }
    }
}
