//! The sources from which keys are used, what is refused there, and the access log entries of attempts.

#[path = "../../benches/usage/exact.rs"]
mod exact;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeyLayer, ApiKeys, KeyKind, OrganizationId, Scope, Scopes,
    audit::{Event, EventRow, Subject},
    auth::Addresses,
    key::{KeyFormat, PlaintextKey},
    manage::{InventoryQuery, IssueKey, KeyFlag, Recommendation},
    middleware::{Refusal, RefusalCode, RequireKeyLayer, Sources},
    record::Suspension,
    store::{EventQuery, Ledger, MemoryStore, SqliteStore, UsageScope},
    usage::Source,
};

use crate::support::{
    cheap, clock,
    hooked::{self, Fault, Hooked, Hooks},
    issue, keys, secrets, system, team, user, wrong_secret,
};

type Store = Hooked<Arc<MemoryStore>>;

async fn service() -> (ApiKeys<Store>, Arc<MemoryStore>, Arc<Hooks>) {
    let memory = Arc::new(MemoryStore::new());
    let store = Hooked::new(memory.clone());
    let hooks = store.hooks.clone();
    let addresses = Addresses::by(|headers, _| headers.get("x-address")?.to_str().ok()?.parse().ok());
    let builder = ApiKeys::builder(store).hasher(cheap()).clock(clock()).addresses(addresses);
    (builder.build().await.unwrap(), memory, hooks)
}

fn label(label: &str) -> Source {
    Source::new(label).unwrap()
}

