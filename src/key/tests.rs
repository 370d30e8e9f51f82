use std::collections::HashSet;

use base64ct::{Base64, Encoding};
use proptest::prelude::*;

use super::{
    checksum::checksum,
    layout::{LONGEST_KEY, SHORTEST_KEY, TAIL_LENGTH},
    *,
};
use crate::KeyKind;

const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";
const BRANDED: &str = "acme_team.__79_Pv6-fj39vX08_Lx.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut";

/// A format with the most prefixes that a service may accept.
fn widest() -> KeyFormat {
    ('b'..='p').fold(KeyFormat::branded("abcdefghijklmnop").unwrap().accepting_unbranded(), |format, letter| {
        format.accepting(&letter.to_string()).unwrap()
    })
}

fn kinds() -> impl Strategy<Value = KeyKind> {
    prop_oneof![Just(KeyKind::User), Just(KeyKind::Team)]
}

fn brands() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-z][a-z0-9]{0,15}")
}

fn format(brand: Option<&str>) -> KeyFormat {
    brand.map_or_else(KeyFormat::unbranded, |brand| KeyFormat::branded(brand).unwrap())
}

fn keys() -> impl Strategy<Value = PlaintextKey> {
    (brands(), kinds(), any::<[u8; 15]>(), any::<[[u8; 11]; 3]>()).prop_map(|(brand, kind, id, secret)| {
        format(brand.as_deref()).assemble(kind, &id, secret.as_flattened().try_into().unwrap())
    })
}

fn leaks(text: &str, secret: &str) -> bool {
    secret.as_bytes().windows(8).any(|window| text.contains(std::str::from_utf8(window).unwrap()))
}

/// Rules for every format and every text, usable by a fuzzer.
fn assert_invariants(format: &KeyFormat, text: &[u8]) {
    let located = format.locate(text);
    match format.parse(text) {
        Ok(key) => {
            let located = located.expect("what parses is located");
            assert_eq!(key.expose_secret().as_bytes(), text);
            assert_eq!((located.id(), located.secret()), (key.id().as_bytes(), key.secret()));
            assert_eq!(located.prefix(), key.prefix());
            let prefix = key.expose_secret().split('.').next().unwrap();
            let secret = std::str::from_utf8(key.secret()).unwrap();
            assert_eq!(format!("{prefix}.{}.{secret}", key.id()), key.expose_secret());
            assert_eq!(prefix.rsplit('_').next().unwrap(), key.kind().as_str());
            assert!(format.begins_like_a_key(text));
            assert!(contains_key(key.expose_secret()));
            assert!(!leaks(&redact(key.expose_secret()), secret));
            assert_eq!(key.to_plaintext().expose_secret().as_bytes(), text);
        }
        Err(error) => {
            assert_eq!(error, format.parse(text).unwrap_err());
            assert_eq!(error.issuer().is_some(), error.reason() == MalformedReason::ForeignCredential);
            if located.is_some() {
                assert!(format.begins_like_a_key(text));
            }
        }
    }
}

/// Why a text is refused, and the id that it still names.
fn named_in(format: &KeyFormat, text: &str) -> (MalformedReason, Option<String>) {
    let reason = format.diagnosis(text.as_bytes()).reason();
    let id = reason.leaves_an_id().then(|| format.id_in(text.as_bytes())).flatten();
    (reason, id.map(|id| id.to_string()))
}

