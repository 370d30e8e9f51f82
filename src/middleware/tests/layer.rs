//! What the inner service sees, and what happens to its answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt};

use super::support::*;
use crate::{
    ApiKeys,
    middleware::{ForeignBearer, KeyHeaders, Refusal, anonymous::Anonymous, settings::Settings},
    outcome::RefusalCode,
    principal::Principal,
    store::{Ledger, MemoryStore, UsageScope},
    usage::{Source, UsageDetail},
};

const X_API_KEY: (&str, &str) = ("x-api-key", KEY);
const BASIC: (&str, &str) = ("authorization", "Basic dXNlcg==");

async fn status_and_seen(
    script: &Script,
    change: impl FnOnce(&mut Settings),
    request: Request<Full<Bytes>>,
) -> (StatusCode, Option<SeenRequest>) {
    let inner = Inner::new();
    let seen = inner.seen.clone();
    let response = send(gate(inner, script, change), request).await;
    let seen = seen.lock().unwrap().pop();
    (response.status(), seen)
}

async fn seen(change: impl FnOnce(&mut Settings), lines: &[(&str, &str)]) -> SeenRequest {
    status_and_seen(&Script::accepting(), change, request(lines)).await.1.unwrap()
}

#[tokio::test]
async fn a_good_key_in_either_header_or_both_lets_the_principal_through() {
    for lines in [&[BEARER][..], &[X_API_KEY], &[BEARER, X_API_KEY], &[BASIC, X_API_KEY]] {
        let script = Script::accepting();
        let (status, seen) = status_and_seen(&script, |_| {}, request(lines)).await;
        assert_eq!((status, seen.unwrap().user.as_deref()), (StatusCode::OK, Some("alice")), "{lines:?}");
        // A proof is valid only for this text.
        assert_eq!((script.hits(), script.refused()), (1, vec![]), "{lines:?}");
    }
}

#[tokio::test]
async fn a_pending_check_lets_the_principal_through_just_so() {
    let (status, seen) = status_and_seen(&Script::accepting_late(), |_| {}, request(&[BEARER, X_API_KEY])).await;
    let seen = seen.unwrap();
    assert_eq!((status, seen.user.as_deref()), (StatusCode::OK, Some("alice")));
    assert!(seen.headers.is_empty());
}

#[tokio::test]
async fn a_pending_check_that_fails_is_refused_just_so() {
    let mut answers = Vec::new();
    for script in [Script::expired_since(), Script::expired()] {
        let inner = Inner::new();
        answers.push(text(send(gate(inner.clone(), &script, |_| {}), request(&[BEARER])).await).await);
        assert_eq!(inner.calls(), 0);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].contains("\"code\":\"key_expired\""), "{answers:?}");
}

#[tokio::test]
async fn the_key_is_taken_out_of_the_request() {
    assert!(seen(|_| {}, &[BEARER, X_API_KEY]).await.headers.is_empty());
    let kept = seen(|_| {}, &[BASIC, X_API_KEY, ("accept", "text/plain")]).await.headers;
    assert_eq!(kept.len(), 2);
    assert_eq!(
        (&kept["authorization"], &kept["accept"]),
        (&HeaderValue::from_static(BASIC.1), &HeaderValue::from_static("text/plain"))
    );
    assert!(!kept["authorization"].is_sensitive());
}

#[tokio::test]
async fn a_kept_key_is_marked_sensitive() {
    let kept = seen(|settings| settings.keep_credentials = true, &[BEARER, X_API_KEY, ("accept", "a")]).await.headers;
    assert_eq!(kept["x-api-key"], KEY);
    assert!(kept["authorization"].is_sensitive() && kept["x-api-key"].is_sensitive());
    assert!(!kept["accept"].is_sensitive());
    assert!(!format!("{kept:?}").contains("user."));
}

#[tokio::test]
async fn an_optional_layer_admits_requests_without_a_key_as_nobody() {
    let script = Script::accepting();
    let optional = |settings: &mut Settings| settings.optional = true;
    let (status, seen) = status_and_seen(&script, optional, request(&[BASIC])).await;
    let seen = seen.unwrap();
    assert_eq!((status, seen.user), (StatusCode::OK, None));
    assert_eq!(seen.headers["authorization"], BASIC.1);
    assert_eq!(script.refused(), []);
}

#[tokio::test]
async fn an_optional_layer_refuses_a_bad_key() {
    let optional = |settings: &mut Settings| settings.optional = true;
    let (status, seen) = status_and_seen(&Script::revoked(), optional, request(&[BEARER])).await;
    assert_eq!((status, seen.is_none()), (StatusCode::UNAUTHORIZED, true));
    for lines in [("x-api-key", ""), ("authorization", KEY), ("authorization", "Bearer")] {
        let (status, seen) = status_and_seen(&Script::accepting(), optional, request(&[lines])).await;
        assert_eq!((status, seen.is_none()), (StatusCode::UNAUTHORIZED, true), "{lines:?}");
    }
}