fn request(lines: &[(&'static str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    for (name, value) in lines {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// Sends a request through the layer. Returns the code of the refusal, if any.
async fn send(layer: ApiKeyLayer<Store>, lines: &[(&'static str, &str)]) -> Option<RefusalCode> {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let response = layer.layer(inner).oneshot(request(lines)).await.unwrap();
    response.extensions().get::<Refusal>().map(Refusal::code)
}

/// Outcome, source and number of the counts for the key, or for no key.
async fn counted(keys: &ApiKeys<Store>, store: &MemoryStore, key: Option<&PlaintextKey>) -> Vec<(String, String, i64)> {
    keys.flush_usage().await.unwrap();
    let of = key.map_or(UsageScope::NoKey(vec![None]), |key| UsageScope::Keys(vec![key.id()]));
    let rows = store.usage(&of).await.unwrap();
    rows.iter().map(|row| (row.outcome.clone(), Source::from(row).to_string(), row.count)).collect()
}

fn rows(rows: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    rows.iter().map(|(outcome, source, count)| ((*outcome).into(), (*source).into(), *count)).collect()
}

#[tokio::test]
async fn uses_are_counted_by_label_and_product() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let text = key.expose_secret();
    for agent in ["curl/8.5.0", "curl/8.6.0", "curl", "Mozilla/5.0 (X11; Linux)", "(weird)"] {
        let layer = keys.layer().source(label("intake"));
        assert_eq!(send(layer, &[("x-api-key", text), ("user-agent", agent)]).await, None);
    }
    send(keys.layer(), &[("x-api-key", text), ("user-agent", "curl/8")]).await;
    send(keys.layer(), &[("x-api-key", text)]).await;
    send(keys.layer().sources(Sources::new().without_user_agent()), &[("x-api-key", text), ("user-agent", "curl")])
        .await;
    let expected = [
        ("success", "", 2),
        ("success", "curl", 1),
        ("success", "intake", 1),
        ("success", "intake/Mozilla", 1),
        ("success", "intake/curl", 3),
    ];
    assert_eq!(counted(&keys, &store, Some(&key)).await, rows(&expected));
}

/// Advice and flags read what is recorded of a request.
#[tokio::test]
async fn a_program_is_known_in_whatever_network_it_runs() {
    let (keys, _, _) = service().await;
    let agents = ["GitHub-Actions/2", "python-requests/2", "Mozilla/5.0"];
    for (labelled, whole) in [(false, false), (false, true), (true, false), (true, true)] {
        let keys_of_agents =
            [issue(&keys, user("a")).await, issue(&keys, user("b")).await, issue(&keys, user("c")).await];
        for (agent, key) in agents.iter().zip(&keys_of_agents) {
            for address in ["203.0.113.7", "198.51.100.9", "192.0.2.1", "2001:db8:7::9"] {
                let mut sources = Sources::new().with_networks();
                let layer = if labelled { keys.layer().source(label("api")) } else { keys.layer() };
                if whole {
                    sources = sources.with_whole_addresses();
                }
                for _ in 0..3 {
                    let lines = [("x-api-key", key.expose_secret()), ("user-agent", agent), ("x-address", address)];
                    assert_eq!(send(layer.clone().sources(sources.clone()), &lines).await, None);
                }
            }
        }
        keys.flush_usage().await.unwrap();
        let mut seen = Vec::new();
        for key in &keys_of_agents {
            let advice = keys.manager().advise(&key.id(), &system()).await.unwrap();
            seen.push((advice.recommendation, advice.evidence.len()));
            let entry = keys.manager().inventory(InventoryQuery::all(), &system()).await.unwrap().entries;
            let entry = entry.into_iter().find(|entry| entry.key.id == key.id()).unwrap();
            assert!(!entry.flags.contains(&KeyFlag::SeveralSources), "{:?}", entry.usage);
        }
        use Recommendation::{KeepPersonal, MakeTeamKey};
        assert_eq!(seen, [(MakeTeamKey, 1), (KeepPersonal, 1), (KeepPersonal, 1)], "{labelled} {whole}");
    }
}

#[tokio::test]
async fn an_embedder_names_client_and_address() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let key_inside = key.expose_secret().to_owned();
    let send_from = async |sources: Sources, address: &str| {
        let layer = keys.layer().source(label("in")).sources(sources);
        let lines = [("x-api-key", key.expose_secret()), ("user-agent", "curl/8"), ("x-address", address)];
        assert_eq!(send(layer, &lines).await, None);
    };
    let send = async |sources: Sources| send_from(sources, "192.0.2.1").await;
    let client = |client: &str| {
        let client = client.to_owned();
        Sources::new().with_client(move |request| {
            assert_eq!(request.headers["user-agent"], "curl/8");
            Some(client.clone()).filter(|client| !client.is_empty())
        })
    };
    let networks = || Sources::new().with_networks();
    send(client("ci \u{7}job\n")).await;
    send(client("")).await;
    send(client(&format!("job {key_inside}"))).await;
    send(client(&"é".repeat(100))).await;
    send_from(networks(), "203.0.113.7").await;
    send_from(networks(), "::ffff:203.0.113.7").await;
    send_from(networks(), "2001:db8:1:2:3:4:5:6").await;
    send_from(networks().with_whole_addresses(), "203.0.113.7").await;
    send_from(networks().with_whole_addresses().without_user_agent(), "::ffff:203.0.113.7").await;
    send_from(networks(), "unknown").await;
    let long = format!("in/{}", "é".repeat(64));
    let mut expected = vec![
        ("success", "in", 2),
        ("success", "in/203.0.113.7", 1),
        ("success", "in/ci job", 1),
        ("success", "in/curl", 1),
        ("success", "in/curl@2001:db8:1::/48", 1),
        ("success", "in/curl@203.0.113.0/24", 2),
        ("success", "in/curl@203.0.113.7", 1),
        ("success", long.as_str(), 1),
    ];
    expected.sort_unstable();
    assert_eq!(counted(&keys, &store, Some(&key)).await, rows(&expected));
}

#[tokio::test]
async fn a_client_shows_what_it_is() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let layer = keys.layer().sources(Sources::new().with_client(|_| Some("ci\u{202e}job\u{200b}/\u{7}1".to_owned())));
    send(layer, &[("x-api-key", key.expose_secret())]).await;
    assert_eq!(counted(&keys, &store, Some(&key)).await, rows(&[("success", "cijob_1", 1)]));
}

#[tokio::test]
async fn an_address_is_whole_beside_the_longest_label() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let mut expected = Vec::new();
    for length in [100, 110, 112, 113, 114, 120, 128] {
        let name = "l".repeat(length);
        let sources = Sources::new().with_networks();
        let lines = [("x-api-key", key.expose_secret()), ("user-agent", "curl/8"), ("x-address", "203.0.113.7")];
        send(keys.layer().source(label(&name)).sources(sources), &lines).await;
        expected.push(("success".to_owned(), format!("{name}/curl@203.0.113.0/24"), 1));
    }
    expected.sort();
    assert_eq!(counted(&keys, &store, Some(&key)).await, expected);
}

#[tokio::test]
async fn label_and_sources_are_set_in_any_order() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let sources = Sources::new().with_networks();
    let whole = label("in").with_client("ignored").unwrap().with_network("ignored").unwrap();
    for layer in [
        keys.layer().source(label("in")).sources(sources.clone()),
        keys.layer().sources(sources.clone()).source(label("in")),
        keys.layer().source(whole).sources(sources),
    ] {
        let lines = [("x-api-key", key.expose_secret()), ("user-agent", "curl/8"), ("x-address", "203.0.113.7")];
        send(layer, &lines).await;
    }
    keys.flush_usage().await.unwrap();
    let rows = store.usage(&UsageScope::Keys(vec![key.id()])).await.unwrap();
    let parts: Vec<_> = rows.iter().map(|row| [&*row.label, &*row.client, &*row.network]).collect();
    assert_eq!((parts, rows[0].count), (vec![["in", "curl", "203.0.113.0/24"]], 3));
}

