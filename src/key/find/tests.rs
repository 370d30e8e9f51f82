use proptest::prelude::*;

use super::*;
use crate::key::{KeyFormat, redact};

const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";
const BRANDED: &str = "acme_team.__79_Pv6-fj39vX08_Lx.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut";

fn branded() -> KeyFormat {
    KeyFormat::branded("acme").unwrap()
}

/// The texts that are found, and whether each is a whole key.
fn found<'a>(format: &KeyFormat, text: &'a str) -> Vec<(&'a str, bool)> {
    format.find_in(text.as_bytes()).map(|found| (&text[found.at], found.is_whole)).collect()
}

#[test]
fn key_is_found_between_any_two_texts() {
    for before in ["", " ", "x", "Bearer", "_", "-", ".", "é", "user.", "team.x.", "API_KEY_", "k_", "%20", "\"", "1"]
    {
        for after in ["", " ", "x", "_", "-", ".", "é", ".user.", "%0A", "\"", "==", "AAAA"] {
            let text = format!("{before}{KEY}{after}");
            assert_eq!(found(&KeyFormat::unbranded(), &text), [(KEY, true)], "{before:?} {after:?}");
            let text = format!("{before}{BRANDED}{after}");
            assert_eq!(found(&branded(), &text), [(BRANDED, true)], "{before:?} {after:?}");
        }
    }
}

#[test]
fn what_is_found_says_where_and_whose_it_is() {
    let text = format!("{KEY}{KEY} acme_{BRANDED}");
    let format = KeyFormat::unbranded().accepting("acme").unwrap();
    let found: Vec<_> = format.find_in(text.as_bytes()).collect();
    let places: Vec<_> = found.iter().map(|found| found.at.clone()).collect();
    assert_eq!(places, [0..74, 74..148, 154..text.len()]);
    for found in found {
        let key = format.parse(&text.as_bytes()[found.at]).unwrap();
        assert_eq!((found.id, found.kind, found.is_whole), (key.id(), key.kind(), true));
    }
}

#[test]
fn damaged_key_is_found_and_said_to_be_damaged() {
    for text in [KEY.replace("VhAZ", "VhAY"), KEY.to_uppercase(), KEY.replace("user", "User"), KEY.replace('u', "x_u")]
    {
        let start = text.to_lowercase().find("user").unwrap();
        assert_eq!(found(&KeyFormat::unbranded(), &text), [(&text[start..], text.contains("VhAZ") && start > 0)]);
    }
    // If no checksum decides, the longest prefix counts.
    let damaged = BRANDED.replace("2ut", "2uu");
    assert_eq!(found(&branded().accepting_unbranded(), &damaged), [(damaged.as_str(), false)]);
}

#[test]
fn less_than_a_key_is_none() {
    let format = KeyFormat::unbranded();
    for text in [
        String::new(),
        "user.".into(),
        "user.smith:pw".into(),
        "team.blue.example.com".into(),
        KEY[..73].into(),
        KEY[1..].into(),
        KEY.replacen('A', "", 1),
        KEY.replacen('A', "AA", 1),
        KEY.replacen('A', "+", 1),
        KEY.replacen('D', "w/", 1),
        KEY.replace("user.", "user:"),
        KEY.replace("user.", "users."),
        KEY.replace("user.", "root."),
        KEY.replace("0O.", "0O:"),
        format!("{}.VhAZ", &KEY[..70]),
    ] {
        assert_eq!(found(&format, &text), [], "{text:?}");
    }
}

#[test]
fn key_of_another_brand_is_somebody_elses() {
    let globex = KeyFormat::branded("globex").unwrap().generate(KeyKind::User).unwrap();
    let globex = globex.expose_secret();
    for text in [globex.to_owned(), format!("Bearer{globex}"), format!("x{globex}x"), format!("MY_{globex}")] {
        assert_eq!(found(&KeyFormat::unbranded(), &text), [], "{text:?}");
        assert_eq!(found(&branded(), &text), [], "{text:?}");
    }
    // A format with a brand does not accept a key without one.
    assert_eq!(found(&branded(), KEY), []);
    // With a wrong checksum it is unknown: it may be a key without a brand after a word.
    let damaged =
        format!("{}!", &globex[..globex.len() - 1]).replace("!", if globex.ends_with('A') { "B" } else { "A" });
    assert_eq!(found(&KeyFormat::unbranded(), &damaged), [(&damaged["globex_".len()..], false)]);
}

