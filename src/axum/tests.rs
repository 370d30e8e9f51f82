use http::{Request, StatusCode};

use super::*;

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
async fn a_principal_is_whoever_calls() {
    assert_eq!(required::<Principal>(parts(alice(), false)).await.unwrap().user().unwrap().as_str(), "alice");
    assert_eq!(required::<Principal>(parts(blue(), false)).await.unwrap().team().unwrap().as_str(), "blue");
}

#[tokio::test]
async fn the_other_kind_of_key_is_refused() {
    let user = required::<UserPrincipal>(parts(alice(), false)).await.unwrap();
    assert_eq!((user.user().as_str(), user.owner()), ("alice", alice().unwrap().owner()));
    assert_eq!(required::<UserPrincipal>(parts(blue(), false)).await.unwrap_err(), RefusalCode::WrongKeyKind);

    let team = required::<TeamPrincipal>(parts(blue(), false)).await.unwrap();
    assert_eq!((team.team().as_str(), team.owner()), ("blue", blue().unwrap().owner()));
    assert_eq!(team.into_principal().team().unwrap().as_str(), "blue");
    assert_eq!(required::<TeamPrincipal>(parts(alice(), false)).await.unwrap_err(), RefusalCode::WrongKeyKind);
}

#[tokio::test]
async fn nobody_is_none_to_an_optional_extractor_and_refused_by_the_others() {
    assert!(optional(parts(None, true)).await.unwrap().is_none());
    assert!(optional(parts(alice(), false)).await.unwrap().is_some());
    // An optional layer further out saw nobody before a layer further in saw a key.
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

#[test]
fn a_refusal_is_a_response() {
    let response = Refusal::new(RefusalCode::WrongTeam).into_response();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.extensions().get::<Refusal>().map(Refusal::code), Some(RefusalCode::WrongTeam));
}
