use crate::{
    Actor, IssueKey, Owner, Timestamp,
    key::KeyId,
    manage::{
        DenialReason, InvalidInput, ManageErrorKind, RevokeMany, RevokedMany, Rights, TeamRole,
        fixture::{
            ACTING, Bench, Fault, person, plain_change, principal, scopes, system, team, team_id, time, user, user_id,
        },
    },
    record::{ActorId, KeyRow, Suspension},
    store::{OwnerChange, OwnerRef, Write},
};

/// The `n`th of many ids.
fn id(n: usize) -> String {
    format!("{n:020}")
}

fn row(n: usize, owner: &Owner) -> KeyRow {
    KeyRow { id: id(n), kind: owner.kind().as_str().into(), owner: owner.id().into(), ..KeyRow::example() }
}

/// Plants this number of live keys of the owner.
async fn plant_many(bench: &Bench, count: usize, owner: &Owner) {
    for n in 0..count {
        bench.plant_row(row(n, owner)).await;
    }
}

/// The numbers of keys matched, revoked, already dead, and denied.
fn counts(report: &RevokedMany) -> (u64, u64, u64, u64) {
    (report.matched, report.revoked, report.already_dead, report.denied)
}

async fn live(bench: &Bench) -> Vec<String> {
    let (keys, _) = bench.all().await;
    keys.into_iter().filter(|key| key.key.revoked_at.is_none()).map(|key| key.key.id).collect()
}

fn admin_of(team: &str) -> Actor {
    Actor::user(user_id("ada"), Rights::none().team(team_id(team), TeamRole::Admin))
}

#[tokio::test]
async fn all_keys_of_an_owner_are_revoked_with_one_event_each() {
    let bench = Bench::new();
    plant_many(&bench, 120, &team("blue")).await;
    bench.plant("other___other___othe", &team("red"), "*").await;
    let request = RevokeMany::of(team_id("blue")).because("leaked in a public repository");
    let report = bench.manager.revoke_many(request, &admin_of("blue")).await.unwrap();
    assert_eq!(counts(&report), (120, 120, 0, 0));
    assert_eq!((report.passes, report.is_complete()), (2, true));
    assert_eq!(bench.store.applies(), 3);
    assert_eq!(live(&bench).await, ["other___other___othe"]);
    let events = bench.events().await;
    assert_eq!(events.len(), 120);
    let mut keys: Vec<_> = events.iter().filter_map(|event| event.key.clone()).collect();
    keys.sort();
    assert_eq!(keys, (0..120).map(id).collect::<Vec<_>>());
    for event in events {
        assert_eq!((&*event.action, &*event.actor), ("key.revoked", "user:ada"));
        assert_eq!(event.after.as_deref(), Some("leaked in a public repository"));
    }
}

#[tokio::test]
async fn dead_keys_are_counted_and_left_as_they_are() {
    let bench = Bench::new();
    bench.plant_row(row(1, &team("blue"))).await;
    bench.plant_row(KeyRow { revoked_at: Some(1), revoked_by: None, ..row(2, &team("blue")) }).await;
    bench.plant_row(KeyRow { expires_at: Some(1), ..row(3, &team("blue")) }).await;
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!(counts(&report), (3, 1, 2, 0));
    let again = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!(counts(&again), (3, 0, 3, 0));
    assert_eq!(bench.events().await.len(), 1);
    assert_eq!(bench.row(&KeyId::new(&id(3)).unwrap()).await.revoked_at, None);
}

#[tokio::test]
async fn what_matches_nothing_says_so() {
    let bench = Bench::new();
    bench.plant_row(row(1, &team("blue"))).await;
    let absent = KeyId::new(&id(9)).unwrap();
    for request in [
        RevokeMany::of(team_id("nowhere")),
        RevokeMany::key(absent),
        RevokeMany::key_and_made(absent),
        RevokeMany::keys([]),
        RevokeMany::created_by(ActorId::User(user_id("nobody"))),
        RevokeMany::created_between(Timestamp::MIN, Timestamp::MIN),
    ] {
        let report = bench.manager.revoke_many(request.clone(), &system()).await.unwrap();
        assert_eq!(counts(&report), (0, 0, 0, 0), "{request:?}");
        assert!(report.to_string().starts_with("No key that you have access to matches"), "{report}");
    }
    assert_eq!(live(&bench).await.len(), 1);
}

