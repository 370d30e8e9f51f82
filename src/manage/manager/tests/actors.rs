//! Which actors may act at this moment, and what a key may give to others.

use crate::{
    Actor, IssueKey, ManagingScope, Scopes, Timestamp,
    key::KeyId,
    manage::{
        AuditQuery, DenialReason, InventoryQuery, KeyAction, ListKeys, ManageErrorKind, RevokeMany, RevokeManyError,
        Rights, RotateKey, Target, TeamRole,
        fixture::{
            ACTING, Bench, START, key_of, person, plain_change, principal, scopes, system, team, team_id, time, user,
        },
    },
    owner::OrganizationId,
    record::{KeyRow, Suspension},
    store::{Effect, KeyUpdate, OwnerChange, Write},
};

const OTHER: &str = "AAAAAAAAAAAAAAAAAAAA";

type Change = fn(&mut KeyRow);

fn denied(reason: DenialReason) -> ManageErrorKind {
    ManageErrorKind::Denied(reason.into())
}

/// The acting key of team blue, whose plan includes team keys.
fn blue(with: &str) -> Actor {
    Actor::key(&principal(&team("blue"), with), Rights::none().team_keys_included_for(team_id("blue")))
}

fn for_blue() -> IssueKey {
    IssueKey::team(team_id("blue")).scopes(scopes("read"))
}

async fn plant_acting(bench: &Bench, with: &str, expires_at: Option<&str>) {
    bench
        .plant_row(KeyRow {
            id: ACTING.into(),
            lineage: ACTING.into(),
            owner: "blue".into(),
            scopes: with.into(),
            expires_at: expires_at.map(|end| time(end).as_millis()),
            ..KeyRow::example()
        })
        .await;
}

/// A change to the acting key by another actor.
fn change(scopes: &str, expires_at: Option<Timestamp>) -> Write {
    Write::Update(KeyUpdate {
        organization: OrganizationId::single(),
        id: KeyId::new(ACTING).unwrap(),
        expected_version: 1,
        name: String::new(),
        labels: "{}".into(),
        scopes: scopes.into(),
        allowed_networks: None,
        responsible: None,
        expires_at: expires_at.map(Timestamp::as_millis),
    })
}

#[tokio::test]
async fn what_the_store_says_of_a_key_counts_and_not_what_its_principal_said() {
    let bench = Bench::new();
    plant_acting(&bench, "read keys:read", None).await;
    let old = blue("* keys:manage");
    assert!(bench.manager.list(ListKeys::all(), &old).await.is_ok());
    let refused = bench.manager.issue(for_blue(), &old).await.unwrap_err().kind();
    assert_eq!(refused, denied(DenialReason::InsufficientScope(ManagingScope::Issue)));
}

/// The change comes between the read and the write of a call.
#[tokio::test]
async fn a_key_that_loses_scopes_or_time_gives_nothing_any_more() {
    for quicker in [
        change("read keys:read", None),
        change("keys:issue", None),
        change("read keys:issue", Some(time("2026-03-02T12:00:00Z"))),
    ] {
        let bench = Bench::new();
        plant_acting(&bench, "read keys:issue", None).await;
        bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", quicker));
        let refused = bench.manager.issue(for_blue(), &blue("read keys:issue")).await.unwrap_err().kind();
        assert_eq!(refused, denied(DenialReason::ActorKeyChanged));
        assert_eq!(bench.all().await.0.len(), 1);
    }
}

