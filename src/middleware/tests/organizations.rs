//! Equal ids in two organizations: half of a pair never gives access.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::request::Parts;
use http_body_util::Full;
use tower::{Layer, ServiceExt, limit::ConcurrencyLimit};

use super::support::*;
use crate::{
    middleware::{ActingAs, MembershipQuestion, Refusal, RefusalCode, RequireKeyLayer, acting_as},
    owner::{OrganizationId, TeamId, TeamRef},
    principal::Principal,
};

type Told<T> = Result<Option<T>, std::io::Error>;

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

fn blue(of: &str) -> Principal {
    Principal::fake().team("blue").unwrap().organization(organization(of)).build()
}

fn alice(of: &str) -> Principal {
    Principal::fake().user("alice").unwrap().organization(organization(of)).build()
}

fn blue_of(of: &str) -> TeamRef {
    TeamRef::new(organization(of), TeamId::new("blue").unwrap())
}

/// 200, or the code of the refusal.
async fn answer(layer: &RequireKeyLayer, caller: Principal, path: &str) -> Result<(), RefusalCode> {
    let mut request = request(&[]);
    *request.uri_mut() = path.parse().unwrap();
    let response = send(acting_as(caller).layer(layer.layer(Inner::new())), request).await;
    response.extensions().get::<Refusal>().map(Refusal::code).map_or(Ok(()), Err)
}

const REFUSED: Result<(), RefusalCode> = Err(RefusalCode::WrongTeam);
const UNAVAILABLE: Result<(), RefusalCode> = Err(RefusalCode::StoreUnavailable);

fn everyone(_: MembershipQuestion) -> std::future::Ready<Result<bool, std::io::Error>> {
    std::future::ready(Ok(true))
}

#[tokio::test]
async fn a_team_id_alone_is_of_the_single_organization() {
    let told = RequireKeyLayer::new().team(|_| TeamId::new("blue").ok()).membership(everyone);
    let found =
        RequireKeyLayer::new().find_team(|_, _| async { Told::Ok(TeamId::new("blue").ok()) }).membership(everyone);
    let at = RequireKeyLayer::new().team_at("/teams/{team}").unwrap().membership(everyone);
    for layer in [told, found, at] {
        for caller in [blue("default"), alice("default")] {
            assert_eq!(answer(&layer, caller, "/teams/blue").await, Ok(()));
        }
        for caller in [blue("acme"), alice("acme")] {
            assert_eq!(answer(&layer, caller, "/teams/blue").await, REFUSED);
        }
    }
}

/// No matter what was called before or after.
#[tokio::test]
async fn an_id_alone_that_a_function_says_stays_alone_in_a_layer_of_an_organization() {
    let acme = || RequireKeyLayer::new().organization(|_| Some(organization("acme")));
    let alone = |layer: RequireKeyLayer| layer.team(|_| TeamId::new("blue").ok());
    assert_eq!(answer(&alone(acme()), blue("acme"), "/").await, REFUSED);
    assert_eq!(answer(&alone(acme()), blue("default"), "/").await, REFUSED);
    let pair = acme().team(|_| Some(blue_of("acme")));
    assert_eq!(answer(&pair, blue("acme"), "/").await, Ok(()));
}

#[tokio::test]
async fn both_halves_of_a_path_are_compared() {
    let layer = RequireKeyLayer::new().team_at("/orgs/{organization}/teams/{team}/…").unwrap().membership(everyone);
    for of in ["acme", "evil", "default"] {
        for path_of in ["acme", "evil", "default"] {
            let expected = if of == path_of { Ok(()) } else { REFUSED };
            for caller in [blue(of), alice(of)] {
                let path = format!("/orgs/{path_of}/teams/blue/agents");
                assert_eq!(answer(&layer, caller, &path).await, expected, "{of} at {path}");
            }
        }
    }
    assert_eq!(answer(&layer, blue("acme"), "/orgs/acme/teams/red").await, REFUSED);
    assert_eq!(answer(&layer, blue("acme"), "/v1/orgs/acme/teams/blue").await, REFUSED);
}

#[tokio::test]
async fn a_team_in_a_path_is_of_the_organization_that_the_layer_asks_for() {
    let by_host = |request: &Parts| OrganizationId::new(request.headers.get("host")?.to_str().ok()?).ok();
    let layers = [
        RequireKeyLayer::new().organization(by_host).team_at("/teams/{team}").unwrap(),
        RequireKeyLayer::new().team_at("/teams/{team}").unwrap().organization(by_host),
    ];
    for layer in layers {
        for (of, host, expected) in [
            ("acme", "acme", Ok(())),
            ("acme", "evil", REFUSED),
            ("evil", "acme", REFUSED),
            ("default", "acme", REFUSED),
        ] {
            let mut request = request(&[("host", host)]);
            *request.uri_mut() = "/teams/blue".parse().unwrap();
            let response = send(acting_as(blue(of)).layer(layer.layer(Inner::new())), request).await;
            let code = response.extensions().get::<Refusal>().map(Refusal::code);
            assert_eq!(code.map_or(Ok(()), Err), expected, "{of} at {host}");
        }
    }
}

