use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding};
use proptest::prelude::*;

use crate::{KeyKind, key::KeyFormat};

const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";
const BRANDED: &str = "acme_team.__79_Pv6-fj39vX08_Lx.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut";

fn finds(text: &str) -> bool {
    KeyFormat::branded("acme").unwrap().accepting_unbranded().is_in(text.as_bytes())
}

/// In both alphabets of base64, padded and not.
fn base64(text: &[u8]) -> [String; 4] {
    [Base64::encode_string, Base64Unpadded::encode_string, Base64Url::encode_string, Base64UrlUnpadded::encode_string]
        .map(|encode| encode(text))
}

/// In UTF-16, the low byte first or the high one.
fn utf_16(text: &str) -> [Vec<u8>; 2] {
    let units = || text.encode_utf16();
    [units().flat_map(u16::to_le_bytes).collect(), units().flat_map(u16::to_be_bytes).collect()]
}

fn hex(text: &[u8]) -> String {
    text.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if is_escaped(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }).collect()
}

#[test]
fn key_in_base64_is_found_whatever_is_around_it_inside_and_outside() {
    for key in [KEY, BRANDED] {
        for inside in ["", "x", "xy", "xyz", "x:", "Bearer ", "\u{feff}", "{\"key\":\"", "a longer line before it: "] {
            for behind in ["", ":", ":x", "\n", "\"}"] {
                for encoded in base64(format!("{inside}{key}{behind}").as_bytes()) {
                    for (before, after) in
                        [("", ""), ("Basic ", ""), ("Basic", ""), ("key=\"", "\""), ("x", ","), ("é", "x")]
                    {
                        let text = format!("{before}{encoded}{after}");
                        assert!(finds(&text), "{inside:?} {behind:?} {text}");
                    }
                }
            }
        }
    }
}

#[test]
fn key_in_base64_of_utf_16_is_found() {
    for key in [KEY, BRANDED] {
        for inside in ["", "x", "x:", "é:", "\u{feff}", "Bearer ", "a longer line before it: "] {
            for behind in ["", ":", ":x", "\r\n"] {
                for bytes in utf_16(&format!("{inside}{key}{behind}")) {
                    // At each place of a group.
                    for shift in 0..3 {
                        let bytes = [&b"abc"[..shift], bytes.as_slice()].concat();
                        for encoded in base64(&bytes) {
                            assert!(finds(&format!("Basic {encoded}")), "{inside:?} {behind:?} {shift} {encoded}");
                        }
                    }
                }
            }
        }
        for bytes in utf_16(&key[..key.len() - 1]) {
            assert!(base64(&bytes).iter().all(|encoded| !finds(encoded)));
        }
    }
}

#[test]
fn key_in_base64_is_found_in_lines_that_were_joined_by_blanks() {
    for key in [KEY, BRANDED] {
        for length in [48, 64, 76] {
            for encoded in base64(format!("api:{key}").as_bytes()) {
                let lines: Vec<_> =
                    encoded.as_bytes().chunks(length).map(|line| str::from_utf8(line).unwrap()).collect();
                assert!(finds(&format!("Basic {}", lines.join(" "))), "{lines:?}");
                assert!(finds(&lines.join("\r\n")), "{lines:?}");
                assert!(finds(&format!("{{\"data\": \"{}\"}}", lines.join("\\n"))), "{lines:?}");
                assert!(finds(&format!("data: |\n    {}", lines.join("\n    "))), "{lines:?}");
            }
        }
    }
    // Parts that are no key do not become one because they are next to each other.
    assert!(!finds(&format!("Custom {} {}", &KEY[..50], &KEY[50..])));
}

#[test]
fn key_in_hexadecimal_digits_is_found() {
    for key in [KEY, BRANDED] {
        for text in [hex(key.as_bytes()), hex(key.as_bytes()).to_uppercase(), format!("0x{}", hex(key.as_bytes()))] {
            assert!(finds(&text), "{text}");
        }
        assert!(finds(&format!("X-Key abc{}00", hex(format!("x:{key}").as_bytes()))));
    }
}