#[tokio::test]
async fn a_key_gives_no_later_end_than_its_own() {
    const END: &str = "2026-06-01T00:00:00Z";
    let bench = Bench::new();
    plant_acting(&bench, "* keys:issue keys:rotate", Some(END)).await;
    let (endless, actor) = (bench.plant(OTHER, &team("blue"), "read").await, blue("* keys:issue keys:rotate"));
    let late = denied(DenialReason::ExpiryTooLate);
    for end in [None, Some("2026-06-01T00:00:00.001Z")] {
        let request = end.map_or_else(for_blue, |end| for_blue().expires_at(time(end)));
        assert_eq!(bench.manager.issue(request, &actor).await.unwrap_err().kind(), late, "{end:?}");
        let request = RotateKey::of(endless);
        let request = end.map_or(request.clone(), |end| request.expires_at(time(end)));
        assert_eq!(bench.manager.begin_rotation(request, &actor).await.unwrap_err().kind(), late, "{end:?}");
    }
    let issued = bench.manager.issue(for_blue().expires_at(time(END)), &actor).await.unwrap();
    assert_eq!(issued.info().expires_at, Some(time(END)));
    let rotated = bench.manager.begin_rotation(RotateKey::of(endless).expires_at(time(END)), &actor).await.unwrap();
    assert_eq!(rotated.info().expires_at, Some(time(END)));
    // It can rotate itself, with the same expiry.
    let own = bench.manager.begin_rotation(RotateKey::of(KeyId::new(ACTING).unwrap()), &actor).await.unwrap();
    assert_eq!(own.info().expires_at, Some(time(END)));
}

#[tokio::test]
async fn a_key_with_limits_gives_no_others() {
    let bench = Bench::new();
    let limits = |limits: Option<&str>| limits.map(str::to_owned);
    let row = |id: &str, scopes: &str, with: Option<&str>| KeyRow {
        id: id.into(),
        lineage: id.into(),
        owner: "blue".into(),
        scopes: scopes.into(),
        limits: limits(with),
        ..KeyRow::example()
    };
    bench.plant_row(row(ACTING, "* keys:issue keys:rotate", Some("rpm=10"))).await;
    let free = bench.plant_row(row(OTHER, "read", None)).await;
    let actor = blue("* keys:issue keys:rotate");
    let wide = denied(DenialReason::LimitsTooWide);
    assert_eq!(bench.manager.issue(for_blue(), &actor).await.unwrap_err().kind(), wide);
    assert_eq!(bench.manager.issue(for_blue().limits("rpm=99"), &actor).await.unwrap_err().kind(), wide);
    assert_eq!(bench.manager.begin_rotation(RotateKey::of(free), &actor).await.unwrap_err().kind(), wide);
    let preview = bench.manager.preview(&for_blue(), &actor).await.unwrap();
    assert!(!preview.can_be_issued());
    assert!(bench.manager.issue(for_blue().limits("rpm=10"), &actor).await.is_ok());
}

/// A key that cannot be read does not prevent stopping its owner.
#[tokio::test]
async fn an_owner_is_stopped_whatever_the_count_says() {
    let bench = Bench::new();
    bench.plant(OTHER, &team("blue"), "*").await;
    bench.store.fail_lists();
    let closed = bench.manager.close(&team("blue"), &system()).await.unwrap();
    assert_eq!((closed.effect, closed.live_keys, closed.is_unknown), (Effect::Changed, None, false));
}

#[tokio::test]
async fn a_key_gives_no_scope_to_manage_keys() {
    let bench = Bench::new();
    plant_acting(&bench, "* keys:manage", None).await;
    for scope in ManagingScope::ALL {
        let request = for_blue().scopes(Scopes::none().with(scope.into()));
        let refused = bench.manager.issue(request, &blue("* keys:manage")).await.unwrap_err().kind();
        assert_eq!(refused, denied(DenialReason::ScopesTooWide), "{scope}");
    }
}

#[tokio::test]
async fn no_key_closes_or_reinstates() {
    let bench = Bench::new();
    bench.plant(ACTING, &user("olga"), "* keys:manage").await;
    let key = Actor::key(&principal(&user("olga"), "* keys:manage"), Rights::none().org_admin());
    let kind = denied(DenialReason::NotForKeys);
    assert_eq!(bench.manager.close(&user("bob"), &key).await.unwrap_err().kind(), kind);
    assert_eq!(bench.manager.reinstate(&user("bob"), Suspension::Admin, &key).await.unwrap_err().kind(), kind);
    // It may do what can be undone.
    assert!(bench.manager.suspend(&user("bob"), Suspension::Admin, &key).await.is_ok());
    let button = bench.manager.can(&key, KeyAction::Close, &Target::Owner(&user("bob"))).await.unwrap();
    assert_eq!(button, crate::manage::Decision::Deny(DenialReason::NotForKeys));
}

