//! Every row of the table of refusals, through the layer and a store: status, headers and body, byte for byte.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use futures_util::poll;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeyLayer, ApiKeys, Authenticator, IssueKey, KeyKind, ManualClock, Owner, Principal, Scope, Scopes, TeamId,
    auth::AuthSettings,
    key::{KeyFormat, KeyId, MalformedReason, PlaintextKey},
    manage::{Denial, DenialReason},
    middleware::{KeyHeaders, Refusal, RequireKeyLayer},
    record::Suspension,
    store::{Changes, FoundKey, Head, KeyReader, MemoryStore, StoreError},
};

use crate::support::{
    cheap, clock,
    hooked::{Fault, Hooked, Hooks},
    issue, noon, secrets, system, team, text, user,
};

const INVALID_TOKEN: Option<&str> = Some("Bearer realm=\"api\", error=\"invalid_token\"");
const INSUFFICIENT_SCOPE: Option<&str> = Some("Bearer realm=\"api\", error=\"insufficient_scope\"");

struct Fixture {
    keys: ApiKeys<Hooked<Arc<MemoryStore>>>,
    hooks: Arc<Hooks>,
    clock: Arc<ManualClock>,
}

async fn fixture() -> Fixture {
    secrets::capture_log();
    let (store, clock) = (Hooked::new(Arc::new(MemoryStore::new())), clock());
    let hooks = store.hooks.clone();
    let format = KeyFormat::unbranded().with_foreign_prefix("old_", "the old system").unwrap();
    let builder = ApiKeys::builder(store).hasher(cheap()).clock(clock.clone()).format(format);
    let keys = builder.max_concurrent_lookups(1, Duration::from_millis(100)).build().await.unwrap();
    Fixture { keys, hooks, clock }
}

type Body = BoxBody<Bytes, Infallible>;

/// Refuses two paths, as a handler does, and accepts all others.
async fn handler(request: Request<Full<Bytes>>) -> Result<Response<Body>, Infallible> {
    let denied = match request.uri().path() {
        "/plan" => DenialReason::PlanRequired,
        "/role" => DenialReason::InsufficientRole,
        _ => return Ok(Response::new(Full::from("fine").boxed())),
    };
    Ok(Refusal::from(&Denial::from(denied)).into_http::<Full<Bytes>>().map(BodyExt::boxed))
}

