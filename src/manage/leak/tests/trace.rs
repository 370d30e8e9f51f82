use crate::{
    Actor, IssueKey, OrganizationId,
    key::PlaintextKey,
    manage::{
        DenialReason, InvalidInput, ManageErrorKind, MatchConfidence, Rights, TeamRole, Traced,
        fixture::{ACTING, Bench, Fault, person, principal, system, team_id, user, user_id},
    },
    record::{KeyRow, Suspension},
    store::{Ledger, OwnerChange, UsageScope},
};

fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

async fn issued(bench: &Bench, organization: OrganizationId) -> PlaintextKey {
    let manager = bench.manager.for_organization(organization);
    manager.issue(IssueKey::team(team_id("blue")), &system()).await.unwrap().into_plaintext()
}

async fn trace(bench: &Bench, text: &str) -> Option<Traced> {
    bench.manager.trace(text, &system()).await.unwrap()
}

#[tokio::test]
async fn a_key_of_any_organization_is_found_whole_or_in_part() {
    let bench = Bench::new();
    for organization in [OrganizationId::single(), acme()] {
        let key = issued(&bench, organization.clone()).await;
        let text = key.expose_secret();
        for (text, evidence) in [
            (text.to_owned(), MatchConfidence::WholeKey),
            (format!("curl -H 'x-api-key: {text}' https://api.example.com"), MatchConfidence::WholeKey),
            (text[..60].to_owned(), MatchConfidence::IdAndSecret),
            (key.redacted(), MatchConfidence::Id),
            (key.id().to_string(), MatchConfidence::Id),
        ] {
            let found = trace(&bench, &text).await.unwrap();
            assert_eq!((&found.organization, found.key.id, found.evidence), (&organization, key.id(), evidence));
            assert_eq!(found.key.organization, organization);
        }
    }
    assert_eq!(trace(&bench, "nothing like a key").await, None);
}

#[tokio::test]
async fn the_surest_of_several_is_told_whatever_organization_it_is_of() {
    let bench = Bench::new();
    let (ours, theirs) = (issued(&bench, OrganizationId::single()).await, issued(&bench, acme()).await);
    let text = format!("{} {}", ours.redacted(), theirs.expose_secret());
    let found = trace(&bench, &text).await.unwrap();
    assert_eq!((found.key.id, found.evidence), (theirs.id(), MatchConfidence::WholeKey));
}

#[tokio::test]
async fn parts_of_ids_are_looked_for_in_the_single_organization() {
    let bench = Bench::new();
    let (ours, theirs) = (issued(&bench, OrganizationId::single()).await, issued(&bench, acme()).await);
    let found = trace(&bench, &format!("team.{}", &ours.id().as_str()[..8])).await.unwrap();
    assert_eq!((found.key.id, found.evidence), (ours.id(), MatchConfidence::Beginning));
    assert_eq!(trace(&bench, &format!("team.{}", &theirs.id().as_str()[..8])).await, None);
}

#[tokio::test]
async fn dead_keys_are_found_too_and_nothing_is_counted() {
    let bench = Bench::new();
    let key = issued(&bench, acme()).await;
    bench.manager.for_organization(acme()).revoke(&key.id(), &system()).await.unwrap();
    let before = bench.all().await;
    let found = trace(&bench, key.expose_secret()).await.unwrap();
    assert_eq!((found.key.revoked_at, found.evidence), (Some(bench.now()), MatchConfidence::WholeKey));
    assert_eq!(bench.all().await, before);
    assert!(bench.store.inner.usage(&UsageScope::NoKey(vec![None])).await.unwrap().is_empty());
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!((&json["organization"], &json["evidence"]), (&"acme".into(), &"whole_key".into()));
    assert!(!json.to_string().contains(&key.expose_secret()[30..40]));
}

#[tokio::test]
async fn nobody_but_the_system_traces_anything_whether_it_is_there_or_not() {
    let bench = Bench::new();
    let key = issued(&bench, OrganizationId::single()).await;
    bench.plant(ACTING, &user("alice"), "* keys:manage").await;
    let role = DenialReason::InsufficientRole;
    let admin = Rights::none().org_admin();
    for (actor, expected) in [
        (person("alice"), role),
        (Actor::user(user_id("root"), admin.clone()), role),
        (Actor::user(user_id("root"), admin.clone()).with_organization(acme()), role),
        (Actor::user(user_id("mia"), Rights::none().team(team_id("blue"), TeamRole::Owner)), role),
        (Actor::key(&principal(&user("alice"), "* keys:manage"), admin.clone()), DenialReason::NotForKeys),
    ] {
        for text in [key.expose_secret(), key.id().as_str(), "nothing", &"x".repeat(70_000)] {
            let error = bench.manager.trace(text, &actor).await.unwrap_err();
            assert_eq!(error.kind(), ManageErrorKind::Denied(expected.into()), "{actor:?}");
        }
    }
    bench.change_owner(&user("bob"), OwnerChange::Suspend(Suspension::Admin)).await;
    let suspended = bench.manager.trace("nothing", &person("bob")).await.unwrap_err().kind();
    assert_eq!(suspended, ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
    // The denial is in the trail.
    bench.denials.flush(true).await.unwrap();
    assert!(bench.events().await.iter().any(|event| event.actor == "user:alice"));
}

#[tokio::test]
async fn a_doubt_is_an_error() {
    let bench = Bench::new();
    let key = issued(&bench, acme()).await;
    bench.store.find_faults.lock().unwrap().push_back(Fault::Unavailable);
    let unavailable = bench.manager.trace(key.expose_secret(), &system()).await.unwrap_err();
    assert_eq!(unavailable.kind(), ManageErrorKind::StoreUnavailable);
    let broken = KeyRow { id: "AbCdEfGhIjKlMnOpQrSt".into(), hash: "broken".into(), ..KeyRow::example() };
    bench.plant_row(broken).await;
    let corrupt = bench.manager.trace("AbCdEfGhIjKlMnOpQrSt", &system()).await.unwrap_err();
    assert_eq!(corrupt.kind(), ManageErrorKind::CorruptRecord);
    let long = bench.manager.trace(&"x".repeat(64 * 1_024 + 1), &system()).await.unwrap_err();
    assert_eq!(long.kind(), ManageErrorKind::Invalid(InvalidInput::Fragment));
    for error in [unavailable, corrupt, long] {
        assert!(!format!("{error:?} {error}").contains(&key.expose_secret()[30..40]));
    }
}