#[tokio::test]
async fn the_dead_do_not_read() {
    let admin =
        |id| Actor::user(crate::UserId::new(id).unwrap(), Rights::none().team(team_id("blue"), TeamRole::Admin));
    for (change, reason) in [
        (OwnerChange::Close, DenialReason::ActorClosed),
        (OwnerChange::Suspend(Suspension::Admin), DenialReason::ActorSuspended),
    ] {
        let bench = Bench::new();
        let id = bench.plant(OTHER, &team("blue"), "*").await;
        bench.change_owner(&user("alice"), change).await;
        assert_reads(&bench, &id, &admin("alice"), Some(reason)).await;
        // Other actors continue.
        assert_reads(&bench, &id, &admin("bob"), None).await;
    }
}

#[tokio::test]
async fn a_person_whom_the_plan_suspends_may_see_why_and_change_nothing() {
    let bench = Bench::new();
    let id = bench.plant(OTHER, &user("alice"), "*").await;
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Plan)).await;
    assert!(bench.manager.find(&id, &person("alice")).await.is_ok());
    let no_rotation = bench.manager.rotation(&id, &person("alice")).await.unwrap_err().kind();
    assert_eq!(no_rotation, ManageErrorKind::NoRotation);
    let refused = bench.manager.rename(&id, "other", &person("alice")).await.unwrap_err().kind();
    assert_eq!(refused, denied(DenialReason::ActorPlanSuspended));
}

#[tokio::test]
async fn dead_keys_do_not_read() {
    let ends: [(&str, Change, DenialReason); 5] = [
        ("revoked", |row| row.revoked_at = Some(row.created_at), DenialReason::ActorKeyDead),
        ("of another team", |row| row.owner = "red".into(), DenialReason::ActorKeyDead),
        ("deleted", |row| row.id = "CCCCCCCCCCCCCCCCCCCC".into(), DenialReason::ActorKeyDead),
        ("expired", |row| row.expires_at = Some(time(START).as_millis()), DenialReason::ActorKeyExpired),
        ("paused", |row| row.paused_at = Some(row.created_at), DenialReason::ActorKeyPaused),
    ];
    for (what, end, reason) in ends {
        println!("{what}");
        let bench = Bench::new();
        let id = bench.plant(OTHER, &team("blue"), "*").await;
        let mut row =
            KeyRow { id: ACTING.into(), owner: "blue".into(), scopes: "keys:manage".into(), ..KeyRow::example() };
        end(&mut row);
        bench.plant_row(row).await;
        assert_reads(&bench, &id, &blue("keys:manage"), Some(reason)).await;
    }
    let bench = Bench::new();
    let id = bench.plant(OTHER, &team("blue"), "*").await;
    plant_acting(&bench, "keys:manage", None).await;
    bench.change_owner(&team("blue"), OwnerChange::Suspend(Suspension::Plan)).await;
    assert_reads(&bench, &id, &blue("keys:manage"), Some(DenialReason::ActorPlanSuspended)).await;
}

async fn assert_reads(bench: &Bench, id: &KeyId, actor: &Actor, refused: Option<DenialReason>) {
    let manager = &bench.manager;
    let told = [
        manager.find(id, actor).await.err(),
        manager.list(ListKeys::all(), actor).await.err(),
        manager.usage(id, 1, actor).await.err(),
        manager.events(AuditQuery::all().of_key(*id), actor).await.err(),
        manager.inventory(InventoryQuery::all(), actor).await.err(),
        manager.explain(id, actor).await.err(),
        manager.advise(id, actor).await.err(),
        manager.leak_report(id, Timestamp::MIN, actor).await.err(),
        manager.identify(id.as_str(), actor).await.err(),
        manager.inventory_summary(InventoryQuery::all(), actor).await.err(),
        manager.revoke_many(RevokeMany::key(*id).dry_run(), actor).await.err().map(RevokeManyError::into_error),
    ];
    let told: Vec<_> = told.into_iter().map(|error| error.map(|error| error.kind())).collect();
    assert_eq!(told, vec![refused.map(denied); 11], "{actor:?}");
}

