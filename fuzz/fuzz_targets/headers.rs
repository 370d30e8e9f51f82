//! The inner service runs only for exactly one valid key in a readable place, and no answer repeats what was sent.
#![no_main]

mod misplaced;
mod shared;

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{LazyLock, Mutex},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, VARY},
};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    Actor, ApiKeyLayer, ApiKeys, IssueKey, Principal, TeamId,
    hash::{Argon2Params, HasherConfig},
    middleware::{ForeignBearer, Refusal, RefusalCode},
    store::MemoryStore,
};

use self::{
    misplaced::holds_key,
    shared::{checksum, encode, is_base64url, is_key},
};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
const MISSING: &str = "The request has no API key. Send one in the Authorization header, after the word Bearer and a \
                       space, or in the x-api-key header.";
const BASIC: &str = "The request has no API key. The Authorization header has a user name and a password (Basic), perhaps \
                     from a .netrc file or from the URL. Send an API key in the Authorization header, after the word \
                     Bearer and a space, or in the x-api-key header.";
const IN_QUERY: &str = "The API key is in the query of the URL. This service does not read it there, and it may now be in \
                        logs. Replace the key, and send the new one in the Authorization header, after the word Bearer \
                        and a space, or in the x-api-key header.";

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

/// What the inner service got, each time it ran.
static SEEN: Mutex<Vec<(HeaderMap, Option<Principal>)>> = Mutex::new(Vec::new());

// The first byte is read as five switches. The rest is lines such as `authorization: value`; only the first letter of
// the name counts. Bytes 1 to 8, 11 and 12 in a value are replaced by keys, because their text is new in each process.
fuzz_target!(|data: &[u8]| {
    let Some((&switches, lines)) = data.split_first() else { return };
    let scene = &*SCENE;
    let (forget, optional, ignore) = (switches & 1 > 0, switches & 2 > 0, switches & 4 > 0);
    // Whether the request has the method and version of a gRPC call.
    let call = switches & 8 > 0;
    // Whether the valid key is also in the query.
    let query = switches & 128 > 0;
    let headers = scene.headers(lines);
    let verdict = scene.judge(&headers, optional, ignore);
    if forget {
        scene.keys.authenticator().forget_proofs();
    }
    // On a busy machine a hash may not end in time. The answer then says to try again, as clients would.
    for _ in 0..20 {
        let response = scene.ask(&headers, optional, ignore, call, query);
        let seen = std::mem::take(&mut *SEEN.lock().expect("nobody panics with it"));
        let refusal = response.extensions().get::<Refusal>();
        if refusal.is_some_and(|refusal| refusal.code() == RefusalCode::Overloaded) {
            assert!(seen.is_empty());
            continue;
        }
        match verdict {
            Verdict::Admitted => scene.admitted(&headers, &response, &seen),
            Verdict::Anonymous => {
                let [(inner, None)] = seen.as_slice() else { panic!("{seen:?} for {headers:?}") };
                assert_eq!(*inner, headers);
            }
            Verdict::Refused(code) => {
                assert!(seen.is_empty(), "ran for {headers:?}, which is {code}");
                scene.refused(&headers, &response, code, call, query);
            }
        }
        return;
    }
    panic!("overloaded by {headers:?}");
});

#[derive(Clone, Copy)]
enum Verdict {
    Admitted,
    Anonymous,
    Refused(&'static str),
}

struct Scene {
    runtime: Runtime,
    keys: ApiKeys<MemoryStore>,
    /// A key, and its id.
    good: String,
    id: String,
    revoked: String,
    /// The valid key's id and a right checksum, with another secret or another kind.
    wrong_secret: String,
    wrong_kind: String,
    /// Every 8 characters of the two issued keys.
    parts: HashSet<Vec<u8>>,
}

impl Scene {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let cheap = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET);
        let keys = ApiKeys::builder(MemoryStore::new()).hasher(cheap);
        let keys = runtime.block_on(keys.build()).expect("keys");
        let (manager, system) = (keys.manager(), Actor::system("fuzz").expect("an actor"));
        let issue = || {
            let request = IssueKey::team(TeamId::new("engineering").expect("an id"));
            runtime.block_on(manager.issue(request, &system)).expect("a key").into_plaintext()
        };
        let (good, revoked) = (issue(), issue());
        runtime.block_on(manager.revoke(&revoked.id(), &system)).expect("revoked");

