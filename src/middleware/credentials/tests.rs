use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use proptest::prelude::*;

use super::*;
use crate::KeyKind;

const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";

/// A reading that shows the key, which tests may do.
#[derive(Debug, PartialEq)]
enum Read {
    Bearer(String),
    KeyHeader(String),
    Both(String),
    Nothing,
    Refused(Fault),
}

use Read::{Bearer, Both, KeyHeader, Nothing, Refused};

const AMBIGUOUS: Read = Refused(Fault::Ambiguous);
const EMPTY: Read = Refused(Fault::Malformed(MalformedReason::Empty));
const NO_SCHEME: Read = Refused(Fault::Malformed(MalformedReason::MissingScheme));

fn read_with(names: &KeyHeaders, foreign: ForeignBearer, lines: &[(&str, &[u8])]) -> Read {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    let few = read_headers(&headers, names, foreign);
    for number in 0..MANY {
        headers.insert(HeaderName::try_from(format!("x-other-{number}")).unwrap(), HeaderValue::from_static("x"));
    }
    assert_eq!(few, read_headers(&headers, names, foreign), "many lines are read like few");
    few
}

fn read_headers(headers: &HeaderMap, names: &KeyHeaders, foreign: ForeignBearer) -> Read {
    match read(&Lines::find(headers, names), &KeyFormat::unbranded(), foreign) {
        Reading::Nothing => Nothing,
        Reading::Misplaced { reason, .. } => Refused(Fault::Malformed(reason)),
        Reading::Refused(fault) => Refused(fault),
        Reading::Key { text, carried } => {
            let text = String::from_utf8_lossy(text).into_owned();
            match (carried.authorization, carried.key_header) {
                (true, true) => Both(text),
                (true, false) => Bearer(text),
                (false, true) => KeyHeader(text),
                (false, false) => panic!("a candidate from nowhere"),
            }
        }
    }
}

fn read_lines(lines: &[(&str, &str)]) -> Read {
    let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    read_with(&KeyHeaders::default(), ForeignBearer::Refuse, &lines)
}

fn bearer(text: &str) -> Read {
    Bearer(text.into())
}

#[test]
fn authorization_is_read_as_scheme_and_candidate() {
    let k = KEY;
    for (value, expected) in [
        (format!("Bearer {k}"), bearer(k)),
        (format!("bearer {k}"), bearer(k)),
        (format!("BEARER {k}"), bearer(k)),
        (format!("bEaReR {k}"), bearer(k)),
        (format!("Bearer   {k}"), bearer(k)),
        (format!(" \t Bearer {k}"), bearer(k)),
        (format!("Bearer {k} \t "), bearer(k)),
        // A tab is no separator: it stays and makes the candidate malformed.
        (format!("Bearer\t{k}"), bearer(&format!("\t{k}"))),
        (format!("Bearer \t{k}"), bearer(&format!("\t{k}"))),
        (format!("Bearer {k} {k}"), bearer(&format!("{k} {k}"))),
        (format!("Bearer {k}, Bearer {k}"), bearer(&format!("{k}, Bearer {k}"))),
        (format!("Bearer Bearer {k}"), bearer(&format!("Bearer {k}"))),
        ("Bearer x".into(), bearer("x")),
        ("Bearer".into(), EMPTY),
        ("bearer".into(), EMPTY),
        ("Bearer ".into(), EMPTY),
        ("Bearer \t ".into(), EMPTY),
        // Other schemes belong to other services.
        ("Basic dXNlcjpwYXNz".into(), Nothing),
        ("Digest username=\"a\"".into(), Nothing),
        ("Bearerx".into(), Nothing),
        ("Beare".into(), Nothing),
        (String::new(), Nothing),
        (" \t ".into(), Nothing),
        ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln".into(), Nothing),
        // Without a scheme, or with one that is mistaken for ours, a key is recognized by its id, no matter what
        // follows.
        (k.into(), NO_SCHEME),
        (format!("  {k}"), NO_SCHEME),
        (k[..26].into(), NO_SCHEME),
        (k[..25].into(), NO_SCHEME),
        (format!("{}[REDACTED]", &k[..26]), NO_SCHEME),
        (format!("Token {k}"), NO_SCHEME),
        (format!("token\t{k}"), NO_SCHEME),
        (format!("ApiKey   {k}"), NO_SCHEME),
        (format!("APIKEY {}", &k[..40]), NO_SCHEME),
        ("user.".into(), Nothing),
        ("team.x y".into(), Nothing),
        (k[..24].into(), Nothing),
        (format!("{}x", &k[..25]), Nothing),
        (format!("Token {}", &k[..24]), Nothing),
        ("Token user.smith:pw".into(), Nothing),
        ("Token abc".into(), Nothing),
        ("ApiKey".into(), Nothing),
    ] {
        assert_eq!(read_lines(&[("authorization", &value)]), expected, "{value:?}");
    }
}