#[test]
fn whole_key_is_found_behind_one_that_lost_its_end() {
    let text = format!("{}{KEY}", &KEY[..70]);
    assert_eq!(found(&KeyFormat::unbranded(), &text), [(&text[..74], false), (KEY, true)]);
}

/// The definition of a key in a text, checked at each position.
fn naive(text: &[u8], brands: &[&str]) -> Vec<(Range<usize>, bool)> {
    let alphabet = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let is_right = |key: &[u8]| checksum(&key[..key.len() - 4]) == key[key.len() - 4..];
    let ends = |text: &[u8], word: &str| text.to_ascii_lowercase().ends_with(word.as_bytes());
    let mut found = Vec::new();
    for kind in 0..text.len().saturating_sub(73) {
        let (before, key) = (&text[..kind], &text[kind..kind + 74]);
        let word = key[..5].to_ascii_lowercase();
        let has_shape =
            (word == b"user." || word == b"team.") && alphabet(&key[5..25]) && key[25] == b'.' && alphabet(&key[26..]);
        if !has_shape {
            continue;
        }
        let accepted: Vec<usize> = brands
            .iter()
            .map(|brand| if brand.is_empty() { String::new() } else { format!("{brand}_") })
            .filter(|brand| ends(before, brand))
            .map(|brand| kind - brand.len())
            .collect();
        let lower = |start: usize| !text[start..kind + 4].iter().any(u8::is_ascii_uppercase);
        if let Some(start) = accepted.iter().find(|start| lower(**start) && is_right(&text[**start..kind + 74])) {
            found.push((*start..kind + 74, true));
            continue;
        }
        let is_brand = |text: &[u8]| {
            (2..=17).contains(&text.len())
                && text.ends_with(b"_")
                && text[0].is_ascii_lowercase()
                && text[..text.len() - 1].iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let is_foreign = (0..kind).any(|start| is_brand(&text[start..kind]) && is_right(&text[start..kind + 74]));
        if let Some(start) = accepted.into_iter().min().filter(|_| !is_foreign) {
            found.push((start..kind + 74, false));
        }
    }
    found
}

fn piece() -> impl Strategy<Value = String> {
    let key = prop_oneof![Just(KEY.to_owned()), Just(BRANDED.to_owned()), Just(format!("globex_{KEY}"))];
    let changed = (key.clone(), 0..80_usize, "[A-Za-z._]?").prop_map(|(mut key, at, by)| {
        let at = at % key.len();
        key.replace_range(at..=at, &by);
        key
    });
    let foreign =
        Just(KeyFormat::branded("globex").unwrap().generate(KeyKind::Team).unwrap().expose_secret().to_owned());
    let cut = (key.clone(), 0..80_usize).prop_map(|(key, at)| key[at % key.len()..].to_owned());
    prop_oneof![
        key,
        changed,
        foreign,
        cut,
        "[a-z_.]{0,6}",
        ".{0,6}",
        Just("acme_".to_owned()),
        Just("user.".to_owned()),
        "[A-Za-z0-9_-]{20}\\.",
    ]
}

proptest! {
    #[test]
    fn the_search_agrees_with_its_description(pieces in proptest::collection::vec(piece(), 0..6)) {
        let text = pieces.concat();
        for (format, brands) in [
            (KeyFormat::unbranded(), &[""][..]),
            (branded(), &["acme"]),
            (KeyFormat::branded("acme").unwrap().accepting_unbranded().accepting("globex").unwrap(), &["acme", "", "globex"]),
        ] {
            let found: Vec<_> = format.find_in(text.as_bytes()).map(|found| (found.at, found.is_whole)).collect();
            prop_assert_eq!(found, naive(text.as_bytes(), brands), "{}", text);
        }
    }

    #[test]
    fn redacted_text_holds_no_key(pieces in proptest::collection::vec(piece(), 0..6)) {
        let format = branded().accepting_unbranded();
        let redacted = redact(&pieces.concat()).into_owned();
        prop_assert_eq!(found(&format, &redacted), [], "{}", redacted);
    }
}
