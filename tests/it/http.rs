//! Requests with real keys, through headers and store.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeyLayer, ApiKeys, KeyKind, ManualClock, Owner, Principal, Scope, Scopes,
    key::{KeyFormat, PlaintextKey},
    manage::IssueKey,
    middleware::{ForeignBearer, KeyHeaders, Refusal, RefusalCode, RejectionBody, RequireKeyLayer},
    record::Suspension,
    store::{KeyReader, MemoryStore},
    usage::Source,
};

use crate::support::{
    clock,
    hooked::{Fault, Hooked, Hooks},
    issue, keys, noon, secrets, system, team, user,
};

type Store = Hooked<Arc<MemoryStore>>;

struct Fixture {
    keys: ApiKeys<Store>,
    hooks: Arc<Hooks>,
    clock: Arc<ManualClock>,
}

async fn fixture() -> Fixture {
    let (store, clock) = (Hooked::new(Arc::new(MemoryStore::new())), clock());
    let hooks = store.hooks.clone();
    Fixture { keys: keys(store, &clock).await, hooks, clock }
}

/// Answers with the caller and the headers that arrived.
async fn whoami(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let caller = request.extensions().get::<Principal>().map(|caller| caller.owner().to_string());
    let mut headers: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
    headers.sort_unstable();
    let text = format!("{} {headers:?}", caller.as_deref().unwrap_or("nobody"));
    Ok(Response::new(text.into()))
}

fn request(lines: &[(&'static str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    for (name, value) in lines {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    code: Option<RefusalCode>,
}

async fn send<R: KeyReader>(layer: ApiKeyLayer<R>, lines: &[(&'static str, &str)]) -> Answer {
    read(layer.layer(service_fn(whoami)).oneshot(request(lines)).await.unwrap()).await
}

#[tokio::test]
async fn two_layers_that_read_different_headers_take_one_key_between_them() {
    let Fixture { keys, .. } = fixture().await;
    let (one, other) = (issue(&keys, team("a")).await, issue(&keys, team("b")).await);
    let outer = keys.layer().key_headers(KeyHeaders::only_bearer());
    let inner = keys.layer().key_headers(KeyHeaders::only("x-api-key".parse().unwrap()).unwrap());
    let answer = async |bearer: &PlaintextKey, header: &PlaintextKey| {
        let bearer = format!("Bearer {}", bearer.expose_secret());
        let request = request(&[("authorization", &bearer), ("x-api-key", header.expose_secret())]);
        read(outer.layer(inner.layer(service_fn(whoami))).oneshot(request).await.unwrap()).await
    };
    // At the first use, and again from the cache.
    for _ in 0..2 {
        let mixed = answer(&one, &other).await;
        assert_eq!((mixed.status, mixed.code), (StatusCode::BAD_REQUEST, Some(RefusalCode::AmbiguousCredentials)));
        assert_eq!(mixed.headers["cache-control"], "no-store");
        let same = answer(&one, &one).await;
        assert_eq!((same.status, same.body.as_str()), (StatusCode::OK, "team a []"));
    }
}

async fn read<B>(response: Response<B>) -> Answer
where
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    let (parts, body) = response.into_parts();
    let code = parts.extensions.get::<Refusal>().map(Refusal::code);
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap(), code }
}

impl Fixture {
    async fn bearer(&self, text: &str) -> Answer {
        send(self.keys.layer(), &[("authorization", &format!("Bearer {text}"))]).await
    }

    async fn x_api_key(&self, text: &str) -> Answer {
        send(self.keys.layer(), &[("x-api-key", text)]).await
    }
}

/// A well-formed key that was never issued.
fn unknown(kind: KeyKind) -> PlaintextKey {
    KeyFormat::unbranded().generate(kind).unwrap()
}

#[tokio::test]
async fn either_kind_in_either_header_is_its_owner_and_leaves_no_header_behind() {
    let fixture = fixture().await;
    for (owner, expected) in
        [(Owner::User(user("alice")), "user alice []"), (Owner::Team(team("blue")), "team blue []")]
    {
        let key = issue(&fixture.keys, owner).await;
        let text = key.expose_secret();
        // The first use proves the key, the others find the proof.
        for answer in [
            fixture.bearer(text).await,
            fixture.x_api_key(text).await,
            send(fixture.keys.layer(), &[("authorization", &format!("bearer   {text} ")), ("x-api-key", text)]).await,
        ] {
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, expected));
        }
    }
}