/// All the wrong places of a key in `Authorization`, and the reason for each.
fn misplaced() -> Vec<(Vec<u8>, MalformedReason)> {
    use MalformedReason::{BearerInside, MissingScheme, Quotes, Whitespace};
    let k = KEY;
    let basic = |credentials: &str| format!("Basic {}", Base64::encode_string(credentials.as_bytes()));
    let hex: String = k.bytes().map(|byte| format!("{byte:02x}")).collect();
    let utf_16: Vec<u8> = format!("x:{k}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts = [
        (format!("Bearer%20{k}"), MissingScheme),
        (format!("Bearer: {k}"), MissingScheme),
        (format!("Bearer:{k}"), MissingScheme),
        (format!("Bearer={k}"), MissingScheme),
        (format!("Bearer{k}"), MissingScheme),
        (format!("BEARER{k};"), MissingScheme),
        (format!("Bearer,{k}"), MissingScheme),
        (format!("'Bearer {k}'"), Quotes),
        (format!("\"Bearer {k}\""), Quotes),
        (format!("Bearer:\"{k}\""), Quotes),
        (format!("\u{201c}Bearer {k}\u{201d}"), Quotes),
        (format!("Bearer:\u{ab}{k}\u{bb}"), Quotes),
        (format!("Authorization: Bearer {k}"), BearerInside),
        (format!("Bearer\u{a0}{k}"), Whitespace),
        (format!("\u{feff}Bearer {k}"), Whitespace),
        (format!("Bearer\u{200b}{k}"), Whitespace),
        (format!("Api-Key {k}"), MissingScheme),
        (format!("API-KEY {k}"), MissingScheme),
        (format!("X-API-Key {k}"), MissingScheme),
        (format!("x-api-key: {k}"), MissingScheme),
        (format!("Key {k}"), MissingScheme),
        (format!("AccessKey {k}"), MissingScheme),
        (format!("ApiKey-v1 {k}"), MissingScheme),
        (format!("ApiKey: {k}"), MissingScheme),
        (format!("Tokens {k}"), MissingScheme),
        (format!("JWT {k}"), MissingScheme),
        (format!("OAuth {k}"), MissingScheme),
        (format!("Token token={k}"), MissingScheme),
        (format!("Token token=\"{k}\", nonce=\"a\""), MissingScheme),
        (format!("Digest username=\"{k}\", realm=\"x\""), MissingScheme),
        (format!("AWS4-HMAC-SHA256 Credential={k}/20260101/eu/s3/aws4_request"), MissingScheme),
        (format!("\"{k}\""), MissingScheme),
        (format!("<{k}>"), MissingScheme),
        (format!("Basic {k}"), MissingScheme),
        (format!("Basic x:{k}"), MissingScheme),
        (format!("Basic x, Bearer {k}"), MissingScheme),
        (format!("Basic realm=\"x\", Bearer {k}"), MissingScheme),
        (format!("Negotiate {k}{k}"), MissingScheme),
        (basic(k), MissingScheme),
        (basic(&format!("{k}:")), MissingScheme),
        (basic(&format!("{k}:x")), MissingScheme),
        (basic(&format!("x:{k}")), MissingScheme),
        (basic(&format!(":{k}")), MissingScheme),
        (basic(&format!("api:Bearer {k}\n")), MissingScheme),
        (format!("Api-Key {}", Base64UrlUnpadded::encode_string(k.as_bytes())), MissingScheme),
        (Base64UrlUnpadded::encode_string(k.as_bytes()), MissingScheme),
        (format!("Token {hex}"), MissingScheme),
        (format!("Basic {}", Base64::encode_string(&utf_16)), MissingScheme),
        (format!("=?utf-8?q?{}?=", k.replace('.', "=2E")), MissingScheme),
        (format!("Api-Key {}", k.replace('.', "%2E")), MissingScheme),
        (k.replace('.', "%2e"), MissingScheme),
        (format!("Key {}", k.to_uppercase()), MissingScheme),
        (k.to_uppercase(), MissingScheme),
        (k.replace("user", "User"), MissingScheme),
    ];
    let latin_1 =
        [([b"Bearer\xa0", k.as_bytes()].concat(), Whitespace), ([b"\xff\xfe", k.as_bytes()].concat(), MissingScheme)];
    texts.into_iter().map(|(text, reason)| (text.into_bytes(), reason)).chain(latin_1).collect()
}

