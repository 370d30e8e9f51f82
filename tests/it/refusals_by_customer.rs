//! Refusals without a key in a service of several customers: which customer's admins see them, and which do not.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    Actor, ApiKeyLayer, ApiKeys, IssueKey, KeyKind, OrganizationId, Principal, RefusalCode,
    key::{KeyFormat, KeyId, MalformedReason, PlaintextKey},
    manage::{DenialReason, ManageError, ManageErrorKind, Rights},
    middleware::Refusal,
    store::{KeyReader, KeyStore, Ledger, MemoryStore, Prune, SqliteStore, UsageScope, transfer},
    usage::{Outcome, Source, UsageDetail},
};

use crate::support::{
    cheap, clock,
    hooked::{Hooked, Hooks},
    secrets, system, user, wrong_secret,
};

const CUSTOMERS: [&str; 2] = ["acme", "globex"];

/// A service of several customers. This node has accepted one key of each.
struct Service<S: Ledger> {
    keys: ApiKeys<S>,
    of: BTreeMap<&'static str, PlaintextKey>,
}

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

async fn several<S: Ledger>(store: S) -> ApiKeys<S> {
    secrets::capture_log();
    ApiKeys::builder(store).hasher(cheap()).clock(clock()).several_organizations().build().await.unwrap()
}

impl<S: Ledger> Service<S> {
    async fn new(store: S) -> Self {
        let (keys, mut of) = (several(store).await, BTreeMap::new());
        for customer in CUSTOMERS {
            let manager = keys.manager_for(organization(customer));
            let key = manager.issue(IssueKey::of(user("alice").into()), &system()).await.unwrap().into_plaintext();
            secrets::remember(key.expose_secret());
            keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
            of.insert(customer, key);
        }
        Self { keys, of }
    }

    fn text(&self, customer: &str) -> &str {
        self.of[customer].expose_secret()
    }

    /// The counts that an admin of the customer sees.
    async fn seen_by(&self, customer: &str) -> Counts {
        self.keys.flush_usage().await.unwrap();
        let manager = self.keys.manager_for(organization(customer));
        let admin = manager.actor(user("ada"), Rights::none().org_admin());
        let seen = manager.refusals_without_key(&admin).await.unwrap().detail;
        // The service itself gets the same counts.
        assert_eq!(manager.refusals_without_key(&system()).await.unwrap().detail, seen);
        counts(&seen)
    }

    /// The counts that concern no customer.
    async fn nobodys(&self) -> Counts {
        self.keys.flush_usage().await.unwrap();
        counts(&self.keys.refusals_without_organization(&system()).await.unwrap().detail)
    }

    /// Asserts that for each key only the one accepted request is counted.
    async fn assert_that_no_key_is_marked(&self) {
        for (customer, key) in &self.of {
            let manager = self.keys.manager_for(organization(customer));
            let usage = manager.usage(&key.id(), 30, &system()).await.unwrap();
            assert_eq!((usage.totals.successes, usage.totals.failures), (1, 0), "{customer}");
            assert_eq!(usage.days.iter().map(|day| day.failures).sum::<i64>(), 0, "{customer}");
        }
    }
}

/// The count of each outcome.
type Counts = BTreeMap<String, i64>;

fn counts(detail: &UsageDetail) -> Counts {
    let mut counts = Counts::new();
    for count in &detail.counts {
        *counts.entry(count.outcome.to_string()).or_default() += count.count;
    }
    counts
}

fn expected(outcomes: &[(Outcome, i64)]) -> Counts {
    outcomes.iter().map(|(outcome, count)| (outcome.to_string(), *count)).collect()
}

fn malformed(reason: MalformedReason) -> Outcome {
    Outcome::Malformed(reason)
}