#[tokio::test]
async fn conditions_hold_together_and_windows_are_half_open() {
    let bench = Bench::new();
    let at = |hour: i64| 1_772_366_400_000 + hour * 3_600_000;
    for (n, (owner, creator, hour)) in [
        (team("blue"), "user:bob", 0),
        (team("blue"), "user:bob", 1),
        (team("blue"), "user:eve", 1),
        (team("red"), "user:bob", 1),
        (team("blue"), "user:bob", 2),
    ]
    .into_iter()
    .enumerate()
    {
        let row = KeyRow { created_by: creator.into(), created_at: at(hour), ..row(n, &owner) };
        bench.plant_row(row).await;
    }
    let time = |hour| Timestamp::from_millis(at(hour)).unwrap();
    let bob = || ActorId::User(user_id("bob"));
    for (request, expected) in [
        (RevokeMany::of(team_id("blue")), "0124"),
        (RevokeMany::created_by(bob()), "0134"),
        (RevokeMany::created_between(time(1), time(2)), "123"),
        (RevokeMany::created_between(time(0), time(1)), "0"),
        (RevokeMany::of(team_id("blue")).and_created_by(bob()), "014"),
        (RevokeMany::created_by(bob()).and_created_between(time(1), time(3)).and_of(team_id("blue")), "14"),
        (RevokeMany::key(KeyId::new(&id(3)).unwrap()).and_of(team_id("blue")), ""),
        (RevokeMany::keys([0, 2].map(|n| KeyId::new(&id(n)).unwrap())).and_created_by(bob()), "0"),
    ] {
        let dry = bench.manager.revoke_many(request.clone().dry_run(), &system()).await.unwrap();
        assert_eq!((dry.matched, dry.revoked), (expected.len() as u64, expected.len() as u64), "{request:?}");
        assert_eq!(live(&bench).await.len(), 5, "a dry run changes nothing");
    }
    let request = RevokeMany::created_between(time(1), time(2)).and_created_by(bob());
    bench.manager.revoke_many(request, &system()).await.unwrap();
    assert_eq!(live(&bench).await, [id(0), id(2), id(4)]);
}

#[tokio::test]
async fn a_window_that_ends_before_it_begins_is_refused() {
    let bench = Bench::new();
    let (early, late) = (time("2026-01-01T00:00:00Z"), time("2026-01-02T00:00:00Z"));
    let error = bench.manager.revoke_many(RevokeMany::created_between(late, early), &system()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::TimeWindow));
}

#[tokio::test]
async fn a_key_and_all_it_made_is_revoked_and_nothing_else() {
    let bench = Bench::new();
    let made_by = |n: usize, created_via_key: Option<usize>, owner: &Owner, scopes: &str| KeyRow {
        created_via_key: created_via_key.map(id),
        scopes: scopes.into(),
        ..row(n, owner)
    };
    let (blue, red) = (team("blue"), team("red"));
    for row in [
        made_by(0, None, &blue, "* keys:manage"),
        made_by(1, Some(0), &blue, "*"),
        // By plain SQL, because no key can give this scope.
        made_by(2, Some(0), &red, "keys:manage"),
        made_by(3, Some(2), &blue, "*"),
        // The key once had the scope, and plain SQL removed it. Nothing in the row shows that.
        made_by(4, Some(0), &blue, "*"),
        made_by(5, Some(4), &blue, "*"),
        made_by(6, None, &blue, "*"),
    ] {
        bench.plant_row(row).await;
    }
    let root = KeyId::new(&id(0)).unwrap();
    // A hidden key is neither changed nor counted, but the keys that it created are found.
    let report = bench.manager.revoke_many(RevokeMany::key_and_made(root), &admin_of("blue")).await.unwrap();
    assert_eq!(live(&bench).await, [id(2), id(6)]);
    assert_eq!(counts(&report), (5, 5, 0, 0));
    let report = bench.manager.revoke_many(RevokeMany::key_and_made(root), &system()).await.unwrap();
    assert_eq!(counts(&report), (6, 1, 5, 0));
    assert_eq!(live(&bench).await, [id(6)]);
}