#[test]
fn a_key_is_found_wherever_it_stands() {
    for (value, reason) in misplaced() {
        for foreign in [ForeignBearer::Refuse, ForeignBearer::Ignore] {
            let read = |lines: &[_]| read_with(&KeyHeaders::default(), foreign, lines);
            let refused = Refused(Fault::Malformed(reason));
            assert_eq!(read(&[("authorization", &value)]), refused, "{}", value.escape_ascii());
            // A second copy in the right place does not help: the first would reach the inner service.
            let beside = read(&[("authorization", &value), ("x-api-key", KEY.as_bytes())]);
            assert_eq!(beside, refused, "{}", value.escape_ascii());
        }
    }
}

#[test]
fn a_key_behind_bearer_is_never_left_to_others() {
    let k = KEY;
    let base64 = |text: String| Base64::encode_string(text.as_bytes());
    for text in [
        format!("<{k}>"),
        format!("API_KEY={k}"),
        format!("Bearer {k}"),
        format!("\"{k}\""),
        format!("\u{feff}{k}"),
        format!("eyJhbGciOiJIUzI1NiJ9.{k}"),
        k.to_uppercase(),
        base64(k.into()),
        base64(format!("x:{k}")),
        k.replace('.', "%2E"),
    ] {
        let value = format!("Bearer {text}");
        let read = read_with(&KeyHeaders::default(), ForeignBearer::Ignore, &[("authorization", value.as_bytes())]);
        assert_eq!(read, bearer(&text));
        assert!(
            KeyFormat::unbranded().parse(text.as_bytes()).is_err(),
            "it is a candidate, and never one that is admitted"
        );
    }
    let latin_1 = [b"Bearer \xa0", k.as_bytes()].concat();
    let read = read_with(&KeyHeaders::default(), ForeignBearer::Ignore, &[("authorization", &latin_1)]);
    assert_eq!(read, Bearer(format!("\u{fffd}{k}")));
}

