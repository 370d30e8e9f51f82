//! An independent description of the text of a key.

pub const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub fn is_key(text: &[u8], prefixes: &[&str]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let parts: Vec<&str> = text.split('.').collect();
    let &[prefix, id, secret] = parts.as_slice() else { return false };
    prefixes.contains(&prefix)
        && (id.len(), secret.len()) == (20, 48)
        && is_base64url(id)
        && is_base64url(secret)
        && text[text.len() - 4..] == checksum(&text[..text.len() - 4])
}

pub fn is_base64url(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}

pub fn encode(bytes: &[u8]) -> String {
    let group = |three: &[u8]| three.iter().fold(0, |bits, &byte| (bits << 8) | u32::from(byte));
    let character = |bits: u32| char::from(ALPHABET[(bits & 63) as usize]);
    let characters = |bits: u32| [18, 12, 6, 0].map(|shift| character(bits >> shift));
    bytes.chunks_exact(3).flat_map(|three| characters(group(three))).collect()
}

/// The low 24 bits of CRC-32 (IEEE 802.3), bit by bit.
pub fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    encode(&(!crc).to_be_bytes()[1..])
}
