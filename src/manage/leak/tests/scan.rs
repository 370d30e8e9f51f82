use base64ct::{Base64, Encoding};
use proptest::prelude::*;

use crate::{
    key::{KeyFormat, KeyId},
    manage::leak::{MatchConfidence, scan::Scan},
    owner::KeyKind,
};

const KEY_ID: &str = "__79_Pv6-fj39vX08_Lx";
const KEY: &str = "acme_team.__79_Pv6-fj39vX08_Lx.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut";

fn format() -> KeyFormat {
    KeyFormat::branded("acme").unwrap()
}

fn id() -> KeyId {
    KeyId::new(KEY_ID).unwrap()
}

/// The confidence with which the key's id is found in a text, by any way.
fn found(text: &str) -> Option<MatchConfidence> {
    let format = format();
    let scan = Scan::of(text, &format);
    if scan.keys().any(|(key, _)| key == id()) {
        return Some(MatchConfidence::WholeKey);
    }
    let part = || scan.find_part(&id(), KeyKind::Team, true).map(|finding| finding.evidence);
    scan.ids.get(&id()).copied().or_else(part)
}

#[test]
fn whole_key_is_found_wherever_it_stands() {
    for (before, after) in [
        ("", ""),
        ("x-api-key: ", "\r\n"),
        ("Authorization: Bearer ", " HTTP/1.1"),
        ("{\"key\":\"", "\"}"),
        ("API_KEY=", ""),
        ("export KEY-", ";"),
        ("MY_", "."),
        ("é", "é"),
        ("https://example.com/?key=", "&page=2"),
        ("team.", ""),
        ("user.user.", ""),
        ("Bearer", "Bearer"),
        ("some_longer_word_and_", ""),
    ] {
        assert_eq!(found(&format!("{before}{KEY}{after}")), Some(MatchConfidence::WholeKey), "{before}…{after}");
    }
}

#[test]
fn two_keys_of_one_text_are_both_found() {
    let other = format().generate(KeyKind::User).unwrap();
    let text = format!("{KEY},{}", other.expose_secret());
    assert_eq!(Scan::of(&text, &format()).keys().count(), 2);
}

#[test]
fn key_is_found_behind_one_that_lost_its_end() {
    assert_eq!(found(&format!("{}{KEY}", &KEY[..KEY.len() - 4])), Some(MatchConfidence::WholeKey));
}

#[test]
fn what_a_key_is_glued_to_is_no_part_of_an_id() {
    let format = format();
    let text = format!("API_KEY_OF_{KEY}");
    let scan = Scan::of(&text, &format);
    assert_eq!((scan.keys().count(), scan.ids.len(), scan.has_parts(), scan.has_beginnings()), (1, 0, false, false));
}