/// Credentials of other services that contain parts that keys have.
fn foreign() -> Vec<String> {
    let k = KEY;
    let basic = |credentials: &str| format!("Basic {}", Base64::encode_string(credentials.as_bytes()));
    let other_brand = KeyFormat::branded("globex").unwrap().generate(KeyKind::User).unwrap();
    let other_brand = other_brand.expose_secret();
    let mut foreign = vec![
        basic("user.smith:pw"),
        basic("team.blue:user.smith"),
        basic("user.name@example.com:user.user.user.user.user.user.user.user.user.user.user.user."),
        basic(&format!("{}:x", &k[..73])),
        basic(&format!("{}:{}", &k[..25], &k[26..])),
        basic(&format!("x:{other_brand}")),
        "Digest username=\"user.name\", realm=\"team.example.com\", uri=\"/user.php\", response=\"6629fae49393a05397450978507c4ef1\"".into(),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range, Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024".into(),
        "Negotiate YIIFxwYGKwYBBQUCoIIFuzCCBbegMDAuBgkqhkiC9xIBAgIGCSqGSIb3EgECAgYKKwYBBAGCNwICHgYKKwYBBAGCNwICCqOCBYEEggV9YIIFeQYJKoZIhvcSAQICAQBuggVo".into(),
        "Host user.example.com, team.example.com".into(),
        format!("Custom {}", &k[..73]),
        format!("Custom {}", k.replacen("AAEC", "AAE", 1)),
        format!("Custom {}", k.replace("user.", "users.")),
        format!("Custom {other_brand}"),
        format!("Token {other_brand}"),
        other_brand.into(),
    ];
    // Claims about users, at all positions of a group of base64.
    for claims in ["{\"sub\":\"user.smith\"}", "{\"sub\": \"user.smith\"}", "{\"team\":\"team.blue.user.\"}"] {
        let claims = Base64UrlUnpadded::encode_string(claims.as_bytes());
        foreign.push(format!("JWT eyJhbGciOiJIUzI1NiJ9.{claims}.c2lnbmF0dXJlIG9mIGF0IGxlYXN0IDMyIGJ5dGVz"));
    }
    foreign
}

#[test]
fn credentials_of_others_stay_untouched_whatever_words_are_in_them() {
    for value in foreign() {
        for foreign in [ForeignBearer::Refuse, ForeignBearer::Ignore] {
            let lines = [("authorization", value.as_bytes())];
            assert_eq!(read_with(&KeyHeaders::default(), foreign, &lines), Nothing, "{value}");
            let beside = [lines[0], ("x-api-key", KEY.as_bytes())];
            assert_eq!(read_with(&KeyHeaders::default(), foreign, &beside), KeyHeader(KEY.into()), "{value}");
        }
        let behind_bearer = format!("Bearer {}", value.split_once(' ').map_or(&*value, |(_, text)| text));
        let lines = [("authorization", behind_bearer.as_bytes())];
        let is_ours = behind_bearer.starts_with("Bearer user.");
        let read = read_with(&KeyHeaders::default(), ForeignBearer::Ignore, &lines);
        assert!(read == Nothing || is_ours, "{behind_bearer}");
    }
}

#[test]
fn the_whole_value_of_x_api_key_is_the_candidate() {
    let k = KEY;
    for (value, expected) in [
        (k.to_owned(), KeyHeader(k.into())),
        (format!("\t {k} \t"), KeyHeader(k.into())),
        (format!("Bearer {k}"), KeyHeader(format!("Bearer {k}"))),
        ("x".into(), KeyHeader("x".into())),
        (String::new(), EMPTY),
        (" \t".into(), EMPTY),
    ] {
        assert_eq!(read_lines(&[("x-api-key", &value)]), expected, "{value:?}");
    }
}

#[test]
fn two_candidates_are_one_only_if_they_are_equal_and_not_empty() {
    let (k, b) = (KEY, format!("Bearer {KEY}"));
    for (authorization, x_api_key, expected) in [
        (b.as_str(), k, Both(k.into())),
        (&b, "  \t", AMBIGUOUS),
        (&b, " user.other", AMBIGUOUS),
        (&b, &k[..73], AMBIGUOUS),
        (&b, &format!("\t{k} "), Both(k.into())),
        ("Bearer", "", AMBIGUOUS),
        ("Bearer", k, AMBIGUOUS),
        ("Bearer x", "x", Both("x".into())),
        ("Bearer x", "X", AMBIGUOUS),
        ("Basic x", k, KeyHeader(k.into())),
        ("Basic x", "", EMPTY),
        ("", k, KeyHeader(k.into())),
        (k, k, NO_SCHEME),
        (&format!("Token {k}"), k, NO_SCHEME),
    ] {
        let lines = [("authorization", authorization), ("x-api-key", x_api_key)];
        assert_eq!(read_lines(&lines), expected, "{lines:?}");
    }
}

