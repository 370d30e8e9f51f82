//! No cache keeps any refusal, no matter where it was made and in which form.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use tower::{Layer, ServiceExt};

use super::{grpc_details::Details, support::*};
use crate::{
    auth::{AuthError, AuthErrorKind},
    key::MalformedReason,
    middleware::{KeyHeaders, Refusal, RefusalCode, RejectionBody, RequireKeyLayer, acting_as, settings::Settings},
    owner::{KeyKind, OrganizationId},
    principal::Principal,
};

const METHODS: [Method; 9] = [
    Method::CONNECT,
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::POST,
    Method::PUT,
    Method::TRACE,
];

/// Content types of requests, and what answers to gRPC calls of that type have.
const TYPES: [(Option<&str>, Option<&str>); 5] = [
    (None, None),
    (Some("application/json"), None),
    (Some("application/grpc+proto"), Some("application/grpc")),
    (Some("application/grpc-web+proto"), Some("application/grpc-web")),
    (Some("application/grpc-web-text"), Some("application/grpc-web-text")),
];

/// A request of each method, version and content type.
fn requests(lines: &[(&str, &str)]) -> Vec<(Request<Full<Bytes>>, Option<&'static str>)> {
    let mut requests = Vec::new();
    for method in METHODS {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            for (content_type, answer) in TYPES {
                let mut request = request(lines);
                *request.method_mut() = method.clone();
                *request.version_mut() = version;
                if let Some(content_type) = content_type {
                    request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
                }
                let is_native = answer == Some("application/grpc");
                let oldest = if is_native { Version::HTTP_2 } else { Version::HTTP_11 };
                requests.push((request, answer.filter(|_| method == Method::POST && version >= oldest)));
            }
        }
    }
    requests
}

/// Status, code and headers of a refusal, in the form that its request asked for.
fn check<B>(response: &Response<B>, code: RefusalCode, grpc: Option<&str>, what: &str) {
    let headers = response.headers();
    let all = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("cache-control"), ["no-store"], "{what}");
    let vary = all("vary").join(", ");
    for name in ["authorization", "x-api-key", "content-type"] {
        assert_eq!(vary.split(", ").filter(|item| *item == name).count(), 1, "{what}: {vary}");
    }
    assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), Some(code), "{what}");
    match grpc {
        None => {
            assert_eq!(response.status(), code.status(), "{what}");
            assert_eq!(headers["content-type"], "application/problem+json", "{what}");
            assert!(!headers.contains_key("grpc-status"), "{what}");
        }
        Some(content_type) => {
            assert_eq!(
                (response.status(), &headers["content-type"].to_str().unwrap()),
                (StatusCode::OK, &content_type)
            );
            let details = Details::read(headers["grpc-status-details-bin"].to_str().unwrap());
            assert_eq!(headers["grpc-status"], details.code.to_string().as_str(), "{what}");
            assert_eq!(details.reason, code.as_str().to_ascii_uppercase(), "{what}");
            let helps = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&code.status());
            assert_eq!(details.retry_seconds, helps.then_some(1), "{what}");
            for http in ["www-authenticate", "retry-after"] {
                assert!(!headers.contains_key(http), "{what}: {http}");
            }
        }
    }
}

fn what(request: &Request<Full<Bytes>>) -> String {
    format!("{} {:?} {:?}", request.method(), request.version(), request.headers().get("content-type"))
}

#[tokio::test]
async fn what_a_layer_refuses() {
    let keyed: &[(&str, &str)] = &[("x-api-key", KEY)];
    let condemned = Script::condemning().into_iter().map(|(script, code)| (keyed, script, code));
    let mut cases = vec![
        // At once.
        (&[][..], Script::accepting(), RefusalCode::MissingCredentials),
        (&[("x-api-key", KEY), ("x-api-key", KEY)], Script::accepting(), RefusalCode::AmbiguousCredentials),
        (&[("x-api-key", "")], Script::accepting(), RefusalCode::MalformedKey),
        (&[("x-api-key", "user.Dw8P")], Script::accepting(), RefusalCode::MalformedKey),
        (&[("x-api-key", WRONG)], Script::accepting(), RefusalCode::InvalidKey),
        (keyed, Script::expired_since(), RefusalCode::KeyExpired),
        // After a wait.
        (keyed, Script::overloaded().await, RefusalCode::Overloaded),
    ];
    cases.extend(condemned);
    for (lines, script, code) in cases {
        for (request, grpc) in requests(lines) {
            let what = what(&request);
            check(&send(gate(Inner::new(), &script, |_| {}), request).await, code, grpc, &what);
        }
    }
}

