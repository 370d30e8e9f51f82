//! One key has exactly one text: any other text is refused, and no text makes the reader panic.
#![no_main]

mod shared;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tower_api_keys::{
    KeyKind,
    key::{KeyFormat, MalformedReason, contains_key, redact},
};

use self::shared::{checksum, encode, is_key};

const PREFIXES: [&str; 4] = ["user", "team", "acme_user", "acme_team"];

static FORMAT: LazyLock<KeyFormat> =
    LazyLock::new(|| KeyFormat::branded("acme").expect("a good brand").accepting_unbranded());

// The input is read as it is. Then its first bytes make a key, and the rest changes and surrounds that key.
fuzz_target!(|data: &[u8]| {
    read(data);
    find(data);
    hide(&String::from_utf8_lossy(data));
    if let Some((&choice, rest)) = data.split_first()
        && let Some((random, rest)) = rest.split_at_checked(15 + 33)
    {
        let key = key(PREFIXES[usize::from(choice) % PREFIXES.len()], &random[..15], &random[15..]);
        assert!(FORMAT.parse(key.as_bytes()).is_ok(), "a key was refused: {key}");
        read(key.as_bytes());
        change(&key, rest);
        surround(&key, rest);
    }
});

/// A text is accepted exactly if an independent reader accepts it, and no part of it is lost.
fn read(text: &[u8]) {
    let parsed = FORMAT.parse(text);
    assert_eq!(parsed.is_ok(), is_key(text, &PREFIXES), "{}", text.escape_ascii());
    match parsed {
        Ok(parsed) => {
            let whole = parsed.expose_secret();
            assert_eq!(whole.as_bytes(), text);
            let prefix = whole.split('.').next().unwrap_or_default();
            let secret = std::str::from_utf8(parsed.secret()).expect("a secret is ASCII");
            assert_eq!(format!("{prefix}.{}.{secret}", parsed.id()), whole);
            assert_eq!(prefix.ends_with("team"), parsed.kind() == KeyKind::Team);
            assert!(FORMAT.begins_like_a_key(text));

            let plaintext = parsed.to_plaintext();
            assert_eq!(plaintext.expose_secret(), whole);
            assert_eq!((plaintext.id(), plaintext.kind()), (parsed.id(), parsed.kind()));
            for shown in [plaintext.redacted(), format!("{plaintext:?}"), format!("{parsed:?}")] {
                assert!(!shown.contains(secret));
            }
        }
        Err(error) => {
            assert_eq!(FORMAT.parse(text).err().map(|again| again.reason()), Some(error.reason()));
            let _ = (error.to_string(), error.reason().as_str(), error.advice(), error.issuer());
            blame(text, error.reason());
        }
    }
}

/// A text with a whole key in the examined part is never reported as a placeholder or a foreign credential. A reason
/// that names something is given only if that is in the text.
fn blame(text: &[u8], reason: MalformedReason) {
    let head = &text[..text.len().min(256)];
    let keys = FORMAT.find_in(head).filter(|found| found.is_whole).count();
    let is_wrong = match reason {
        MalformedReason::Placeholder | MalformedReason::ForeignCredential | MalformedReason::Encoded => keys > 0,
        MalformedReason::Truncated | MalformedReason::UnknownPrefix => keys > 0,
        MalformedReason::Empty => !text.is_empty(),
        MalformedReason::BearerInside => !head.to_ascii_lowercase().windows(6).any(|word| word == b"bearer"),
        _ => false,
    };
    assert!(!is_wrong, "{reason} of {}", text.escape_ascii());
    assert!(keys < 2 || reason == MalformedReason::TwoKeys, "{reason} of {}", text.escape_ascii());
}

/// A key with one byte replaced, inserted or removed, or two neighbours swapped, is no key.
fn change(key: &str, how: &[u8]) {
    let &[kind, position, byte, ..] = how else { return };
    let mut changed = key.as_bytes().to_vec();
    let position = usize::from(position) % changed.len();
    match kind % 4 {
        0 => changed[position] = byte,
        1 => changed.insert(position, byte),
        2 => drop(changed.remove(position)),
        _ => changed.swap(position, (position + 1) % key.len()),
    }
    assert!(changed == key.as_bytes() || FORMAT.parse(&changed).is_err(), "{key} and {}", changed.escape_ascii());
    read(&changed);
}

/// The whole keys that are found are those that an independent reader accepts, at the same places.
fn find(text: &[u8]) {
    let whole = FORMAT.find_in(text).filter(|found| found.is_whole).map(|found| found.at);
    let ends = (0..text.len()).flat_map(|start| [start..start + 74, start..start + 79]);
    let mut keys: Vec<_> = ends.filter(|at| text.get(at.clone()).is_some_and(|text| is_key(text, &PREFIXES))).collect();
    keys.sort_by_key(|at| at.end);
    assert_eq!(whole.collect::<Vec<_>>(), keys, "{}", text.escape_ascii());
}

/// A redacted text holds no key, and redacting it again changes nothing.
fn hide(text: &str) {
    let redacted = redact(text);
    assert!(!contains_key(&redacted), "{redacted:?}");
    assert_eq!(redact(&redacted), redacted);
    assert!(FORMAT.find_in(redacted.as_bytes()).next().is_none(), "{redacted:?}");
    assert!(!contains_key(text) || text != redacted, "{text:?}");
}

/// A key is found anywhere in a text, also without its beginning or its end.
fn surround(key: &str, text: &[u8]) {
    let secret = key.len() - 48;
    let cut = text.first().map_or(0, |&cut| usize::from(cut));
    let text = String::from_utf8_lossy(text);
    // A secret without an id before it is not searched for, so the text must not contain this one.
    if text.contains(&key[secret..secret + 36]) {
        return;
    }
    let whole = format!("{text}{key}{text}");
    assert!(contains_key(&whole));
    assert!(!redact(&whole).contains(&key[secret..]));
    let mut places = FORMAT.find_in(whole.as_bytes()).filter(|found| found.is_whole).map(|found| found.at);
    assert!(places.any(|at| at == (text.len()..text.len() + key.len())), "{whole:?}");
    find(whole.as_bytes());
    hide(&whole);

    // At least 8 characters of the id or of the secret are left.
    let beginning_lost = format!("{text} {} {text}", &key[secret - 21 + cut % 13..]);
    assert!(contains_key(&beginning_lost));
    assert!(!redact(&beginning_lost).contains(&key[secret..]));
    let left = &key[..secret + 8 + cut % 40];
    let end_lost = format!("{text} {left} {text}");
    assert!(contains_key(&end_lost));
    assert!(!redact(&end_lost).contains(left));
}

fn key(prefix: &str, id: &[u8], secret: &[u8]) -> String {
    let covered = format!("{prefix}.{}.{}", encode(id), encode(secret));
    let checksum = checksum(&covered);
    covered + &checksum
}