#[test]
fn a_header_that_comes_twice_is_refused_even_if_both_lines_are_equal() {
    let b = format!("Bearer {KEY}");
    for lines in [
        [("authorization", b.as_str()), ("Authorization", b.as_str())],
        [("authorization", &b), ("authorization", "Basic x")],
        [("authorization", "Basic x"), ("authorization", "Basic y")],
        [("authorization", ""), ("authorization", &b)],
        [("x-api-key", KEY), ("X-API-Key", KEY)],
        [("x-api-key", ""), ("x-api-key", "")],
    ] {
        assert_eq!(read_lines(&lines), AMBIGUOUS, "{lines:?}");
    }
    assert_eq!(read_lines(&[("x-api-key", KEY), ("authorization", &b), ("x-api-key", "other")]), AMBIGUOUS);
}

#[test]
fn other_headers_carry_no_keys() {
    for name in ["cookie", "proxy-authorization", "api-key", "x-api-keys", "x-auth-token"] {
        assert_eq!(read_lines(&[(name, KEY)]), Nothing, "{name}");
    }
    assert_eq!(read_lines(&[]), Nothing);
}

#[test]
fn a_header_that_is_not_read_is_not_even_counted() {
    let b = format!("Bearer {KEY}");
    let twice: [(&str, &[u8]); 3] = [("authorization", b.as_bytes()), ("x-api-key", b"a"), ("x-api-key", b"b")];
    assert_eq!(read_with(&KeyHeaders::only_bearer(), ForeignBearer::Refuse, &twice), bearer(KEY));

    let schemeless: [(&str, &[u8]); 3] =
        [("authorization", KEY.as_bytes()), ("authorization", b"a"), ("x-api-key", b"b")];
    let x_api_key = KeyHeaders::only_x_api_key();
    assert_eq!(read_with(&x_api_key, ForeignBearer::Refuse, &schemeless), KeyHeader("b".into()));
}

#[test]
fn another_header_may_take_the_place_of_x_api_key() {
    let names = KeyHeaders::bearer_and(HeaderName::from_static("x-acme-key")).unwrap();
    let read = |lines: &[(&str, &[u8])]| read_with(&names, ForeignBearer::Refuse, lines);
    assert_eq!(read(&[("x-acme-key", b"a"), ("x-api-key", b"b")]), KeyHeader("a".into()));
    assert_eq!(read(&[("x-acme-key", b"a"), ("authorization", b"Bearer b")]), AMBIGUOUS);
    assert_eq!(read(&[("x-api-key", b"b")]), Nothing);
}

#[test]
fn a_foreign_bearer_text_can_be_left_to_others() {
    let read = |lines: &[(&str, &str)]| {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        read_with(&KeyHeaders::default(), ForeignBearer::Ignore, &lines)
    };
    let jwt = "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
    for (value, expected) in [
        (jwt.to_owned(), Nothing),
        ("Bearer".into(), Nothing),
        ("Bearer \teyJ".into(), Nothing),
        ("Bearer User.x".into(), Nothing),
        (format!("Bearer {KEY}"), bearer(KEY)),
        ("Bearer team.".into(), bearer("team.")),
        ("Bearer\tuser.x".into(), bearer("\tuser.x")),
        (KEY.into(), NO_SCHEME),
        (format!("Token {KEY}"), NO_SCHEME),
    ] {
        assert_eq!(read(&[("authorization", &value)]), expected, "{value:?}");
    }
    assert_eq!(read(&[("authorization", jwt), ("x-api-key", KEY)]), KeyHeader(KEY.into()));
    assert_eq!(read(&[("authorization", jwt), ("x-api-key", "")]), EMPTY);
    assert_eq!(read(&[("authorization", jwt), ("authorization", jwt)]), AMBIGUOUS);
}