#[test]
fn what_is_left_of_a_key_names_its_id() {
    let (unbranded, acme) = (KeyFormat::unbranded(), KeyFormat::branded("acme").unwrap());
    let (id, of_acme) = ("AAECAwQFBgcICQoLDA0O", "__79_Pv6-fj39vX08_Lx");
    let end = KEY.len() - 1;
    for (text, reason) in [
        (KEY[..end].to_owned(), MalformedReason::Truncated),
        (KEY[..25].to_owned(), MalformedReason::Truncated),
        (format!("{KEY}x"), MalformedReason::TooLong),
        (format!("{}A", &KEY[..end]), MalformedReason::Checksum),
        (KEY.replacen(".Dw8P", ".Dw8\u{2013}", 1), MalformedReason::Alphabet),
        (format!("\"{KEY}\""), MalformedReason::Quotes),
        (format!("{} {}", &KEY[..40], &KEY[40..]), MalformedReason::Whitespace),
        (format!("Bearer {KEY}"), MalformedReason::BearerInside),
        (format!("API_KEY={KEY}"), MalformedReason::TextAround),
        (format!("{}.{}", &KEY[..25], "*".repeat(48)), MalformedReason::Placeholder),
    ] {
        assert_eq!(named_in(&unbranded, &text), (reason, Some(id.into())), "{text}");
    }
    let cut = &BRANDED[..60];
    assert_eq!(named_in(&acme, cut), (MalformedReason::Truncated, Some(of_acme.into())));
    // A key of another brand is not ours.
    assert_eq!(named_in(&unbranded, cut), (MalformedReason::UnknownPrefix, None));
}

#[test]
fn what_names_no_id_or_more_than_one_names_none() {
    let format = KeyFormat::unbranded();
    for text in [
        "",
        "hello",
        "$API_KEY",
        "user.",
        "user.AAECAwQFBgcICQoLDA0",
        "user.AAECAwQFBgcICQ*LDA0O.Dw8P",
        "usre.AAECAwQFBgcICQoLDA0O.Dw8P",
        &format!("{KEY} {}", KEY.replacen("user", "team", 1)),
        &Base64::encode_string(KEY.as_bytes()),
    ] {
        assert_eq!(named_in(&format, text).1, None, "{text}");
    }
    // Only within the part that a refusal reads.
    let behind = format!("{}{KEY}", " ".repeat(300));
    assert_eq!(format.id_in(behind.as_bytes()), None);
}

#[test]
fn prefixes_are_what_keys_begin_with() {
    let told = |format: &KeyFormat| format.accepted_prefixes(KeyKind::User).collect::<Vec<_>>();
    let formats = [
        (KeyFormat::unbranded(), None, vec!["user."], vec![None]),
        (KeyFormat::branded("acme").unwrap(), Some("acme"), vec!["acme_user."], vec![Some("acme")]),
        (
            KeyFormat::unbranded().accepting("acme").unwrap().accepting("acme").unwrap(),
            None,
            vec!["user.", "acme_user."],
            vec![None, Some("acme")],
        ),
        (
            KeyFormat::branded("acme").unwrap().accepting_unbranded().accepting("globex").unwrap(),
            Some("acme"),
            vec!["acme_user.", "user.", "globex_user."],
            vec![Some("acme"), None, Some("globex")],
        ),
    ];
    for (format, brand, prefixes, brands) in formats {
        assert_eq!((format.brand(), told(&format)), (brand, prefixes.into_iter().map(String::from).collect()));
        assert_eq!(format.accepted_brands().collect::<Vec<_>>(), brands);
        for kind in KeyKind::ALL {
            let key = format.generate(kind).unwrap();
            assert!(key.expose_secret().starts_with(&format.prefix(kind)));
            assert_eq!(format.accepted_prefixes(kind).next(), Some(format.prefix(kind)));
            assert!(format.accepted_prefixes(kind).all(|prefix| format.begins_like_a_key(prefix.as_bytes())));
        }
    }
}

#[test]
fn known_answers() {
    let key = KeyFormat::unbranded().assemble(KeyKind::User, &std::array::from_fn(|i| i as u8), &[15; 33]);
    assert_eq!(key.expose_secret(), KEY);
    let format = KeyFormat::branded("acme").unwrap();
    let key =
        format.assemble(KeyKind::Team, &std::array::from_fn(|i| 255 - i as u8), &std::array::from_fn(|i| i as u8));
    assert_eq!(key.expose_secret(), BRANDED);
}

#[test]
fn keys_have_74_to_91_characters() {
    let longest = widest().generate(KeyKind::User).unwrap();
    assert_eq!(KeyFormat::unbranded().generate(KeyKind::Team).unwrap().expose_secret().len(), 74);
    assert_eq!(longest.expose_secret().len(), 91);
    assert_eq!((SHORTEST_KEY, LONGEST_KEY), (74, 91));
}