#[tokio::test]
async fn a_foreign_bearer_text_reaches_the_inner_service_if_it_is_ignored() {
    let jwt = ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
    let ignore = |settings: &mut Settings| {
        settings.foreign_bearer = ForeignBearer::Ignore;
        settings.optional = true;
    };
    let seen = seen(ignore, &[jwt]).await;
    assert_eq!((seen.user, &seen.headers["authorization"]), (None, &HeaderValue::from_static(jwt.1)));

    let required = |settings: &mut Settings| settings.foreign_bearer = ForeignBearer::Ignore;
    let script = Script::accepting();
    let (status, _) = status_and_seen(&script, required, request(&[jwt])).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(script.refused(), [(RefusalCode::MissingCredentials, None, 1)]);
}

#[tokio::test]
async fn a_header_that_is_not_read_reaches_the_inner_service() {
    let seen = seen(|settings| settings.headers = KeyHeaders::only_bearer(), &[BEARER, X_API_KEY]).await;
    assert_eq!(seen.headers["x-api-key"], KEY);
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn another_key_header_is_taken_out_too() {
    let name = HeaderName::from_static("x-acme-key");
    let change = |settings: &mut Settings| settings.headers = KeyHeaders::bearer_and(name).unwrap();
    assert!(seen(change, &[("x-acme-key", KEY)]).await.headers.is_empty());
}

/// The requests refused because of their headers alone, by outcome and source, as written to the store.
async fn counted(label: Option<&str>, lines: &[&[(&str, &str)]]) -> Vec<(String, String, i64)> {
    let store = Arc::new(MemoryStore::new());
    let keys = ApiKeys::new(Arc::clone(&store)).unwrap();
    let mut layer = keys.layer();
    if let Some(label) = label {
        layer = layer.source(Source::new(label).unwrap());
    }
    for lines in lines {
        send(layer.layer(Inner::new()), request(lines)).await;
    }
    keys.flush_usage().await.unwrap();
    let detail = UsageDetail::of(&store.usage(&UsageScope::NoKey(vec![None])).await.unwrap()).unwrap();
    let counts = detail.counts.into_iter();
    counts.map(|count| (count.outcome.to_string(), count.source.to_string(), count.count)).collect()
}

#[tokio::test]
async fn refusals_are_counted_under_the_source_of_the_layer() {
    for (label, source) in [(Some("intake"), "intake"), (None, "")] {
        let counted = counted(label, &[&[], &[X_API_KEY, X_API_KEY], &[("x-api-key", "")], &[]]).await;
        let of = |outcome: &str, count| (outcome.to_owned(), source.to_owned(), count);
        let expected = [of("ambiguous_credentials", 1), of("malformed_key.empty", 1), of("missing_credentials", 2)];
        assert_eq!(counted, expected);
    }
}

#[tokio::test]
async fn an_inner_layer_of_the_same_keys_accepts_whom_the_outer_proved() {
    let (script, inner) = (Script::accepting(), Inner::new());
    let service = gate(gate(inner.clone(), &script, |_| {}), &script, |_| {});
    let response = service.oneshot(request(&[X_API_KEY])).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(inner.seen.lock().unwrap()[0].user.as_deref(), Some("alice"));
    // Counted by the outer layer only.
    assert_eq!((script.hits(), script.refused()), (1, vec![]));
}

#[tokio::test]
async fn a_required_layer_refuses_nobody_from_an_optional_one_further_out() {
    let script = Script::accepting();
    let service = gate(gate(Inner::new(), &script, |_| {}), &script, |settings| settings.optional = true);
    assert_eq!(service.oneshot(request(&[])).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

fn with_principal(mut request: Request<Full<Bytes>>, principal: Principal) -> Request<Full<Bytes>> {
    request.extensions_mut().insert(principal);
    request
}

#[tokio::test]
async fn a_principal_of_other_keys_never_passes() {
    // Principals for tests have 0, and no authenticator has it.
    for other in [ABROAD, 0] {
        let mallory = || proved_by(other, "mallory");
        let (status, _) = status_and_seen(&Script::accepting(), |_| {}, with_principal(request(&[]), mallory())).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);

        let optional = |settings: &mut Settings| settings.optional = true;
        let (_, seen) = status_and_seen(&Script::accepting(), optional, with_principal(request(&[]), mallory())).await;
        assert_eq!(seen.unwrap().user, None);

        let keyed = with_principal(request(&[BEARER]), mallory());
        let (_, seen) = status_and_seen(&Script::accepting(), |_| {}, keyed).await;
        assert_eq!(seen.unwrap().user.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn a_key_that_is_still_there_is_checked_even_if_an_outer_layer_proved_somebody() {
    let script = Script::revoked();
    let request = with_principal(request(&[BEARER]), proved_by(script.authenticator.id(), "alice"));
    assert_eq!(status_and_seen(&script, |_| {}, request).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_second_key_beside_that_of_an_outer_layer_of_the_same_keys_is_ambiguous() {
    for script in [Script::accepting(), Script::accepting_late()] {
        let another = proved_by_key(script.authenticator.id(), "mallory", "BAECAwQFBgcICQoLDA0O");
        for optional in [false, true] {
            let inner = Inner::new();
            let service = gate(inner.clone(), &script, |settings| settings.optional = optional);
            let response = service.oneshot(with_principal(request(&[BEARER]), another.clone())).await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            let refusal = response.extensions().get::<Refusal>().unwrap();
            assert_eq!(refusal.code(), RefusalCode::AmbiguousCredentials);
            assert!(inner.seen.lock().unwrap().is_empty(), "the service behind saw the request");
        }
        // The same key, and one proved by other keys, which has no meaning here.
        for before in
            [proved_by(script.authenticator.id(), "alice"), proved_by_key(ABROAD, "mallory", "BAECAwQFBgcICQoLDA0O")]
        {
            let (status, _) = status_and_seen(&script, |_| {}, with_principal(request(&[BEARER]), before)).await;
            assert_eq!(status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn an_optional_layer_marks_nobody() {
    let inner = tower::service_fn(async |request: Request<Full<Bytes>>| {
        assert!(request.extensions().get::<Anonymous>().is_some());
        Ok(Response::new(Full::<Bytes>::default()))
    });
    send(gate(inner, &Script::accepting(), |settings| settings.optional = true), request(&[])).await;
}

/// `Vary` and `Cache-Control` of the answer to such a request, joined.
async fn caching(
    change: impl FnOnce(&mut Settings),
    lines: &[(&str, &str)],
    said: &'static [(&str, &str)],
) -> [String; 2] {
    let inner = Inner::answering(move || {
        let mut response = Response::new(Full::default());
        for (name, value) in said {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        response
    });
    let response = send(gate(inner, &Script::accepting(), change), request(lines)).await;
    ["vary", "cache-control"].map(|name| {
        let values: Vec<_> = response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        values.join(" | ")
    })
}

#[tokio::test]
async fn answers_to_x_api_key_are_kept_out_of_shared_caches() {
    let both = "authorization, x-api-key";
    for lines in [&[X_API_KEY][..], &[BEARER, X_API_KEY], &[BASIC, X_API_KEY]] {
        assert_eq!(caching(|_| {}, lines, &[]).await, [both, "private"], "{lines:?}");
    }
    let said = &[("vary", "origin"), ("cache-control", "max-age=5")];
    assert_eq!(caching(|_| {}, &[X_API_KEY], said).await, ["origin | authorization, x-api-key", "max-age=5 | private"]);
    for decided in [
        &[("cache-control", "public")],
        &[("cache-control", "s-maxage=5")],
        &[("cache-control", "must-revalidate")],
        &[("cache-control", "private")],
        &[("cache-control", "no-store")],
    ] {
        assert_eq!(caching(|_| {}, &[X_API_KEY], decided).await, [both, decided[0].1]);
    }
}

#[tokio::test]
async fn answers_to_bearer_and_to_nobody_stay_as_they_are() {
    assert_eq!(caching(|_| {}, &[BEARER], &[]).await, ["", ""]);
    assert_eq!(caching(|settings| settings.optional = true, &[], &[]).await, ["", ""]);
}

#[tokio::test]
async fn keeping_answers_out_of_caches_can_be_turned_off() {
    assert_eq!(caching(|settings| settings.private_responses = false, &[X_API_KEY], &[]).await, ["", ""]);
}

#[tokio::test]
async fn vary_names_the_headers_that_are_read() {
    let name = HeaderName::from_static("x-acme-key");
    let change = |settings: &mut Settings| {
        settings.headers = KeyHeaders::only(name).unwrap();
        settings.presenter.set_headers(&settings.headers);
    };
    assert_eq!(caching(change, &[("x-acme-key", KEY)], &[]).await, ["x-acme-key", "private"]);
}

#[tokio::test]
async fn the_inner_body_arrives() {
    let response = send(gate(Inner::new(), &Script::accepting(), |_| {}), request(&[BEARER])).await;
    assert_eq!(text(response).await, "200\n\nhello");
}

#[tokio::test]
async fn options_is_not_special() {
    let mut preflight = request(&[]);
    *preflight.method_mut() = http::Method::OPTIONS;
    assert_eq!(status_and_seen(&Script::accepting(), |_| {}, preflight).await.0, StatusCode::UNAUTHORIZED);
}
