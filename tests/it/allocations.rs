//! Counts what a check allocates. The memory of cached keys is measured in `src/auth/cache`.
use std::{convert::Infallible, future::ready};

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Principal, TeamId,
    auth::AuthErrorKind,
    hash::Argon2Params,
    key::{MalformedReason, PlaintextKey},
    middleware::ForeignBearer,
    store::MemoryStore,
    usage::Source,
};

async fn api_keys() -> ApiKeys<MemoryStore> {
    ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET).build().await.unwrap()
}

async fn issue(keys: &ApiKeys<MemoryStore>, request: IssueKey) -> PlaintextKey {
    keys.manager().issue(request, &Actor::system("test").unwrap()).await.unwrap().into_plaintext()
}

/// A key that was proved and used, so all of it is in the cache.
async fn proved_key(keys: &ApiKeys<MemoryStore>) -> PlaintextKey {
    let key = issue(keys, IssueKey::team(TeamId::new("engineering").unwrap()).named("CI")).await;
    for _ in 0..2 {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    }
    key
}

fn request(key: &PlaintextKey) -> Request<Empty<Bytes>> {
    Request::get("/agents")
        .header("host", "api.example.com")
        .header("user-agent", "example-client/1.0")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", key.expose_secret()))
        .body(Empty::new())
        .unwrap()
}

/// Counts one call of a service that answers at once, including everything dropped by its end.
fn of_call<S, B>(service: &mut S, request: Request<Empty<Bytes>>) -> AllocationInfo
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    let mut status = None;
    let info = measure(|| status = service.call(request).now_or_never().map(|answer| answer.unwrap().status()));
    assert_eq!(status.unwrap(), 200);
    info
}

#[tokio::test]
async fn the_layer_allocates_what_an_extension_takes_and_nothing_else() {
    let keys = api_keys().await;
    let key = proved_key(&keys).await;
    let principal = keys.authenticator().authenticate(key.expose_secret()).await.unwrap();

    let answer = || ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let mut by_hand = service_fn(|mut request: Request<Empty<Bytes>>| {
        request.extensions_mut().insert(principal.clone());
        answer()
    });
    let inner = service_fn(|request: Request<Empty<Bytes>>| {
        assert!(request.extensions().get::<Principal>().is_some());
        answer()
    });
    let extension = of_call(&mut by_hand, request(&key));
    assert!(extension.count_total > 0, "the counter does not count");
    // The cache keeps four sources with a key. The empty source of callers without HTTP is one of them.
    for label in [None, Some("intake"), Some("api")] {
        let label = label.map_or(Source::default(), |label| Source::new(label).unwrap());
        let mut layered = keys.layer().source(label.clone()).layer(inner);
        let first = of_call(&mut layered, request(&key));
        assert!(first.count_total > extension.count_total, "a source that is new takes memory");
        let warm = of_call(&mut layered, request(&key));
        assert_eq!((warm.count_total, warm.bytes_total), (extension.count_total, extension.bytes_total), "{label:?}");
    }
}

#[tokio::test]
async fn a_warm_check_allocates_nothing() {
    let keys = api_keys().await;
    let key = proved_key(&keys).await;
    let authenticator = keys.authenticator();
    let mut accepted = None;
    let info = measure(|| accepted = authenticator.authenticate(key.expose_secret()).now_or_never());
    assert!(accepted.unwrap().is_ok());
    assert_eq!(info.count_total, 0);
}

#[tokio::test]
async fn a_session_token_left_to_others_allocates_nothing() {
    let keys = api_keys().await;
    let inner =
        service_fn(|_: Request<Empty<Bytes>>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let mut layered = keys.layer().optional().foreign_bearer(ForeignBearer::Ignore).layer(inner);
    let request = |authorization: Option<&str>| {
        let mut request = Request::new(Empty::<Bytes>::new());
        let value = authorization.unwrap_or_default().parse().unwrap();
        request.headers_mut().insert(if authorization.is_some() { "authorization" } else { "x-other" }, value);
        request
    };
    let claims = "eyJzdWIiOiJ1c2VyLnNtaXRoIiwidGVhbSI6InRlYW0uYmx1ZSJ9".repeat(20);
    let jwt = format!("Bearer eyJhbGciOiJIUzI1NiJ9.{claims}.c2lnbmF0dXJl");
    assert!(jwt.len() > 1_000);
    // A new source takes memory.
    of_call(&mut layered, request(None));
    let without = of_call(&mut layered, request(None));
    let with = of_call(&mut layered, request(Some(&jwt)));
    assert_eq!((with.count_total, with.bytes_total), (without.count_total, without.bytes_total));
}

#[tokio::test]
async fn a_malformed_key_allocates_nothing() {
    let keys = api_keys().await;
    let key = proved_key(&keys).await;
    let text = key.expose_secret();
    let (rest, last) = text.split_at(text.len() - 1);
    let texts = [
        (String::new(), MalformedReason::Empty),
        ("ghp_tM0r8xGQ2kVb".into(), MalformedReason::ForeignCredential),
        ("$API_KEY".into(), MalformedReason::Placeholder),
        (format!("Bearer {text}"), MalformedReason::BearerInside),
        (format!("\"{text}\""), MalformedReason::Quotes),
        (format!("{text} {text}"), MalformedReason::TwoKeys),
        (format!("{text} "), MalformedReason::Whitespace),
        (format!("API_KEY={text}"), MalformedReason::TextAround),
        (text.replacen("team", "taem", 1), MalformedReason::UnknownPrefix),
        (rest.to_owned(), MalformedReason::Truncated),
        (format!("{text}A"), MalformedReason::TooLong),
        (format!("{rest}!"), MalformedReason::Alphabet),
        (format!("{rest}{}", if last == "A" { "B" } else { "A" }), MalformedReason::Checksum),
    ];
    for (text, reason) in texts {
        let mut refused = None;
        let info = measure(|| refused = keys.authenticator().authenticate(&text).now_or_never());
        assert_eq!(refused.unwrap().unwrap_err().kind(), AuthErrorKind::Malformed(reason), "{reason:?}");
        assert_eq!(info.count_total, 0, "{reason:?}");
    }
}
