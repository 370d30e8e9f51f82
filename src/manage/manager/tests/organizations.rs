//! A service of several organizations: nothing is done without a named organization.

use crate::{
    Actor, IssueKey, KeyManager, OrganizationId, Principal, Rights,
    manage::{
        AuditQuery, CheckKind, Decision, EditKey, KeyAction, ListKeys, ManageErrorKind, Misconfiguration, PlanChange,
        Reconcile, RevokeMany, RotateKey, Rules, Target,
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

/// The answer to reads and changes of many kinds. Asserts that all get the same answer.
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
async fn manager_of_no_organization_is_refused_for_every_actor() {
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
    // Also by an organization with the name of the only one in other services.
    for name in ["acme", "default"] {
        let bench = several();
        let manager = bench.manager.for_organization(organization(name));
        let alice = Actor::user(user_id("alice"), Rights::none().org_admin());
        assert_eq!(told(&manager, &alice).await, Err(NO_ACTOR));
        let named = alice.with_organization(organization(name));
        assert!(manager.issue(IssueKey::of(user("alice")), &named).await.is_ok());
        assert!(manager.list(ListKeys::all(), &system()).await.is_ok());
    }
    // Without the setting: the manager does not guess which organization an admin belongs to.
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
    // The manager of another organization does not reveal anything about the key either.
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

/// A suspension of the organization is not reported as one of the owner, and its admins are not advised to reinstate
/// it.
#[tokio::test]
async fn an_organization_that_is_stopped_is_told_as_that() {
    let bench = Bench::new();
    let id = bench.plant("AAAAAAAAAAAAAAAAAAAA", &team("blue"), "*").await;
    let all = OrganizationId::single();
    let check = async || {
        let explained = bench.manager.explain(&id, &system()).await.unwrap();
        let check = explained.checks.into_iter().find(|check| check.kind == CheckKind::OwnerActive).unwrap();
        (check.sentence.id().to_owned(), check.remedy.map(|remedy| remedy.id().to_owned()))
    };
    let told = |sentence: &str, remedy: &str| (format!("check.{sentence}"), Some(format!("remedy.{remedy}")));
    for (suspension, sentence, remedy, own) in [
        (Suspension::Admin, "organization_suspended", "reinstate_the_organization", "owner_suspended_by"),
        (Suspension::Plan, "organization_plan_suspended", "upgrade_the_plan", "owner_plan_suspended_by"),
    ] {
        bench.manager.suspend_organization(all.clone(), suspension, &system()).await.unwrap();
        assert_eq!(check().await, told(sentence, remedy));
        let error = bench.manager.issue(IssueKey::of(team("blue")), &system()).await.unwrap_err();
        assert!(
            suspension == Suspension::Plan || error.to_string().contains("team or organization is suspended"),
            "{error}"
        );
        bench.manager.reinstate_organization(all.clone(), suspension, &system()).await.unwrap();
        bench.clock.advance(std::time::Duration::from_secs(1));
        bench.manager.suspend(&team("blue"), suspension, &system()).await.unwrap();
        assert_eq!(check().await.0, format!("check.{own}"));
        // The owner itself was suspended first, before the organization.
        bench.clock.advance(std::time::Duration::from_secs(1));
        bench.manager.suspend_organization(all.clone(), suspension, &system()).await.unwrap();
        assert_eq!(check().await.0, format!("check.{own}"));
        bench.manager.reinstate(&team("blue"), suspension, &system()).await.unwrap();
        assert_eq!(check().await, told(sentence, remedy));
        bench.manager.reinstate_organization(all.clone(), suspension, &system()).await.unwrap();
    }
    bench.manager.suspend_organization(all.clone(), Suspension::Admin, &system()).await.unwrap();
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin());
    let error = bench.manager.list(ListKeys::all(), &olga).await.unwrap_err();
    assert!(error.to_string().contains("the support of the service"), "{error}");
    bench.manager.close_organization(all, &system()).await.unwrap();
    assert_eq!(check().await.0, "check.organization_closed");
}