/// Sends a request, and returns the code of the refusal, if any.
async fn send<R: KeyReader>(layer: &ApiKeyLayer<R>, lines: &[(&'static str, &str)]) -> Option<RefusalCode> {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let mut request = Request::new(Full::<Bytes>::default());
    for (name, value) in lines {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    response.extensions().get::<Refusal>().map(Refusal::code)
}

/// A text without its last characters.
fn cut(text: &str) -> &str {
    &text[..text.len() - 5]
}

/// A text with another last character.
fn other_end(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", if last == "A" { "B" } else { "A" })
}

/// A key that is in no store.
fn stranger() -> PlaintextKey {
    KeyFormat::unbranded().generate(KeyKind::User).unwrap()
}

#[tokio::test]
async fn what_comes_to_a_customers_door_is_seen_by_that_customer_alone() {
    let service = Service::new(MemoryStore::new()).await;
    let layer = service.keys.layer_for(organization("acme"));
    let (unknown, other) = (stranger(), stranger());
    let damaged = other_end(other.expose_secret());
    for (lines, code) in [
        (&[][..], RefusalCode::MissingCredentials),
        (&[("x-api-key", "hello")], RefusalCode::MalformedKey),
        (&[("x-api-key", "")], RefusalCode::MalformedKey),
        (&[("x-api-key", unknown.expose_secret())], RefusalCode::InvalidKey),
        (&[("x-api-key", &damaged)], RefusalCode::MalformedKey),
        (&[("x-api-key", "a"), ("authorization", "Bearer b")], RefusalCode::AmbiguousCredentials),
    ] {
        assert_eq!(send(&layer, lines).await, Some(code), "{lines:?}");
    }
    let of_acme = expected(&[
        (RefusalCode::MissingCredentials.into(), 1),
        (malformed(MalformedReason::UnknownPrefix), 1),
        (malformed(MalformedReason::Empty), 1),
        (RefusalCode::InvalidKey.into(), 1),
        (malformed(MalformedReason::Checksum), 1),
        (RefusalCode::AmbiguousCredentials.into(), 1),
    ]);
    assert_eq!(service.seen_by("acme").await, of_acme);
    assert_eq!(service.seen_by("globex").await, Counts::new());
    assert_eq!(service.nobodys().await, Counts::new());
    service.assert_that_no_key_is_marked().await;
}

#[tokio::test]
async fn what_comes_to_a_door_of_all_and_names_no_key_is_seen_by_the_service_alone() {
    let service = Service::new(MemoryStore::new()).await;
    let (layer, unknown) = (service.keys.layer(), stranger());
    for lines in [
        &[][..],
        &[("x-api-key", "hello")],
        &[("x-api-key", unknown.expose_secret())],
        &[("x-api-key", cut(unknown.expose_secret()))],
        &[("authorization", unknown.expose_secret())],
    ] {
        assert!(send(&layer, lines).await.is_some(), "{lines:?}");
    }
    let nobodys = expected(&[
        (RefusalCode::MissingCredentials.into(), 1),
        (malformed(MalformedReason::UnknownPrefix), 1),
        (RefusalCode::InvalidKey.into(), 1),
        (malformed(MalformedReason::Truncated), 1),
        (malformed(MalformedReason::MissingScheme), 1),
    ]);
    assert_eq!(service.nobodys().await, nobodys);
    for customer in CUSTOMERS {
        assert_eq!(service.seen_by(customer).await, Counts::new(), "{customer}");
    }
}

/// Anyone who knows the public id of a key can write such a text, so it says nothing about the key.
#[tokio::test]
async fn what_is_left_of_a_key_is_seen_by_its_customer_and_not_counted_for_the_key() {
    let service = Service::new(MemoryStore::new()).await;
    let text = service.text("acme").to_owned();
    let (quoted, longer, ended) = (format!("\"{text}\""), format!("{text}x"), other_end(&text));
    let dashed = format!("{}\u{2013}{}", &text[..30], &text[31..]);
    let basic = format!("Basic {text}");
    let damaged = [
        ("x-api-key", cut(&text), MalformedReason::Truncated),
        ("x-api-key", &text[..25], MalformedReason::Truncated),
        ("x-api-key", &quoted, MalformedReason::Quotes),
        ("x-api-key", &longer, MalformedReason::TooLong),
        ("x-api-key", &ended, MalformedReason::Checksum),
        ("x-api-key", &dashed, MalformedReason::Alphabet),
        ("authorization", &text, MalformedReason::MissingScheme),
        ("authorization", cut(&text), MalformedReason::MissingScheme),
        ("authorization", &basic, MalformedReason::MissingScheme),
    ];
    let mut all = Counts::new();
    for (header, damaged, reason) in damaged {
        for layer in
            [service.keys.layer(), service.keys.layer().optional(), service.keys.layer_for(organization("acme"))]
        {
            assert_eq!(send(&layer, &[(header, damaged)]).await, Some(RefusalCode::MalformedKey), "{reason}");
            *all.entry(malformed(reason).to_string()).or_default() += 1;
        }
    }
    // Each of them once, also on the customer's own layer.
    assert_eq!(service.seen_by("acme").await, all);
    assert_eq!(service.seen_by("globex").await, Counts::new());
    assert_eq!(service.nobodys().await, Counts::new());
    service.assert_that_no_key_is_marked().await;
}

/// A customer sees every refusal of its own layer. The counts do not show whether another customer has a key of this
/// id.
#[tokio::test]
async fn what_is_left_of_a_key_at_another_customers_door_is_seen_by_both() {
    let service = Service::new(MemoryStore::new()).await;
    let layer = service.keys.layer_for(organization("globex"));
    let (known, unknown) = (service.text("acme").to_owned(), stranger());
    let mut seen = Vec::new();
    for text in [known.as_str(), unknown.expose_secret()] {
        for damaged in [cut(text).to_owned(), other_end(text), format!("{text}x")] {
            assert_eq!(send(&layer, &[("x-api-key", &damaged)]).await, Some(RefusalCode::MalformedKey));
        }
        seen.push(service.seen_by("globex").await);
    }
    let each = |count| {
        expected(&[
            (malformed(MalformedReason::Truncated), count),
            (malformed(MalformedReason::Checksum), count),
            (malformed(MalformedReason::TooLong), count),
        ])
    };
    assert_eq!(seen, [each(1), each(2)]);
    assert_eq!(service.seen_by("acme").await, each(1));
    assert_eq!(service.nobodys().await, Counts::new());
    service.assert_that_no_key_is_marked().await;
}

#[tokio::test]
async fn a_wrong_secret_is_the_keys_own_and_concerns_nobody_else() {
    let service = Service::new(MemoryStore::new()).await;
    let text = wrong_secret(&service.of["acme"]);
    for layer in [service.keys.layer(), service.keys.layer_for(organization("globex"))] {
        assert_eq!(send(&layer, &[("x-api-key", &text)]).await, Some(RefusalCode::InvalidKey));
    }
    for customer in CUSTOMERS {
        assert_eq!(service.seen_by(customer).await, Counts::new(), "{customer}");
    }
    assert_eq!(service.nobodys().await, Counts::new());
    let manager = service.keys.manager_for(organization("acme"));
    let usage = manager.usage(&service.of["acme"].id(), 0, &system()).await.unwrap();
    assert_eq!(usage.detail.with_outcome(RefusalCode::InvalidKey), 2);
}

/// Only the cache of the refusing node is asked.
#[tokio::test]
async fn no_store_is_asked_whose_a_damaged_text_is() {
    let store = Hooked::new(MemoryStore::new());
    let hooks: Arc<Hooks> = store.hooks.clone();
    let service = Service::new(store).await;
    let text = service.text("acme").to_owned();
    let layer = service.keys.layer();
    for is_known in [true, false] {
        if !is_known {
            service.keys.authenticator().forget_proofs();
        }
        hooks.reset();
        for damaged in [cut(&text), &format!("{text}x"), &other_end(&text)] {
            assert_eq!(send(&layer, &[("x-api-key", damaged)]).await, Some(RefusalCode::MalformedKey));
        }
        assert_eq!(hooks.count("find"), 0);
    }
    let each = expected(&[
        (malformed(MalformedReason::Truncated), 1),
        (malformed(MalformedReason::TooLong), 1),
        (malformed(MalformedReason::Checksum), 1),
    ]);
    assert_eq!((service.seen_by("acme").await, service.nobodys().await), (each.clone(), each));
}

/// By path and by host: each customer has its own router, which gets the request before it is refused.
#[cfg(feature = "axum")]
#[tokio::test]
async fn routers_of_customers_by_path_and_by_host_count_for_them() {
    use axum::{Router, body::Body, routing::get};

    let service = Service::new(MemoryStore::new()).await;
    let routes = |customer: &str| {
        Router::new().route("/agents", get(async || "")).layer(service.keys.layer_for(organization(customer)))
    };
    let by_path = Router::new().nest("/orgs/acme", routes("acme")).nest("/orgs/globex", routes("globex"));
    let shared = Router::new().route("/status", get(async || "")).layer(service.keys.layer());
    let app = by_path.merge(shared);
    let hosts: BTreeMap<&str, Router> = CUSTOMERS.into_iter().map(|customer| (customer, routes(customer))).collect();
    let ask = async |host: Option<&str>, path: &str, key: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let app = host.map_or(&app, |host| &hosts[host]);
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(None, "/orgs/acme/agents", None).await, 401);
    assert_eq!(ask(None, "/orgs/acme/agents", Some("hello")).await, 401);
    assert_eq!(ask(None, "/orgs/globex/agents", None).await, 401);
    assert_eq!(ask(Some("globex"), "/agents", None).await, 401);
    assert_eq!(ask(Some("globex"), "/agents", Some(cut(service.text("acme")))).await, 401);
    assert_eq!(ask(None, "/status", None).await, 401);
    let missing = |count| (RefusalCode::MissingCredentials.into(), count);
    let cut_off = (malformed(MalformedReason::Truncated), 1);
    let no_prefix = (malformed(MalformedReason::UnknownPrefix), 1);
    assert_eq!(service.seen_by("acme").await, expected(&[missing(1), no_prefix, cut_off.clone()]));
    assert_eq!(service.seen_by("globex").await, expected(&[missing(2), cut_off]));
    assert_eq!(service.nobodys().await, expected(&[missing(1)]));
    service.assert_that_no_key_is_marked().await;
}

#[tokio::test]
async fn a_handler_that_asks_for_a_key_refuses_at_the_door_of_its_customer() {
    let service = Service::new(MemoryStore::new()).await;
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        assert!(request.extensions().get::<Principal>().is_none());
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        response.extensions_mut().insert(Refusal::new(RefusalCode::MissingCredentials));
        Ok::<_, Infallible>(response)
    });
    for layer in [service.keys.layer_for(organization("acme")), service.keys.layer()] {
        let response = layer.optional().layer(inner).oneshot(Request::new(Full::default())).await.unwrap();
        assert_eq!(response.status(), 401);
    }
    let one = expected(&[(RefusalCode::MissingCredentials.into(), 1)]);
    assert_eq!((service.seen_by("acme").await, service.nobodys().await), (one.clone(), one));
    assert_eq!(service.seen_by("globex").await, Counts::new());
}

