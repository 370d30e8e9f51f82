use std::time::Duration;

use crate::{
    Actor, Clock, IssueKey, Principal,
    key::KeyId,
    manage::{
        DenialReason, ManageError, ManageErrorKind, Quota, Rights, RotateKey, Rules, TeamRole,
        fixture::{ACTING, Bench, Fault, START, person, principal, scopes, system, team, team_id, time, user, user_id},
        quota::Quotas,
    },
    record::{KeyRow, Suspension},
    store::OwnerChange,
};

const HOUR: Duration = Duration::from_secs(3_600);
const MILLISECOND: Duration = Duration::from_millis(1);

fn bench(quotas: Quotas) -> Bench {
    Bench::with_rules(Rules { quotas, ..Rules::default() })
}

fn live_keys(user: u32, team: u32) -> Bench {
    bench(Quotas { live_keys_of_user: Some(user), live_keys_of_team: Some(team), ..Quotas::default() })
}

fn per_hour(limit: u32) -> Bench {
    bench(Quotas { issues_per_hour: Some(limit), ..Quotas::default() })
}

fn admin(id: &str, of: &str) -> Actor {
    Actor::user(user_id(id), Rights::none().team(team_id(of), TeamRole::Admin).team_keys_included())
}

fn own() -> IssueKey {
    IssueKey::user(user_id("alice"))
}

async fn issue(bench: &Bench, request: IssueKey, actor: &Actor) -> KeyId {
    bench.manager.issue(request, actor).await.unwrap().info().id
}

fn reached(result: Result<impl Sized, ManageError>) -> ManageErrorKind {
    result.err().unwrap().kind()
}

const TWO_LIVE: ManageErrorKind = ManageErrorKind::QuotaReached(Quota::LiveKeys(2));
const TWO_AN_HOUR: ManageErrorKind = ManageErrorKind::QuotaReached(Quota::IssuesPerHour(2));

#[tokio::test]
async fn owner_with_as_many_live_keys_as_allowed_gets_no_more() {
    let bench = live_keys(2, 1);
    let alice = person("alice");
    for _ in 0..2 {
        issue(&bench, own(), &alice).await;
    }
    let before = bench.all().await;
    let error = bench.manager.issue(own(), &alice).await.unwrap_err();
    assert_eq!(error.kind(), TWO_LIVE);
    assert_eq!(
        error.to_string(),
        "the user or team already has 2 active keys, as many as this service allows: revoke one that is not needed any more"
    );
    assert_eq!(reached(bench.manager.issue(own(), &system()).await), TWO_LIVE);
    assert_eq!(bench.all().await, before, "something was written");

    // Each owner is counted alone: another user, and the team with the same id, which has its own limit.
    issue(&bench, IssueKey::user(user_id("bob")), &person("bob")).await;
    issue(&bench, IssueKey::team(team_id("alice")), &admin("bob", "alice")).await;
    let more = bench.manager.issue(IssueKey::team(team_id("alice")), &admin("carol", "alice")).await;
    assert_eq!(reached(more), ManageErrorKind::QuotaReached(Quota::LiveKeys(1)));
}

#[tokio::test]
async fn revoked_and_expired_keys_make_room() {
    let bench = live_keys(2, 2);
    let alice = person("alice");
    let first = issue(&bench, own(), &alice).await;
    issue(&bench, own().expires_at(time("2026-03-02T12:00:00Z")), &alice).await;
    bench.clock.advance(24 * HOUR - MILLISECOND);
    assert_eq!(reached(bench.manager.issue(own(), &alice).await), TWO_LIVE);
    bench.clock.advance(MILLISECOND);
    issue(&bench, own(), &alice).await;
    assert_eq!(reached(bench.manager.issue(own(), &alice).await), TWO_LIVE);
    bench.manager.revoke(&first, &alice).await.unwrap();
    issue(&bench, own(), &alice).await;
}

