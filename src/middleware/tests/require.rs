//! What a request has to prove besides its key.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{HeaderValue, request::Parts};
use tower::Layer;

use super::support::*;
use crate::{
    middleware::{
        MembershipQuestion, Refusal, RefusalCode, RequireKeyLayer, acting_as, acting_as_nobody, realm::Realm,
    },
    owner::{KeyKind, TeamId},
    principal::Principal,
    scope::{Scope, Scopes},
};

fn alice() -> Principal {
    Principal::fake().user("alice").unwrap().build()
}

fn blue() -> Principal {
    Principal::fake().team("blue").unwrap().build()
}

#[tokio::test]
async fn a_key_without_any_scope_passes_only_if_that_is_said() {
    let holder = |scopes| Principal::fake().team("blue").unwrap().scopes(scopes).build();
    let layers = [RequireKeyLayer::new(), RequireKeyLayer::new().kind(KeyKind::Team), for_team()];
    for layer in layers {
        let layer = || layer.clone();
        let none = || holder(Scopes::none());
        assert_eq!(answer(layer(), none(), "/teams/blue").await, Err(RefusalCode::InsufficientScope));
        assert_eq!(answer(layer().allow_scopeless(), none(), "/teams/blue").await, Ok(()));
        let manages = holder(Scopes::none().with(Scope::KEYS_MANAGE));
        assert_eq!(answer(layer(), manages, "/teams/blue").await, Ok(()));
    }
    let asks = RequireKeyLayer::new().scope(Scope::new("read").unwrap()).allow_scopeless();
    assert_eq!(answer(asks, holder(Scopes::none()), "/").await, Err(RefusalCode::InsufficientScope));
}

fn team_of(request: &Parts) -> Option<TeamId> {
    TeamId::new(request.uri.path().strip_prefix("/teams/")?).ok()
}

fn for_team() -> RequireKeyLayer {
    RequireKeyLayer::new().team(team_of)
}

/// 200, or the code of the refusal.
async fn answer(layer: RequireKeyLayer, principal: Principal, path: &str) -> Result<(), RefusalCode> {
    let mut request = request(&[]);
    *request.uri_mut() = path.parse().unwrap();
    let inner = Inner::new();
    let response = send(acting_as(principal).layer(layer.layer(inner.clone())), request).await;
    let code = response.extensions().get::<Refusal>().map(Refusal::code);
    assert_eq!(inner.calls(), usize::from(code.is_none()));
    assert_eq!(response.status(), code.map_or(http::StatusCode::OK, RefusalCode::status));
    code.map_or(Ok(()), Err)
}

#[tokio::test]
async fn a_layer_without_rules_asks_for_a_principal_only() {
    assert_eq!(answer(RequireKeyLayer::new(), alice(), "/").await, Ok(()));
    assert_eq!(answer(RequireKeyLayer::new(), blue(), "/").await, Ok(()));
}

#[tokio::test]
async fn another_kind_of_key_is_refused() {
    let kind = |kind| RequireKeyLayer::new().kind(kind);
    assert_eq!(answer(kind(KeyKind::User), alice(), "/").await, Ok(()));
    assert_eq!(answer(kind(KeyKind::Team), blue(), "/").await, Ok(()));
    assert_eq!(answer(kind(KeyKind::Team), alice(), "/").await, Err(RefusalCode::WrongKeyKind));
    assert_eq!(answer(kind(KeyKind::User), blue(), "/").await, Err(RefusalCode::WrongKeyKind));
}

#[tokio::test]
async fn every_scope_that_is_asked_for_must_be_there() {
    let scope = |text: &str| Scope::new(text).unwrap();
    let holder = |scopes: Scopes| Principal::fake().scopes(scopes).build();
    let both = RequireKeyLayer::new().scope(scope("read")).scope(scope("write"));
    assert_eq!(answer(both.clone(), holder(Scopes::all()), "/").await, Ok(()));
    let read_write = holder(Scopes::none().with(scope("read")).with(scope("write")));
    assert_eq!(answer(both.clone(), read_write, "/").await, Ok(()));
    let read = holder(Scopes::none().with(scope("read")));
    assert_eq!(answer(both, read, "/").await, Err(RefusalCode::InsufficientScope));
    let manage = RequireKeyLayer::new().scope(Scope::KEYS_MANAGE);
    assert_eq!(answer(manage, holder(Scopes::all()), "/").await, Err(RefusalCode::InsufficientScope));
}

