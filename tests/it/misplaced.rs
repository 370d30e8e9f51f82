//! A key at a wrong place in `Authorization` is refused, and with no setting reaches a service.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeyLayer, ApiKeys, KeyKind, Principal,
    key::{KeyFormat, MalformedReason},
    middleware::{ForeignBearer, Refusal},
    store::MemoryStore,
};

use crate::support::{clock, issue, keys, team, text};

/// What the service behind a layer got: the headers, and whether there was a principal.
type Seen = Arc<Mutex<Vec<(HeaderMap, bool)>>>;

type Keys = ApiKeys<Arc<MemoryStore>>;

/// The layer with its defaults, `.optional()`, and also with foreign credentials ignored.
fn layers(keys: &Keys) -> [ApiKeyLayer<Arc<MemoryStore>>; 3] {
    let optional = || keys.layer().optional();
    [keys.layer(), optional(), optional().foreign_bearer(ForeignBearer::Ignore)]
}

/// The answer, as [`text`], its reason, and what the service saw.
async fn send(
    layer: ApiKeyLayer<Arc<MemoryStore>>,
    lines: &[(&'static str, &[u8])],
) -> (String, Option<MalformedReason>, Option<(HeaderMap, bool)>) {
    let seen = Seen::default();
    let service = layer.layer(service_fn(async |request: Request<Full<Bytes>>| {
        let is_proved = request.extensions().get::<Principal>().is_some();
        seen.lock().unwrap().push((request.headers().clone(), is_proved));
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("fine")))
    }));
    let mut request = Request::new(Full::default());
    for (name, value) in lines {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let response = service.oneshot(request).await.unwrap();
    let reason = response.extensions().get::<Refusal>().and_then(Refusal::reason);
    let seen = seen.lock().unwrap().pop();
    (text(response).await, reason, seen)
}

fn malformed(reason: MalformedReason) -> String {
    format!(
        "401\ncache-control: no-store\ncontent-type: application/problem+json\nvary: authorization, x-api-key, content-type\n\
         www-authenticate: Bearer realm=\"api\", error=\"invalid_token\"\n\n\
         {{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,\"detail\":\"{}\",\
         \"code\":\"malformed_key\",\"reason\":\"{}\"}}",
        reason.advice(),
        reason.as_str()
    )
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", Base64::encode_string(credentials.as_bytes()))
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn a_live_key_under_another_scheme_glued_quoted_or_encoded_is_told_so_and_never_handed_on() {
    let keys = keys(Arc::new(MemoryStore::new()), &clock()).await;
    let key = issue(&keys, team("blue")).await;
    let k = key.expose_secret();
    let in_a_claim = Base64UrlUnpadded::encode_string(format!("{{\"key\":\"{k}\"}}").as_bytes());
    let in_basic = basic(&format!("api:{k}"));
    let texts = [
        format!("Bearer%20{k}"),
        format!("Bearer: {k}"),
        format!("Bearer:{k}"),
        format!("Bearer={k}"),
        format!("Bearer{k}"),
        format!("Bearer{k};"),
        format!("'Bearer {k}'"),
        format!("Authorization: Bearer {k}"),
        format!("Api-Key {k}"),
        format!("API-KEY {k}"),
        format!("X-API-Key {k}"),
        format!("Key {k}"),
        format!("AccessKey {k}"),
        format!("ApiKey-v1 {k}"),
        format!("ApiKey: {k}"),
        format!("JWT {k}"),
        format!("OAuth {k}"),
        format!("Token token={k}"),
        format!("Token token=\"{k}\""),
        format!("\"{k}\""),
        format!("Basic {k}"),
        basic(&format!("{k}:")),
        basic(&format!("x:{k}")),
        format!("Basic x, Bearer {k}"),
        format!("Bearer\u{a0}{k}"),
        format!("\u{feff}Bearer {k}"),
        format!("Token {k}"),
        k.to_owned(),
        k.to_uppercase(),
        // Forms that no client should send: a digest, a claim of a token, escapes of JSON and HTML, digits.
        format!("Digest username=\"{k}\", realm=\"x\""),
        format!("JWT eyJhbGciOiJIUzI1NiJ9.{in_a_claim}.c2lnbmF0dXJl"),
        format!("Api-Key {}", k.replace('.', "\\u002e")),
        format!("Api-Key {}", k.replace('.', "&#46;")),
        format!("Api-Key {}", k.replace('.', "%2E")),
        format!("Token token=\"{}\"", k.replace('.', "\\.")),
        format!("=?utf-8?q?{}?=", k.replace('.', "=2E").replace('_', "=5F")),
        // As PowerShell encodes with [Text.Encoding]::Unicode.
        format!("Basic {}", Base64::encode_string(&utf_16(&format!("api:{k}")))),
        // As a tool breaks it into lines of 76 characters.
        format!("{} {}", &in_basic[..82], &in_basic[82..]),
        format!("Api-Key {}", k.bytes().map(|byte| format!("{byte:02X}")).collect::<String>()),
    ];
    let latin_1 = [b"Bearer\xa0", k.as_bytes()].concat();
    for value in texts.iter().map(String::as_bytes).chain([latin_1.as_slice()]) {
        for layer in layers(&keys) {
            for lines in [&[("authorization", value)][..], &[("authorization", value), ("x-api-key", k.as_bytes())]] {
                let (answer, reason, seen) = send(layer.clone(), lines).await;
                assert_eq!(seen, None, "{}", value.escape_ascii());
                assert_eq!(answer, malformed(reason.unwrap()), "{}", value.escape_ascii());
            }
        }
    }
}

#[tokio::test]
async fn a_live_key_further_on_behind_bearer_is_not_taken_for_a_session() {
    let keys = keys(Arc::new(MemoryStore::new()), &clock()).await;
    let key = issue(&keys, team("blue")).await;
    let k = key.expose_secret();
    let texts = [
        format!("<{k}>"),
        format!("API_KEY={k}"),
        format!("Bearer {k}"),
        format!("\u{feff}{k}"),
        format!("session-{k}"),
        k.to_uppercase(),
        Base64::encode_string(k.as_bytes()),
        Base64UrlUnpadded::encode_string(format!("api:{k}").as_bytes()),
        k.replace('.', "%2E"),
    ];
    let latin_1 = [b"\xa0", k.as_bytes()].concat();
    for text in texts.iter().map(String::as_bytes).chain([latin_1.as_slice()]) {
        let value = [b"Bearer ", text].concat();
        for layer in layers(&keys) {
            let (answer, reason, seen) = send(layer, &[("authorization", &value)]).await;
            assert_eq!(seen, None, "{}", text.escape_ascii());
            assert_eq!(answer, malformed(reason.unwrap()), "{}", text.escape_ascii());
        }
    }
}

#[tokio::test]
async fn a_live_key_with_something_around_it_is_told_what_that_is() {
    use MalformedReason::{Alphabet, Encoded, Quotes, TextAround, TooLong, TwoKeys, Whitespace};

    let keys = keys(Arc::new(MemoryStore::new()), &clock()).await;
    let (key, other) = (issue(&keys, team("blue")).await, issue(&keys, team("blue")).await);
    let (k, start, end) = (key.expose_secret(), &key.expose_secret()[..40], &key.expose_secret()[41..]);
    let around = |before: &[u8], after: &[u8]| [before, k.as_bytes(), after].concat();
    let inside = |between: &[u8]| [start.as_bytes(), between, end.as_bytes()].concat();
    let rows = [
        // One byte for each character, as clients send those up to U+00FF.
        (inside(b"\xad"), Whitespace),
        (around(b"\xa0", b""), Whitespace),
        (inside(b"\xa0"), Whitespace),
        (around(b"\xab", b"\xbb"), Quotes),
        (around(b"\x93", b"\x94"), Quotes),
        (around(b"\xb4", b"\xb4"), Quotes),
        (around(b"\xff\xfe", b""), Alphabet),
        (inside(b"\x96"), Alphabet),
        (around("\u{ef}\u{bb}\u{bf}".as_bytes(), b""), Whitespace),
        (inside("\u{2013}".as_bytes()), Alphabet),
        (around(b"", "\u{1f511}".as_bytes()), Alphabet),
        (around("\u{201e}".as_bytes(), "\u{201c}".as_bytes()), Quotes),
        (around(b"API_KEY=", b""), TextAround),
        (around(b"export API_KEY=", b""), TextAround),
        (around(b"{", b"}"), TextAround),
        (around(b"<code>", b"</code>"), TextAround),
        (around(b"", b","), TooLong),
        (around(b"", format!(",{k}").as_bytes()), TwoKeys),
        (around(b"", format!(", {}", other.expose_secret()).as_bytes()), TwoKeys),
        (around(b"", format!(", Bearer {k}").as_bytes()), TwoKeys),
        (Base64::encode_string(k.as_bytes()).into_bytes(), Encoded),
        (Base64UrlUnpadded::encode_string(format!("{k}\n").as_bytes()).into_bytes(), Encoded),
    ];
    for (text, expected) in rows {
        let bearer = [b"Bearer ", text.as_slice()].concat();
        for line in [("authorization", bearer.as_slice()), ("x-api-key", &text)] {
            for layer in layers(&keys) {
                let (answer, _, seen) = send(layer, &[line]).await;
                assert_eq!(seen, None, "{}", text.escape_ascii());
                assert_eq!(answer, malformed(expected), "{}", text.escape_ascii());
            }
        }
    }
}

#[tokio::test]
async fn credentials_of_others_reach_the_service_as_they_came() {
    let keys = keys(Arc::new(MemoryStore::new()), &clock()).await;
    let k = issue(&keys, team("blue")).await;
    let k = k.expose_secret();
    let other_brand = KeyFormat::branded("globex").unwrap().generate(KeyKind::Team).unwrap();
    let other_brand = other_brand.expose_secret();
    let claims = Base64UrlUnpadded::encode_string(b"{\"sub\":\"user.smith\",\"of\":[\"team.blue\",\"user.user.\"]}");
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{claims}.c2lnbmF0dXJlIG9mIDMyIGJ5dGVzIGF0IGxlYXN0");
    for value in [
        basic("user.smith:pw"),
        format!("Basic {}", Base64::encode_string(&utf_16(&format!("user.smith:{}", &k[..73])))),
        basic("team.blue:user.smith"),
        basic(&format!("{}:", &k[..73])),
        basic(&format!("x:{other_brand}")),
        "Digest username=\"user.name\", realm=\"team.example.com\", uri=\"/\", response=\"6629fae49393a05397450978\""
            .into(),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request".into(),
        "Host user.example.com".into(),
        format!("Custom {}", &k[..73]),
        format!("Custom {other_brand}"),
        format!("JWT {jwt}"),
    ] {
        for layer in &layers(&keys)[1..] {
            let (_, _, seen) = send(layer.clone(), &[("authorization", value.as_bytes())]).await;
            let (headers, is_proved) = seen.unwrap_or_else(|| panic!("refused: {value}"));
            assert_eq!((headers["authorization"].as_bytes(), is_proved), (value.as_bytes(), false));
        }
        // Also beside a key in `x-api-key`.
        let lines = [("authorization", value.as_bytes()), ("x-api-key", k.as_bytes())];
        let (headers, is_proved) = send(keys.layer(), &lines).await.2.unwrap_or_else(|| panic!("refused: {value}"));
        assert_eq!((headers["authorization"].as_bytes(), is_proved), (value.as_bytes(), true));
    }
    let [_, _, ignoring] = layers(&keys);
    let session = format!("Bearer {jwt}");
    let seen = send(ignoring, &[("authorization", session.as_bytes())]).await.2.unwrap();
    assert_eq!(seen.0["authorization"], session.as_str());
}