#[tokio::test]
async fn key_is_rotated_where_there_is_no_room_for_a_new_one() {
    let bench = live_keys(1, 1);
    let alice = person("alice");
    let old = issue(&bench, own(), &alice).await;
    let new = bench.manager.begin_rotation(RotateKey::of(old), &alice).await.unwrap();
    let full = ManageErrorKind::QuotaReached(Quota::LiveKeys(1));
    assert_eq!(reached(bench.manager.issue(own(), &alice).await), full);
    bench.manager.finish_rotation_anyway(&new.info().id, &alice).await.unwrap();
    assert_eq!(reached(bench.manager.issue(own(), &alice).await), full);
}

#[tokio::test]
async fn personal_key_is_not_rotated_into_a_team_without_room() {
    let bench = live_keys(5, 1);
    let alice = admin("alice", "blue");
    let old = issue(&bench, own(), &alice).await;
    let taken = issue(&bench, IssueKey::team(team_id("blue")), &alice).await;
    let into = || RotateKey::of(old).into_team(team_id("blue"));
    let before = bench.all().await;
    let full = ManageErrorKind::QuotaReached(Quota::LiveKeys(1));
    assert_eq!(reached(bench.manager.begin_rotation(into(), &alice).await), full);
    assert_eq!(bench.all().await, before, "something was written");
    bench.manager.revoke(&taken, &alice).await.unwrap();
    drop(bench.manager.begin_rotation(into(), &alice).await.unwrap());
}

#[tokio::test]
async fn actor_makes_as_many_keys_within_an_hour_as_allowed_for_any_owner() {
    let bench = per_hour(2);
    let alice = admin("alice", "blue");
    let first = issue(&bench, own(), &alice).await;
    bench.clock.advance(HOUR / 2);
    issue(&bench, IssueKey::team(team_id("blue")), &alice).await;
    // A revoked key still counts as created, and so does a successor.
    bench.manager.revoke(&first, &alice).await.unwrap();
    let before = bench.all().await;
    let error = bench.manager.issue(own(), &alice).await.unwrap_err();
    assert_eq!(error.kind(), TWO_AN_HOUR);
    assert_eq!(
        error.to_string(),
        "you created as many keys within the last hour as this service allows (2): try again in an hour"
    );
    assert_eq!(bench.all().await, before, "something was written");

    bench.clock.advance(HOUR / 2 - MILLISECOND);
    assert_eq!(reached(bench.manager.issue(own(), &alice).await), TWO_AN_HOUR);
    bench.clock.advance(MILLISECOND);
    let third = issue(&bench, own(), &alice).await;
    let rotation = bench.manager.begin_rotation(RotateKey::of(third), &alice).await;
    assert_eq!(reached(rotation), TWO_AN_HOUR);
}

#[tokio::test]
async fn each_person_has_an_hour_of_their_own_and_the_system_has_no_limit() {
    let bench = per_hour(1);
    issue(&bench, own(), &person("alice")).await;
    issue(&bench, IssueKey::user(user_id("bob")), &person("bob")).await;
    for _ in 0..3 {
        issue(&bench, own(), &system()).await;
    }
}

/// A new key or successor does not count as another actor with its own limit. Otherwise no actor would ever reach the
/// limit.
#[tokio::test]
async fn what_a_key_makes_counts_for_its_owner() {
    let bench = per_hour(2);
    let alice = person("alice");
    issue(&bench, own(), &alice).await;
    let (kind, owner, scopes) = ("user".into(), "alice".into(), "* keys:manage".into());
    let created_by = "system:first start".into();
    bench.plant_row(KeyRow { id: ACTING.into(), kind, owner, scopes, created_by, ..KeyRow::example() }).await;
    let key = Actor::key(&principal(&user("alice"), "* keys:manage"), Rights::none());
    drop(bench.manager.begin_rotation(RotateKey::of(ACTING.parse().unwrap()), &key).await.unwrap());
    for actor in [&alice, &key] {
        assert_eq!(reached(bench.manager.issue(own(), actor).await), TWO_AN_HOUR);
    }
    issue(&bench, IssueKey::user(user_id("bob")), &person("bob")).await;
}

