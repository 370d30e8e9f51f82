//! Every row of the table of refusals: status, headers and body, to the byte.

use std::{sync::atomic::AtomicBool, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;

use super::{grpc_details::Details, support::*};
use crate::{
    auth::{AuthError, AuthErrorKind},
    key::MalformedReason,
    middleware::{KeyHeaders, Refusal, RefusalCode, RejectionBody, headers::Instead, realm::Realm, settings::Settings},
    store::StoreError,
};

/// The expected answer; `rest` is `detail` and what follows it in the body.
fn refused(status: u16, title: &str, challenge: Option<&str>, retry_after: Option<u64>, rest: &str) -> String {
    let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\n")).unwrap_or_default();
    let challenge = challenge.map(|challenge| format!("www-authenticate: {challenge}\n")).unwrap_or_default();
    format!(
        "{status}\ncache-control: no-store\ncontent-type: application/problem+json\n{retry_after}\
         vary: authorization, x-api-key, content-type\n{challenge}\n\
         {{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},{rest}}}"
    )
}

fn unauthorized(detail: &str, code: &str) -> String {
    let rest = format!("\"detail\":\"{detail}\",\"code\":\"{code}\"");
    refused(401, "Unauthorized", Some("Bearer realm=\"api\", error=\"invalid_token\""), None, &rest)
}

async fn answer_to(script: &Script, lines: &[(&str, &str)]) -> String {
    text(send(gate(Inner::new(), script, |_| {}), request(lines)).await).await
}

/// The answer to an error of this kind, wherever it came from.
async fn said_of(error: &AuthError) -> String {
    text(Refusal::from(error).into_http()).await
}

#[tokio::test]
async fn ambiguous_credentials_are_a_bad_request() {
    let expected = refused(
        400,
        "Bad Request",
        Some("Bearer realm=\"api\", error=\"invalid_request\""),
        None,
        "\"detail\":\"The request has more than one API key, or the header with the key is there twice. Send one key, once.\",\
         \"code\":\"ambiguous_credentials\"",
    );
    for lines in [
        [BEARER, ("x-api-key", STRANGE)],
        [BEARER, ("x-api-key", "")],
        [BEARER, BEARER],
        [("x-api-key", KEY), ("x-api-key", KEY)],
    ] {
        let script = Script::accepting();
        assert_eq!(answer_to(&script, &lines).await, expected, "{lines:?}");
        assert!(!script.was_asked() && script.hits() == 0);
        assert_eq!(script.refused(), [(RefusalCode::AmbiguousCredentials, None, 1)]);
    }
}

#[tokio::test]
async fn a_request_without_a_key_is_told_no_error_code() {
    let expected = refused(
        401,
        "Unauthorized",
        Some("Bearer realm=\"api\""),
        None,
        "\"detail\":\"The request has no API key. Send one in the Authorization header, after the word Bearer and a space, or in the x-api-key header.\",\"code\":\"missing_credentials\"",
    );
    for lines in [&[][..], &[("authorization", "Negotiate dXNlcg==")], &[("cookie", KEY)]] {
        let script = Script::accepting();
        assert_eq!(answer_to(&script, lines).await, expected, "{lines:?}");
        assert_eq!(script.refused(), [(RefusalCode::MissingCredentials, None, 1)]);
    }
}

#[tokio::test]
async fn what_the_reader_finds_malformed_is_never_checked() {
    for (lines, reason) in [
        ([("authorization", KEY)], MalformedReason::MissingScheme),
        ([("authorization", "Token user.AAECAwQFBgcICQoLDA0O.")], MalformedReason::MissingScheme),
        ([("authorization", "Bearer ")], MalformedReason::Empty),
        ([("x-api-key", "")], MalformedReason::Empty),
    ] {
        let script = Script::accepting();
        let rest = format!("malformed_key\",\"reason\":\"{}", reason.as_str());
        assert_eq!(answer_to(&script, &lines).await, unauthorized(reason.advice(), &rest), "{lines:?}");
        assert!(!script.was_asked() && script.hits() == 0);
        assert_eq!(script.refused(), [(RefusalCode::MalformedKey, Some(reason), 1)]);
    }
}

#[tokio::test]
async fn a_malformed_key_is_told_why() {
    let script = Script::accepting();
    let changed = |from: &str, to: &str| KEY.replacen(from, to, 1);
    for (reason, text) in [
        (MalformedReason::Alphabet, changed("Dw8P", "D+8P")),
        (MalformedReason::BearerInside, format!("Bearer {KEY}")),
        (MalformedReason::Checksum, changed("Dw8P", "Dw8Q")),
        (MalformedReason::Encoded, KEY.replace('.', "%2E")),
        (MalformedReason::ForeignCredential, "ghp_16C7e42F292c6912E7710c838347Ae178B4a".into()),
        (MalformedReason::Placeholder, "$API_KEY".into()),
        (MalformedReason::Quotes, format!("\"{KEY}\"")),
        (MalformedReason::TextAround, format!("key={KEY}")),
        (MalformedReason::TooLong, format!("{KEY}=")),
        (MalformedReason::Truncated, KEY[..60].into()),
        (MalformedReason::TwoKeys, format!("{KEY}, {KEY}")),
        (MalformedReason::UnknownPrefix, changed("user", "robot")),
        (MalformedReason::Whitespace, changed("Dw8P", "D 8P")),
    ] {
        let rest = format!("malformed_key\",\"reason\":\"{}", reason.as_str());
        let expected = unauthorized(reason.advice(), &rest);
        assert_eq!(answer_to(&script, &[("x-api-key", &text)]).await, expected, "{text}");
        assert_eq!(said_of(&AuthError::new(AuthErrorKind::Malformed(reason))).await, expected);
    }
}

#[tokio::test]
async fn an_invalid_key_is_unauthorized() {
    let detail = "The API key is not valid. Check that the right key is configured, or create a new one.";
    let expected = unauthorized(detail, "invalid_key");
    assert_eq!(answer_to(&Script::finding(|_| Ok(None)), &[BEARER]).await, expected);
    assert_eq!(answer_to(&Script::accepting(), &[("x-api-key", WRONG)]).await, expected);
    assert_eq!(answer_to(&Script::accepting(), &[("x-api-key", STRANGE)]).await, expected);
}

#[tokio::test]
async fn a_revoked_key_is_unauthorized() {
    let detail = "The API key was revoked. Use another one, or create a new one.";
    assert_eq!(answer_to(&Script::revoked(), &[BEARER]).await, unauthorized(detail, "key_revoked"));
}

#[tokio::test]
async fn an_expired_key_is_unauthorized() {
    let detail = "The API key has expired. Use another one, or create a new one.";
    for script in [Script::expired(), Script::expired_since()] {
        assert_eq!(answer_to(&script, &[BEARER]).await, unauthorized(detail, "key_expired"));
    }
}

#[tokio::test]
async fn a_key_of_a_suspended_owner_is_unauthorized() {
    let detail = "The user, team or organization that this API key belongs to is suspended. Keep the key: it works again when an administrator ends the suspension.";
    assert_eq!(answer_to(&Script::suspended(), &[BEARER]).await, unauthorized(detail, "owner_suspended"));
}

#[tokio::test]
async fn a_key_that_the_plan_does_not_include_is_unauthorized() {
    let detail = "The plan does not include this API key at the moment. Keep the key, and upgrade the plan or ask an administrator of the organization to do it.";
    assert_eq!(answer_to(&Script::plan_suspended(), &[BEARER]).await, unauthorized(detail, "owner_plan_suspended"));
}

#[tokio::test]
async fn a_key_of_a_closed_owner_is_unauthorized() {
    let detail = "The user, team or organization that this API key belongs to is closed permanently, so the key will never work again. Use another key.";
    assert_eq!(answer_to(&Script::closed(), &[BEARER]).await, unauthorized(detail, "owner_closed"));
}

#[tokio::test]
async fn a_paused_key_is_unauthorized() {
    let detail = "The API key is paused. Keep the key, and ask an administrator of the organization to resume it.";
    let refusal = Refusal::new(RefusalCode::KeyPaused);
    let response = refusal.clone().into_response_to(&request(&[BEARER]));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"api\", error=\"invalid_token\"");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = std::str::from_utf8(response.body()).unwrap();
    let expected = format!("\"status\":401,\"detail\":\"{detail}\",\"code\":\"key_paused\"}}");
    assert!(body.ends_with(&expected), "{body}");
    let call = refusal.into_response_to(&call(&[BEARER]));
    assert_eq!((call.status(), &call.headers()["grpc-status"]), (StatusCode::OK, &"16".parse().unwrap()));
    assert_eq!(Details::read(call.headers()["grpc-status-details-bin"].to_str().unwrap()).reason, "KEY_PAUSED");
}

