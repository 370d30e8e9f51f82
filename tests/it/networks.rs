//! Keys that may be used only from some networks.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeyLayer, ApiKeys, Authenticator, Networks, RefusalCode,
    auth::{Addresses, AuthErrorKind, AuthSettings},
    key::PlaintextKey,
    manage::{EditKey, IssueKey},
    middleware::Sources,
    store::{EventQuery, KeyReader, Ledger, MemoryStore, SqliteStore, UsageScope},
    usage::Source,
};

use crate::support::{cheap, clock, secrets, system, team, text, wrong_secret};

const OFFICE: &str = "203.0.113.0/24 2001:db8::/32";

async fn service<S: Ledger>(store: S, addresses: Addresses) -> ApiKeys<S> {
    secrets::capture_log();
    let builder = ApiKeys::builder(store).hasher(cheap()).clock(clock()).access_log(true);
    builder.addresses(addresses).build().await.unwrap()
}

fn networks(text: &str) -> Networks {
    text.parse().unwrap()
}

async fn issue<S: Ledger>(keys: &ApiKeys<S>, list: &str) -> PlaintextKey {
    let request = IssueKey::team(team("blue")).networks(networks(list));
    let issued = keys.manager().issue(request, &system()).await.unwrap();
    secrets::remember(issued.plaintext().expose_secret());
    issued.into_plaintext()
}