#[tokio::test]
async fn a_client_that_calls_itself_other_takes_room_as_others_do() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let sources =
        Sources::new().with_client(|request| Some(request.headers.get("x-client")?.to_str().ok()?.to_owned()));
    let layer = keys.layer().source(label("in")).sources(sources);
    for number in 0..150 {
        let client = format!("{number}/other");
        send(layer.clone(), &[("x-api-key", key.expose_secret()), ("x-client", &client)]).await;
        if number % 50 == 0 {
            keys.flush_usage().await.unwrap();
        }
    }
    assert_eq!(counted(&keys, &store, Some(&key)).await.len(), 65);
}

#[tokio::test]
async fn what_an_embedders_function_saw_is_what_the_service_sees() {
    let (keys, ..) = service().await;
    let key = issue(&keys, user("alice")).await;
    let sources = Sources::new().with_client(|request| Some(request.uri.path().to_owned()));
    let inner = service_fn(|request: Request<String>| async move {
        let (parts, body) = request.into_parts();
        Ok::<_, Infallible>(Response::new(format!("{} {} {:?} {body}", parts.method, parts.uri, parts.version)))
    });
    let request = Request::put("/path?query").version(http::Version::HTTP_2).header("x-api-key", key.expose_secret());
    let response = keys.layer().sources(sources).layer(inner).oneshot(request.body("body".to_owned()).unwrap());
    let body = http_body_util::BodyExt::collect(response.await.unwrap().into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "PUT /path?query HTTP/2.0 body");
}

#[tokio::test]
async fn a_function_that_panics_costs_its_request_alone() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    let sources = Sources::new().with_client(|request| {
        assert!(!request.headers.contains_key("x-fail"), "the test says so");
        None
    });
    let layer = keys.layer().sources(sources);
    let failing = tokio::spawn({
        let (layer, text) = (layer.clone(), key.expose_secret().to_owned());
        async move { send(layer, &[("x-api-key", &text), ("x-fail", "1")]).await }
    });
    assert!(failing.await.unwrap_err().is_panic());
    assert_eq!(send(layer, &[("x-api-key", key.expose_secret())]).await, None);
    assert_eq!(counted(&keys, &store, Some(&key)).await, rows(&[("success", "", 1)]));
}

#[tokio::test]
async fn a_user_agent_that_holds_a_key_is_kept_nowhere() {
    let (keys, store, _) = lined_service().await;
    let key = issue(&keys, user("alice")).await;
    let text = key.expose_secret();
    let cut = &text[..60];
    for agent in
        [text, cut, &format!("{text}/1.0"), &format!("curl-{cut}"), &format!("curl/{text}"), &format!("curl {text}")]
    {
        assert_eq!(send(keys.layer(), &[("x-api-key", text), ("user-agent", agent)]).await, None);
        send(keys.layer(), &[("x-api-key", "$KEY"), ("user-agent", agent)]).await;
        send(keys.layer(), &[("user-agent", agent)]).await;
    }
    keys.shutdown().await.unwrap();
    assert_eq!(counted(&keys, &store, Some(&key)).await, rows(&[("success", "", 4), ("success", "curl", 2)]));
    let events = events(&store).await;
    assert!(
        events.len() == 6 && events.iter().all(|event| event.source.as_deref().is_none_or(|source| source == "curl"))
    );
}