#[test]
fn less_than_a_key_is_found_for_what_it_is() {
    let damaged = KEY.replace("AAEC", "AAED");
    let beginning = &KEY[.."acme_team.".len() + 4];
    for (text, expected) in [
        (&*damaged, Some(MatchConfidence::IdAndSecret)),
        (&KEY[..50], Some(MatchConfidence::IdAndSecret)),
        (&KEY["acme_team.".len()..], Some(MatchConfidence::IdAndSecret)),
        (&KEY["acme_".len()..], Some(MatchConfidence::IdAndSecret)),
        ("acme_team.__79_Pv6-fj39vX08_Lx.[REDACTED]", Some(MatchConfidence::Id)),
        ("id=__79_Pv6-fj39vX08_Lx;", Some(MatchConfidence::Id)),
        ("key-__79_Pv6-fj39vX08_Lx", Some(MatchConfidence::Id)),
        (beginning, Some(MatchConfidence::Beginning)),
        ("KEY_acme_team.__79_Pv6…", Some(MatchConfidence::Beginning)),
        ("acme_user.__79_P", None),
        ("acme_team.__7", None),
        ("…Pv6-fj…", Some(MatchConfidence::Part)),
        ("…Pv6-f…", None),
        ("X08_Lx.AAECAwQFBg", Some(MatchConfidence::Part)),
        (&*KEY.to_uppercase(), Some(MatchConfidence::IdAndSecret)),
        (&*KEY.to_lowercase(), Some(MatchConfidence::IdAndSecret)),
        ("", None),
        ("acme_team.", None),
        ("no key in here, and nothing that looks like one", None),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn key_is_found_in_what_is_encoded() {
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let encode = |text: &[u8]| Base64::encode_string(text);
    let env = encode(format!("HOST=example.com\nPASSWORD=hunter2\nAPI_KEY={KEY}\nPORT=80\n").as_bytes());
    let lines: Vec<_> = env.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for text in [
        format!("apiVersion: v1\nkind: Secret\ndata:\n  other: aGVsbG8=\n  api-key: {}\n", encode(KEY.as_bytes())),
        format!("data:\n  api-key: {}\n  other: aGVsbG8=\n", encode(format!("{KEY}\n").as_bytes())),
        format!("data:\n  .env: {env}\n"),
        format!("data:\n  .env: |\n    {}\n", lines.join("\n    ")),
        format!("{{\"content\": \"{}\"}}", lines.join("\\n")),
        format!("> Authorization: Basic {}\r\n", encode(format!("api:{KEY}").as_bytes())),
        format!("Authorization: Basic {}", encode(format!("{KEY}:").as_bytes())),
        encode(&utf_16(&format!("\u{feff}{KEY}"))),
        String::from_utf8(utf_16(&format!("API_KEY={KEY}\r\n"))).unwrap(),
        KEY.bytes().map(|byte| format!("{byte:02x}")).collect(),
        format!("https://example.com/?key={}", KEY.replace('.', "%2E").replace('_', "%5F")),
        format!("{{\"key\":\"{}\"}}", KEY.replace('.', "\\u002e")),
    ] {
        assert_eq!(found(&text), Some(MatchConfidence::WholeKey), "{text}");
    }
    for less in
        [&KEY[..60], &KEY[..34], &KEY.replace("AAEC", "AAED"), &KEY.to_uppercase().replace("ACME_TEAM", "acme_team")]
    {
        let text = encode(format!("API_KEY={less}").as_bytes());
        assert!(found(&text).is_some_and(|found| found <= MatchConfidence::Id), "{less}");
    }
    for nothing in [encode(env.as_bytes()), encode(&KEY.as_bytes()[10..]), encode(b"team.blue.and.others.of.that.kind")]
    {
        assert_eq!(found(&nothing), None);
    }
}

#[test]
fn longest_part_counts() {
    let format = format();
    let scan = Scan::of("Pv6-fj39 Pv6-fj", &format);
    assert_eq!(scan.find_part(&id(), KeyKind::Team, true).unwrap().characters, 8);
    assert_eq!(scan.find_part(&id(), KeyKind::Team, false), None);
}

proptest! {
    #[test]
    fn key_is_found_between_any_two_texts(before in "(?s).{0,40}[^A-Za-z0-9_\\-.]", after in "(?s)[^A-Za-z0-9_\\-].{0,40}") {
        prop_assert_eq!(found(&format!("{before}{KEY}{after}")), Some(MatchConfidence::WholeKey));
    }

    #[test]
    fn part_is_found_between_any_two_texts(start in 0..14_usize, length in 6..20_usize, before in "(?s).{0,40}[^A-Za-z0-9_\\-.]") {
        let part = &KEY_ID[start..(start + length).min(20)];
        prop_assert!(found(&format!("{before}{part} ")).is_some(), "{}", part);
    }

    #[test]
    fn no_text_is_too_strange(text in "(?s).{0,200}", pieces in proptest::collection::vec("acme_|team\\.|user\\.|[A-Za-z0-9_-]{1,30}|\\.|é", 0..20)) {
        let _ = found(&text);
        let _ = found(&pieces.concat());
    }
}