/// The stored counts stay separate after a restart, in a copy of the store, and when counts of purged keys are removed.
#[tokio::test]
async fn what_concerns_two_customers_stays_apart() {
    let store = Arc::new(SqliteStore::in_memory().await.unwrap());
    let service = Service::new(store.clone()).await;
    let refuse = async |keys: &ApiKeys<Arc<SqliteStore>>| {
        send(&keys.layer_for(organization("acme")), &[]).await;
        for _ in 0..2 {
            send(&keys.layer_for(organization("globex")), &[]).await;
        }
        for _ in 0..3 {
            send(&keys.layer(), &[]).await;
        }
    };
    let missing = |count| expected(&[(RefusalCode::MissingCredentials.into(), count)]);
    refuse(&service.keys).await;
    service.keys.shutdown().await.unwrap();
    let again = Service { keys: several(store.clone()).await, of: service.of };
    refuse(&again.keys).await;
    let seen = async |service: &Service<Arc<SqliteStore>>| {
        [service.seen_by("acme").await, service.seen_by("globex").await, service.nobodys().await]
    };
    assert_eq!(seen(&again).await, [missing(2), missing(4), missing(6)]);

    let mut after = Some(KeyId::LEAST);
    while let Some(usage_after) = after {
        let prune = Prune { usage_after: Some(usage_after), ..Prune::default() };
        after = store.prune(&prune).await.unwrap().usage_next;
    }
    assert_eq!(seen(&again).await, [missing(2), missing(4), missing(6)]);

    again.keys.shutdown().await.unwrap();
    let target = Arc::new(SqliteStore::in_memory().await.unwrap());
    transfer::copy(&*store, &*target).await.unwrap();
    let moved = Service { keys: several(target).await, of: again.of };
    assert_eq!(seen(&moved).await, [missing(2), missing(4), missing(6)]);
    moved.assert_that_no_key_is_marked().await;
}