#[tokio::test]
async fn every_refusal_is_counted_with_its_source_whether_it_names_a_key_or_not() {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = keys(hooked, &clock).await;
    let [live, revoked, expiring, suspended, corrupt] = [
        issue(&keys, user("a")).await,
        issue(&keys, user("b")).await,
        issue(&keys, user("c")).await,
        issue(&keys, user("d")).await,
        issue(&keys, user("e")).await,
    ];
    let unknown = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    keys.manager().revoke(&revoked.id(), &system()).await.unwrap();
    keys.manager().expire_at(&expiring.id(), clock_in(&clock, 60), &system()).await.unwrap();
    keys.manager().suspend(&user("d").into(), Suspension::Admin, &system()).await.unwrap();
    clock.advance(Duration::from_secs(60));
    let send = async |text: Option<&str>| {
        let mut lines = vec![("user-agent", "job/1")];
        lines.extend(text.map(|text| ("x-api-key", text)));
        send(keys.layer().source(label("intake")), &lines).await
    };
    // Twice, so that a key in the cache is refused too.
    for _ in 0..2 {
        assert_eq!(send(Some(live.expose_secret())).await, None);
        assert_eq!(send(Some(&wrong_secret(&live))).await, Some(RefusalCode::InvalidKey));
        assert_eq!(send(Some(revoked.expose_secret())).await, Some(RefusalCode::KeyRevoked));
        assert_eq!(send(Some(expiring.expose_secret())).await, Some(RefusalCode::KeyExpired));
        assert_eq!(send(Some(suspended.expose_secret())).await, Some(RefusalCode::OwnerSuspended));
        assert_eq!(send(Some(unknown.expose_secret())).await, Some(RefusalCode::InvalidKey));
        assert_eq!(send(Some("")).await, Some(RefusalCode::MalformedKey));
        assert_eq!(send(Some(&live.expose_secret()[..50])).await, Some(RefusalCode::MalformedKey));
        assert_eq!(send(None).await, Some(RefusalCode::MissingCredentials));
    }
    hooks.alter(|found| found.key.hash = "nonsense".into());
    assert_eq!(send(Some(corrupt.expose_secret())).await, Some(RefusalCode::CorruptRecord));
    hooks.heal();
    hooks.fail("find", Fault::Error, 1);
    assert_eq!(send(Some(unknown.expose_secret())).await, Some(RefusalCode::StoreUnavailable));
    let of = async |key: &PlaintextKey| counted(&keys, &store, Some(key)).await;
    assert_eq!(of(&live).await, rows(&[("invalid_key", "intake/job", 2), ("success", "intake/job", 2)]));
    assert_eq!(of(&revoked).await, rows(&[("key_revoked", "intake/job", 2)]));
    assert_eq!(of(&expiring).await, rows(&[("key_expired", "intake/job", 2)]));
    assert_eq!(of(&suspended).await, rows(&[("owner_suspended", "intake/job", 2)]));
    assert_eq!(of(&corrupt).await, rows(&[("corrupt_record", "intake/job", 1)]));
    let nobody = [
        ("invalid_key", "intake/job", 2),
        ("malformed_key.empty", "intake/job", 2),
        ("malformed_key.truncated", "intake/job", 2),
        ("missing_credentials", "intake/job", 2),
        ("store_unavailable", "intake/job", 1),
    ];
    assert_eq!(counted(&keys, &store, None).await, rows(&nobody));
}

fn clock_in(clock: &tower_api_keys::ManualClock, seconds: u64) -> tower_api_keys::Timestamp {
    tower_api_keys::Clock::now(clock).saturating_add(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_good_key_at_the_wrong_door_is_counted_as_good_and_as_denied_downstream() {
    let (keys, store, _) = service().await;
    let scopes: Scopes = [Scope::new("agents:read").unwrap()].into_iter().collect();
    let request = IssueKey::team(team("blue")).scopes(scopes);
    let key = keys.manager().issue(request, &system()).await.unwrap().into_plaintext();
    secrets::remember(key.expose_secret());
    let doors = [
        RequireKeyLayer::new(),
        RequireKeyLayer::new().kind(KeyKind::User),
        RequireKeyLayer::new().scope(Scope::new("agents:write").unwrap()),
        RequireKeyLayer::new().team(|_| Some(team("red"))),
    ];
    let answering = |answer: Option<RefusalCode>| {
        service_fn(move |_: Request<Full<Bytes>>| async move {
            let code = answer.unwrap_or(RefusalCode::StoreUnavailable);
            Ok::<_, Infallible>(Refusal::new(code).into_http::<Full<Bytes>>())
        })
    };
    let lines = [("x-api-key", key.expose_secret()), ("user-agent", "job/1")];
    let layer = || keys.layer().source(label("api"));
    for _ in 0..2 {
        for door in &doors {
            layer().layer(door.layer(answering(None))).oneshot(self::request(&lines)).await.unwrap();
        }
        for code in [
            RefusalCode::PlanRequired,
            RefusalCode::RateLimited,
            RefusalCode::InsufficientRole,
            RefusalCode::StoreUnavailable,
            RefusalCode::Misconfigured,
            RefusalCode::KeyRevoked,
        ] {
            layer().layer(answering(Some(code))).oneshot(self::request(&lines)).await.unwrap();
        }
    }
    let expected = [
        ("insufficient_role", "api/job", 2),
        ("insufficient_scope", "api/job", 2),
        ("plan_required", "api/job", 2),
        ("rate_limited", "api/job", 2),
        ("success", "api/job", 20),
        ("wrong_key_kind", "api/job", 2),
        ("wrong_team", "api/job", 2),
    ];
    assert_eq!(counted(&keys, &store, Some(&key)).await, rows(&expected));
}

#[tokio::test]
async fn a_request_without_a_key_is_counted_once_where_one_is_asked_for() {
    let (keys, store, _) = service().await;
    let let_in = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let outer = || keys.layer().source(label("outer")).optional();
    let optional = || keys.layer().source(label("inner")).optional();
    let strict = || keys.layer().source(label("strict"));
    let door = RequireKeyLayer::new;
    let none = || request(&[("user-agent", "job/1")]);
    for _ in 0..2 {
        outer().layer(let_in).oneshot(none()).await.unwrap();
        outer().layer(door().layer(let_in)).oneshot(none()).await.unwrap();
        outer().layer(optional().layer(door().layer(let_in))).oneshot(none()).await.unwrap();
        outer().layer(strict().layer(let_in)).oneshot(none()).await.unwrap();
    }
    let expected = [
        ("missing_credentials", "inner/job", 2),
        ("missing_credentials", "outer/job", 2),
        ("missing_credentials", "strict/job", 2),
    ];
    assert_eq!(counted(&keys, &store, None).await, rows(&expected));
    let refusals = keys.authenticator().metrics().refusals;
    assert_eq!(refusals.iter().find(|refusal| refusal.code == RefusalCode::MissingCredentials).unwrap().count, 6);
}

#[tokio::test]
async fn the_wrong_door_is_counted_where_the_key_came_from_beyond_the_sources_it_remembers() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, team("blue")).await;
    let door = RequireKeyLayer::new().kind(KeyKind::User);
    let inner =
        service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let mut service = keys.layer().layer(door.layer(inner));
    let mut expected = Vec::new();
    for number in 0..8 {
        let agent = format!("client-{number}");
        for _ in 0..2 {
            service.call(request(&[("x-api-key", key.expose_secret()), ("user-agent", &agent)])).await.unwrap();
        }
        expected.extend(["success", "wrong_key_kind"].map(|outcome| (outcome.to_owned(), agent.clone(), 2)));
    }
    expected.sort();
    assert_eq!(counted(&keys, &store, Some(&key)).await, expected);
}