/// The answer to a request of this path with these headers, as [`text`].
async fn send<R: KeyReader>(
    layer: ApiKeyLayer<R>,
    rules: RequireKeyLayer,
    path: &'static str,
    lines: &[(&'static str, &str)],
) -> String {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in lines {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    text(layer.layer(rules.layer(service_fn(handler))).oneshot(request).await.unwrap()).await
}

impl Fixture {
    async fn answer(&self, lines: &[(&'static str, &str)]) -> String {
        send(self.keys.layer(), RequireKeyLayer::new(), "/", lines).await
    }

    async fn bearer(&self, key: &PlaintextKey) -> String {
        self.answer(&[("authorization", &bearer(key))]).await
    }
}

fn bearer(key: &PlaintextKey) -> String {
    format!("Bearer {}", key.expose_secret())
}

fn refusal(status: u16, challenge: Option<&str>, code: &str, detail: &str) -> String {
    let title = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        500 => "Internal Server Error",
        _ => "Service Unavailable",
    };
    let challenge = challenge.map(|challenge| format!("www-authenticate: {challenge}\n")).unwrap_or_default();
    let retry_after = if status == 503 { "retry-after: 1\n" } else { "" };
    format!(
        "{status}\ncache-control: no-store\ncontent-type: application/problem+json\n{retry_after}\
         vary: authorization, x-api-key, content-type\n{challenge}\n\
         {{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\",\"code\":\"{code}\"}}"
    )
}

fn malformed(reason: MalformedReason) -> String {
    let code = format!("malformed_key\",\"reason\":\"{}", reason.as_str());
    refusal(401, INVALID_TOKEN, &code, reason.advice())
}

const KEY: &str = "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ";

#[tokio::test]
async fn every_reason_of_a_malformed_key_is_told_without_a_store_call_or_a_hash() {
    let fixture = fixture().await;
    fixture.hooks.reset();
    let (cut, swapped) = (&KEY[..60], KEY.replace("AAEC", "AAEc"));
    let rest = &KEY[5..];
    for (value, reason) in [
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a".to_owned(), MalformedReason::ForeignCredential),
        ("glpat-xYz123abcDEF456ghi78".into(), MalformedReason::ForeignCredential),
        ("sk_live_51H8abcdefghijklmnop".into(), MalformedReason::ForeignCredential),
        ("sk-proj-abcdefghijklmnop".into(), MalformedReason::ForeignCredential),
        ("sk-ant-api03-abcdefghijklmnop".into(), MalformedReason::ForeignCredential),
        ("xoxb-123456789012-abcdef".into(), MalformedReason::ForeignCredential),
        ("AKIAIOSFODNN7EXAMPLE".into(), MalformedReason::ForeignCredential),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln".into(), MalformedReason::ForeignCredential),
        ("$API_KEY".into(), MalformedReason::Placeholder),
        ("YOUR_API_KEY".into(), MalformedReason::Placeholder),
        (format!("Bearer {KEY}"), MalformedReason::BearerInside),
        (format!("\"{KEY}\""), MalformedReason::Quotes),
        (format!("{cut} {KEY}"), MalformedReason::TwoKeys),
        (format!("{KEY}, {KEY}"), MalformedReason::TwoKeys),
        (KEY.replacen('.', ". ", 1), MalformedReason::Whitespace),
        (format!("API_KEY={KEY}"), MalformedReason::TextAround),
        (Base64::encode_string(KEY.as_bytes()), MalformedReason::Encoded),
        (format!("admin.{rest}"), MalformedReason::UnknownPrefix),
        (cut.into(), MalformedReason::Truncated),
        (format!("{KEY}A"), MalformedReason::TooLong),
        (KEY.replace("Dw8PDw8P", "Dw8/Dw8P"), MalformedReason::Alphabet),
        (swapped, MalformedReason::Checksum),
        (String::new(), MalformedReason::Empty),
    ] {
        for lines in [("authorization", format!("Bearer {value}")), ("x-api-key", value.clone())] {
            let answer = fixture.answer(&[(lines.0, &lines.1)]).await;
            assert_eq!(answer, malformed(reason), "{} {value}", lines.0);
        }
    }
    for value in [KEY.to_owned(), format!("Token {KEY}"), format!("ApiKey {KEY}")] {
        let answer = fixture.answer(&[("authorization", &value)]).await;
        assert_eq!(answer, malformed(MalformedReason::MissingScheme), "{value}");
    }
    assert!(fixture.hooks.calls().is_empty());
    assert_eq!(fixture.keys.authenticator().argon2_runs(), 0);
}

#[tokio::test]
async fn a_foreign_credential_that_the_service_knows_is_told_by_its_name() {
    let fixture = fixture().await;
    let detail = "This is a credential of the old system. Send an API key of this service instead.";
    let expected = refusal(401, INVALID_TOKEN, "malformed_key\",\"reason\":\"foreign_credential", detail);
    for lines in [("authorization", "Bearer old_3f9a"), ("x-api-key", "\"old_3f9a\"")] {
        assert_eq!(fixture.answer(&[lines]).await, expected);
    }
}

#[tokio::test]
async fn ambiguous_credentials() {
    let fixture = fixture().await;
    let (one, other) = (issue(&fixture.keys, team("blue")).await, issue(&fixture.keys, team("blue")).await);
    let challenge = Some("Bearer realm=\"api\", error=\"invalid_request\"");
    let detail =
        "The request has more than one API key, or the header with the key is there twice. Send one key, once.";
    let authorization = ("authorization", &*bearer(&one));
    for lines in [
        [authorization, ("x-api-key", other.expose_secret())],
        [authorization, ("x-api-key", "")],
        [authorization, authorization],
        [("x-api-key", one.expose_secret()), ("x-api-key", one.expose_secret())],
    ] {
        assert_eq!(fixture.answer(&lines).await, refusal(400, challenge, "ambiguous_credentials", detail));
    }
}

#[tokio::test]
async fn missing_credentials() {
    let detail = "The request has no API key. Send one in the Authorization header, after the word Bearer and a space, or in the x-api-key header.";
    let expected = refusal(401, Some("Bearer realm=\"api\""), "missing_credentials", detail);
    assert_eq!(fixture().await.answer(&[]).await, expected);
}

#[tokio::test]
async fn missing_credentials_with_a_hint_where_the_key_may_have_been_lost() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.hooks.reset();
    let answer = async |layer, path: String, lines: &[(&'static str, &str)]| {
        send(layer, RequireKeyLayer::new(), path.leak(), lines).await
    };
    let missing = |detail: &str| {
        let detail = format!(
            "{detail} in the Authorization header, after the word Bearer and a space, or in the x-api-key header."
        );
        refusal(401, Some("Bearer realm=\"api\""), "missing_credentials", &detail)
    };
    let basic = missing(
        "The request has no API key. The Authorization header has a user name and a password (Basic), perhaps from a \
         .netrc file or from the URL. Send an API key",
    );
    let query = missing(
        "The API key is in the query of the URL. This service does not read it there, and it may now be in logs. \
         Replace the key, and send the new one",
    );
    let nothing = missing("The request has no API key. Send one");
    let k = key.expose_secret();
    for (path, line, expected) in [
        ("/".to_owned(), Some("Basic YW5uOmh1bnRlcjI="), &basic),
        ("/?page=2".into(), Some("basic YW5uOmh1bnRlcjI="), &basic),
        (format!("/?api_key={k}"), None, &query),
        (format!("/?page=2&token={k}&x=1"), None, &query),
        (format!("/?{k}"), Some("Basic YW5uOmh1bnRlcjI="), &query),
        // A key of another service, or part of a key.
        ("/?api_key=abc".into(), None, &nothing),
        (format!("/?api_key={}", &k[..60]), None, &nothing),
        (format!("/{k}"), None, &nothing),
        ("/".into(), Some("Negotiate abc"), &nothing),
        ("/".into(), Some("Basically abc"), &nothing),
    ] {
        let lines: Vec<_> = line.map(|value| ("authorization", value)).into_iter().collect();
        assert_eq!(answer(fixture.keys.layer(), path.clone(), &lines).await, *expected, "{path} {line:?}");
    }
    // A header that is not read is not mentioned.
    let only_x_api_key = fixture.keys.layer().key_headers(KeyHeaders::only_x_api_key());
    let told = answer(only_x_api_key, "/".into(), &[("authorization", "Basic YW5uOmh1bnRlcjI=")]).await;
    assert!(told.contains("The request has no API key. Send one in the x-api-key header."), "{told}");
    assert!(fixture.hooks.calls().is_empty());
}

#[tokio::test]
async fn a_key_in_the_query_is_nobodys_where_keys_are_optional() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    let path: &'static str = format!("/?api_key={}", key.expose_secret()).leak();
    let inner = service_fn(async |request: Request<Full<Bytes>>| {
        assert!(request.extensions().get::<Principal>().is_none());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("fine")))
    });
    let request = Request::get(path).body(Full::<Bytes>::default()).unwrap();
    let response = fixture.keys.layer().optional().layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn invalid_key() {
    let key = KeyFormat::unbranded().generate(KeyKind::Team).unwrap();
    let detail = "The API key is not valid. Check that the right key is configured, or create a new one.";
    assert_eq!(fixture().await.bearer(&key).await, refusal(401, INVALID_TOKEN, "invalid_key", detail));
}

#[tokio::test]
async fn key_revoked() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.keys.manager().revoke(&key.id(), &system()).await.unwrap();
    let detail = "The API key was revoked. Use another one, or create a new one.";
    assert_eq!(fixture.bearer(&key).await, refusal(401, INVALID_TOKEN, "key_revoked", detail));
}

#[tokio::test]
async fn key_expired_without_a_hash() {
    let fixture = fixture().await;
    let request = IssueKey::user(user("alice")).expires_at(noon().saturating_add(Duration::from_secs(1)));
    let key = fixture.keys.manager().issue(request, &system()).await.unwrap().into_plaintext();
    secrets::remember(key.expose_secret());
    let runs = fixture.keys.authenticator().argon2_runs();
    fixture.clock.advance(Duration::from_secs(1));
    let detail = "The API key has expired. Use another one, or create a new one.";
    assert_eq!(fixture.bearer(&key).await, refusal(401, INVALID_TOKEN, "key_expired", detail));
    assert_eq!(fixture.keys.authenticator().argon2_runs(), runs);
}

#[tokio::test]
async fn owner_suspended() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.keys.manager().suspend(&Owner::Team(team("blue")), Suspension::Admin, &system()).await.unwrap();
    let detail = "The user, team or organization that this API key belongs to is suspended. Keep the key: it works again when an administrator ends the suspension.";
    assert_eq!(fixture.bearer(&key).await, refusal(401, INVALID_TOKEN, "owner_suspended", detail));
}