#[tokio::test]
async fn an_organization_that_is_asked_for_is_compared() {
    let told = RequireKeyLayer::new().organization(|_| Some(organization("acme")));
    let at = RequireKeyLayer::new().organization_at("/{organization}/…").unwrap();
    let found = RequireKeyLayer::new().find_organization(|_, _| async {
        tokio::task::yield_now().await;
        Told::Ok(Some(organization("acme")))
    });
    for layer in [told, at, found] {
        assert_eq!(answer(&layer, blue("acme"), "/acme/x").await, Ok(()));
        for caller in [blue("evil"), alice("evil"), blue("default")] {
            assert_eq!(answer(&layer, caller, "/acme/x").await, REFUSED);
        }
    }
}

#[tokio::test]
async fn what_is_about_nothing_is_refused_and_what_cannot_be_found_out_is_unavailable() {
    let down = || std::io::Error::other("directory down");
    let new = RequireKeyLayer::new;
    for (layer, expected) in [
        (new().organization(|_| None), REFUSED),
        (new().find_organization(|_, _| async { Told::Ok(None) }), REFUSED),
        (new().organization_at("/orgs/{organization}").unwrap(), REFUSED),
        (new().find_team(|_, _| async { Told::<TeamRef>::Ok(None) }), REFUSED),
        (new().find_organization(move |_, _| async move { Err(down()) }), UNAVAILABLE),
        (new().find_team(move |_, _| async move { Told::<TeamRef>::Err(down()) }), UNAVAILABLE),
        // The first "no" is the answer, no matter what else fails.
        (new().organization(|_| None).find_team(move |_, _| async move { Told::<TeamRef>::Err(down()) }), REFUSED),
    ] {
        assert_eq!(answer(&layer, blue("default"), "/").await, expected);
    }
}

#[tokio::test]
async fn a_function_that_looks_up_sees_the_request_and_the_principal() {
    let layer = RequireKeyLayer::new().find_team(|request, principal| {
        let (slug, organization) =
            (request.uri.path().trim_start_matches('/').to_owned(), principal.organization().clone());
        async move {
            tokio::task::yield_now().await;
            Told::Ok((slug == "our-blue-team").then(|| TeamRef::new(organization, TeamId::new("blue").unwrap())))
        }
    });
    assert_eq!(answer(&layer, blue("acme"), "/our-blue-team").await, Ok(()));
    assert_eq!(answer(&layer, blue("acme"), "/blue").await, REFUSED);
}

#[tokio::test]
async fn membership_is_asked_about_pairs_and_only_in_the_users_own_organization() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let layer = RequireKeyLayer::new().team(|_| Some(blue_of("acme"))).membership(move |question| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, std::io::Error>(question.team == blue_of("acme") && question.user.as_str() == "alice") }
    });
    assert_eq!(answer(&layer, alice("evil"), "/").await, REFUSED);
    assert_eq!(answer(&layer, alice("default"), "/").await, REFUSED);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(answer(&layer, alice("acme"), "/").await, Ok(()));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// A limit of one inside, and a request whose organization look-up never ends.
#[tokio::test]
async fn a_request_whose_organization_is_looked_up_holds_no_permit() {
    let limited = ConcurrencyLimit::new(Inner::new(), 1);
    let waits = RequireKeyLayer::new().find_organization(|_, _| pending::<Told<OrganizationId>>());
    let mut service = acting_as(blue("acme")).layer(waits.layer(limited.clone()));
    let waiting = ServiceExt::<http::Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
    let mut waiting = Box::pin(tower::Service::call(waiting, request(&[])));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let known = acting_as(blue("acme")).layer(RequireKeyLayer::new().layer(limited));
    assert_eq!(known.oneshot(request(&[])).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_layer_for_an_organization_refuses_the_keys_of_all_others() {
    for (of, status) in [("acme", 200), ("evil", 403), ("default", 403), ("Acme", 403)] {
        for script in [Script::accepting_of(of), Script::reading_of(of, tokio::task::yield_now)] {
            for optional in [false, true] {
                let inner = Inner::new();
                let gate = gate(inner.clone(), &script, |settings| {
                    settings.organization = Some(organization("acme"));
                    settings.optional = optional;
                });
                let response = send(gate, request(&[("x-api-key", KEY)])).await;
                assert_eq!(response.status(), status, "{of}");
                let code = response.extensions().get::<Refusal>().map(Refusal::code);
                assert_eq!(code, (status == 403).then_some(RefusalCode::WrongTeam));
                assert_eq!(inner.calls(), usize::from(status == 200));
            }
        }
    }
}

/// The key was taken from the headers by a layer of the same keys further out, which lets all organizations in.
#[tokio::test]
async fn a_layer_for_an_organization_refuses_whom_an_outer_layer_proved() {
    for (of, status) in [("acme", 200), ("evil", 403)] {
        let script = Script::accepting_of(of);
        let inner = gate(Inner::new(), &script, |settings| {
            settings.organization = Some(organization("acme"));
            settings.optional = true;
        });
        let outer = gate(inner, &script, |_| {});
        let response = tower::ServiceExt::oneshot(outer, request(&[("x-api-key", KEY)])).await.unwrap();
        assert_eq!(response.status(), status, "{of}");
    }
}

#[tokio::test]
async fn a_stand_in_for_a_layer_of_an_organization_is_one() {
    let stand_in: ActingAs = acting_as(blue("acme")).for_its_organization();
    let inner = tower::service_fn(async |request: http::Request<()>| {
        Ok::<_, std::io::Error>(request.extensions().get::<crate::middleware::bound::Bound>().is_some())
    });
    assert!(stand_in.layer(inner).oneshot(http::Request::new(())).await.unwrap());
    assert!(!acting_as(blue("acme")).layer(inner).oneshot(http::Request::new(())).await.unwrap());
}