        let id = good.id().to_string();
        let sealed = |text: String| format!("{text}{}", checksum(&text));
        let secret = &good.expose_secret()[26..70];
        let parts = |key: &str| key.as_bytes().windows(8).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let issued = [good.expose_secret(), revoked.expose_secret()];
        Self {
            parts: issued.into_iter().flat_map(parts).collect(),
            wrong_secret: sealed(format!("team.{id}.{}", "A".repeat(44))),
            wrong_kind: sealed(format!("user.{id}.{secret}")),
            good: good.expose_secret().to_owned(),
            revoked: revoked.expose_secret().to_owned(),
            id,
            keys,
            runtime,
        }
    }

    fn headers(&self, lines: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines.split(|&byte| byte == b'\n') {
            let name = match line.first() {
                Some(b'a') => AUTHORIZATION,
                Some(b'c') => CONTENT_TYPE,
                Some(b'x') => KEY_HEADER,
                _ => continue,
            };
            let value = line.iter().position(|&byte| byte == b':').map(|colon| self.value(&line[colon + 1..]));
            if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_bytes) {
                headers.append(name, value);
            }
        }
        headers
    }

    /// The value of a header, with its placeholders replaced by keys.
    fn value(&self, text: &[u8]) -> Vec<u8> {
        let mut value = Vec::new();
        let mut text = text.iter().copied();
        while let Some(byte) = text.next() {
            let mut place = || text.next().map_or(0, |place| usize::from(place) % self.good.len());
            match byte {
                1 => value.extend_from_slice(self.good.as_bytes()),
                2 => value.extend_from_slice(self.revoked.as_bytes()),
                3 => value.extend_from_slice(self.wrong_secret.as_bytes()),
                4 => value.extend_from_slice(self.wrong_kind.as_bytes()),
                5 => value.extend_from_slice(&self.good.as_bytes()[..place()]),
                6 => value.extend_from_slice(&self.good.as_bytes()[place()..]),
                7 => {
                    let place = value.len() + place();
                    value.extend_from_slice(self.good.as_bytes());
                    value[place] = text.next().unwrap_or(b'A');
                }
                8 => {
                    // In base64, after the number of bytes that the next byte gives; whole groups of three.
                    let inside = format!("{}{}", ":".repeat(place() % 20), self.good);
                    let padded = format!("{inside}{}", "x".repeat(inside.len().next_multiple_of(3) - inside.len()));
                    value.extend_from_slice(encode(padded.as_bytes()).as_bytes());
                }
                11 => value.extend_from_slice(self.good.replace('.', "%2e").as_bytes()),
                12 => value.extend(self.good.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes())),
                _ => value.push(byte),
            }
        }
        value
    }

    /// An independent implementation of the layer's rules. A header value has no line breaks, so outer white space is
    /// spaces and tabs.
    fn judge(&self, headers: &HeaderMap, optional: bool, ignore: bool) -> Verdict {
        let lines = |name| headers.get_all(name).iter().map(|line| line.as_bytes().trim_ascii()).collect::<Vec<_>>();
        let (authorization, key_header) = (lines(AUTHORIZATION), lines(KEY_HEADER));
        if authorization.len() > 1 || key_header.len() > 1 {
            return Verdict::Refused("ambiguous_credentials");
        }
        let bearer = match authorization.first().map(|value| (*value, scheme(value))) {
            Some((_, (Scheme::Bearer, rest))) if !ignore || is_ours(rest.trim_ascii()) || holds_key(rest) => Some(rest),
            Some((_, (Scheme::Bearer, _))) | None => None,
            Some((_, (Scheme::Token, rest))) if has_id(rest.trim_ascii()) => return Verdict::Refused("malformed_key"),
            Some((value, _)) if has_id(value) || holds_key(value) => return Verdict::Refused("malformed_key"),
            Some(_) => None,
        };
        let texts: Vec<&[u8]> = bearer.into_iter().chain(key_header).collect();
        Verdict::Refused(match texts.as_slice() {
            [] if optional => return Verdict::Anonymous,
            [] => "missing_credentials",
            [one, other] if one != other || one.is_empty() => "ambiguous_credentials",
            [key, ..] if *key == self.good.as_bytes() => return Verdict::Admitted,
            [key, ..] if *key == self.revoked.as_bytes() => "key_revoked",
            [key, ..] if is_key(key, &["user", "team"]) => "invalid_key",
            _ => "malformed_key",
        })
    }

    fn ask(&self, headers: &HeaderMap, optional: bool, ignore: bool, call: bool, query: bool) -> Response<Vec<u8>> {
        let inner = service_fn(async |request: Request<()>| {
            let (parts, ()) = request.into_parts();
            let principal = parts.extensions.get::<Principal>().cloned();
            SEEN.lock().expect("nobody panics with it").push((parts.headers, principal));
            Ok::<_, Infallible>(Response::new("inner".to_owned()))
        });
        let mut layer: ApiKeyLayer<_> = self.keys.layer();
        if optional {
            layer = layer.optional();
        }
        if ignore {
            layer = layer.foreign_bearer(ForeignBearer::Ignore);
        }
        let mut request = Request::new(());
        *request.headers_mut() = headers.clone();
        if query {
            *request.uri_mut() = format!("/?api_key={}", self.good).parse().expect("a path");
        }
        if call {
            *request.method_mut() = Method::POST;
            *request.version_mut() = Version::HTTP_2;
        }
        self.runtime.block_on(async {
            let Ok(response) = layer.layer(inner).oneshot(request).await;
            let (parts, body) = response.into_parts();
            let Ok(body) = body.collect().await;
            Response::from_parts(parts, body.to_bytes().to_vec())
        })
    }

    fn admitted(&self, sent: &HeaderMap, response: &Response<Vec<u8>>, seen: &[(HeaderMap, Option<Principal>)]) {
        let [(inner, Some(principal))] = seen else { panic!("{seen:?} for {sent:?}") };
        assert_eq!(principal.key_id().as_str(), self.id);
        assert_eq!((response.status(), response.body().as_slice()), (StatusCode::OK, &b"inner"[..]));

        // The key is removed, and nothing else.
        let mut left = sent.clone();
        let by_key_header = left.remove(KEY_HEADER).is_some();
        if left.get(AUTHORIZATION).is_some_and(|value| {
            let (scheme, rest) = scheme(value.as_bytes().trim_ascii());
            matches!(scheme, Scheme::Bearer) && rest == self.good.as_bytes()
        }) {
            left.remove(AUTHORIZATION);
        }
        assert_eq!(*inner, left);
        assert_eq!(response.headers().contains_key(VARY), by_key_header);
        assert_eq!(response.headers().contains_key(CACHE_CONTROL), by_key_header);
    }

    fn refused(&self, sent: &HeaderMap, response: &Response<Vec<u8>>, code: &str, call: bool, query: bool) {
        let refusal = response.extensions().get::<Refusal>().expect("a refusal");
        assert_eq!(refusal.code().as_str(), code, "{sent:?}");
        let detail = match (code, refusal.reason()) {
            ("missing_credentials", None) => missing(sent, query),
            ("malformed_key", Some(reason)) => reason.advice(),
            (_, reason) => {
                assert_eq!(reason, None);
                refusal.code().detail()
            }
        };
        let bad_request = code == "ambiguous_credentials";
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[VARY], "authorization, x-api-key, content-type");
        let types: Vec<_> = sent.get_all(CONTENT_TYPE).iter().collect();
        if call && matches!(types[..], [only] if is_grpc(only.as_bytes())) {
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["grpc-status"], if bad_request { "3" } else { "16" });
            assert!(response.body().is_empty());
        } else {
            assert_eq!(response.status(), if bad_request { 400 } else { 401 });
            // Fixed sentences: nothing of the request can be in them, except a text that is itself part of them.
            let title = if bad_request { "Bad Request" } else { "Unauthorized" };
            let status = response.status().as_u16();
            let reason = refusal.reason().map_or(String::new(), |reason| format!(r#","reason":"{}""#, reason.as_str()));
            let body = serde_json::to_string(detail).expect("a text");
            let body = format!(
                r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":{body},"code":"{code}"{reason}}}"#
            );
            assert_eq!(String::from_utf8_lossy(response.body()), body);
        }
        // No run of 8 characters of a key, neither in the body nor in a header.
        let texts = response.headers().values().map(HeaderValue::as_bytes).chain([response.body().as_slice()]);
        for part in texts.flat_map(|text| text.windows(8)) {
            assert!(!self.parts.contains(part), "{response:?}");
        }
    }
}