#[tokio::test]
async fn a_proved_key_is_answered_without_waiting() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.x_api_key(key.expose_secret()).await;
    fixture.hooks.reset();
    let mut service = fixture.keys.layer().layer(service_fn(whoami));
    let response = service.call(request(&[("x-api-key", key.expose_secret())])).now_or_never().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(fixture.hooks.calls().is_empty());
}

#[tokio::test]
async fn a_key_with_any_one_character_changed_is_unauthorized() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, user("alice")).await;
    let text = key.expose_secret();
    fixture.bearer(text).await;
    for at in 0..text.len() {
        let mut altered = text.as_bytes().to_vec();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        for answer in [fixture.bearer(&altered).await, fixture.x_api_key(&altered).await] {
            assert_eq!((answer.status, answer.code), (StatusCode::UNAUTHORIZED, Some(RefusalCode::MalformedKey)));
            assert!(!answer.body.contains(&altered[26..]), "echoed at {at}");
        }
    }
}

#[tokio::test]
async fn unknown_wrong_and_dead_keys_of_others_look_the_same_to_the_last_byte() {
    let fixture = fixture().await;
    let live = issue(&fixture.keys, team("blue")).await;
    let dead = issue(&fixture.keys, team("blue")).await;
    fixture.keys.manager().revoke(&dead.id(), &system()).await.unwrap();
    let expected = fixture.bearer(unknown(KeyKind::Team).expose_secret()).await;
    assert_eq!((expected.status, expected.code), (StatusCode::UNAUTHORIZED, Some(RefusalCode::InvalidKey)));
    for text in [unknown(KeyKind::User).expose_secret(), &wrong_secret(&live), &wrong_secret(&dead), &other_kind(&live)]
    {
        assert_eq!(fixture.bearer(text).await, expected);
        assert_eq!(fixture.x_api_key(text).await, expected);
    }
    // The result is the same after the right key was used.
    fixture.bearer(live.expose_secret()).await;
    assert_eq!(fixture.bearer(&wrong_secret(&live)).await, expected);
    assert_eq!(fixture.bearer(&other_kind(&live)).await, expected);
}

/// The same id with another secret, well formed.
fn wrong_secret(key: &PlaintextKey) -> String {
    let other = unknown(key.kind());
    with_checksum(format!("{}.{}", &key.expose_secret()[..25], &other.expose_secret()[26..70]))
}

/// A well-formed key of the other kind with the same id and secret.
fn other_kind(key: &PlaintextKey) -> String {
    let text = key.expose_secret();
    let kind = if text.starts_with("user") { "team" } else { "user" };
    with_checksum(format!("{kind}{}", &text[4..70]))
}

fn with_checksum(text: String) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut register = u32::MAX;
    for byte in text.bytes() {
        register ^= u32::from(byte);
        for _ in 0..8 {
            register = (register >> 1) ^ (0xedb8_8320 & (register & 1).wrapping_neg());
        }
    }
    let sum = !register;
    let characters = [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(sum >> shift) as usize & 63]));
    text + &String::from_iter(characters)
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_request() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    assert_eq!(fixture.bearer(key.expose_secret()).await.status, StatusCode::OK);
    fixture.keys.manager().revoke(&key.id(), &system()).await.unwrap();
    let answer = fixture.bearer(key.expose_secret()).await;
    assert_eq!((answer.status, answer.code), (StatusCode::UNAUTHORIZED, Some(RefusalCode::KeyRevoked)));
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"api\", error=\"invalid_token\"");
}

#[tokio::test]
async fn an_expired_key_is_refused_at_its_moment() {
    let fixture = fixture().await;
    let request = IssueKey::team(team("blue")).expires_at(noon().saturating_add(Duration::from_secs(60)));
    let key = fixture.keys.manager().issue(request, &system()).await.unwrap().into_plaintext();
    secrets::remember(key.expose_secret());
    fixture.clock.advance(Duration::from_millis(59_999));
    assert_eq!(fixture.bearer(key.expose_secret()).await.status, StatusCode::OK);
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(fixture.bearer(key.expose_secret()).await.code, Some(RefusalCode::KeyExpired));
}