#[tokio::test]
async fn an_owner_that_is_not_the_actors_to_revoke_is_refused_at_once() {
    let bench = Bench::new();
    plant_many(&bench, 2, &team("blue")).await;
    let member = Actor::user(user_id("mo"), Rights::none().team(team_id("blue"), TeamRole::Member));
    for (actor, kind) in [
        (member.clone(), ManageErrorKind::Denied(DenialReason::InsufficientRole.into())),
        (person("stranger"), ManageErrorKind::NotFound),
        (system(), ManageErrorKind::NotFound),
    ] {
        let actor = if kind == ManageErrorKind::NotFound && actor.is_system() {
            Actor::user(user_id("root"), Rights::none().org_admin()).with_organization("elsewhere".parse().unwrap())
        } else {
            actor
        };
        let error = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &actor).await.unwrap_err();
        assert_eq!((error.kind(), error.so_far().matched), (kind, 0));
    }
    // If the request names no owner, keys that the actor sees but may not revoke are counted.
    let alice_made = RevokeMany::created_by(ActorId::User(user_id("alice")));
    let report = bench.manager.revoke_many(alice_made.clone(), &member).await.unwrap();
    assert_eq!(counts(&report), (2, 0, 0, 2));
    let report = bench.manager.revoke_many(alice_made, &person("stranger")).await.unwrap();
    assert_eq!(counts(&report), (0, 0, 0, 0));
    assert_eq!(live(&bench).await.len(), 2);
}

#[tokio::test]
async fn the_acting_key_revokes_itself_last() {
    let bench = Bench::new();
    plant_many(&bench, 60, &team("blue")).await;
    // The acting key is the first in the list.
    let acting = KeyRow { id: ACTING.into(), created_at: 1, scopes: "keys:manage".into(), ..row(0, &team("blue")) };
    bench.plant_row(acting).await;
    let actor = Actor::key(&principal(&team("blue"), "keys:manage"), Rights::none());
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &actor).await.unwrap();
    assert_eq!(counts(&report), (61, 61, 0, 0));
    assert!(live(&bench).await.is_empty());
    assert_eq!(bench.events().await.last().unwrap().key.as_deref(), Some(ACTING));
}

#[tokio::test]
async fn keys_issued_meanwhile_are_caught() {
    let bench = Bench::new();
    plant_many(&bench, 60, &team("blue")).await;
    // One more key is written before each of the first three changes. Its old creation time puts it before all others.
    for n in 100..103 {
        let row = KeyRow { created_at: 5, ..row(n, &team("blue")) };
        bench.store.quicker.lock().unwrap().push_back(plain_change(&row.id.clone(), Write::Insert(row)));
    }
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!(counts(&report), (63, 63, 0, 0));
    assert!(report.passes >= 3 && report.is_complete());
    assert!(live(&bench).await.is_empty());
}

#[tokio::test]
async fn keys_made_faster_than_they_are_revoked_are_reported() {
    let bench = Bench::new();
    plant_many(&bench, 1, &team("blue")).await;
    for n in 100..200 {
        let row = row(n, &team("blue"));
        bench.store.quicker.lock().unwrap().push_back(plain_change(&row.id.clone(), Write::Insert(row)));
    }
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert!(!report.is_complete());
    assert_eq!(report.left as usize, live(&bench).await.len());
    assert_eq!(report.matched, report.revoked + report.left);
}

#[tokio::test]
async fn somebody_who_was_quicker_is_no_error() {
    let bench = Bench::new();
    plant_many(&bench, 3, &team("blue")).await;
    let revoke = Write::Revoke {
        organization: crate::OrganizationId::single(),
        id: KeyId::new(&id(1)).unwrap(),
        by: "user:bob".into(),
    };
    bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", revoke));
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!(counts(&report), (3, 2, 1, 0));
    assert_eq!(bench.row(&KeyId::new(&id(1)).unwrap()).await.revoked_by.as_deref(), Some("user:bob"));
}