/// Uses the key from each of these clients, this many times each.
async fn use_from(keys: &ApiKeys<Store>, key: Option<&PlaintextKey>, clients: std::ops::Range<usize>) {
    for number in clients {
        let agent = format!("client-{number}");
        let mut lines = vec![("user-agent", agent.as_str())];
        lines.extend(key.map(|key| ("x-api-key", key.expose_secret())));
        send(keys.layer().source(label("api")), &lines).await;
    }
}

#[tokio::test]
async fn sixty_four_sources_are_told_apart_across_flushes_and_the_rest_are_others() {
    for known in [true, false] {
        let (keys, store, _) = service().await;
        let issued = issue(&keys, user("alice")).await;
        let key = known.then_some(&issued);
        for part in 0..5 {
            use_from(&keys, key, part * 20..(part + 1) * 20).await;
            keys.flush_usage().await.unwrap();
        }
        // Known sources keep their own counts.
        use_from(&keys, key, 0..20).await;
        let counts = counted(&keys, &store, key).await;
        assert_eq!(counts.len(), 65);
        assert_eq!(counts.iter().find(|(_, source, _)| source == "api/other").unwrap().2, 36);
        assert_eq!(counts.iter().map(|(_, _, count)| count).sum::<i64>(), 120);
        assert_eq!(keys.authenticator().metrics().usage_sources_folded, 36);
    }
}

#[tokio::test]
async fn sixty_four_sources_are_told_apart_within_a_flush() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, user("alice")).await;
    use_from(&keys, Some(&key), 0..300).await;
    use_from(&keys, Some(&key), 0..300).await;
    let counts = counted(&keys, &store, Some(&key)).await;
    assert_eq!(counts.len(), 65);
    let other = counts.iter().find(|(_, source, _)| source == "api/other").unwrap().2;
    assert_eq!(other, 600 - 128);
    assert_eq!(keys.authenticator().metrics().usage_sources_folded, 600 - 128);
}

/// Sends the text once from each of these clients. No other call uses them.
async fn send_from_strangers(keys: &ApiKeys<Store>, text: &str, of: &str, clients: std::ops::Range<usize>) {
    for number in clients {
        let agent = format!("x{number}");
        send(keys.layer().source(label(of)), &[("x-api-key", text), ("user-agent", &agent)]).await;
    }
}

#[tokio::test]
async fn who_knows_no_more_than_the_id_of_a_key_takes_no_room_from_who_has_it() {
    for is_flushed in [true, false] {
        let (keys, store, _) = service().await;
        let key = issue(&keys, team("blue")).await;
        send_from_strangers(&keys, &wrong_secret(&key), "api", 0..400).await;
        if is_flushed {
            keys.flush_usage().await.unwrap();
        }
        // More sources than the key counts without a lock.
        use_from(&keys, Some(&key), 0..8).await;
        let counts = counted(&keys, &store, Some(&key)).await;
        let successes: Vec<_> = counts.iter().filter(|(outcome, ..)| outcome == "success").cloned().collect();
        let expected: Vec<_> = (0..8).map(|number| ("success".to_owned(), format!("api/client-{number}"), 1)).collect();
        assert_eq!(successes, expected);
        assert_eq!(counts.len(), 8 + 65);
    }
}