#[tokio::test]
async fn owner_suspended_by_the_plan() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.keys.manager().suspend(&Owner::Team(team("blue")), Suspension::Plan, &system()).await.unwrap();
    let detail = "The plan does not include this API key at the moment. Keep the key, and upgrade the plan or ask an administrator of the organization to do it.";
    assert_eq!(fixture.bearer(&key).await, refusal(401, INVALID_TOKEN, "owner_plan_suspended", detail));
}

#[tokio::test]
async fn owner_closed() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.keys.manager().close(&Owner::Team(team("blue")), &system()).await.unwrap();
    let detail = "The user, team or organization that this API key belongs to is closed permanently, so the key will never work again. Use another key.";
    assert_eq!(fixture.bearer(&key).await, refusal(401, INVALID_TOKEN, "owner_closed", detail));
}

#[tokio::test]
async fn what_a_good_key_may_not_do() {
    let fixture = fixture().await;
    let read = Scope::new("agents:read").unwrap();
    let request = IssueKey::team(team("blue")).scopes(Scopes::from_iter([read]));
    let key = fixture.keys.manager().issue(request, &system()).await.unwrap().into_plaintext();
    secrets::remember(key.expose_secret());
    let rules = RequireKeyLayer::new;
    const SCOPE: Option<&str> =
        Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"agents:run agents:write\"");
    let [run, write] = ["agents:run", "agents:write"].map(|scope| Scope::new(scope).unwrap());
    for (rules, path, challenge, code, detail) in [
        (
            rules().scope(write).scope(run),
            "/",
            SCOPE,
            "insufficient_scope\",\"scope\":\"agents:run agents:write",
            "This request needs the scopes `agents:run` and `agents:write`, but the API key does not have all of them. Use \
             a key that has them, or ask for a new key with these scopes.",
        ),
        (
            rules().kind(KeyKind::User),
            "/",
            INSUFFICIENT_SCOPE,
            "wrong_key_kind\",\"kind\":\"user",
            "This request needs a personal API key, but this is a team key. Use a key of your own.",
        ),
        (
            rules().team(|_| TeamId::new("red").ok()),
            "/",
            INSUFFICIENT_SCOPE,
            "wrong_team",
            "The API key has no access to this team. Use a key of this team, or ask to become a member.",
        ),
        (
            rules(),
            "/plan",
            INSUFFICIENT_SCOPE,
            "plan_required",
            "Team API keys are not included in this plan. Upgrade the plan, or ask an admin of the organization to do it.",
        ),
        (
            rules(),
            "/role",
            INSUFFICIENT_SCOPE,
            "insufficient_role",
            "Your role does not allow this. Ask an admin of the team or the organization.",
        ),
    ] {
        let answer = send(fixture.keys.layer(), rules, path, &[("authorization", &bearer(&key))]).await;
        assert_eq!(answer, refusal(403, challenge, code, detail));
    }
}