/// Every possible end of a check.
#[test]
fn what_an_authenticator_refuses() {
    for kind in [
        AuthErrorKind::ClockUnsure,
        AuthErrorKind::CorruptRecord,
        AuthErrorKind::Expired,
        AuthErrorKind::HashFailed,
        AuthErrorKind::Invalid,
        AuthErrorKind::Malformed(MalformedReason::Checksum),
        AuthErrorKind::OwnerClosed,
        AuthErrorKind::OwnerPlanSuspended,
        AuthErrorKind::OwnerSuspended,
        AuthErrorKind::Overloaded,
        AuthErrorKind::Revoked,
        AuthErrorKind::Starved,
        AuthErrorKind::StoreUnavailable,
    ] {
        for (request, grpc) in requests(&[("x-api-key", KEY)]) {
            let response = Refusal::from(&AuthError::new(kind)).into_response_to(&request);
            check(&response, kind.code(), grpc, &what(&request));
        }
    }
}

/// For keys of other organizations: at once, after a wait, and proved by a layer further out.
#[tokio::test]
async fn what_a_layer_of_an_organization_refuses() {
    let of_acme = |settings: &mut Settings| settings.organization = Some(OrganizationId::new("acme").unwrap());
    for script in [Script::accepting(), Script::accepting_late()] {
        for (request, grpc) in requests(&[("x-api-key", KEY)]) {
            let what = what(&request);
            check(&send(gate(Inner::new(), &script, of_acme), request).await, RefusalCode::WrongTeam, grpc, &what);
        }
        for (request, grpc) in requests(&[("x-api-key", KEY)]) {
            let what = what(&request);
            let outer = gate(gate(Inner::new(), &script, of_acme), &script, |_| {});
            check(&outer.oneshot(request).await.unwrap(), RefusalCode::WrongTeam, grpc, &what);
        }
    }
}

/// After an answer that takes time, alone and inside a layer that shapes refusals.
#[tokio::test]
async fn what_a_rule_refuses_after_a_question() {
    let asks = || {
        RequireKeyLayer::new().find_organization(|_, _| async {
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(None)
        })
    };
    let script = Script::accepting();
    for (request, grpc) in requests(&[("x-api-key", KEY)]) {
        let what = what(&request);
        let response = gate(asks().layer(Inner::new()), &script, |_| {}).oneshot(request).await.unwrap();
        check(&response, RefusalCode::WrongTeam, grpc, &what);
    }
    for (request, grpc) in requests(&[]) {
        let what = what(&request);
        let service = acting_as(Principal::fake().build()).layer(asks().layer(Inner::new()));
        check(&send(service, request).await, RefusalCode::WrongTeam, grpc, &what);
    }
}

/// A handler's own refusal of this code.
fn handler(code: RefusalCode) -> Inner {
    Inner::answering(move || Refusal::new(code).into_http::<Full<Bytes>>().map(|_| Full::default()))
}

#[tokio::test]
async fn what_a_handler_refuses() {
    let script = Script::accepting();
    for code in RefusalCode::ALL {
        // Requests with a key and, if none is needed, without.
        for lines in [&[("x-api-key", KEY)][..], &[]] {
            for (request, grpc) in requests(lines) {
                let what = what(&request);
                let service = gate(handler(code), &script, |settings| settings.optional = true);
                check(&send(service, request).await, code, grpc, &what);
            }
        }
        // Without a layer nothing reads the request.
        check(&Refusal::new(code).into_http::<Full<Bytes>>(), code, None, "alone");
    }
}