fn request(key: &str, lines: &[(&'static str, &str)], peer: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    request.headers_mut().insert("x-api-key", key.parse().unwrap());
    for (name, value) in lines {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    if let Ok(peer) = peer.parse::<SocketAddr>() {
        request.extensions_mut().insert(peer);
    }
    request
}

/// The answer of a service behind the layer, as text.
async fn answer<R: KeyReader>(layer: ApiKeyLayer<R>, request: Request<Full<Bytes>>) -> String {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    text(layer.layer(inner).oneshot(request).await.unwrap()).await
}

fn is_refused(answer: &str) -> bool {
    let refused = answer.starts_with("403") && answer.contains(r#""code":"network_not_allowed""#);
    assert!(refused || answer.starts_with("200"), "{answer}");
    refused
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_not_which_networks() {
    let keys = service(MemoryStore::new(), Addresses::peer(SocketAddr::ip)).await;
    let key = issue(&keys, OFFICE).await;
    let expected = "403\ncache-control: no-store\ncontent-type: application/problem+json\nvary: authorization, x-api-key, content-type\n\n";
    // At the first use, which hashes, and again from the cache.
    for _ in 0..2 {
        let refused = answer(keys.layer(), request(key.expose_secret(), &[], "192.0.2.1:80")).await;
        let (head, body) = refused.split_at(refused.find('{').unwrap());
        let head: String =
            head.lines().filter(|line| !line.starts_with("content-length")).map(|l| format!("{l}\n")).collect();
        assert_eq!(head, expected);
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["code"], &body["detail"]),
            (&"network_not_allowed".into(), &RefusalCode::NetworkNotAllowed.detail().into())
        );
        assert!(!refused.contains("203.0.113") && !refused.contains("192.0.2"));
    }
    // A client that has only the id gets the general answer, from any address.
    let [inside, outside] = ["203.0.113.7:80", "192.0.2.1:80"];
    let wrong = wrong_secret(&key);
    let of_wrong = answer(keys.layer(), request(&wrong, &[], outside)).await;
    assert_eq!(of_wrong, answer(keys.layer(), request(&wrong, &[], inside)).await);
    assert!(of_wrong.contains("invalid_key"));
    keys.authenticator().forget_proofs();
    assert_eq!(of_wrong, answer(keys.layer(), request(&wrong, &[], outside)).await);
}

#[tokio::test]
async fn peers_are_judged_in_whichever_form_they_are_written() {
    let keys = service(MemoryStore::new(), Addresses::peer(SocketAddr::ip)).await;
    let (plain, mapped) = (issue(&keys, OFFICE).await, issue(&keys, "::ffff:203.0.113.0/120").await);
    for key in [&plain, &mapped] {
        for (peer, refused) in [
            ("203.0.113.7:80", false),
            ("[::ffff:203.0.113.7]:80", false),
            ("203.0.114.7:80", true),
            ("[::ffff:203.0.114.7]:80", true),
            ("[2001:db8::7]:80", std::ptr::eq(key, &mapped)),
            ("[2001:db9::7]:80", true),
            ("no peer", true),
        ] {
            assert_eq!(
                is_refused(&answer(keys.layer(), request(key.expose_secret(), &[], peer)).await),
                refused,
                "{peer}"
            );
        }
    }
}

#[tokio::test]
async fn what_clients_send_in_front_changes_nothing() {
    let spoofed: [&[&str]; 6] = [
        &[],
        &["203.0.113.7"],
        &["203.0.113.7, 203.0.113.8"],
        &["203.0.113.7", "203.0.113.8", "203.0.113.9"],
        &["for=203.0.113.7, for=\"[2001:db8::1]\""],
        &["unknown", "\"", ",,,", "for=\"203.0.113.7"],
    ];
    for (name, proxies, inside, outside) in [
        ("x-forwarded-for", 1, "203.0.113.7", "192.0.2.1"),
        ("x-forwarded-for", 2, "203.0.113.7, 203.0.113.9", "192.0.2.1, 203.0.113.9"),
        ("forwarded", 1, "for=203.0.113.7", "for=192.0.2.1"),
        ("forwarded", 2, "for=\"[2001:db8::7]:80\", for=203.0.113.9", "for=192.0.2.1, for=203.0.113.9"),
    ] {
        let addresses =
            if name == "forwarded" { Addresses::forwarded(proxies) } else { Addresses::forwarded_for(proxies) };
        let keys = service(MemoryStore::new(), addresses).await;
        let key = issue(&keys, OFFICE).await;
        for sent in spoofed {
            for (added, refused) in [(inside, false), (outside, true)] {
                let lines: Vec<_> = sent.iter().chain([&added]).map(|value| (name, *value)).collect();
                // The peer is a proxy in an allowed network. Its address does not count.
                let request = request(key.expose_secret(), &lines, "203.0.113.200:80");
                assert_eq!(is_refused(&answer(keys.layer(), request).await), refused, "{name} {proxies} {lines:?}");
            }
        }
        // Fewer entries than proxies, in this header or in the other one alone.
        let other =
            if name == "forwarded" { ("x-forwarded-for", "203.0.113.7") } else { ("forwarded", "for=203.0.113.7") };
        for lines in [&[][..], &[other]] {
            let request = request(key.expose_secret(), lines, "203.0.113.200:80");
            assert!(is_refused(&answer(keys.layer(), request).await), "{name} {lines:?}");
        }
    }
}

#[tokio::test]
async fn callers_that_are_not_http_say_where_they_are() {
    let keys = service(MemoryStore::new(), Addresses::given()).await;
    let key = issue(&keys, OFFICE).await;
    let checks = keys.authenticator();
    for _ in 0..2 {
        for (address, refused) in
            [("203.0.113.7", false), ("::ffff:203.0.113.7", false), ("192.0.2.1", true), ("::", true)]
        {
            let checked = checks.authenticate_from(key.expose_secret(), address.parse().unwrap()).await;
            let expected = refused.then_some(AuthErrorKind::NetworkNotAllowed);
            assert_eq!(checked.err().map(|error| error.kind()), expected, "{address}");
        }
        let nowhere = checks.authenticate(key.expose_secret()).await.unwrap_err();
        assert_eq!((nowhere.kind(), nowhere.kind().is_temporary()), (AuthErrorKind::NetworkNotAllowed, false));
        checks.forget_proofs();
    }
    // The layer finds no such address.
    assert!(is_refused(&answer(keys.layer(), request(key.expose_secret(), &[], "203.0.113.7:80")).await));
}

#[tokio::test]
async fn a_layer_that_nobody_told_where_to_look_refuses() {
    let store = Arc::new(MemoryStore::new());
    let manages = service(store.clone(), Addresses::given()).await;
    let (listed, free) = (issue(&manages, OFFICE).await, crate::support::issue(&manages, team("blue")).await);
    let checks = Authenticator::new(store, AuthSettings::new().with_hasher(cheap())).unwrap();
    let layer = ApiKeyLayer::new(checks);
    let lines = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
    assert!(is_refused(&answer(layer.clone(), request(listed.expose_secret(), &lines, "203.0.113.7:80")).await));
    assert!(!is_refused(&answer(layer, request(free.expose_secret(), &lines, "203.0.113.7:80")).await));
    assert_eq!(
        AuthSettings::new().with_addresses(Addresses::forwarded(0)).addresses_error(),
        Some("the number of trusted proxies must be 1 to 255".to_owned())
    );
}

/// The log says it once, with what is missing: a setting, or an address where the setting looks.
#[cfg(feature = "tracing")]
#[tokio::test]
async fn the_log_says_why_no_address_is_found() {
    let store = Arc::new(MemoryStore::new());
    let key = issue(&service(store.clone(), Addresses::given()).await, OFFICE).await;
    for (settings, expected) in [
        (AuthSettings::new(), "looks for no addresses"),
        (AuthSettings::new().with_addresses(Addresses::forwarded(1)), "has no address where the setting"),
    ] {
        let lines = crate::refusals::Lines::default();
        let log = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let layer = ApiKeyLayer::new(Authenticator::new(store.clone(), settings.with_hasher(cheap())).unwrap());
        for _ in 0..100 {
            let lines = [("x-forwarded-for", "203.0.113.7")];
            assert!(is_refused(&answer(layer.clone(), request(key.expose_secret(), &lines, "203.0.113.7:80")).await));
        }
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let told: Vec<_> = log.lines().filter(|line| line.contains("may be used from some networks only")).collect();
        assert_eq!(told.len(), 1, "{log}");
        assert!(told[0].contains("WARN") && told[0].contains(expected) && told[0].contains(key.id().as_str()), "{log}");
    }
}

trait Setup {
    fn addresses_error(self) -> Option<String>;
}

impl Setup for AuthSettings {
    fn addresses_error(self) -> Option<String> {
        Authenticator::new(MemoryStore::new(), self).err().map(|error| error.to_string())
    }
}

#[tokio::test]
async fn refusals_are_counted_and_noted_with_the_network_alone() {
    let store = Arc::new(MemoryStore::new());
    let keys = service(store.clone(), Addresses::peer(SocketAddr::ip)).await;
    let key = issue(&keys, OFFICE).await;
    let layer = || keys.layer().source(Source::new("api").unwrap()).sources(Sources::new().with_networks());
    for peer in ["203.0.113.7:80", "192.0.2.1:80", "192.0.2.2:80"] {
        answer(layer(), request(key.expose_secret(), &[], peer)).await;
    }
    let refusals = keys.authenticator().metrics().refusals;
    let counted = refusals.iter().find(|refusal| refusal.code == RefusalCode::NetworkNotAllowed).unwrap();
    assert_eq!(counted.count, 2);
    keys.shutdown().await.unwrap();
    let rows = store.usage(&UsageScope::Keys(vec![key.id()])).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (&*row.outcome, &*row.network, row.count)).collect();
    assert_eq!(told, [("network_not_allowed", "192.0.2.0/24", 2), ("success", "203.0.113.0/24", 1)]);
    let query = EventQuery { attempts: true, limit: 100, ..EventQuery::all(tower_api_keys::OrganizationId::single()) };
    let events = store.events(&query).await.unwrap().rows;
    let refused: Vec<_> = events.iter().filter(|event| event.action == "attempt.refused").collect();
    assert!(!refused.is_empty() && refused.iter().all(|event| event.actor == format!("key:{}", key.id())));
    assert!(events.iter().all(|event| event.source.as_deref().is_none_or(|source| !source.contains("192.0.2.1"))));
}

/// A list that one node sets applies on the other nodes from the next request. Only one of the nodes looks for
/// addresses.
#[tokio::test]
async fn two_nodes_see_a_changed_list_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let manages = service(SqliteStore::open(&path).await.unwrap(), Addresses::given()).await;
    let serves = service(SqliteStore::open(&path).await.unwrap(), Addresses::peer(SocketAddr::ip)).await;
    let key = issue(&manages, OFFICE).await;
    let refused = async |peer: &str| is_refused(&answer(serves.layer(), request(key.expose_secret(), &[], peer)).await);
    let set = async |list: Option<&str>| {
        let edit = EditKey::of(key.id()).networks(list.map(networks));
        manages.manager().edit(edit, &system()).await.unwrap();
    };
    for _ in 0..3 {
        assert!(!refused("203.0.113.7:80").await && refused("192.0.2.1:80").await);
        set(Some("192.0.2.0/24")).await;
        assert!(refused("203.0.113.7:80").await && !refused("192.0.2.1:80").await);
        set(None).await;
        assert!(!refused("203.0.113.7:80").await && !refused("192.0.2.1:80").await && !refused("no peer").await);
        set(Some(OFFICE)).await;
    }
}

/// A stream that was accepted may come from any address of the list as it was then.
#[tokio::test]
async fn a_stream_ends_when_less_is_allowed_than_when_it_began() {
    let keys = service(MemoryStore::new(), Addresses::given()).await;
    let (key, free) = (issue(&keys, OFFICE).await, crate::support::issue(&keys, team("blue")).await);
    let checks = keys.authenticator();
    let from = async |key: &PlaintextKey, address: &str| {
        checks.authenticate_from(key.expose_secret(), address.parse().unwrap()).await.unwrap()
    };
    let (listed, unlisted) = (from(&key, "203.0.113.7").await, from(&free, "203.0.113.7").await);
    tokio::time::pause();
    let [mut ends_listed, mut ends_unlisted] =
        [&listed, &unlisted].map(|caller| Box::pin(checks.until_refused(caller)));
    let set = async |id, list: Option<&str>| {
        keys.manager().edit(EditKey::of(id).networks(list.map(networks)), &system()).await.unwrap();
    };
    // The same networks in halves, more networks, and no list.
    for list in [Some("203.0.113.0/25 203.0.113.128/25 2001:db8::/32"), Some("203.0.0.0/16 2001:db8::/31 ::1"), None] {
        set(key.id(), list).await;
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut ends_listed).await.is_err(), "{list:?}");
        assert!(checks.recheck(&listed).await.is_ok(), "{list:?}");
    }
    // A stream that is checked again after the list grew may come from any address of the new list.
    let anywhere = checks.recheck(&listed).await.unwrap();
    set(key.id(), Some(OFFICE)).await;
    assert!(checks.recheck(&listed).await.is_ok());
    assert_eq!(checks.recheck(&anywhere).await.unwrap_err().kind(), AuthErrorKind::NetworkNotAllowed);
    set(key.id(), Some("203.0.113.0/24")).await;
    assert_eq!(ends_listed.await.code(), RefusalCode::NetworkNotAllowed);
    assert_eq!(checks.recheck(&listed).await.unwrap_err().kind(), AuthErrorKind::NetworkNotAllowed);
    assert_eq!(from(&key, "203.0.113.7").await.key_id(), &key.id(), "who is still allowed is let in again");
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut ends_unlisted).await.is_err());
    set(free.id(), Some(OFFICE)).await;
    assert_eq!(ends_unlisted.await.code(), RefusalCode::NetworkNotAllowed);
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_s_peer_is_an_extension_like_any_other() {
    use axum::{Router, body::Body, extract::ConnectInfo, routing::get};

    let keys = service(MemoryStore::new(), Addresses::peer(|peer: &ConnectInfo<SocketAddr>| peer.0.ip())).await;
    let key = issue(&keys, OFFICE).await;
    let app =
        Router::new().route("/", get(|caller: tower_api_keys::Principal| async move { caller.owner().to_string() }));
    let app = app.layer(keys.layer());
    for (peer, status, code) in [
        (Some("203.0.113.7:80"), 200, None),
        (Some("192.0.2.1:80"), 403, Some(RefusalCode::NetworkNotAllowed)),
        (None, 403, Some(RefusalCode::NetworkNotAllowed)),
    ] {
        let mut request = Request::get("/").header("x-api-key", key.expose_secret()).body(Body::empty()).unwrap();
        request.extensions_mut().extend(
            peer.map(|peer| {
                let mut one = http::Extensions::new();
                one.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
                one
            })
            .unwrap_or_default(),
        );
        let response = app.clone().oneshot(request).await.unwrap();
        let told = response.extensions().get::<tower_api_keys::Refusal>().map(tower_api_keys::Refusal::code);
        assert_eq!((response.status().as_u16(), told), (status, code), "{peer:?}");
    }
}
