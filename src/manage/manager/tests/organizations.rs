//! A service of several organizations: nothing is done for one that nobody named.

use crate::{
    Actor, IssueKey, KeyManager, OrganizationId, Principal, Rights,
    manage::{
        AuditQuery, Decision, EditKey, KeyAction, ListKeys, ManageErrorKind, Misconfiguration, PlanChange, Reconcile,
        RevokeMany, RotateKey, Rules, Target,
        fixture::{Bench, person, system, team, user, user_id},
    },
    record::Suspension,
};

const NO_MANAGER: ManageErrorKind = ManageErrorKind::Misconfigured(Misconfiguration::ManagerWithoutOrganization);
const NO_ACTOR: ManageErrorKind = ManageErrorKind::Misconfigured(Misconfiguration::ActorWithoutOrganization);

fn several() -> Bench {
    Bench::with_rules(Rules { several_organizations: true, ..Rules::default() })
}

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

/// What reads and changes of many kinds are told, if all of them are told the same.
async fn told(manager: &KeyManager, actor: &Actor) -> Result<(), ManageErrorKind> {
    let id = crate::key::KeyId::new("AAAAAAAAAAAAAAAAAAAA").unwrap();
    let (alice, kind) = (user("alice"), |error: crate::manage::ManageError| error.kind());
    let told = [
        manager.list(ListKeys::all(), actor).await.map(drop).map_err(kind),
        manager.find(&id, actor).await.map(drop).map_err(kind),
        manager.issue(IssueKey::of(alice.clone()), actor).await.map(drop).map_err(kind),
        manager.edit(EditKey::of(id).named("mine"), actor).await.map(drop).map_err(kind),
        manager.revoke(&id, actor).await.map(drop).map_err(kind),
        manager.revoke_many(RevokeMany::of(alice.clone()), actor).await.map(drop).map_err(|error| error.kind()),
        manager.begin_rotation(RotateKey::of(id), actor).await.map(drop).map_err(kind),
        manager.rotation(&id, actor).await.map(drop).map_err(kind),
        manager.suspend(&alice, Suspension::Admin, actor).await.map(drop).map_err(kind),
        manager.plan_changed(PlanChange::team_keys_included(), actor).await.map(drop).map_err(kind),
        manager.reconcile(Reconcile::report(), actor).await.map(drop).map_err(kind),
        manager.events(AuditQuery::all(), actor).await.map(drop).map_err(kind),
        manager.refusals_without_key(actor).await.map(drop).map_err(kind),
        manager.can(actor, KeyAction::See, &Target::Owner(&alice)).await.map(drop).map_err(kind),
        manager.teams_to_issue_for(actor).await.map(drop).map_err(kind),
    ];
    let first = told[0];
    assert!(first.is_err() && told.iter().all(|one| *one == first), "{told:?}");
    first
}

#[tokio::test]
async fn manager_of_no_organization_is_refused_whoever_asks() {
    let bench = several();
    let key = Principal::fake().user("alice").unwrap().scopes("* keys:manage".parse().unwrap()).build();
    for actor in [system(), person("alice"), bench.manager.actor(user_id("alice"), Rights::none().org_admin())] {
        assert_eq!(told(&bench.manager, &actor).await, Err(NO_MANAGER), "{actor:?}");
    }
    assert_eq!(told(&bench.manager, &Actor::key(&key, Rights::none())).await, Err(NO_MANAGER));
    bench.manager.flush_denials().await.unwrap();
    assert!(bench.events().await.is_empty() && bench.store.applies() == 0);
}

#[tokio::test]
async fn person_of_no_organization_is_refused_by_each_that_is_named() {
    // Also by one that is called as the only one of other services.
    for name in ["acme", "default"] {
        let bench = several();
        let manager = bench.manager.for_organization(organization(name));
        let alice = Actor::user(user_id("alice"), Rights::none().org_admin());
        assert_eq!(told(&manager, &alice).await, Err(NO_ACTOR));
        let named = alice.with_organization(organization(name));
        assert!(manager.issue(IssueKey::of(user("alice")), &named).await.is_ok());
        assert!(manager.list(ListKeys::all(), &system()).await.is_ok());
    }
    // And without the setting: no guess is made about whose admin somebody is.
    let bench = Bench::new();
    let acme = bench.manager.for_organization(organization("acme"));
    assert_eq!(told(&acme, &person("alice")).await, Err(NO_ACTOR));
}

#[tokio::test]
async fn person_of_another_organization_finds_nothing() {
    let bench = several();
    let (acme, globex) = (organization("acme"), organization("globex"));
    let manager = bench.manager.for_organization(acme.clone());
    let admin = bench.manager.for_organization(globex).actor(user_id("eve"), Rights::none().org_admin());
    let of_acme = manager.actor(user_id("alice"), Rights::none());
    let key = manager.issue(IssueKey::of(user("alice")), &of_acme).await.unwrap().info().clone();
    assert_eq!(manager.find(&key.id, &admin).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    assert_eq!(manager.can(&admin, KeyAction::See, &Target::listed(&key)).await.unwrap(), Decision::Hide);
    let abilities = manager.abilities(&key, &admin).unwrap();
    assert!(abilities.iter().all(|ability| ability.decision() == Decision::Hide));
    assert!(manager.abilities(&key, &of_acme).unwrap().allows(KeyAction::Rename));
    assert_eq!(manager.abilities(&key, &person("alice")).unwrap_err().kind(), NO_ACTOR);
    assert_eq!(bench.manager.abilities(&key, &of_acme).unwrap_err().kind(), NO_MANAGER);
    // Nor does the manager of another one say anything about the key that it is shown.
    let elsewhere = bench.manager.for_organization(organization("initech"));
    let hidden = elsewhere.abilities(&key, &system()).unwrap();
    assert!(hidden.iter().all(|ability| ability.code() == Some("not_found")));
}

#[tokio::test]
async fn service_of_one_organization_names_none() {
    let bench = Bench::new();
    let made = bench.manager.issue(IssueKey::of(user("alice")), &person("alice")).await.unwrap().info().clone();
    let named = person("alice").with_organization(OrganizationId::single());
    for actor in [person("alice"), named, bench.manager.actor(user_id("alice"), Rights::none())] {
        assert_eq!(bench.manager.find(&made.id, &actor).await.map(|key| key.id).unwrap(), made.id);
    }
    let by_name = bench.manager.for_organization(OrganizationId::single());
    assert!(by_name.find(&made.id, &person("alice")).await.is_ok());
    assert!(by_name.suspend(&team("blue"), Suspension::Plan, &person("alice")).await.is_err());
}

#[tokio::test]
async fn actor_of_the_manager_of_no_organization_is_of_none() {
    let bench = several();
    let alice = bench.manager.actor(user_id("alice"), Rights::none());
    assert_eq!(alice.organization(), None);
    let acme = bench.manager.for_organization(organization("acme"));
    assert_eq!(told(&acme, &alice).await, Err(NO_ACTOR));
    let alice = Bench::new().manager.actor(user_id("alice"), Rights::none());
    assert_eq!(alice.organization(), Some(&OrganizationId::single()));
}

#[test]
fn sentences_say_what_to_call() {
    let of = |what: Misconfiguration| what.sentence().to_string();
    assert!(of(Misconfiguration::ManagerWithoutOrganization).contains("`ApiKeys::manager_for`"));
    assert!(of(Misconfiguration::ActorWithoutOrganization).contains("`KeyManager::actor`"));
}