#[tokio::test]
async fn the_noise_of_one_customer_takes_no_room_from_the_other() {
    let service = Service::new(MemoryStore::new()).await;
    let sources = async |customer: &str| {
        service.keys.flush_usage().await.unwrap();
        let manager = service.keys.manager_for(organization(customer));
        let seen = manager.refusals_without_key(&system()).await.unwrap().detail;
        seen.counts.iter().map(|count| count.source.client().to_owned()).collect::<Vec<_>>()
    };
    for number in 0..300 {
        send(&service.keys.layer_for(organization("acme")), &[("user-agent", &format!("noise-{number}"))]).await;
        if number % 70 == 0 {
            service.keys.flush_usage().await.unwrap();
        }
    }
    for agent in ["curl/8", "GitHub-Hookshot/1"] {
        send(&service.keys.layer_for(organization("globex")), &[("user-agent", agent)]).await;
        send(&service.keys.layer_for(organization("acme")), &[("user-agent", agent)]).await;
    }
    assert_eq!(sources("globex").await, ["GitHub-Hookshot", "curl"]);
    let noisy = sources("acme").await;
    assert!(noisy.len() == 65 && noisy.contains(&"other".into()) && !noisy.contains(&"curl".into()), "{noisy:?}");
}

/// The admins of a service's only organization see the same as before, and the counts name no organization.
#[tokio::test]
async fn the_only_organization_of_a_service_sees_all_and_leaves_it_to_the_service_when_there_are_more() {
    let store = Arc::new(MemoryStore::new());
    let keys = crate::support::keys(store.clone(), &clock()).await;
    let key = crate::support::issue(&keys, user("alice")).await;
    let text = key.expose_secret();
    keys.authenticator().authenticate(text).await.unwrap();
    for layer in [keys.layer(), keys.layer_for(OrganizationId::single())] {
        for lines in [&[][..], &[("x-api-key", cut(text))], &[("x-api-key", "hello")], &[("authorization", text)]] {
            assert!(send(&layer, lines).await.is_some());
        }
    }
    keys.flush_usage().await.unwrap();
    let all = expected(&[
        (RefusalCode::MissingCredentials.into(), 2),
        (malformed(MalformedReason::Truncated), 2),
        (malformed(MalformedReason::UnknownPrefix), 2),
        (malformed(MalformedReason::MissingScheme), 2),
    ]);
    let admin = Actor::user(user("ada"), Rights::none().org_admin());
    assert_eq!(counts(&keys.manager().refusals_without_key(&admin).await.unwrap().detail), all);
    assert_eq!(counts(&keys.manager().refusals_without_key(&system()).await.unwrap().detail), all);
    assert_eq!(counts(&keys.refusals_without_organization(&system()).await.unwrap().detail), all);
    let named = UsageScope::NoKey(vec![Some(OrganizationId::single())]);
    assert!(store.usage(&named).await.unwrap().is_empty());
    keys.shutdown().await.unwrap();

    // The same store, once there are several organizations: no customer sees what was counted before.
    let keys = several(store).await;
    for customer in ["acme", "default"] {
        let manager = keys.manager_for(organization(customer));
        let admin = manager.actor(user("ada"), Rights::none().org_admin());
        assert_eq!(manager.refusals_without_key(&admin).await.unwrap().detail, UsageDetail::default(), "{customer}");
    }
    assert_eq!(counts(&keys.refusals_without_organization(&system()).await.unwrap().detail), all);

    // The organization that had the keys is now a customer like any other.
    let manager = keys.manager_for(OrganizationId::single());
    let key = manager.issue(IssueKey::user(user("bob")), &system()).await.unwrap().into_plaintext();
    secrets::remember(key.expose_secret());
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    send(&keys.layer_for(OrganizationId::single()), &[]).await;
    send(&keys.layer_for(organization("acme")), &[("x-api-key", cut(key.expose_secret()))]).await;
    keys.flush_usage().await.unwrap();
    let seen_by = async |customer: &str| {
        let manager = keys.manager_for(organization(customer));
        let admin = manager.actor(user("ada"), Rights::none().org_admin());
        counts(&manager.refusals_without_key(&admin).await.unwrap().detail)
    };
    let (missing, truncated) = (RefusalCode::MissingCredentials.into(), malformed(MalformedReason::Truncated));
    assert_eq!(seen_by("default").await, expected(&[(missing, 1), (truncated.clone(), 1)]));
    assert_eq!(seen_by("acme").await, expected(&[(truncated, 1)]));
    assert_eq!(counts(&keys.refusals_without_organization(&system()).await.unwrap().detail), all);
}