#[tokio::test]
async fn what_a_rule_refuses() {
    for (request, grpc) in requests(&[]) {
        let what = what(&request);
        let rule = RequireKeyLayer::new().kind(KeyKind::Team).layer(Inner::new());
        let service = acting_as(Principal::fake().build()).layer(rule.clone());
        check(&send(service, request).await, RefusalCode::WrongKeyKind, grpc, &what);
    }
    for (request, grpc) in requests(&[]) {
        let what = what(&request);
        let alone = RequireKeyLayer::new().layer(Inner::new());
        check(&send(alone, request).await, RefusalCode::Misconfigured, grpc, &what);
    }
    let script = Script::accepting();
    for (request, grpc) in requests(&[("x-api-key", KEY)]) {
        let what = what(&request);
        let rule = RequireKeyLayer::new().kind(KeyKind::Team).layer(Inner::new());
        let response = gate(rule, &script, |_| {}).oneshot(request).await.unwrap();
        check(&response, RefusalCode::WrongKeyKind, grpc, &what);
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn what_an_extractor_refuses() {
    use axum::{Router, body::Body, routing::any};

    let script = Script::accepting();
    for (request, grpc) in requests(&[("x-api-key", KEY)]) {
        // A router treats these in another way, or answers them itself.
        if [Method::CONNECT, Method::HEAD].contains(request.method()) {
            continue;
        }
        let what = what(&request);
        let router = Router::new().route("/", any(async |_: crate::extract::TeamPrincipal| ()));
        let service = gate(router, &script, |_| {});
        let response = service.oneshot(request.map(Body::new)).await.unwrap();
        check(&response, RefusalCode::WrongKeyKind, grpc, &what);
    }
}

/// An inner service that adds headers to each answer, as layers for caches do.
fn cached(code: RefusalCode) -> Inner {
    Inner::answering(move || {
        let mut response = Refusal::new(code).into_http::<Full<Bytes>>().map(|_| Full::default());
        for (name, value) in [
            ("cache-control", "public, max-age=600"),
            ("cdn-cache-control", "max-age=600"),
            ("edge-control", "cache-maxage=600s"),
            ("x-litespeed-cache-control", "public, max-age=600"),
            ("vary", "origin"),
            ("x-request-id", "1"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    })
}

#[tokio::test]
async fn no_layer_inside_makes_a_refusal_cacheable() {
    let realm = |settings: &mut Settings| {
        settings.presenter.set_realm(crate::middleware::realm::Realm::new("Acme").unwrap());
    };
    let script = Script::accepting();
    for (request, grpc) in requests(&[("x-api-key", KEY)]) {
        let what = what(&request);
        for change in [realm, |_: &mut Settings| {}, |settings: &mut Settings| settings.private_responses = false] {
            let service = gate(cached(RefusalCode::PlanRequired), &script, change);
            let mut again = self::request(&[("x-api-key", KEY)]);
            (*again.method_mut(), *again.version_mut()) = (request.method().clone(), request.version());
            *again.headers_mut() = request.headers().clone();
            let response = send(service, again).await;
            check(&response, RefusalCode::PlanRequired, grpc, &what);
            for name in ["cdn-cache-control", "edge-control", "x-litespeed-cache-control"] {
                assert!(!response.headers().contains_key(name), "{what}: {name}");
            }
            assert!(response.headers().get_all("vary").iter().any(|vary| vary == "origin"), "{what}");
            assert_eq!(response.headers()["x-request-id"], "1", "{what}");
        }
    }
}

#[tokio::test]
async fn no_rejection_of_ones_own_makes_a_refusal_cacheable() {
    let own = |_: &Refusal| {
        let header = |name| (HeaderName::from_static(name), HeaderValue::from_static("max-age=600"));
        let (control, value) = header("cache-control");
        let (cdn, other) = header("cdn-cache-control");
        RejectionBody::json("{}")
            .with_header(control, value)
            .with_header(cdn, other)
            .with_header(HeaderName::from_static("vary"), HeaderValue::from_static("origin"))
    };
    let script = Script::accepting();
    let response = send(gate(Inner::new(), &script, |settings| settings.presenter.set_body(own)), request(&[])).await;
    assert_eq!(
        text(response).await,
        "401\ncache-control: no-store\ncontent-type: application/json\nvary: authorization, x-api-key, content-type\n\
         vary: origin\nwww-authenticate: Bearer realm=\"api\"\n\n{}"
    );
}

#[tokio::test]
async fn no_rejection_of_ones_own_hides_a_refusal_from_grpc_clients() {
    let own = |_: &Refusal| RejectionBody::json("{}").with_status(StatusCode::IM_A_TEAPOT);
    for inner in [Inner::new(), handler(RefusalCode::MissingCredentials)] {
        for optional in [false, true] {
            let service = gate(inner.clone(), &Script::accepting(), |settings| {
                settings.optional = optional;
                settings.presenter.set_body(own);
            });
            let response = send(service, call(&[])).await;
            if response.extensions().get::<Refusal>().is_some() {
                check(&response, RefusalCode::MissingCredentials, Some("application/grpc"), "own");
            }
        }
    }
}

#[tokio::test]
async fn a_layer_further_out_adds_the_headers_that_it_reads() {
    let inner = gate(Inner::new(), &Script::revoked(), |_| {});
    let outer = gate(inner, &Script::accepting(), |settings| {
        settings.headers = KeyHeaders::only(HeaderName::from_static("x-acme-key")).unwrap();
        settings.presenter.set_headers(&settings.headers);
    });
    let request = request(&[("x-acme-key", KEY), ("x-api-key", KEY)]);
    let response = outer.oneshot(request).await.unwrap();
    let vary: Vec<_> = response.headers().get_all("vary").iter().map(|vary| vary.to_str().unwrap()).collect();
    assert_eq!(vary, ["authorization, x-api-key, content-type", "x-acme-key"]);
    assert_eq!(response.headers()["cache-control"], "no-store");
}
