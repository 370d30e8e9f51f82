use serde_json::json;

use crate::{
    Actor,
    manage::{
        AuditQuery, ChangeOwner, DenialReason, Effect, ManageErrorKind, Rights, TeamRole,
        fixture::{Bench, system, team, team_id, user, user_id},
    },
    record::Suspension,
    store::OwnerChange,
};

#[tokio::test]
async fn second_suspension_and_close_say_already_and_write_no_event() {
    let bench = Bench::new();
    let (alice, system) = (user("alice"), system());
    let manager = &bench.manager;
    assert_eq!(manager.suspend(&alice, Suspension::Admin, &system).await.unwrap().effect, Effect::Changed);
    assert_eq!(manager.suspend(&alice, Suspension::Admin, &system).await.unwrap().effect, Effect::Unchanged);
    assert_eq!(manager.reinstate(&alice, Suspension::Plan, &system).await.unwrap().effect, Effect::Unchanged);
    assert_eq!(manager.reinstate(&alice, Suspension::Admin, &system).await.unwrap().effect, Effect::Changed);
    assert_eq!(manager.close(&alice, &system).await.unwrap().effect, Effect::Changed);
    assert_eq!(manager.close(&alice, &system).await.unwrap().effect, Effect::Unchanged);
    let events = bench.events().await;
    let told: Vec<_> = events.iter().map(|e| (&*e.action, e.before.as_deref(), e.after.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("owner.suspended", None, Some("admin")),
            ("owner.reinstated", Some("admin"), None),
            ("owner.closed", None, None)
        ]
    );
    assert!(events.iter().all(|event| event.owner == "alice" && event.key.is_none()));
}

#[tokio::test]
async fn a_reason_is_kept_with_the_change() {
    let bench = Bench::new();
    let (alice, system, manager) = (user("alice"), system(), &bench.manager);
    let change = |reason: &str| ChangeOwner::of(alice.clone()).because(reason);
    let hidden = manager.suspend(change("x").dry_run(), Suspension::Admin, &system).await.unwrap();
    assert!(hidden.dry_run && bench.events().await.is_empty());
    manager.suspend(change(" laptop\u{202e} stolen "), Suspension::Admin, &system).await.unwrap();
    manager.reinstate(change("found \"again\""), Suspension::Admin, &system).await.unwrap();
    manager.close(change("left"), &system).await.unwrap();
    let page = manager.events(AuditQuery::all().of(alice.clone()).oldest_first(), &system).await.unwrap();
    let told = page.entries.iter().map(|entry| {
        let told = serde_json::to_value(&entry.event).unwrap();
        [told["before"].clone(), told["after"].clone()]
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            [json!(null), json!({"suspension": "admin", "reason": "laptop stolen"})],
            [json!({"suspension": "admin"}), json!({"reason": "found \"again\""})],
            [json!(null), json!({"reason": "left"})],
        ]
    );
}

#[tokio::test]
async fn closed_owner_is_neither_suspended_nor_reinstated() {
    let bench = Bench::new();
    bench.manager.close(&team("blue"), &system()).await.unwrap();
    let suspended = bench.manager.suspend(&team("blue"), Suspension::Plan, &system()).await;
    assert_eq!(suspended.unwrap_err().kind(), ManageErrorKind::OwnerClosed);
    let reinstated = bench.manager.reinstate(&team("blue"), Suspension::Plan, &system()).await;
    assert_eq!(reinstated.unwrap_err().kind(), ManageErrorKind::OwnerClosed);
}

#[tokio::test]
async fn each_suspension_ends_by_itself_only() {
    let bench = Bench::new();
    let id = bench.plant("AAAAAAAAAAAAAAAAAAAA", &team("blue"), "*").await;
    for suspension in [Suspension::Plan, Suspension::Admin] {
        bench.manager.suspend(&team("blue"), suspension, &system()).await.unwrap();
    }
    bench.manager.reinstate(&team("blue"), Suspension::Plan, &system()).await.unwrap();
    let status = bench.manager.find(&id, &system()).await.unwrap().owner_status;
    assert!(status.has(Suspension::Admin) && !status.has(Suspension::Plan));
}

#[tokio::test]
async fn suspended_admin_does_not_reinstate_themselves() {
    let bench = Bench::new();
    bench.change_owner(&user("olga"), OwnerChange::Suspend(Suspension::Admin)).await;
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin());
    let kind = bench.manager.reinstate(&user("olga"), Suspension::Admin, &olga).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
}

#[tokio::test]
async fn admin_may_suspend_themselves() {
    let bench = Bench::new();
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin());
    assert_eq!(bench.manager.suspend(&user("olga"), Suspension::Admin, &olga).await.unwrap().effect, Effect::Changed);
}

#[tokio::test]
async fn status_of_an_owner_tells_what_holds_and_why() {
    let bench = Bench::new();
    let (alice, system) = (user("alice"), system());
    let nobody = bench.manager.owner(&user("nobody"), &system).await.unwrap();
    assert!(nobody.status.is_active() && nobody.own_status.is_active() && nobody.organization_status.is_active());
    bench.manager.suspend(&alice, Suspension::Admin, &system).await.unwrap();
    let told = bench.manager.owner(&alice, &system).await.unwrap();
    assert_eq!(told.owner, alice);
    assert!(told.status.has(Suspension::Admin) && told.own_status == told.status);
    assert!(told.organization_status.is_active());
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["owner"], serde_json::json!({"kind": "user", "id": "alice"}));
    assert!(json["own_status"]["suspended_at"].is_string() && json["organization_status"]["closed_at"].is_null());
}

#[tokio::test]
async fn status_of_an_owner_is_for_those_who_see_their_keys() {
    let bench = Bench::new();
    let member = Actor::user(user_id("alice"), Rights::none().team(team_id("blue"), TeamRole::Member));
    let kind = async |owner, actor: &Actor| bench.manager.owner(&owner, actor).await.map(drop).map_err(|it| it.kind());
    assert_eq!(kind(user("alice"), &member).await, Ok(()));
    assert_eq!(kind(team("blue"), &member).await, Ok(()));
    // The answer is the same whether or not the owner exists or is suspended.
    bench.plant("AAAAAAAAAAAAAAAAAAAA", &team("red"), "read").await;
    bench.change_owner(&user("bob"), OwnerChange::Suspend(Suspension::Plan)).await;
    for owner in [team("red"), user("bob"), team("nowhere"), user("nobody")] {
        assert_eq!(kind(owner, &member).await, Err(ManageErrorKind::NotFound));
    }
}