#[tokio::test]
async fn only_those_who_look_after_a_customer_see_what_concerns_it() {
    let service = Service::new(MemoryStore::new()).await;
    send(&service.keys.layer_for(organization("acme")), &[]).await;
    send(&service.keys.layer(), &[]).await;
    service.keys.flush_usage().await.unwrap();
    let (acme, globex) =
        (service.keys.manager_for(organization("acme")), service.keys.manager_for(organization("globex")));
    let kind = |error: ManageError| error.kind();
    let denied = |reason: DenialReason| ManageErrorKind::Denied(reason.into());
    let admin = |manager: &tower_api_keys::KeyManager| manager.actor(user("ada"), Rights::none().org_admin());
    assert_eq!(acme.refusals_without_key(&admin(&globex)).await.map_err(kind), Err(ManageErrorKind::NotFound));
    assert_eq!(globex.refusals_without_key(&admin(&globex)).await.unwrap().detail, UsageDetail::default());
    let alice = acme.actor(user("alice"), Rights::none());
    let refused = acme.refusals_without_key(&alice).await.map_err(kind).unwrap_err();
    assert!(matches!(refused, ManageErrorKind::NotFound | ManageErrorKind::Denied(_)), "{refused:?}");

    // Counts that concern no customer belong to the service.
    let ask = async |actor: &Actor| service.keys.refusals_without_organization(actor).await.map_err(kind);
    assert_eq!(ask(&admin(&acme)).await, Err(denied(DenialReason::InsufficientRole)));
    assert_eq!(ask(&alice).await, Err(denied(DenialReason::InsufficientRole)));
    let text = service.text("acme");
    let principal = service.keys.authenticator().authenticate(text).await.unwrap();
    assert!(matches!(ask(&Actor::key(&principal, Rights::none().org_admin())).await, Err(ManageErrorKind::Denied(_))));
    assert_eq!(ask(&system()).await.map(|seen| seen.detail.counts.len()), Ok(1));
}