#[tokio::test]
async fn what_cannot_be_checked_is_unavailable_and_never_unauthorized() {
    for (script, retry_after, kinds, detail, code) in [
        (
            Script::overloaded().await,
            1,
            &[AuthErrorKind::Overloaded, AuthErrorKind::Starved, AuthErrorKind::HashFailed][..],
            "The service is busy checking API keys. Keep the key, and try again in a moment.",
            "overloaded",
        ),
        (
            Script::failing_to_hash(),
            1,
            &[AuthErrorKind::HashFailed],
            "The service is busy checking API keys. Keep the key, and try again in a moment.",
            "overloaded",
        ),
        (
            Script::unavailable(),
            1,
            &[AuthErrorKind::StoreUnavailable],
            "API keys cannot be checked at the moment. Keep the key, and try again.",
            "store_unavailable",
        ),
        (
            Script::corrupt(),
            1,
            &[AuthErrorKind::CorruptRecord],
            "The stored data of this API key cannot be read at the moment. Keep the key, and try again later. If this continues, tell the operator of the service.",
            "corrupt_record",
        ),
        (
            Script::in_doubt(),
            30,
            &[AuthErrorKind::ClockUnsure],
            "The clock of the service jumped, so it is not certain whether this API key has expired. Keep the key, and try again in 30 seconds.",
            "clock_unsure",
        ),
    ] {
        let rest = format!("\"detail\":\"{detail}\",\"code\":\"{code}\"");
        let expected = |seconds| refused(503, "Service Unavailable", None, Some(seconds), &rest);
        assert_eq!(answer_to(&script, &[BEARER]).await, expected(retry_after));
        for kind in kinds {
            assert_eq!(said_of(&AuthError::new(*kind)).await, expected(1));
        }
    }
}