#[test]
fn generated_keys_differ_in_id_and_secret() {
    let format = KeyFormat::unbranded();
    let keys: Vec<_> = (0..100).map(|_| format.clone().generate(KeyKind::User).unwrap()).collect();
    let ids: HashSet<_> = keys.iter().map(PlaintextKey::id).collect();
    let secrets: HashSet<_> = keys.iter().map(|key| &key.expose_secret()[26..]).collect();
    assert_eq!((ids.len(), secrets.len()), (100, 100));
}

/// One in 32 would begin otherwise.
#[test]
fn generated_ids_begin_with_a_letter_or_a_digit() {
    let format = KeyFormat::unbranded();
    for _ in 0..2_000 {
        let id = format.generate(KeyKind::User).unwrap().id();
        assert!(id.as_str().starts_with(|first: char| first.is_ascii_alphanumeric()), "{id}");
    }
}

#[test]
fn default_has_no_brand() {
    assert!(KeyFormat::default().generate(KeyKind::User).unwrap().expose_secret().starts_with("user."));
}

#[test]
fn renamed_service_issues_the_new_brand_and_accepts_the_old() {
    let old = KeyFormat::unbranded().generate(KeyKind::Team).unwrap();
    let new = KeyFormat::branded("acme").unwrap();
    assert_eq!(new.parse(old.expose_secret().as_bytes()).unwrap_err().reason(), MalformedReason::UnknownPrefix);
    let new = new.accepting_unbranded();
    assert_eq!(new.parse(old.expose_secret().as_bytes()).unwrap().id(), old.id());
    assert!(new.generate(KeyKind::Team).unwrap().expose_secret().starts_with("acme_team."));
}

#[test]
fn other_kind_or_brand_before_the_same_secret_is_refused() {
    let format = widest();
    for prefix in ["team", "b_user", "c_user", "b_team", "abcdefghijklmnop_user"] {
        let reason = format.parse(KEY.replace("user", prefix).as_bytes()).unwrap_err().reason();
        assert_eq!(reason, MalformedReason::Checksum, "{prefix}");
    }
}

#[test]
fn right_checksum_excuses_nothing_else() {
    let format = KeyFormat::unbranded().accepting("acme").unwrap();
    let sealed = |covered: &[u8]| [covered, &checksum(covered)].concat();
    let covered = &BRANDED.as_bytes()[..BRANDED.len() - 4];
    assert!(format.parse(&sealed(covered)).is_ok());
    for at in 0..covered.len() {
        for byte in [b'=', b'+', b'.', b' ', b'~', 0, 0xff] {
            let mut covered = covered.to_vec();
            if covered[at] != byte {
                covered[at] = byte;
                assert!(format.parse(&sealed(&covered)).is_err(), "{byte} at {at}");
            }
        }
    }
    for prefix in ["acme-team", "acmexteam", "acme_root", "_team", "Team", "acm_team", "acme1_team", "acme\0_team"] {
        let text = BRANDED.replace("acme_team", prefix);
        let text = sealed(&text.as_bytes()[..text.len() - 4]);
        assert_eq!(format.parse(&text).unwrap_err().reason(), MalformedReason::UnknownPrefix, "{prefix:?}");
    }
    for (from, to) in [("team.", "team-"), ("Lx.", "Lx-")] {
        let text = BRANDED.replace(from, to);
        assert!(format.parse(&sealed(&text.as_bytes()[..text.len() - 4])).is_err(), "{to}");
    }
}

#[test]
fn begins_like_a_key_wants_an_accepted_prefix_and_a_dot() {
    let format = KeyFormat::branded("acme").unwrap();
    for text in ["acme_user.", "acme_team.x", BRANDED] {
        assert!(format.begins_like_a_key(text.as_bytes()), "{text:?}");
    }
    for text in ["", ".", "acme_user", "user.", " acme_user.", "Acme_user.", "acme_use.", "acme_users.", "eyJ.e30.c2ln"]
    {
        assert!(!format.begins_like_a_key(text.as_bytes()), "{text:?}");
    }
}

