use super::*;

#[test]
fn a_team_key_reaches_its_own_team_only() {
    let blue = Principal::fake().team("blue").unwrap().build();
    assert_eq!(blue.access_to(&TeamId::new("blue").unwrap()), TeamAccess::Granted);
    assert_eq!(blue.access_to(&TeamId::new("red").unwrap()), TeamAccess::Refused);
}

#[tokio::test]
async fn a_user_key_never_passes_unasked() {
    let alice = Principal::fake().user("alice").unwrap().build();
    let team = TeamId::new("blue").unwrap();
    assert!(matches!(alice.access_to(&team), TeamAccess::AskMembership(user) if user.as_str() == "alice"));
    let answer = |answer: Result<bool, &'static str>| alice.authorize_team(&team, move |_| async move { answer });
    assert!(answer(Ok(true)).await.is_ok());
    assert!(matches!(answer(Ok(false)).await, Err(TeamRefused::NotAllowed)));
    assert!(matches!(answer(Err("down")).await, Err(TeamRefused::Unknown("down"))));
}

#[tokio::test]
async fn a_team_key_asks_no_membership() {
    let blue = Principal::fake().team("blue").unwrap().build();
    let asked = |_| async { Err::<bool, _>("asked") };
    assert!(blue.authorize_team(&TeamId::new("blue").unwrap(), asked).await.is_ok());
    let refused = blue.authorize_team(&TeamId::new("red").unwrap(), asked).await;
    assert!(matches!(refused, Err(TeamRefused::NotAllowed)));
}
