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

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

#[test]
fn equal_ids_of_two_organizations_are_two_teams() {
    let engineering = TeamId::new("engineering").unwrap();
    let in_acme = TeamRef::new(organization("acme"), engineering.clone());
    let of = |id: &str| Principal::fake().team("engineering").unwrap().organization(organization(id)).build();
    assert_eq!(of("acme").access_to(&in_acme), TeamAccess::Granted);
    assert_eq!(of("evil").access_to(&in_acme), TeamAccess::Refused);
    assert_eq!(of("default").access_to(&in_acme), TeamAccess::Refused);
    assert_eq!(of("default").access_to(&engineering), TeamAccess::Granted);
}

/// Also not if the organization is almost the single one: different case, or longer.
#[test]
fn a_team_id_alone_grants_to_the_single_organization_only() {
    let engineering = TeamId::new("engineering").unwrap();
    for id in ["acme", "Default", "default-", "default2", "defaul"] {
        let team = Principal::fake().team("engineering").unwrap().organization(organization(id)).build();
        assert_eq!(team.access_to(&engineering), TeamAccess::Refused, "{id}");
        let user = Principal::fake().organization(organization(id)).build();
        assert_eq!(user.access_to(&engineering), TeamAccess::Refused, "{id}");
    }
}

#[tokio::test]
async fn membership_is_not_asked_about_a_user_of_another_organization() {
    let alice = Principal::fake().user("alice").unwrap().organization(organization("evil")).build();
    let asked = |_| async { Err::<bool, _>("asked") };
    let team = TeamId::new("blue").unwrap();
    assert!(matches!(alice.authorize_team(&team, asked).await, Err(TeamRefused::NotAllowed)));
    let in_acme = TeamRef::new(organization("acme"), team.clone());
    assert!(matches!(alice.authorize_team(&in_acme, asked).await, Err(TeamRefused::NotAllowed)));
    let at_home = TeamRef::new(organization("evil"), team);
    assert!(matches!(alice.authorize_team(&at_home, asked).await, Err(TeamRefused::Unknown("asked"))));
}

#[test]
fn a_pair_names_the_principals_own_organization() {
    let team = Principal::fake().team("blue").unwrap().organization(organization("acme")).build();
    assert_eq!(team.team_ref(), Some(TeamRef::new(organization("acme"), TeamId::new("blue").unwrap())));
    assert_eq!(team.user_ref(), None);
    let alice = Principal::fake().user("alice").unwrap().organization(organization("acme")).build();
    assert_eq!(alice.user_ref(), Some(UserRef::new(organization("acme"), UserId::new("alice").unwrap())));
}