/// The message for a caller without a key.
fn missing(sent: &HeaderMap, query: bool) -> &'static str {
    let scheme = sent.get(AUTHORIZATION).map(|value| value.as_bytes().trim_ascii());
    let scheme = scheme.and_then(|value| value.split(|byte| b" \t".contains(byte)).next());
    match scheme {
        _ if query => IN_QUERY,
        Some(scheme) if scheme.eq_ignore_ascii_case(b"basic") => BASIC,
        _ => MISSING,
    }
}

enum Scheme {
    Bearer,
    /// `Token` or `ApiKey`.
    Token,
    Other,
}

/// The first word, and the rest without the spaces between.
fn scheme(value: &[u8]) -> (Scheme, &[u8]) {
    let end = value.iter().position(|byte| b" \t".contains(byte)).unwrap_or(value.len());
    let (word, mut rest) = value.split_at(end);
    while let [b' ', behind @ ..] = rest {
        rest = behind;
    }
    let scheme = match word.to_ascii_lowercase().as_slice() {
        b"bearer" => Scheme::Bearer,
        b"token" | b"apikey" => Scheme::Token,
        _ => Scheme::Other,
    };
    (scheme, rest)
}

/// Whether this is a content type of gRPC or gRPC-Web.
fn is_grpc(content_type: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let media_type = lower.split(';').next().unwrap_or_default().trim_ascii();
    let Some(rest) = media_type.strip_prefix("application/grpc") else { return false };
    let format = rest.strip_prefix("-web-text").or_else(|| rest.strip_prefix("-web")).unwrap_or(rest);
    format.is_empty() || format.starts_with('+')
}

/// Whether the text begins with a prefix and a complete id.
fn has_id(text: &[u8]) -> bool {
    let id = text.get(5..25).and_then(|id| std::str::from_utf8(id).ok());
    is_ours(text) && id.is_some_and(is_base64url) && text.get(25).is_none_or(|&byte| byte == b'.')
}

/// Whether the text begins like a key of this service.
fn is_ours(text: &[u8]) -> bool {
    text.starts_with(b"user.") || text.starts_with(b"team.")
}