#[tokio::test]
async fn keys_of_a_team_have_one_hour_and_its_people_another() {
    let bench = per_hour(2);
    let (request, business) =
        (|| IssueKey::team(team_id("blue")), Rights::none().team_keys_included_for(team_id("blue")));
    let mut last = None;
    for id in [ACTING, "BBBBBBBBBBBBBBBBBBBB"] {
        let id = bench.plant(id, &team("blue"), "* keys:manage").await;
        let key = Principal::fake().team("blue").unwrap().key(id).scopes(scopes("* keys:manage")).build();
        let key = Actor::key(&key, business.clone());
        issue(&bench, request(), &key).await;
        last = Some(key);
    }
    assert_eq!(reached(bench.manager.issue(request(), &last.unwrap()).await), TWO_AN_HOUR);
    issue(&bench, request(), &admin("blue", "blue")).await;
}

/// A wrong clock that was ahead does not lock out an actor until that time.
#[tokio::test]
async fn keys_that_a_wrong_clock_dated_ahead_count_for_no_hour() {
    let bench = per_hour(1);
    let (alice, right) = (person("alice"), bench.clock.now());
    bench.clock.set_wall_clock(right.saturating_add(24 * 55 * HOUR));
    bench.clock.advance(Duration::from_secs(30));
    issue(&bench, own(), &alice).await;
    bench.clock.set_wall_clock(right);
    bench.clock.advance(Duration::from_secs(30));
    issue(&bench, own(), &alice).await;
    assert_eq!(
        reached(bench.manager.issue(own(), &alice).await),
        ManageErrorKind::QuotaReached(Quota::IssuesPerHour(1))
    );
}

#[tokio::test]
async fn key_of_which_the_store_did_not_say_that_it_was_made_takes_one_place() {
    let bench = bench(Quotas { live_keys_of_user: Some(1), issues_per_hour: Some(1), ..Quotas::default() });
    bench.store.fail([Fault::DoesAndLosesTheAnswer]);
    issue(&bench, own(), &person("alice")).await;
}

#[tokio::test]
async fn limit_of_none_lets_nobody_make_a_key() {
    let bench = live_keys(0, 0);
    let none = ManageErrorKind::QuotaReached(Quota::LiveKeys(0));
    assert_eq!(reached(bench.manager.issue(own(), &person("alice")).await), none);
    assert_eq!(reached(bench.manager.issue(IssueKey::team(team_id("blue")), &system()).await), none);
}

#[tokio::test]
async fn repeat_of_a_request_that_was_done_is_told_so_where_there_is_no_room() {
    let bench = live_keys(1, 1);
    let request = || own().idempotency_key("form 7");
    issue(&bench, request(), &person("alice")).await;
    assert_eq!(reached(bench.manager.issue(request(), &person("alice")).await), ManageErrorKind::IdempotencyKeyUsed);
}

#[tokio::test]
async fn room_is_told_of_only_to_who_may_make_a_key_at_all() {
    let bench = live_keys(1, 1);
    issue(&bench, IssueKey::team(team_id("blue")), &system()).await;
    let stranger = bench.manager.issue(IssueKey::team(team_id("blue")), &person("mallory")).await;
    assert_eq!(reached(stranger), ManageErrorKind::NotFound);
    // An actor that was suspended meanwhile gets that reason.
    issue(&bench, own(), &person("alice")).await;
    bench.change_owner(&user("bob"), OwnerChange::Suspend(Suspension::Admin)).await;
    let suspended = bench.manager.issue(IssueKey::team(team_id("blue")), &admin("bob", "blue")).await;
    assert_eq!(reached(suspended), ManageErrorKind::Denied(DenialReason::ActorSuspended.into()));
}

#[tokio::test]
async fn owner_that_got_beyond_a_lower_limit_keeps_its_keys() {
    let bench = live_keys(2, 2);
    for id in ["AAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBB", "CCCCCCCCCCCCCCCCCCCC"] {
        bench.plant(id, &team("blue"), "*").await;
    }
    assert_eq!(reached(bench.manager.issue(IssueKey::team(team_id("blue")), &system()).await), TWO_LIVE);
    let (keys, _) = bench.all().await;
    assert!(keys.iter().all(|listed| listed.key.is_live(time(START))));
    let rotate = RotateKey::of("AAAAAAAAAAAAAAAAAAAA".parse().unwrap());
    drop(bench.manager.begin_rotation(rotate, &system()).await.unwrap());
}