#[tokio::test]
async fn overloaded_and_then_fine() {
    let fixture = fixture().await;
    let (key, other) = (issue(&fixture.keys, team("blue")).await, issue(&fixture.keys, team("blue")).await);
    // The only look-up that may run at a time does not end.
    fixture.hooks.fail("find", Fault::Hang, 1);
    fixture.hooks.reset();
    tokio::time::pause();
    let mut first = Box::pin(fixture.bearer(&other));
    while fixture.hooks.count("find") == 0 {
        assert!(poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    let answer = fixture.bearer(&key).await;
    drop(first);
    // Its look-up keeps its place until the store's time limit.
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::time::resume();
    let detail = "The service is busy checking API keys. Keep the key, and try again in a moment.";
    assert_eq!(answer, refusal(503, None, "overloaded", detail));
    assert!(fixture.bearer(&key).await.starts_with("200\n"));
}

#[tokio::test]
async fn store_unavailable_whatever_call_fails_however_and_then_fine() {
    let detail = "API keys cannot be checked at the moment. Keep the key, and try again.";
    for call in ["find", "changes_since"] {
        for fault in [Fault::Error, Fault::Hang, Fault::Panic] {
            let fixture = fixture().await;
            fixture.hooks.hides_head.store(true, std::sync::atomic::Ordering::SeqCst);
            let key = issue(&fixture.keys, team("blue")).await;
            fixture.hooks.fail(call, fault, 1);
            // The time-out passes at once, and no hash is computed meanwhile.
            tokio::time::pause();
            let answer = fixture.bearer(&key).await;
            tokio::time::resume();
            assert_eq!(answer, refusal(503, None, "store_unavailable", detail), "{call} {fault:?}");
            assert!(fixture.bearer(&key).await.starts_with("200\n"), "{call} {fault:?}");
        }
    }
}

#[tokio::test]
async fn corrupt_record_and_then_fine() {
    let fixture = fixture().await;
    let key = issue(&fixture.keys, team("blue")).await;
    fixture.hooks.alter(|found| found.key.scopes = "two  spaces".into());
    let detail = "The stored data of this API key cannot be read at the moment. Keep the key, and try again later. If this continues, tell the operator of the service.";
    assert_eq!(fixture.bearer(&key).await, refusal(503, None, "corrupt_record", detail));
    fixture.hooks.heal();
    assert!(fixture.bearer(&key).await.starts_with("200\n"));
}

/// A writer for a log that a test reads.
#[derive(Clone, Default)]
pub struct Lines(pub Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn misconfigured_and_the_log_says_why() {
    let lines = Lines::default();
    let log = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = RequireKeyLayer::new().layer(service_fn(handler));
    let answer = text(service.oneshot(Request::new(Full::default())).await.unwrap()).await;
    let detail = "The service is not set up to check API keys here. There is nothing wrong with the key. Tell the operator of the service.";
    assert_eq!(answer, refusal(500, None, "misconfigured", detail));
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("ERROR") && log.contains("there is no ApiKeyLayer outside"), "{log}");
    assert!(log.contains("RequireKeyLayer"), "{log}");
}

/// A store that cannot change anything.
struct Replica(Arc<MemoryStore>);

impl KeyReader for Replica {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.0.find(id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        self.0.changes_since(head).await
    }

    fn try_head(&self) -> Option<Head> {
        self.0.try_head()
    }

    async fn wait_for_change(&self, head: Head) {
        self.0.wait_for_change(head).await;
    }
}

#[tokio::test]
async fn a_node_that_only_reads_checks_keys_like_any_other() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let elsewhere = crate::support::keys(store.clone(), &clock).await;
    let key = issue(&elsewhere, team("blue")).await;
    let settings = AuthSettings::new().with_hasher(cheap()).with_clock(clock);
    let layer = ApiKeyLayer::new(Authenticator::new(Replica(store), settings).unwrap());
    let answer = async || send(layer.clone(), RequireKeyLayer::new(), "/", &[("authorization", &bearer(&key))]).await;
    assert!(answer().await.starts_with("200\n"));
    elsewhere.manager().revoke(&key.id(), &system()).await.unwrap();
    assert!(answer().await.contains("\"code\":\"key_revoked\""));
}

/// Returns true in a process that runs only the test of this name. Otherwise starts that process. Log lines that come
/// once a minute come only once in a process.
fn is_alone(name: &str) -> bool {
    const ALONE: &str = "TOWER_API_KEYS_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn an_extractor_without_a_layer_is_told_of_once_and_not_with_each_request() {
    use axum::extract::{FromRequestParts, OptionalFromRequestParts};
    use tower_api_keys::{Principal, extract::TeamPrincipal};

    if !is_alone("refusals::an_extractor_without_a_layer_is_told_of_once_and_not_with_each_request") {
        return;
    }
    let lines = Lines::default();
    let log = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (mut parts, ()) = Request::new(()).into_parts();
    for _ in 0..10_000 {
        <Principal as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &()).await.unwrap_err();
        <TeamPrincipal as FromRequestParts<()>>::from_request_parts(&mut parts, &()).await.unwrap_err();
    }
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("Option<Principal>") && log.contains("TeamPrincipal"), "{log}");
}

#[tokio::test]
async fn members_that_cannot_be_looked_up_are_told_of_once_and_not_with_each_request() {
    if !is_alone("refusals::members_that_cannot_be_looked_up_are_told_of_once_and_not_with_each_request") {
        return;
    }
    let fixture = fixture().await;
    let key = issue(&fixture.keys, user("alice")).await;
    fixture.keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    let lines = Lines::default();
    let log = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let failing = |_| async { Err::<bool, _>(io::Error::other("the directory of members is down")) };
    let rules = RequireKeyLayer::new().team(|_| TeamId::new("engineering").ok()).membership(failing);
    for _ in 0..1_000 {
        let answer = send(fixture.keys.layer(), rules.clone(), "/", &[("authorization", &bearer(&key))]).await;
        assert!(answer.starts_with("503\n"), "{answer}");
    }
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("the directory of members is down").count(), 1, "{log}");
}