#[tokio::test]
async fn guesses_take_no_room_from_who_still_tries_a_dead_key() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, team("blue")).await;
    use_from(&keys, Some(&key), 0..100).await;
    send_from_strangers(&keys, &wrong_secret(&key), "api", 0..100).await;
    keys.flush_usage().await.unwrap();
    keys.manager().revoke(&key.id(), &system()).await.unwrap();
    send_from_strangers(&keys, key.expose_secret(), "api", 100..101).await;
    let counts = counted(&keys, &store, Some(&key)).await;
    assert!(counts.contains(&("key_revoked".to_owned(), "api/x100".to_owned(), 1)));
}

#[tokio::test]
async fn a_scanner_takes_room_from_its_own_layer_alone() {
    for is_flushed in [true, false] {
        let (keys, store, _) = service().await;
        send_from_strangers(&keys, "$KEY", "site", 0..400).await;
        if is_flushed {
            keys.flush_usage().await.unwrap();
        }
        send_from_strangers(&keys, "team.AAEC", "intake", 400..401).await;
        let counts = counted(&keys, &store, None).await;
        let sources: Vec<_> = counts.iter().map(|(_, source, _)| source.as_str()).collect();
        assert!(sources.contains(&"intake/x400"), "{sources:?}");
        assert_eq!(counts.len(), 66);
    }
}

#[tokio::test]
async fn a_source_that_the_store_has_is_told_apart_however_many_came_before_it() {
    let (keys, store, _) = service().await;
    let key = issue(&keys, team("blue")).await;
    let wrong = wrong_secret(&key);
    send_from_strangers(&keys, &wrong, "api", 0..64).await;
    keys.flush_usage().await.unwrap();
    send_from_strangers(&keys, &wrong, "api", 64..400).await;
    send_from_strangers(&keys, &wrong, "api", 0..1).await;
    let counts = counted(&keys, &store, Some(&key)).await;
    assert!(counts.contains(&("invalid_key".to_owned(), "api/x0".to_owned(), 2)));
    assert!(counts.contains(&("invalid_key".to_owned(), "api/other".to_owned(), 336)));
}

#[tokio::test]
async fn another_node_and_a_restart_see_the_sources_that_are_there() {
    let memory = Arc::new(MemoryStore::new());
    let node = async || keys(Hooked::new(memory.clone()), &clock()).await;
    let first = node().await;
    let key = issue(&first, user("alice")).await;
    use_from(&first, Some(&key), 0..60).await;
    first.shutdown().await.unwrap();
    let second = node().await;
    use_from(&second, Some(&key), 50..80).await;
    let counts = counted(&second, &memory, Some(&key)).await;
    assert_eq!(counts.len(), 65);
    let count = |source: &str| counts.iter().find(|(_, of, _)| of == source).map_or(0, |(_, _, count)| *count);
    assert_eq!((count("api/client-55"), count("api/other")), (2, 16));
}

#[tokio::test]
async fn a_flush_that_cannot_read_what_is_there_loses_nothing() {
    let (keys, store, hooks) = service().await;
    let key = issue(&keys, user("alice")).await;
    use_from(&keys, Some(&key), 0..3).await;
    for fault in [Fault::Error, Fault::Panic] {
        hooks.fail("usage", fault, 1);
        keys.flush_usage().await.unwrap_err();
        assert_eq!(hooks.count("record_usage"), 0);
    }
    use_from(&keys, Some(&key), 0..3).await;
    let counts = counted(&keys, &store, Some(&key)).await;
    assert_eq!(counts.iter().map(|(_, _, count)| *count).collect::<Vec<_>>(), [2, 2, 2]);
    // The node does not read its own writes again: one call for the counts, and one for the counts by day.
    hooks.reset();
    use_from(&keys, Some(&key), 0..3).await;
    keys.flush_usage().await.unwrap();
    assert_eq!((hooks.count("usage"), hooks.count("record_usage")), (0, 2));
}

#[tokio::test]
async fn usage_that_cannot_be_read_keeps_none_from_being_written() {
    for times in [1, usize::MAX] {
        let (keys, store, hooks) = service().await;
        let issued =
            [issue(&keys, user("alice")).await, issue(&keys, user("bob")).await, issue(&keys, user("eve")).await];
        hooks.fail("usage", Fault::Corrupt, times);
        for key in issued.iter().map(Some).chain([None]) {
            use_from(&keys, key, 0..2).await;
        }
        keys.flush_usage().await.unwrap();
        for key in issued.iter().map(Some).chain([None]) {
            let counts = counted(&keys, &store, key).await;
            assert_eq!(counts.iter().map(|(_, _, count)| *count).collect::<Vec<_>>(), [1, 1]);
        }
    }
}

#[tokio::test]
async fn a_read_that_fails_is_tried_again_in_parts() {
    let (keys, _, hooks) = service().await;
    let mut issued = Vec::new();
    for number in 0..60 {
        issued.push(issue(&keys, user(&format!("user-{number}"))).await);
    }
    let use_all = async |client| {
        for key in &issued {
            use_from(&keys, Some(key), client..client + 1).await;
        }
    };
    use_all(0).await;
    hooks.fail("usage", Fault::Error, 5);
    for _ in 0..5 {
        keys.flush_usage().await.unwrap_err();
    }
    hooks.reset();
    keys.flush_usage().await.unwrap();
    // 1,000 halved five times.
    assert_eq!(hooks.count("usage"), 2);
    use_all(1).await;
    hooks.reset();
    keys.flush_usage().await.unwrap();
    assert_eq!(hooks.count("usage"), 1);
}