#[test]
fn bytes_that_are_no_text_are_candidates_like_any_other() {
    let both: [(&str, &[u8]); 2] = [("authorization", b"Bearer \xff\xfe"), ("x-api-key", b"\xff\xfe")];
    let default = KeyHeaders::default();
    assert_eq!(read_with(&default, ForeignBearer::Refuse, &both), Both("\u{fffd}\u{fffd}".into()));
    assert_eq!(read_with(&default, ForeignBearer::Refuse, &[("authorization", b"\x80")]), Nothing);
    // A no-break space is not trimmed.
    let padded: [(&str, &[u8]); 1] = [("x-api-key", b"\xa0x\xa0")];
    assert_eq!(read_with(&default, ForeignBearer::Refuse, &padded), KeyHeader("\u{fffd}x\u{fffd}".into()));
}

/// Bytes that a header can have, often close to meaningful ones.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"Bearer".to_vec()),
        Just(b"token".to_vec()),
        Just(b"ApiKey".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t".to_vec()),
        Just(KEY.as_bytes().to_vec()),
        Just(b"team.".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(word, 0..6).prop_map(|words| {
        words.concat().into_iter().filter(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)).collect()
    })
}

proptest! {
    #[test]
    fn no_header_makes_the_reader_panic_or_invent_a_key(
        authorization in proptest::collection::vec(value(), 0..3),
        x_api_key in proptest::collection::vec(value(), 0..3),
        ignore: bool,
    ) {
        let mut headers = HeaderMap::new();
        for (name, values) in [("authorization", &authorization), ("x-api-key", &x_api_key)] {
            for value in values {
                headers.append(name, HeaderValue::from_bytes(value).unwrap());
            }
        }
        let foreign = if ignore { ForeignBearer::Ignore } else { ForeignBearer::Refuse };
        let lines = Lines::find(&headers, &KeyHeaders::default());
        match read(&lines, &KeyFormat::unbranded(), foreign) {
            Reading::Key { text, carried } => {
                prop_assert!(authorization.len() < 2 && x_api_key.len() < 2);
                prop_assert!(!text.is_empty());
                let holds = |values: &[Vec<u8>]| values[0].windows(text.len()).any(|window| window == text);
                prop_assert!(!carried.authorization || holds(&authorization));
                prop_assert!(!carried.key_header || holds(&x_api_key));
                prop_assert_eq!(carried.key_header, !x_api_key.is_empty());
            }
            Reading::Nothing => {
                prop_assert!(authorization.len() < 2 && x_api_key.is_empty());
                let holds_key = |value: &[u8]| value.windows(KEY.len()).any(|window| window == KEY.as_bytes());
                prop_assert!(!authorization.iter().any(|value| holds_key(value)));
            }
            Reading::Misplaced { text, .. } => {
                let [value] = &authorization[..] else { panic!("one line is looked at") };
                prop_assert!(!text.is_empty() && value.windows(text.len()).any(|window| window == text));
            }
            Reading::Refused(_) => prop_assert!(!authorization.is_empty() || !x_api_key.is_empty()),
        }
    }
}

#[test]
fn the_user_agent_is_the_first_of_its_lines_among_few_and_many() {
    let mut headers = HeaderMap::new();
    let agent = |headers: &HeaderMap| Lines::find(headers, &KeyHeaders::default()).user_agent.cloned();
    assert_eq!(agent(&headers), None);
    for value in ["curl/8", "wget/1"] {
        headers.append(USER_AGENT, HeaderValue::from_static(value));
    }
    let few = agent(&headers);
    for _ in 0..MANY {
        headers.append("x-other", HeaderValue::from_static("x"));
    }
    assert_eq!((few.unwrap(), agent(&headers).unwrap()), ("curl/8".parse().unwrap(), "curl/8".parse().unwrap()));
}
