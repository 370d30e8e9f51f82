use http::{Request, StatusCode};

use super::*;
use crate::{
    middleware::Bound,
    outcome::RefusalCode,
    owner::OrganizationId,
    scope::{Scope, Scopes},
};

fn parts(principal: Option<Principal>, anonymous: bool) -> Parts {
    let mut request = Request::new(());
    if let Some(principal) = principal {
        request.extensions_mut().insert(principal);
    }
    if anonymous {
        request.extensions_mut().insert(Anonymous);
    }
    request.into_parts().0
}

fn alice() -> Option<Principal> {
    Some(Principal::fake().user("alice").unwrap().build())
}

fn blue() -> Option<Principal> {
    Some(Principal::fake().team("blue").unwrap().build())
}

async fn required<T: FromRequestParts<(), Rejection = Refusal>>(mut parts: Parts) -> Result<T, RefusalCode> {
    T::from_request_parts(&mut parts, &()).await.map_err(|refusal| refusal.code())
}

async fn optional(mut parts: Parts) -> Result<Option<Principal>, RefusalCode> {
    <Principal as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &())
        .await
        .map_err(|refusal| refusal.code())
}

#[tokio::test]
async fn a_key_without_any_scope_is_no_caller() {
    let none = |principal: crate::FakePrincipal| Some(principal.scopes(Scopes::none()).build());
    let user = || none(Principal::fake().user("alice").unwrap());
    let team = || none(Principal::fake().team("blue").unwrap());
    let refused = RefusalCode::InsufficientScope;
    assert_eq!(required::<Principal>(parts(user(), false)).await.unwrap_err(), refused);
    assert_eq!(required::<UserPrincipal>(parts(user(), false)).await.unwrap_err(), refused);
    assert_eq!(required::<TeamPrincipal>(parts(team(), false)).await.unwrap_err(), refused);
    assert_eq!(optional(parts(team(), false)).await.unwrap_err(), refused);
    let manages = Principal::fake().scopes(Scopes::none().with(Scope::KEYS_MANAGE)).build();
    required::<Principal>(parts(Some(manages), false)).await.unwrap();
}

#[tokio::test]
async fn a_principal_is_the_caller() {
    assert_eq!(required::<Principal>(parts(alice(), false)).await.unwrap().user().unwrap().as_str(), "alice");
    assert_eq!(required::<Principal>(parts(blue(), false)).await.unwrap().team().unwrap().as_str(), "blue");
}

#[tokio::test]
async fn the_other_kind_of_key_is_refused() {
    let user = required::<UserPrincipal>(parts(alice(), false)).await.unwrap();
    assert_eq!((user.user(), user.owner()), (&alice().unwrap().user_ref().unwrap(), alice().unwrap().owner()));
    assert_eq!(required::<UserPrincipal>(parts(blue(), false)).await.unwrap_err(), RefusalCode::WrongKeyKind);

    let team = required::<TeamPrincipal>(parts(blue(), false)).await.unwrap();
    assert_eq!((team.team(), team.owner()), (&blue().unwrap().team_ref().unwrap(), blue().unwrap().owner()));
    assert_eq!(team.into_principal().team().unwrap().as_str(), "blue");
    assert_eq!(required::<TeamPrincipal>(parts(alice(), false)).await.unwrap_err(), RefusalCode::WrongKeyKind);
}

#[tokio::test]
async fn nobody_is_none_to_an_optional_extractor_and_refused_by_the_others() {
    assert!(optional(parts(None, true)).await.unwrap().is_none());
    assert!(optional(parts(alice(), false)).await.unwrap().is_some());
    // An optional layer further out saw no key before a layer further in saw one.
    assert!(optional(parts(alice(), true)).await.unwrap().is_some());
    assert_eq!(required::<Principal>(parts(None, true)).await.unwrap_err(), RefusalCode::MissingCredentials);
    assert_eq!(required::<UserPrincipal>(parts(None, true)).await.unwrap_err(), RefusalCode::MissingCredentials);
}

#[tokio::test]
async fn without_a_layer_every_extractor_says_so() {
    assert_eq!(required::<Principal>(parts(None, false)).await.unwrap_err(), RefusalCode::Misconfigured);
    assert_eq!(required::<UserPrincipal>(parts(None, false)).await.unwrap_err(), RefusalCode::Misconfigured);
    assert_eq!(required::<TeamPrincipal>(parts(None, false)).await.unwrap_err(), RefusalCode::Misconfigured);
    assert_eq!(optional(parts(None, false)).await.unwrap_err(), RefusalCode::Misconfigured);
}

fn of(organization: &str) -> Principal {
    Principal::fake().team("blue").unwrap().organization(OrganizationId::new(organization).unwrap()).build()
}

/// A request by `caller` that a layer judged for `judged`.
fn bound(caller: &Principal, judged: Bound) -> Parts {
    let mut parts = parts(Some(caller.clone()), false);
    judged.put_into(&mut parts.extensions);
    parts
}

#[tokio::test]
async fn a_caller_in_an_organization_is_whom_a_layer_judged() {
    let acme = of("acme");
    let found = required::<InOrganization>(bound(&acme, Bound::of(acme.clone()))).await.unwrap();
    assert_eq!((found.organization(), found.team_of_request()), (acme.organization(), None));
    let team = acme.team_ref().unwrap();
    let judged = Bound::to_team(acme.clone(), team.clone());
    let found = required::<InOrganization<TeamPrincipal>>(bound(&acme, judged.clone())).await.unwrap();
    assert_eq!((found.team_of_request(), found.team()), (Some(&team), &team));
    let wrong = required::<InOrganization<UserPrincipal>>(bound(&acme, judged)).await.unwrap_err();
    assert_eq!(wrong, RefusalCode::WrongKeyKind);
}

#[tokio::test]
async fn a_caller_whom_no_layer_judged_is_in_no_organization() {
    let acme = of("acme");
    let unjudged = required::<InOrganization>(parts(Some(acme.clone()), false)).await.unwrap_err();
    assert_eq!(unjudged, RefusalCode::Misconfigured);
    // Also not in the single organization: the handler relies on the comparison by a layer.
    assert_eq!(required::<InOrganization>(parts(blue(), false)).await.unwrap_err(), RefusalCode::Misconfigured);
    // A layer further in found another caller than the one that was judged.
    let other = required::<InOrganization>(bound(&of("evil"), Bound::of(acme))).await.unwrap_err();
    assert_eq!(other, RefusalCode::WrongTeam);
    assert_eq!(required::<InOrganization>(parts(None, true)).await.unwrap_err(), RefusalCode::MissingCredentials);
}

#[tokio::test]
async fn what_a_layer_further_out_judged_of_a_team_is_not_forgotten() {
    let acme = of("acme");
    let mut parts = bound(&acme, Bound::to_team(acme.clone(), acme.team_ref().unwrap()));
    Bound::of(acme.clone()).put_into(&mut parts.extensions);
    let found = required::<InOrganization>(parts).await.unwrap();
    assert_eq!(found.team_of_request(), acme.team_ref().as_ref());
    // The mark of another caller is.
    let mut parts = bound(&of("evil"), Bound::to_team(acme.clone(), acme.team_ref().unwrap()));
    Bound::of(of("evil")).put_into(&mut parts.extensions);
    assert_eq!(required::<InOrganization>(parts).await.unwrap().team_of_request(), None);
}

#[test]
fn a_refusal_is_a_response() {
    let response = Refusal::new(RefusalCode::WrongTeam).into_response();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), Some(RefusalCode::WrongTeam));
}