#[tokio::test]
async fn retry_after_is_in_whole_seconds_rounded_up_and_at_least_one() {
    for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (59_999, "60")] {
        let error = AuthError::overloaded(Some(Duration::from_millis(millis)), "busy");
        let response = Refusal::from(&error).into_http::<Full<Bytes>>();
        assert_eq!(response.headers()["retry-after"], seconds, "{millis}");
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_forbidden() {
    for (code, detail) in [
        (
            RefusalCode::InsufficientScope,
            "The API key does not have a scope that this request needs. Use a key that has it, or ask for a new key with this scope.",
        ),
        (
            RefusalCode::WrongKeyKind,
            "This kind of API key is not accepted here. Use a team key instead of a personal one, or a personal key instead of a team key.",
        ),
        (
            RefusalCode::WrongTeam,
            "The API key has no access to this team. Use a key of this team, or ask to become a member.",
        ),
        (
            RefusalCode::PlanRequired,
            "The plan does not include this. Upgrade the plan, or ask an administrator of the organization to do it.",
        ),
        (
            RefusalCode::InsufficientRole,
            "Your role does not allow this. Ask an administrator of the team or the organization.",
        ),
    ] {
        let rest = format!("\"detail\":\"{detail}\",\"code\":\"{}\"", code.as_str());
        let challenge = Some("Bearer realm=\"api\", error=\"insufficient_scope\"");
        let expected = refused(403, "Forbidden", challenge, None, &rest);
        assert_eq!(text(Refusal::new(code).into_http()).await, expected);
    }
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let refusal = || Refusal::new(RefusalCode::RateLimited);
    for (refusal, seconds) in [(refusal(), 1), (refusal().with_retry_after(Duration::from_millis(59_001)), 60)] {
        let expected = refused(
            429,
            "Too Many Requests",
            None,
            Some(seconds),
            "\"detail\":\"This API key has sent too many requests. Keep the key, send fewer requests, and try again later.\",\"code\":\"rate_limited\"",
        );
        assert_eq!(text(refusal.into_http()).await, expected);
    }
}

#[tokio::test]
async fn a_missing_layer_is_an_internal_error() {
    let expected = refused(
        500,
        "Internal Server Error",
        None,
        None,
        "\"detail\":\"The service is not set up to check API keys here. There is nothing wrong with the key. Tell the operator of the service.\",\"code\":\"misconfigured\"",
    );
    assert_eq!(text(Refusal::new(RefusalCode::Misconfigured).into_http()).await, expected);
}

#[tokio::test]
async fn the_refusal_is_in_the_extensions_of_the_response() {
    let changed = KEY.replacen("Dw8P", "Dw8Q", 1);
    let response = send(gate(Inner::new(), &Script::accepting(), |_| {}), request(&[("x-api-key", &changed)])).await;
    let refusal = response.extensions().get::<Refusal>().unwrap();
    assert_eq!((refusal.code(), refusal.reason()), (RefusalCode::MalformedKey, Some(MalformedReason::Checksum)));
}

#[tokio::test]
async fn nothing_of_the_request_is_echoed() {
    let marks = ["SECRETSECRET", "EBAQ", "dXNlcg", "canary", "grpc-canary"];
    let malformed = [("authorization", "Bearer user.SECRETSECRET<script>"), ("accept", "canary")];
    let wrong = format!("Bearer {WRONG}");
    let wrong = [("authorization", wrong.as_str()), ("accept", "canary")];
    let call = |lines: &[(&str, &str)]| {
        let mut call = call(lines);
        call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+grpc-canary"));
        call
    };
    let basic = [("authorization", "Basic dXNlcg=="), ("accept", "canary")];
    let unavailable = || Script::finding(|_| Err(StoreError::unavailable("SECRETSECRET")));
    for script in [Script::accepting(), Script::overloaded().await, unavailable()] {
        for request in
            [request(&malformed), call(&malformed), request(&wrong), call(&wrong), request(&basic), call(&basic)]
        {
            let response = send(gate(Inner::new(), &script, |_| {}), request).await;
            let debug = format!("{response:?}");
            let text = text(response).await;
            for mark in marks {
                assert!(!text.contains(mark) && !debug.contains(mark), "{mark} in {text} {debug}");
            }
        }
    }
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_trailers() {
    let message = "The API key was revoked. Use another one, or create a new one.";
    let response = send(gate(Inner::new(), &Script::revoked(), |_| {}), call(&[BEARER])).await;
    assert!(http_body::Body::is_end_stream(response.body()));
    let details = response.headers()["grpc-status-details-bin"].to_str().unwrap().to_owned();
    let expected = format!(
        "200\ncache-control: no-store\ncontent-type: application/grpc\ngrpc-message: {message}\n\
         grpc-status-details-bin: {details}\ngrpc-status: 16\nvary: authorization, x-api-key, content-type\n\n"
    );
    assert_eq!(text(response).await, expected);
    assert_eq!(Details::read(&details).reason, "KEY_REVOKED");
}

#[tokio::test]
async fn a_grpc_call_is_told_what_stops_the_owner() {
    for (script, reason) in [
        (Script::closed(), "OWNER_CLOSED"),
        (Script::plan_suspended(), "OWNER_PLAN_SUSPENDED"),
        (Script::suspended(), "OWNER_SUSPENDED"),
    ] {
        let response = send(gate(Inner::new(), &script, |_| {}), call(&[BEARER])).await;
        assert_eq!((response.status(), &response.headers()["grpc-status"]), (StatusCode::OK, &"16".parse().unwrap()));
        assert_eq!(Details::read(response.headers()["grpc-status-details-bin"].to_str().unwrap()).reason, reason);
        assert!(http_body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn grpc_statuses_are_those_of_the_protocol() {
    let status = async |script: Script, lines: &[(&str, &str)]| {
        let response = send(gate(Inner::new(), &script, |_| {}), call(lines)).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["grpc-status"].to_str().unwrap().to_owned()
    };
    assert_eq!(status(Script::accepting(), &[]).await, "16");
    assert_eq!(status(Script::accepting(), &[BEARER, BEARER]).await, "3");
    assert_eq!(status(Script::accepting(), &[("x-api-key", "\"\"")]).await, "16");
    for (script, kind, expected) in [
        (Script::finding(|_| Ok(None)), AuthErrorKind::Invalid, "16"),
        (Script::expired(), AuthErrorKind::Expired, "16"),
        (Script::closed(), AuthErrorKind::OwnerClosed, "16"),
        (Script::plan_suspended(), AuthErrorKind::OwnerPlanSuspended, "16"),
        (Script::suspended(), AuthErrorKind::OwnerSuspended, "16"),
        (Script::revoked(), AuthErrorKind::Revoked, "16"),
        (Script::overloaded().await, AuthErrorKind::Overloaded, "14"),
        (Script::failing_to_hash(), AuthErrorKind::HashFailed, "14"),
        (Script::unavailable(), AuthErrorKind::StoreUnavailable, "14"),
        (Script::corrupt(), AuthErrorKind::CorruptRecord, "14"),
        (Script::in_doubt(), AuthErrorKind::ClockUnsure, "14"),
    ] {
        assert_eq!(status(script, &[BEARER]).await, expected, "{kind:?}");
        let refusal = Refusal::from(&AuthError::new(kind));
        assert_eq!(refusal.into_response_to(&call(&[])).headers()["grpc-status"], expected, "{kind:?}");
    }
    for (kind, expected) in [(AuthErrorKind::Malformed(MalformedReason::Quotes), "16"), (AuthErrorKind::Starved, "14")]
    {
        let refusal = Refusal::from(&AuthError::new(kind));
        assert_eq!(refusal.into_response_to(&call(&[])).headers()["grpc-status"], expected, "{kind:?}");
    }
    for (code, expected) in [
        (RefusalCode::InsufficientRole, "7"),
        (RefusalCode::InsufficientScope, "7"),
        (RefusalCode::KeyPaused, "16"),
        (RefusalCode::PlanRequired, "7"),
        (RefusalCode::RateLimited, "8"),
        (RefusalCode::WrongKeyKind, "7"),
        (RefusalCode::WrongTeam, "7"),
        (RefusalCode::Misconfigured, "13"),
    ] {
        let response = Refusal::new(code).into_response_to(&call(&[]));
        assert_eq!(response.headers()["grpc-status"], expected, "{code}");
    }
}

fn like_anthropic(refusal: &Refusal) -> RejectionBody {
    let text = format!(r#"{{"type":"error","error":{{"type":"{}"}}}}"#, refusal.code());
    RejectionBody::json(text)
}

#[tokio::test]
async fn a_rejection_replaces_the_body_and_nothing_else() {
    let script = Script::revoked();
    let change = |settings: &mut Settings| settings.presenter.set_body(like_anthropic);
    let expected = "401\ncache-control: no-store\ncontent-type: application/json\n\
                    vary: authorization, x-api-key, content-type\nwww-authenticate: Bearer realm=\"api\", error=\"invalid_token\"\n\n\
                    {\"type\":\"error\",\"error\":{\"type\":\"key_revoked\"}}";
    assert_eq!(text(send(gate(Inner::new(), &script, change), request(&[BEARER])).await).await, expected);
}

#[tokio::test]
async fn a_rejection_may_name_another_status_and_headers_but_no_success() {
    let script = Script::overloaded().await;
    let answer = async |status: StatusCode| {
        let body = move |_: &Refusal| {
            RejectionBody::json("{}")
                .with_status(status)
                .with_header(HeaderName::from_static("retry-after"), HeaderValue::from_static("9"))
        };
        send(gate(Inner::new(), &script, |settings| settings.presenter.set_body(body)), request(&[BEARER])).await
    };
    let response = answer(StatusCode::from_u16(529).unwrap()).await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (529, &HeaderValue::from_static("9")));
    for status in [StatusCode::OK, StatusCode::FOUND, StatusCode::CONTINUE] {
        assert_eq!(answer(status).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{status}");
    }
}

#[tokio::test]
async fn realm_and_names_of_headers_are_those_of_the_layer() {
    let change = |settings: &mut Settings| {
        let headers = KeyHeaders::only(HeaderName::from_static("x-acme-key")).unwrap();
        settings.presenter.set_realm(Realm::new("Acme").unwrap());
        settings.presenter.set_headers(&headers);
        settings.missing = Refusal::missing(headers.advice(Instead::Nothing));
        settings.headers = headers;
    };
    let response = send(gate(Inner::new(), &Script::accepting(), change), request(&[BEARER])).await;
    assert_eq!(response.headers()["vary"], "x-acme-key, content-type");
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"Acme\"");
    assert!(text(response).await.contains("The request has no API key. Send one in the x-acme-key header."));
}

#[tokio::test]
async fn a_refusal_from_within_gets_the_shape_of_the_layer() {
    let inner = Inner::answering(|| {
        let mut response = Refusal::new(RefusalCode::PlanRequired).into_http::<String>().map(|_| "default".into());
        response.headers_mut().insert("content-length", HeaderValue::from_static("7"));
        response.headers_mut().insert("x-request-id", HeaderValue::from_static("1"));
        response
    });
    let change = |settings: &mut Settings| {
        settings.presenter.set_realm(Realm::new("Acme").unwrap());
        settings.presenter.set_body(like_anthropic);
    };
    let expected = "403\ncache-control: no-store\ncontent-type: application/json\n\
                    vary: authorization, x-api-key, content-type\nwww-authenticate: Bearer realm=\"Acme\", error=\"insufficient_scope\"\nx-request-id: 1\n\n\
                    {\"type\":\"error\",\"error\":{\"type\":\"plan_required\"}}";
    assert_eq!(text(send(gate(inner, &Script::accepting(), change), request(&[BEARER])).await).await, expected);
}

#[tokio::test]
async fn an_outer_layer_leaves_the_shape_of_an_inner_one() {
    let inner = gate(Inner::new(), &Script::revoked(), |_| {});
    let ran = std::sync::Arc::new(AtomicBool::new(false));
    let seen = ran.clone();
    let outer = gate(
        tower::ServiceBuilder::new().map_response(|response: http::Response<_>| response).service(inner),
        &Script::accepting(),
        |settings| {
            settings.keep_credentials = true;
            settings.presenter.set_body(move |refusal| {
                seen.store(true, std::sync::atomic::Ordering::SeqCst);
                like_anthropic(refusal)
            });
        },
    );
    let response = tower::ServiceExt::oneshot(outer, request(&[BEARER])).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(!ran.load(std::sync::atomic::Ordering::SeqCst));
}