#[tokio::test]
async fn a_suspended_owner_stops_the_key_and_reinstating_lets_it_go_on() {
    let fixture = fixture().await;
    let (key, owner) = (issue(&fixture.keys, user("alice")).await, Owner::User(user("alice")));
    assert_eq!(fixture.bearer(key.expose_secret()).await.status, StatusCode::OK);
    let manager = fixture.keys.manager();
    manager.suspend(&owner, Suspension::Admin, &system()).await.unwrap();
    assert_eq!(fixture.bearer(key.expose_secret()).await.code, Some(RefusalCode::OwnerSuspended));
    manager.reinstate(&owner, Suspension::Admin, &system()).await.unwrap();
    assert_eq!(fixture.bearer(key.expose_secret()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_store_in_trouble_is_unavailable_and_the_next_request_is_fine() {
    let fixture = fixture().await;
    for fault in [Fault::Error, Fault::Hang, Fault::Panic] {
        let key = issue(&fixture.keys, team("blue")).await;
        fixture.hooks.fail("find", fault, 1);
        // The timeout passes at once. No hash is computed meanwhile: the hashing threads use real time.
        tokio::time::pause();
        let answer = fixture.bearer(key.expose_secret()).await;
        tokio::time::resume();
        assert_eq!(answer.code, Some(RefusalCode::StoreUnavailable), "{fault:?}");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(!answer.headers.contains_key("www-authenticate"));
        assert_eq!(fixture.bearer(key.expose_secret()).await.status, StatusCode::OK, "{fault:?}");
    }
}

#[tokio::test]
async fn a_corrupt_row_is_unavailable_and_says_nothing_against_the_key() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.hooks.alter(|found| found.key.hash = "$argon2i$v=16$m=8,t=1,p=1$AAAA$AAAA".into());
    let answer = fixture.bearer(key.expose_secret()).await;
    assert_eq!((answer.status, answer.code), (StatusCode::SERVICE_UNAVAILABLE, Some(RefusalCode::CorruptRecord)));
    assert!(answer.headers.contains_key("retry-after"));
    fixture.hooks.heal();
    assert_eq!(fixture.bearer(key.expose_secret()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn malformed_and_missing_keys_make_no_store_call_and_no_hash() {
    let fixture = fixture().await;
    let runs = fixture.keys.authenticator().argon2_runs();
    fixture.hooks.reset();
    let key = unknown(KeyKind::User);
    for lines in [
        &[][..],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer $API_KEY")],
        &[("authorization", key.expose_secret())],
        &[("x-api-key", "")],
        &[("x-api-key", &key.expose_secret()[..60])],
        &[("x-api-key", key.expose_secret()), ("x-api-key", key.expose_secret())],
    ] {
        assert!(send(fixture.keys.layer(), lines).await.status.is_client_error(), "{lines:?}");
    }
    assert!(fixture.hooks.calls().is_empty());
    assert_eq!(fixture.keys.authenticator().argon2_runs(), runs);
}

#[tokio::test]
async fn a_nested_layer_of_the_same_keys_accepts_whom_the_outer_one_proved() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    let inner = fixture.keys.layer().layer(service_fn(whoami));
    let service = fixture.keys.layer().layer(inner);
    let answer = read(service.oneshot(request(&[("x-api-key", key.expose_secret())])).await.unwrap()).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "team blue []"));
}

#[tokio::test]
async fn a_principal_of_other_keys_does_not_pass() {
    let (ours, theirs) = (fixture().await, fixture().await);
    let key = issue(&theirs.keys, team("blue")).await;
    let required = theirs.keys.layer().layer(ours.keys.layer().layer(service_fn(whoami)));
    let answer = read(required.oneshot(request(&[("x-api-key", key.expose_secret())])).await.unwrap()).await;
    assert_eq!(answer.code, Some(RefusalCode::MissingCredentials));
    let optional = theirs.keys.layer().layer(ours.keys.layer().optional().layer(service_fn(whoami)));
    let answer = read(optional.oneshot(request(&[("x-api-key", key.expose_secret())])).await.unwrap()).await;
    assert_eq!(answer.body, "nobody []");
}

#[tokio::test]
async fn sessions_live_beside_keys() {
    let fixture = fixture().await;
    let layer = || fixture.keys.layer().optional().foreign_bearer(ForeignBearer::Ignore);
    let session = send(layer(), &[("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln")]).await;
    assert_eq!(session.body, "nobody [\"authorization\"]");
    let key = send(layer(), &[("authorization", &format!("Bearer {}", unknown(KeyKind::User).expose_secret()))]).await;
    assert_eq!(key.code, Some(RefusalCode::InvalidKey));
}

#[tokio::test]
async fn every_setting_of_the_layer_reaches_the_answer() {
    let fixture = fixture().await;
    let layer = fixture
        .keys
        .layer()
        .realm("Acme")
        .unwrap()
        .rejection(|refusal| RejectionBody::json(format!(r#"{{"error":{{"message":"{}"}}}}"#, refusal.detail())));
    let answer = send(layer.key_headers(KeyHeaders::only_bearer()), &[]).await;
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"Acme\"");
    assert_eq!(
        (&answer.headers["vary"], &answer.headers["content-type"]),
        (&"authorization, content-type".parse().unwrap(), &"application/json".parse().unwrap())
    );
    let sentence =
        "The request has no API key. Send one in the Authorization header, after the word Bearer and a space.";
    assert_eq!(answer.body, format!("{{\"error\":{{\"message\":\"{sentence}\"}}}}"));

    let key = issue(&fixture.keys, team("blue")).await;
    let kept = send(fixture.keys.layer().keep_credentials(), &[("x-api-key", key.expose_secret())]).await;
    assert_eq!(
        (kept.body.as_str(), &kept.headers["cache-control"]),
        ("team blue [\"x-api-key\"]", &"private".parse().unwrap())
    );
    let open = send(fixture.keys.layer().private_responses(false), &[("x-api-key", key.expose_secret())]).await;
    assert!(!open.headers.contains_key("cache-control") && !open.headers.contains_key("vary"));
}

#[tokio::test]
async fn scopes_of_the_key_decide() {
    let fixture = fixture().await;
    let read_only = Scopes::none().with(Scope::new("agents:read").unwrap());
    let issued = fixture.keys.manager().issue(IssueKey::team(team("blue")).scopes(read_only), &system()).await.unwrap();
    let key = issued.into_plaintext();
    secrets::remember(key.expose_secret());
    for (scope, expected) in [("agents:read", None), ("agents:write", Some(RefusalCode::InsufficientScope))] {
        let inner = RequireKeyLayer::new().scope(Scope::new(scope).unwrap()).layer(service_fn(whoami));
        let service = fixture.keys.layer().layer(inner);
        let response = service.oneshot(request(&[("x-api-key", key.expose_secret())])).await.unwrap();
        assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), expected, "{scope}");
    }
}

#[tokio::test]
async fn refusals_that_name_no_key_are_counted_by_reason_and_source() {
    let fixture = fixture().await;
    let layer = || fixture.keys.layer().source(Source::new("intake").unwrap());
    for lines in [
        &[][..],
        &[],
        &[("authorization", "user.AAECAwQFBgcICQoLDA0O")],
        &[("x-api-key", "")],
        &[("x-api-key", "$API_KEY")],
    ] {
        send(layer(), lines).await;
    }
    send(layer(), &[("x-api-key", "a"), ("x-api-key", "b")]).await;
    fixture.keys.shutdown().await.unwrap();
    let batches = fixture.hooks.usage.lock().unwrap();
    let rows = batches.iter().flat_map(|batch| &batch.rows);
    let mut counted: Vec<_> =
        rows.map(|row| (row.outcome.as_str(), row.label.as_str(), row.count, row.key.as_deref())).collect();
    counted.sort_unstable();
    let expected = [
        ("ambiguous_credentials", "intake", 1, None),
        ("malformed_key.empty", "intake", 1, None),
        ("malformed_key.missing_scheme", "intake", 1, None),
        ("malformed_key.placeholder", "intake", 1, None),
        ("missing_credentials", "intake", 2, None),
    ];
    assert_eq!(counted, expected);
}
