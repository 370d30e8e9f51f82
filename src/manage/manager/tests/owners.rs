use crate::{
    Actor,
    manage::{
        DenialReason, Effect, ManageErrorKind, Rights,
        fixture::{Bench, system, team, user, user_id},
    },
    record::Hold,
    store::OwnerChange,
};

#[tokio::test]
async fn second_hold_and_close_say_already_and_write_no_event() {
    let bench = Bench::new();
    let (alice, system) = (user("alice"), system());
    let manager = &bench.manager;
    assert_eq!(manager.hold(&alice, Hold::Suspended, &system).await.unwrap(), Effect::Changed);
    assert_eq!(manager.hold(&alice, Hold::Suspended, &system).await.unwrap(), Effect::Unchanged);
    assert_eq!(manager.lift(&alice, Hold::Plan, &system).await.unwrap(), Effect::Unchanged);
    assert_eq!(manager.lift(&alice, Hold::Suspended, &system).await.unwrap(), Effect::Changed);
    assert_eq!(manager.close(&alice, &system).await.unwrap(), Effect::Changed);
    assert_eq!(manager.close(&alice, &system).await.unwrap(), Effect::Unchanged);
    let events = bench.events().await;
    let told: Vec<_> = events.iter().map(|e| (&*e.action, e.before.as_deref(), e.after.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("owner.held", None, Some("suspended")),
            ("owner.lifted", Some("suspended"), None),
            ("owner.closed", None, None)
        ]
    );
    assert!(events.iter().all(|event| event.owner == "alice" && event.key.is_none()));
}

#[tokio::test]
async fn closed_owner_is_neither_held_nor_lifted() {
    let bench = Bench::new();
    bench.manager.close(&team("blue"), &system()).await.unwrap();
    for result in [
        bench.manager.hold(&team("blue"), Hold::Plan, &system()).await,
        bench.manager.lift(&team("blue"), Hold::Plan, &system()).await,
    ] {
        assert_eq!(result.unwrap_err().kind(), ManageErrorKind::OwnerClosed);
    }
}

#[tokio::test]
async fn each_hold_is_lifted_by_itself_only() {
    let bench = Bench::new();
    let id = bench.plant("AAAAAAAAAAAAAAAAAAAA", &team("blue"), "*").await;
    for hold in [Hold::Plan, Hold::Suspended] {
        bench.manager.hold(&team("blue"), hold, &system()).await.unwrap();
    }
    bench.manager.lift(&team("blue"), Hold::Plan, &system()).await.unwrap();
    let status = bench.manager.find(&id, &system()).await.unwrap().owner_status;
    assert!(status.has(Hold::Suspended) && !status.has(Hold::Plan));
}

#[tokio::test]
async fn suspended_admin_does_not_reinstate_themselves() {
    let bench = Bench::new();
    bench.change_owner(&user("olga"), OwnerChange::Hold(Hold::Suspended)).await;
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin());
    let kind = bench.manager.lift(&user("olga"), Hold::Suspended, &olga).await.unwrap_err().kind();
    assert_eq!(kind, ManageErrorKind::Denied(DenialReason::ActorInactive.into()));
}

#[tokio::test]
async fn admin_may_suspend_themselves() {
    let bench = Bench::new();
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin());
    assert_eq!(bench.manager.hold(&user("olga"), Hold::Suspended, &olga).await.unwrap(), Effect::Changed);
}