#[test]
fn locating_looks_at_length_prefix_and_dots_only() {
    let format = KeyFormat::unbranded();
    let damaged = format!("{}é", &KEY[..KEY.len() - 2]);
    assert_eq!(format.locate(damaged.as_bytes()).unwrap().id(), b"AAECAwQFBgcICQoLDA0O");
    for text in ["", &KEY[1..], &KEY[..73], &KEY.replace("user", "root"), &KEY.replace('.', "-"), BRANDED] {
        assert!(format.locate(text.as_bytes()).is_none(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_generated_parses_to_its_parts(brand in brands(), kind in kinds()) {
        let format = format(brand.as_deref());
        let key = format.generate(kind).unwrap();
        let parsed = format.parse(key.expose_secret().as_bytes()).unwrap();
        prop_assert_eq!((parsed.id(), parsed.kind()), (key.id(), kind));
        prop_assert_eq!(parsed.expose_secret(), key.expose_secret());
        assert_invariants(&format, key.expose_secret().as_bytes());
    }

    #[test]
    fn debug_and_redacted_show_no_window_of_the_secret(key in keys()) {
        let format = widest().accepting_unbranded();
        let secret = key.expose_secret().rsplit('.').next().unwrap();
        for text in [format!("{key:?}"), key.redacted()] {
            prop_assert!(!leaks(&text, secret), "{}", text);
            prop_assert!(text.contains(key.id().as_str()));
        }
        if let Ok(parsed) = format.parse(key.expose_secret().as_bytes()) {
            let shown = format!("{parsed:?}");
            prop_assert!(!leaks(&shown, secret));
        }
    }

    #[test]
    fn errors_show_no_window_of_the_text(key in keys(), at in 0_usize..91, junk in "[ -~]{1,40}") {
        let text = key.expose_secret();
        let at = at.min(text.len() - 1);
        for text in [format!("{}{junk}{}", &text[..at], &text[at..]), text[..at].to_owned()] {
            let error = widest().parse(text.as_bytes()).unwrap_err();
            let shown = format!("{error} {error:?}");
            prop_assert!(!leaks(&shown, &text), "{}", shown);
        }
    }

    #[test]
    fn any_bytes_keep_the_invariants(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert_invariants(&widest(), &text);
    }

    #[test]
    fn almost_keys_keep_the_invariants(
        key in keys(),
        edits in proptest::collection::vec((0_usize..100, 0_usize..4, "[\\.\"' =<>\\[\\]$A-Za-z0-9é_-]{0,3}"), 0..5),
    ) {
        let mut text = key.expose_secret().as_bytes().to_vec();
        for (at, length, replacement) in edits {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, replacement.bytes());
        }
        assert_invariants(&widest(), &text);
        assert_invariants(&KeyFormat::unbranded(), &text);
    }
}

/// Calls `check` with every text that differs from the key by one byte changed, added, left out, or by two swapped.
fn for_each_slip(key: &[u8], mut check: impl FnMut(&[u8])) {
    let mut text = key.to_vec();
    for at in 0..key.len() {
        for byte in (0..=u8::MAX).filter(|&byte| byte != key[at]) {
            text[at] = byte;
            check(&text);
        }
        text[at] = key[at];
    }
    for at in 0..=key.len() {
        let mut longer = key.to_vec();
        longer.insert(at, 0);
        for byte in 0..=u8::MAX {
            longer[at] = byte;
            check(&longer);
        }
    }
    for at in 0..key.len() {
        let mut shorter = key.to_vec();
        shorter.remove(at);
        check(&shorter);
    }
    for at in (1..key.len()).filter(|&at| key[at - 1] != key[at]) {
        text.swap(at - 1, at);
        check(&text);
        text.swap(at - 1, at);
    }
}

proptest! {
    // Each case tries some 45,000 texts. The tests of the checksum prove that it misses none of them for any key.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_single_slip_is_refused(key in keys()) {
        let text = key.expose_secret();
        let prefix = &text[..text.len() - TAIL_LENGTH];
        let format = widest();
        let format = match prefix.split_once('_') {
            Some((brand, _)) => KeyFormat::branded(brand).unwrap().accepting_unbranded(),
            None => format,
        };
        assert!(format.parse(text.as_bytes()).is_ok());
        for_each_slip(text.as_bytes(), |slip| {
            assert!(format.parse(slip).is_err(), "{:?}", String::from_utf8_lossy(slip));
        });
    }
}