/// A request: the layer at which it arrives, and its credential.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// The customer of the layer; none for the layer of all customers.
    door: Option<&'static str>,
    shown: Shown,
    agent: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Shown {
    Nothing,
    Garbage,
    Unknown,
    CutUnknown,
    Cut(&'static str),
    OtherEnd(&'static str),
    Quoted(&'static str),
    Bare(&'static str),
}

static UNKNOWN: LazyLock<PlaintextKey> = LazyLock::new(stranger);

impl Shown {
    /// The header, the outcome, and the customer whose damaged key it is.
    fn of<S: Ledger>(self, service: &Service<S>) -> (Option<(&'static str, String)>, Outcome, Option<&'static str>) {
        let key = |text: String| Some(("x-api-key", text));
        match self {
            Self::Nothing => (None, RefusalCode::MissingCredentials.into(), None),
            Self::Garbage => (key("hello".into()), malformed(MalformedReason::UnknownPrefix), None),
            Self::Unknown => (key(UNKNOWN.expose_secret().into()), RefusalCode::InvalidKey.into(), None),
            Self::CutUnknown => (key(cut(UNKNOWN.expose_secret()).into()), malformed(MalformedReason::Truncated), None),
            Self::Cut(of) => (key(cut(service.text(of)).into()), malformed(MalformedReason::Truncated), Some(of)),
            Self::OtherEnd(of) => (key(other_end(service.text(of))), malformed(MalformedReason::Checksum), Some(of)),
            Self::Quoted(of) => {
                (key(format!("\"{}\"", service.text(of))), malformed(MalformedReason::Quotes), Some(of))
            }
            Self::Bare(of) => {
                let line = Some(("authorization", service.text(of).to_owned()));
                (line, malformed(MalformedReason::MissingScheme), Some(of))
            }
        }
    }
}

fn customer() -> impl Strategy<Value = &'static str> {
    prop::sample::select(CUSTOMERS.to_vec())
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let shown = prop_oneof![
        Just(Shown::Nothing),
        Just(Shown::Garbage),
        Just(Shown::Unknown),
        Just(Shown::CutUnknown),
        customer().prop_map(Shown::Cut),
        customer().prop_map(Shown::OtherEnd),
        customer().prop_map(Shown::Quoted),
        customer().prop_map(Shown::Bare),
    ];
    (prop::option::of(customer()), shown, prop::sample::select(vec!["", "curl/8", "job"]))
        .prop_map(|(door, shown, agent)| Attempt { door, shown, agent })
}

/// Counts by customer, outcome and client.
type Model = BTreeMap<(Option<&'static str>, String, String), i64>;

async fn play(attempts: &[Attempt]) {
    let service = Service::new(MemoryStore::new()).await;
    let mut model = Model::new();
    for (number, attempt) in attempts.iter().enumerate() {
        let (line, outcome, of) = attempt.shown.of(&service);
        let layer = match attempt.door {
            Some(customer) => service.keys.layer_for(organization(customer)),
            None => service.keys.layer(),
        };
        let mut lines: Vec<_> = line.iter().map(|(name, value)| (*name, value.as_str())).collect();
        lines.extend((!attempt.agent.is_empty()).then_some(("user-agent", attempt.agent)));
        assert!(send(&layer, &lines).await.is_some(), "{attempt:?}");
        // Each customer that it concerns, once; if it concerns none, the service.
        let mut concerned = vec![attempt.door, of];
        concerned.retain(Option::is_some);
        concerned.dedup();
        if concerned.is_empty() {
            concerned.push(None);
        }
        for of in concerned {
            let client = attempt.agent.split('/').next().unwrap_or_default();
            *model.entry((of, outcome.to_string(), client.to_owned())).or_default() += 1;
        }
        if number % 5 == 0 {
            service.keys.flush_usage().await.unwrap();
        }
    }
    service.keys.flush_usage().await.unwrap();
    let mut seen = Model::new();
    for of in [None, Some("acme"), Some("globex")] {
        let detail = match of {
            Some(customer) => service.keys.manager_for(organization(customer)).refusals_without_key(&system()).await,
            None => service.keys.refusals_without_organization(&system()).await,
        };
        for count in detail.unwrap().detail.counts {
            let source: &Source = &count.source;
            seen.insert((of, count.outcome.to_string(), source.client().to_owned()), count.count);
        }
    }
    assert_eq!(seen, model);
    service.assert_that_no_key_is_marked().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_refusal_is_seen_by_those_whom_it_concerns_and_by_nobody_else(
        attempts in prop::collection::vec(attempt(), 1..40),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(play(&attempts));
    }
}