#[tokio::test]
async fn a_team_key_reaches_its_own_team_only() {
    assert_eq!(answer(for_team(), blue(), "/teams/blue").await, Ok(()));
    assert_eq!(answer(for_team(), blue(), "/teams/red").await, Err(RefusalCode::WrongTeam));
}

#[tokio::test]
async fn a_request_about_no_team_is_refused() {
    assert_eq!(answer(for_team(), blue(), "/").await, Err(RefusalCode::WrongTeam));
    let everyone = for_team().membership(async |_| Ok::<_, std::io::Error>(true));
    assert_eq!(answer(everyone, alice(), "/").await, Err(RefusalCode::WrongTeam));
}

#[tokio::test]
async fn a_user_key_does_not_pass_unasked() {
    assert_eq!(answer(for_team(), alice(), "/teams/blue").await, Err(RefusalCode::WrongTeam));
}

#[tokio::test]
async fn membership_decides_about_user_keys() {
    let layer = || {
        for_team().membership(async |asked: MembershipQuestion| {
            tokio::task::yield_now().await;
            assert_eq!(asked.principal.user(), Some(&asked.user));
            Ok::<_, std::io::Error>(asked.user.as_str() == "alice" && asked.team.team.as_str() == "blue")
        })
    };
    assert_eq!(answer(layer(), alice(), "/teams/blue").await, Ok(()));
    assert_eq!(answer(layer(), alice(), "/teams/red").await, Err(RefusalCode::WrongTeam));
    let bob = Principal::fake().user("bob").unwrap().build();
    assert_eq!(answer(layer(), bob, "/teams/blue").await, Err(RefusalCode::WrongTeam));
}

#[tokio::test]
async fn membership_is_not_asked_for_team_keys_nor_after_another_refusal() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let layer = for_team().kind(KeyKind::Team).membership(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, std::io::Error>(true) }
    });
    assert_eq!(answer(layer.clone(), blue(), "/teams/blue").await, Ok(()));
    assert_eq!(answer(layer.clone(), blue(), "/teams/red").await, Err(RefusalCode::WrongTeam));
    assert_eq!(answer(layer, alice(), "/teams/blue").await, Err(RefusalCode::WrongKeyKind));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_membership_that_cannot_be_looked_up_is_unavailable() {
    let layer = for_team().membership(async |_| Err::<bool, _>(std::io::Error::other("directory down")));
    assert_eq!(answer(layer, alice(), "/teams/blue").await, Err(RefusalCode::StoreUnavailable));
}

#[tokio::test]
async fn without_a_layer_the_service_is_at_fault() {
    let inner = Inner::new();
    let response = send(RequireKeyLayer::new().layer(inner.clone()), request(&[])).await;
    let answer = text(response).await;
    assert!(answer.starts_with("500\n") && answer.contains("\"code\":\"misconfigured\""), "{answer}");
    assert_eq!(inner.calls(), 0);
}

#[tokio::test]
async fn nobody_is_asked_for_a_key() {
    let service = acting_as_nobody().layer(RequireKeyLayer::new().layer(Inner::new()));
    let response = send(service, request(&[])).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), Some(RefusalCode::MissingCredentials));
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_trailers() {
    let service = acting_as(blue()).layer(RequireKeyLayer::new().kind(KeyKind::User).layer(Inner::new()));
    let response = send(service, call(&[])).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (http::StatusCode::OK, &HeaderValue::from_static("7"))
    );
}

#[tokio::test]
async fn an_api_key_layer_outside_shapes_the_refusal_but_not_a_grpc_one() {
    let keyed = [("x-api-key", KEY)];
    for (request, challenge) in
        [(request(&keyed), Some("Bearer realm=\"Acme\", error=\"insufficient_scope\"")), (call(&keyed), None)]
    {
        let inner = RequireKeyLayer::new().kind(KeyKind::Team).layer(Inner::new());
        let service = gate(inner, &Script::accepting(), |settings| {
            settings.presenter.set_realm(Realm::new("Acme").unwrap());
        });
        let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
        let actual = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!(actual, challenge);
    }
}