#[test]
fn key_with_escapes_is_found() {
    for key in [KEY, BRANDED] {
        for text in [
            percent(key, |c| c == '.'),
            percent(key, |c| c == '.').to_lowercase().replace("aaec", "AAEC"),
            percent(key, |c| !c.is_ascii_alphanumeric()),
            percent(key, |_| true),
            key.replace('.', "\\u002e"),
            key.replace('.', "\\x2E"),
            key.replace('.', "\\."),
            key.replace('_', "\\_").replace('.', "&#46;"),
            key.replace('.', "&#46;"),
            key.replace('.', "&#x2e;"),
            key.replace('.', "&period;").replace('_', "&lowbar;"),
            key.replace('.', "%u002E"),
            key.replace('.', "\\u{2e}"),
            key.replace('.', "\\U0000002E"),
            key.replace('.', "\\056"),
            key.replace('.', "=2E").replace('_', "=5f"),
            format!("token={}", key.replace('.', "=2E")),
            format!("100% of &{}", key.replace('.', "%2e")),
        ] {
            assert!(finds(&text), "{text}");
        }
    }
}

#[test]
fn key_in_utf_16_is_found() {
    for key in [KEY, BRANDED] {
        for bytes in utf_16(&format!("\u{feff}API_KEY={key}\r\n")) {
            assert!(KeyFormat::branded("acme").unwrap().accepting_unbranded().is_in(&bytes));
        }
    }
}

#[test]
fn less_than_a_key_is_none_in_any_code() {
    let cut = &KEY[..73];
    let damaged = [cut.to_owned(), KEY.replace("user.", "user:"), KEY.replacen('A', "+", 1), KEY.replacen('A', "", 1)];
    for text in damaged.iter().chain(&["user.smith:pw".into(), "team.blue:x".into(), "user.user.user.user.".repeat(9)])
    {
        for encoded in base64(text.as_bytes()) {
            assert!(!finds(&encoded), "{text}");
        }
        assert!(!finds(&hex(text.as_bytes())), "{text}");
        assert!(!finds(&percent(text, |_| true)), "{text}");
    }
    for text in
        ["", "%", "%2", "%zz", "%+e", "\\u", "\\u00", "&#", "&#46", "&#;", "&#99999;", "dXNlci", "757365", "1c2VyL"]
            .into_iter()
            .chain(["=", "=2", "=zz", "\\u{", "\\u{2e", "\\0", "\\08", "&", "&;", "&perio;", "%u", "%u0", "UAcwBl"])
    {
        assert!(!finds(text), "{text:?}");
        assert!(finds(&format!("{text}{}{text}", percent(KEY, |c| c == '.'))), "{text:?}");
    }
}

#[test]
fn key_of_another_brand_is_somebody_elses_in_any_code() {
    let globex = KeyFormat::branded("globex").unwrap().generate(KeyKind::User).unwrap();
    let globex = format!("x:{}:", globex.expose_secret());
    for text in base64(globex.as_bytes()) {
        assert!(!finds(&text), "{text}");
    }
    assert!(!finds(&hex(globex.as_bytes())));
    assert!(!finds(&percent(&globex, |c| c == '.')));
}

#[test]
fn key_that_is_encoded_twice_is_not_found() {
    for once in base64(KEY.as_bytes()) {
        assert!(base64(once.as_bytes()).iter().all(|twice| !finds(twice)));
    }
}

proptest! {
    #[test]
    fn key_in_base64_is_found_between_any_two_texts(
        inside in proptest::collection::vec(any::<u8>(), 0..60),
        behind in proptest::collection::vec(any::<u8>(), 0..10),
        before in "[A-Za-z0-9+/_=., -]{0,20}",
    ) {
        let key = KeyFormat::branded("acme").unwrap().generate(KeyKind::Team).unwrap();
        let whole = [&inside, key.expose_secret().as_bytes(), &behind].concat();
        let [wide, _] = utf_16(key.expose_secret());
        for encoded in [whole, [&inside, wide.as_slice(), &behind].concat()].iter().flat_map(|text| base64(text)) {
            let text = format!("{}{}", before, encoded);
            prop_assert!(finds(&text), "{}", text);
        }
    }

    #[test]
    fn no_text_is_too_strange(text in proptest::collection::vec(any::<u8>(), 0..200), part in 0..140_usize, end in 0..140_usize) {
        let format = KeyFormat::unbranded();
        let _ = format.is_in(&text);
        for encoded in base64(format!("x{KEY}").as_bytes()).into_iter().chain([hex(KEY.as_bytes()), percent(KEY, |_| true)]) {
            let encoded = encoded.as_bytes();
            let cut = &encoded[part.min(encoded.len())..];
            let text = [&text, cut, &text, &cut[..end.min(cut.len())], &text].concat();
            let _ = format.is_in(&text);
        }
    }
}