#[tokio::test]
async fn stopping_an_owner_says_how_many_keys_end_and_whether_anybody_knows_it() {
    let bench = Bench::new();
    for (id, revoked) in [("A", false), ("B", false), ("C", true)] {
        let (owner, scopes, id) = ("alice".into(), "*".into(), id.repeat(20));
        let revoked_at = revoked.then_some(0);
        bench.plant_row(KeyRow { id, kind: "user".into(), owner, scopes, revoked_at, ..KeyRow::example() }).await;
    }
    // She created a team key, and has no personal key.
    let row = KeyRow { id: "D".repeat(20), owner: "blue".into(), created_by: "user:mia".into(), ..KeyRow::example() };
    bench.plant_row(row).await;
    bench.change_owner(&user("sam"), OwnerChange::Suspend(Suspension::Admin)).await;
    for (owner, live_keys, is_unknown) in [
        (user("alice"), Some(2), false),
        (user("Alice"), Some(0), true),
        (user("mia"), Some(0), false),
        (user("sam"), Some(0), false),
        (team("blue"), Some(1), false),
        (team("blu"), Some(0), true),
    ] {
        let suspended = bench.manager.suspend(&owner, Suspension::Plan, &system()).await.unwrap();
        assert_eq!((suspended.live_keys, suspended.is_unknown), (live_keys, is_unknown), "{owner}");
        let closed = bench.manager.close(&owner, &system()).await.unwrap();
        // The owner is now known, and its keys are unchanged.
        assert_eq!((closed.live_keys, closed.is_unknown), (live_keys, false), "{owner}");
    }
}

#[tokio::test]
async fn another_keys_act_needs_another_scope() {
    let bench = Bench::new();
    let id = bench.plant(OTHER, &team("blue"), "read").await;
    let actor = |id: &str| Actor::key(&key_of(id, &team("blue"), "* keys:manage"), Rights::none());
    for (letter, scope) in
        ["r", "i", "t", "v"].into_iter().zip(["keys:read", "keys:issue", "keys:rotate", "keys:revoke"])
    {
        bench.plant(&letter.repeat(20), &team("blue"), scope).await;
    }
    let (reads, revokes) = (actor(&"r".repeat(20)), actor(&"v".repeat(20)));
    let refused = bench.manager.revoke(&id, &reads).await.unwrap_err();
    assert_eq!(refused.kind(), denied(DenialReason::InsufficientScope(ManagingScope::Revoke)));
    let absent = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
    // The answer does not show whether such a key exists.
    assert_eq!(bench.manager.revoke(&absent, &reads).await.unwrap_err().kind(), refused.kind());
    bench.manager.revoke(&id, &revokes).await.unwrap();
    let refused = bench.manager.rename(&id, "x", &revokes).await.unwrap_err().kind();
    assert_eq!(refused, denied(DenialReason::InsufficientScope(ManagingScope::Manage)));
}

#[test]
fn teams_of_an_actor_come_with_role_and_plan() {
    let told = |actor: &Actor| {
        actor
            .teams()
            .map(|team| format!("{} {:?} {}", team.id, team.role.map(TeamRole::as_str), team.includes_team_keys))
            .collect::<Vec<_>>()
    };
    let rights = Rights::none()
        .team(team_id("red"), TeamRole::Member)
        .team(team_id("blue"), TeamRole::Admin)
        .team_keys_included_for(team_id("blue"))
        .team_keys_included_for(team_id("green"));
    let alice = Actor::user(crate::manage::fixture::user_id("alice"), rights.clone());
    assert_eq!(told(&alice), [r#"blue Some("admin") true"#, "green None true", r#"red Some("member") false"#]);
    // Of the rights of a team key, only the plan of its own team counts.
    let key = Actor::key(&principal(&team("blue"), "keys:read"), rights);
    assert_eq!(told(&key), [r#"blue Some("admin") true"#]);
    assert_eq!(told(&system()), Vec::<String>::new());
    let json = serde_json::to_string(&alice.teams().last()).unwrap();
    assert_eq!(json, r#"{"id":"red","role":"member","manages_keys":false,"includes_team_keys":false}"#);
}
