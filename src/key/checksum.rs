//! The last four characters of a key.

use super::layout::{CHECKSUM_LENGTH, encode};

/// The checksum of everything before it: CRC-32 (IEEE), big endian, without its first byte, as base64url.
pub(super) fn checksum(covered: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let [_, low_24 @ ..] = crc32fast::hash(covered).to_be_bytes();
    let mut text = [0; CHECKSUM_LENGTH];
    encode(&low_24, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::key::layout::{LONGEST_KEY, is_base64url};

    const COVERED: usize = LONGEST_KEY - CHECKSUM_LENGTH;

    /// CRC-32 is affine: the difference of two checksums depends only on the difference of the texts. So this is the
    /// effect of a difference of `pattern`, `distance` bytes before the end, on the kept bits.
    fn syndrome(pattern: &[u8], distance: usize) -> u32 {
        let mut changed = pattern.to_vec();
        changed.resize(pattern.len() + distance, 0);
        (crc32fast::hash(&changed) ^ crc32fast::hash(&vec![0; changed.len()])) & 0x00ff_ffff
    }

    #[test]
    fn known_answer() {
        // CRC-32 of "123456789" is cbf43926, the check value of every catalogue of CRCs.
        assert_eq!(&checksum(b"123456789"), b"9Dkm");
    }

    #[test]
    fn syndrome_is_the_difference_of_two_checksums() {
        let (text, other) = (b"user.abcdef", b"user.xbcdef");
        let difference = (crc32fast::hash(text) ^ crc32fast::hash(other)) & 0x00ff_ffff;
        assert_eq!(syndrome(&[b'a' ^ b'x'], 5), difference);
    }

    #[test]
    fn every_changed_byte_changes_the_checksum() {
        for distance in 0..COVERED {
            for pattern in 1..=u8::MAX {
                assert_ne!(syndrome(&[pattern], distance), 0, "{pattern:#x} {distance} bytes before the end");
            }
        }
    }

    #[test]
    fn every_two_changed_neighbours_change_the_checksum() {
        // (first, second) goes unnoticed exactly if first alone and second alone have the same effect: 65,025 pairs by
        // look-up.
        for distance in 0..COVERED - 1 {
            let second: HashSet<u32> = (1..=u8::MAX).map(|pattern| syndrome(&[pattern], distance)).collect();
            for pattern in 1..=u8::MAX {
                let first = syndrome(&[pattern], distance + 1);
                assert!(!second.contains(&first), "{pattern:#x} {distance} bytes before the end");
            }
        }
    }

    #[test]
    fn swapping_the_last_covered_character_with_the_first_of_the_checksum_is_noticed() {
        let alphabet: Vec<u8> = (0..=u8::MAX).filter(|&byte| is_base64url(byte)).collect();
        let value = |byte| match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            _ => 63,
        };
        for &covered in &alphabet {
            for &first in alphabet.iter().filter(|&&first| first != covered) {
                // Unnoticed if the checksum changes exactly as the swap changed its first character.
                let moved = u32::from(value(covered) ^ value(first)) << 18;
                assert_ne!(syndrome(&[covered ^ first], 0), moved, "{covered} {first}");
            }
        }
    }
}