async fn counts_exactly<S: Ledger>(store: S) {
    let counted = exact::count(Arc::new(store), 20_000, 4).await;
    assert!(counted.failures > 0 && counted.writes > counted.failures / 2, "no write failed, or none was made");
    assert_eq!(counted.done.values().sum::<i64>(), counted.stored.values().sum::<i64>());
    assert!(counted.done == counted.stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn attempts_of_every_kind_are_counted_exactly_while_writes_fail() {
    counts_exactly(MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn attempts_of_every_kind_are_counted_exactly_in_a_file_while_writes_fail() {
    let folder = secrets::scratch();
    counts_exactly(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).await;
}

async fn lined_service() -> (ApiKeys<Store>, Arc<MemoryStore>, Arc<Hooks>) {
    secrets::capture_log();
    let memory = Arc::new(MemoryStore::new());
    let store = Hooked::new(memory.clone());
    let hooks = store.hooks.clone();
    let builder = ApiKeys::builder(store).hasher(crate::support::cheap()).clock(clock());
    (builder.access_log(true).build().await.unwrap(), memory, hooks)
}

/// The attempts in the log, in order.
async fn events(store: &MemoryStore) -> Vec<Event> {
    let mut events = Vec::new();
    for attempts in [true, false] {
        let query = EventQuery { attempts, limit: 1_000, ..EventQuery::all(OrganizationId::single()) };
        let rows = store.events(&query).await.unwrap().rows;
        events.extend(rows.iter().map(|row| Event::try_from(row).unwrap()));
    }
    events.sort_by_key(|event| event.sequence);
    events.retain(|event| event.action.as_str().starts_with("attempt"));
    events
}

#[tokio::test]
async fn each_check_of_a_key_in_the_store_leaves_a_line_if_asked() {
    let (keys, store, _) = lined_service().await;
    let (key, revoked) = (issue(&keys, team("blue")).await, issue(&keys, user("bob")).await);
    keys.manager().revoke(&revoked.id(), &system()).await.unwrap();
    let unknown = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    let wrong = wrong_secret(&key);
    let sent =
        [key.expose_secret(), key.expose_secret(), &wrong, revoked.expose_secret(), unknown.expose_secret(), "$KEY"];
    for text in sent {
        send(keys.layer().source(label("api")), &[("x-api-key", text), ("user-agent", "job/2")]).await;
    }
    keys.shutdown().await.unwrap();
    let events = events(&store).await;
    let lines: Vec<_> = events
        .iter()
        .map(|event| (event.action.as_str(), event.after.as_deref(), event.actor.to_string(), event.source.as_deref()))
        .collect();
    let (of_key, of_revoked) = (format!("key:{}", key.id()), format!("key:{}", revoked.id()));
    let source = Some("api/job");
    let expected = [
        ("attempt.accepted", None, of_key.clone(), source),
        ("attempt.accepted", None, of_key, source),
        ("attempt.refused", Some("invalid_key"), "system:unproved caller".to_owned(), source),
        ("attempt.refused", Some("key_revoked"), of_revoked, source),
    ];
    assert_eq!(lines, expected);
    assert_eq!(events[0].subject, Subject::Key(key.id(), team("blue").into()));
    assert_eq!(events[3].subject, Subject::Key(revoked.id(), user("bob").into()));
    let metrics = keys.authenticator().metrics();
    assert_eq!((metrics.access_log_written, metrics.access_log_dropped), (4, 0));
}

#[tokio::test]
async fn guesses_at_a_known_id_are_ten_lines_a_minute_and_one_with_the_rest() {
    let (keys, store, _) = lined_service().await;
    let key = issue(&keys, team("blue")).await;
    let wrong = wrong_secret(&key);
    for text in std::iter::repeat_n(wrong.as_str(), 50).chain([key.expose_secret()]) {
        send(keys.layer(), &[("x-api-key", text), ("user-agent", "job/2")]).await;
    }
    keys.shutdown().await.unwrap();
    let events = events(&store).await;
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    let mut expected = vec!["attempt.refused"; 10];
    expected.extend(["attempt.accepted", "attempt.repeated"]);
    assert_eq!(actions, expected);
    let repeated = &events[11];
    assert_eq!(repeated.actor.to_string(), "system:unproved caller");
    assert_eq!((dropped(&EventRow::from(repeated)), repeated.source.as_deref()), (40, Some("job")));
    assert!(repeated.after.as_ref().unwrap().contains(r#""code":"invalid_key""#), "{repeated:?}");
    let metrics = keys.authenticator().metrics();
    assert_eq!((metrics.access_log_written, metrics.access_log_dropped), (51, 0));
}

#[tokio::test]
async fn attempts_leave_no_line_unless_asked() {
    let (keys, store, hooks) = service().await;
    let key = issue(&keys, user("alice")).await;
    send(keys.layer(), &[("x-api-key", key.expose_secret())]).await;
    keys.shutdown().await.unwrap();
    assert!(events(&store).await.is_empty());
    assert_eq!(hooks.count("append_events"), 0);
}

#[tokio::test]
async fn lines_that_find_no_room_are_counted_and_told_of() {
    let (keys, store, hooks) = lined_service().await;
    let key = issue(&keys, user("alice")).await;
    let authenticator = keys.authenticator();
    hooks.fail("append_events", Fault::Error, usize::MAX);
    for _ in 0..65_536 + 10 {
        authenticator.authenticate(key.expose_secret()).await.unwrap();
    }
    keys.shutdown().await.unwrap_err();
    hooks.heal();
    authenticator.authenticate(key.expose_secret()).await.unwrap();
    keys.shutdown().await.unwrap();
    let metrics = keys.authenticator().metrics();
    assert_eq!(metrics.access_log_written + metrics.access_log_dropped, 65_536 + 11);
    assert!(metrics.access_log_dropped > 0);
    // At the position of the missing entries: all entries except the last one came before.
    let query =
        EventQuery { attempts: true, newest_first: true, limit: 3, ..EventQuery::all(OrganizationId::single()) };
    let last = store.events(&query).await.unwrap().rows;
    let actions: Vec<_> = last.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["attempt.accepted", "attempt.dropped", "attempt.accepted"]);
    assert_eq!(last[1].key.as_deref(), Some(key.id().as_str()));
    assert_eq!(dropped(&last[1]), metrics.access_log_dropped);
}

/// The number of attempts that the event sums up, or reports as missing.
fn dropped(row: &EventRow) -> u64 {
    let said: serde_json::Value = serde_json::from_str(row.after.as_deref().unwrap()).unwrap();
    said["count"].as_u64().unwrap()
}

#[tokio::test]
async fn what_is_missing_is_told_in_the_trail_of_whose_it_is() {
    let (keys, store, hooks) = lined_service().await;
    let customer = |name: &str| OrganizationId::new(name).unwrap();
    let mut issued = Vec::new();
    for name in ["acme", "zenith"] {
        let manager = keys.manager_for(customer(name));
        let key = manager.issue(IssueKey::user(user("alice")), &system()).await.unwrap().into_plaintext();
        secrets::remember(key.expose_secret());
        issued.push((name, key));
    }
    let used = async |times: &[usize]| {
        for ((_, key), times) in issued.iter().zip(times) {
            for _ in 0..*times {
                keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
            }
        }
    };
    // The keys are proved first, so that a check no longer waits. Entries are also written in the background.
    used(&[1, 1]).await;
    keys.shutdown().await.unwrap();
    used(&[2, 3]).await;
    hooks.fail("append_events", Fault::DoneUnsaid, 1);
    keys.shutdown().await.unwrap_err();
    // No further entry is written.
    keys.shutdown().await.unwrap();
    for ((name, key), count) in issued.iter().zip([2, 3]) {
        let of_gaps = Some("attempt.dropped".into());
        let query = EventQuery { attempts: true, action: of_gaps, ..EventQuery::all(customer(name)) };
        let rows = store.events(&query).await.unwrap().rows;
        assert_eq!(rows.iter().map(dropped).collect::<Vec<_>>(), [count]);
        assert_eq!(rows[0].key.as_deref(), Some(key.id().as_str()));
    }
}

#[tokio::test]
async fn lines_that_may_have_been_written_are_not_written_twice() {
    let (keys, store, hooks) = lined_service().await;
    let key = issue(&keys, user("alice")).await;
    let used = async || keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    used().await;
    hooks.fail("append_events", Fault::DoneUnsaid, 1);
    keys.shutdown().await.unwrap_err();
    used().await;
    hooks.fail("append_events", Fault::Error, 1);
    keys.shutdown().await.unwrap_err();
    keys.shutdown().await.unwrap();
    let events = events(&store).await;
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["attempt.accepted", "attempt.dropped", "attempt.accepted"]);
    assert_eq!(dropped(&EventRow::from(&events[1])), 1);
    let metrics = keys.authenticator().metrics();
    assert_eq!((metrics.access_log_written, metrics.access_log_dropped), (1, 1));
}

#[tokio::test]
async fn lines_are_written_by_themselves() {
    let (keys, store, _) = lined_service().await;
    let key = issue(&keys, user("alice")).await;
    keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
    tokio::time::pause();
    while events(&store).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