#[tokio::test]
async fn an_actor_who_is_suspended_half_way_revokes_no_more_and_the_error_says_how_far_it_got() {
    let bench = Bench::new();
    plant_many(&bench, 120, &team("blue")).await;
    let ada = OwnerRef { organization: crate::OrganizationId::single(), owner: user("ada") };
    let nothing = Write::Owner(
        OwnerRef { organization: crate::OrganizationId::single(), owner: user("else") },
        OwnerChange::Suspend(Suspension::Admin),
    );
    let suspension = Write::Owner(ada, OwnerChange::Suspend(Suspension::Admin));
    let quicker = [plain_change("nothing", nothing), plain_change("suspend", suspension)];
    bench.store.quicker.lock().unwrap().extend(quicker);
    let request = RevokeMany::of(team_id("blue"));
    let error = bench.manager.revoke_many(request.clone(), &admin_of("blue")).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
    assert_eq!(error.so_far().revoked, 50);
    assert!(error.to_string().starts_with("stopped after 50 keys were revoked: denied"), "{error}");
    assert_eq!(live(&bench).await.len(), 70);
    // Another actor continues.
    let report = bench.manager.revoke_many(request, &system()).await.unwrap();
    assert_eq!(counts(&report), (120, 70, 50, 0));
}

#[tokio::test]
async fn a_store_that_fails_half_way_is_reported_and_asking_again_goes_on() {
    let bench = Bench::new();
    plant_many(&bench, 120, &team("blue")).await;
    bench.store.fail([Fault::Works, Fault::Unavailable]);
    let request = RevokeMany::of(team_id("blue"));
    let error = bench.manager.revoke_many(request.clone(), &system()).await.unwrap_err();
    assert_eq!((error.kind(), error.so_far().revoked), (ManageErrorKind::StoreUnavailable, 50));
    assert_eq!(live(&bench).await.len(), 70);
    let report = bench.manager.revoke_many(request, &system()).await.unwrap();
    assert_eq!(counts(&report), (120, 70, 50, 0));
    assert_eq!(bench.events().await.len(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_counted_once() {
    let bench = Bench::new();
    plant_many(&bench, 60, &team("blue")).await;
    bench.store.fail([Fault::DoesAndLosesTheAnswer]);
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!(counts(&report), (60, 60, 0, 0));
    assert_eq!(bench.events().await.len(), 60);
}

#[tokio::test]
async fn records_that_cannot_be_read_are_counted() {
    let bench = Bench::new();
    plant_many(&bench, 2, &team("blue")).await;
    bench.plant_row(KeyRow { hash: "!".into(), ..row(7, &team("blue")) }).await;
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!((counts(&report), report.unreadable), ((2, 2, 0, 0), 1));
    assert!(
        report.to_string().ends_with("because its stored data cannot be read: tell the operator of the service."),
        "{report}"
    );
}

#[tokio::test]
async fn a_key_being_issued_by_the_revoked_one_is_not_made() {
    let bench = Bench::new();
    bench.plant_row(KeyRow { id: ACTING.into(), scopes: "keys:manage".into(), ..row(0, &team("blue")) }).await;
    let rights = Rights::none().team_keys_included_for(team_id("blue"));
    let actor = Actor::key(&principal(&team("blue"), "keys:manage agents:read"), rights);
    let request = RevokeMany::key_and_made(KeyId::new(ACTING).unwrap());
    bench.manager.revoke_many(request, &system()).await.unwrap();
    let issue = IssueKey::team(team_id("blue")).scopes(scopes("agents:read"));
    let error = bench.manager.issue(issue, &actor).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Denied(DenialReason::ActorKeyDead.into()));
}

#[tokio::test]
async fn key_that_acts_ends_also_where_others_are_made_faster_than_they_end() {
    let bench = Bench::new();
    let acting = bench.plant(ACTING, &team("blue"), "keys:manage").await;
    let key = Actor::key(&principal(&team("blue"), "keys:manage"), Rights::none());
    bench.plant_row(row(0, &team("blue"))).await;
    for n in 1..40 {
        let made = row(n, &team("blue"));
        bench.store.quicker.lock().unwrap().push_back(plain_change(&made.id.clone(), Write::Insert(made)));
    }
    let report = bench.manager.revoke_many(RevokeMany::of(team_id("blue")), &key).await.unwrap();
    assert!(bench.row(&acting).await.revoked_at.is_some());
    assert!(report.left > 0 && !report.is_complete(), "{report:?}");
    assert_eq!(report.matched, report.revoked + report.left);
}
