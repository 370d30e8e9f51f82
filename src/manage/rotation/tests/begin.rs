//! How a rotation begins: the new key, which actors may begin it, and when it is refused.

use std::time::Duration;

use crate::{
    Actor, IssueKey, OrganizationId, Owner,
    key::KeyId,
    manage::{
        DenialReason, InvalidInput, ManageError, ManageErrorKind, Rights, RotateKey, TeamRole,
        fixture::{
            ACTING, Bench, Fault, START, person, plain_change, principal, scopes, system, team, team_id, time, user,
            user_id,
        },
    },
    owner::OwnerRef,
    record::{KeyRow, Labels, Suspension},
    store::{Change, KeyUpdate, OwnerChange, Write},
};

pub(super) const OLD: &str = "AAAAAAAAAAAAAAAAAAAA";
pub(super) const END: &str = "2027-01-01T00:00:00Z";

/// A personal key of Alice.
async fn bench_with(scopes: &str) -> (Bench, KeyId) {
    let bench = Bench::new();
    let id = bench.plant(OLD, &user("alice"), scopes).await;
    (bench, id)
}

pub(super) fn revoke(id: &KeyId) -> Change {
    let name = format!("revoke {id}");
    plain_change(&name, Write::Revoke { organization: OrganizationId::single(), id: *id, by: "user:eve".into() })
}

/// An update that is based on this row.
pub(super) fn update(row: KeyRow) -> Change {
    let name = format!("{row:?}");
    plain_change(
        &name,
        Write::Update(KeyUpdate {
            organization: OrganizationId::single(),
            id: KeyId::new(&row.id).unwrap(),
            expected_version: row.version,
            name: row.name,
            labels: row.labels,
            scopes: row.scopes,
            allowed_networks: row.allowed_networks.clone(),
            responsible: row.responsible.clone(),
            expires_at: row.expires_at,
        }),
    )
}

pub(super) fn quicker(bench: &Bench, changes: impl IntoIterator<Item = Change>) {
    bench.store.quicker.lock().unwrap().extend(changes);
}

fn kind<T>(result: Result<T, ManageError>) -> Result<(), ManageErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

fn denied<T>(reason: DenialReason) -> Result<T, ManageErrorKind> {
    Err(ManageErrorKind::Denied(reason.into()))
}

fn admin(of: &str, included: bool) -> Actor {
    let rights = Rights::none().team(team_id(of), TeamRole::Admin);
    let rights = if included { rights.team_keys_included_for(team_id(of)) } else { rights };
    Actor::user(user_id("alice"), rights)
}

/// Plants a key of alice or of a team as the acting key.
async fn acting(bench: &Bench, owner: &Owner, scopes: &str) -> (KeyId, Actor) {
    let id = bench.plant(ACTING, owner, scopes).await;
    let rights = Rights::none().team_keys_included_for(team_id("blue"));
    (id, Actor::key(&principal(owner, scopes), rights))
}

#[tokio::test]
async fn successor_is_what_the_old_key_is() {
    let (bench, id) = bench_with("read write").await;
    bench.manager.expire_at(&id, time(END), &system()).await.unwrap();
    let old = bench.row(&id).await;
    bench.clock.advance(Duration::from_secs(60));
    let issued = bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await.unwrap();

    let new = bench.row(&issued.info().id).await;
    assert!(issued.plaintext().expose_secret().contains(&new.id));
    let expected = KeyRow {
        id: new.id.clone(),
        hash: new.hash.clone(),
        tag: new.tag,
        pepper_id: new.pepper_id,
        created_by: "user:alice".into(),
        created_at: bench.now().as_millis(),
        replaces: Some(OLD.into()),
        lineage: OLD.into(),
        predecessor_expires_at: old.expires_at,
        version: 1,
        ..old.clone()
    };
    assert_eq!(new, expected);
    assert_ne!(new.hash, old.hash);
    assert_eq!(issued.info().replaces, Some(id));
    // The old key gets a new version, so that concurrent changes conflict. It is otherwise unchanged.
    assert_eq!(bench.row(&id).await, KeyRow { version: old.version + 1, ..old });
}

#[tokio::test]
async fn both_keys_have_one_event() {
    let (bench, id) = bench_with("read").await;
    let new = bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await.unwrap().info().id;
    let summary = r#"{"name":"GitHub Actions - production","labels":{"ticket":"OPS-1234"},"scopes":"read","networks":null,"responsible":null,"expires_at":null,"known_beforehand":false}"#;
    let told: Vec<_> =
        bench.events().await.into_iter().map(|e| (e.action, e.key.unwrap(), e.before, e.after, e.actor)).collect();
    let alice = || "user:alice".to_owned();
    assert_eq!(
        told,
        [
            ("key.rotation_begun".to_owned(), new.to_string(), Some(OLD.to_owned()), Some(summary.to_owned()), alice()),
            ("key.successor_made".to_owned(), OLD.to_owned(), None, Some(new.to_string()), alice()),
        ]
    );
}

#[tokio::test]
async fn request_says_otherwise() {
    let (bench, id) = bench_with("read write").await;
    bench.manager.expire_at(&id, time(END), &system()).await.unwrap();
    let labels = Labels::new([("rotation-due", "2027-06")]).unwrap();
    let request = RotateKey::of(id)
        .named("Monday cron")
        .labels(labels.clone())
        .scopes(scopes("read"))
        .expires_at(time("2028-01-01T00:00:00Z"));
    let issued = bench.manager.begin_rotation(request.clone(), &person("alice")).await.unwrap();
    let info = issued.info();
    assert_eq!((info.name.as_str(), &info.labels, &info.scopes), ("Monday cron", &labels, &scopes("read")));
    assert_eq!(info.expires_at, Some(time("2028-01-01T00:00:00Z")));

    bench.manager.abort_rotation(&info.id, &person("alice")).await.unwrap();
    let issued = bench.manager.begin_rotation(request.expires_at(None), &person("alice")).await.unwrap();
    assert_eq!(issued.info().expires_at, None);
}

#[tokio::test]
async fn end_of_grace_is_the_earlier_of_both_and_the_successor_keeps_the_old_expiry() {
    for (before, grace, after, action) in [
        (None, END, END, "key.expiry_set"),
        (Some("2028-01-01T00:00:00Z"), END, END, "key.expiry_set"),
        (Some("2026-06-01T00:00:00Z"), END, "2026-06-01T00:00:00Z", "key.successor_made"),
        (Some(END), END, END, "key.successor_made"),
    ] {
        let (bench, id) = bench_with("read").await;
        if let Some(before) = before {
            bench.manager.expire_at(&id, time(before), &system()).await.unwrap();
            bench.clock.advance(Duration::from_secs(1));
        }
        let request = RotateKey::of(id).old_key_ends_at(time(grace));
        let issued = bench.manager.begin_rotation(request, &person("alice")).await.unwrap();
        assert_eq!(issued.info().expires_at, before.map(time));
        assert_eq!(bench.row(&id).await.expires_at, Some(time(after).as_millis()));
        let events = bench.events().await;
        let last = events.last().unwrap();
        assert_eq!((&*last.action, last.key.as_deref()), (action, Some(OLD)));
        if action == "key.expiry_set" {
            assert_eq!((last.before.as_deref(), last.after.as_deref()), (before, Some(after)));
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let (bench, id) = bench_with("read").await;
    let before = bench.all().await;
    let invalid = |what| Err(ManageErrorKind::Invalid(what));
    let of = || RotateKey::of(id);
    for (request, expected) in [
        (of().named("two\nlines"), invalid(InvalidInput::Name)),
        (of().expires_at(time(START)), invalid(InvalidInput::ExpiryPast)),
        (of().old_key_ends_at(time(START)), invalid(InvalidInput::ExpiryPast)),
        (of().idempotency_key(""), invalid(InvalidInput::IdempotencyKey)),
        (RotateKey::of(KeyId::new(ACTING).unwrap()), Err(ManageErrorKind::NotFound)),
    ] {
        let text = format!("{request:?}");
        assert_eq!(kind(bench.manager.begin_rotation(request, &person("alice")).await), expected, "{text}");
    }
    assert_eq!(bench.all().await, before);
}

#[tokio::test]
async fn more_scopes_and_a_later_end_come_with_a_rotation_for_who_may_make_such_a_key() {
    let plan = denied(DenialReason::PlanRequired);
    for (owner, actor, wider) in [
        (user("alice"), person("alice"), Ok(())),
        (user("alice"), system(), Ok(())),
        (team("blue"), admin("blue", true), Ok(())),
        (team("blue"), admin("blue", false), plan),
    ] {
        for asked in ["write", "read write", "*", "read keys:manage"] {
            let bench = Bench::new();
            let id = bench.plant(OLD, &owner, "read").await;
            bench.manager.expire_at(&id, time(END), &system()).await.unwrap();
            let before = bench.all().await;
            let later = RotateKey::of(id).expires_at(time("2028-01-01T00:00:00Z"));
            let begun = bench.manager.begin_rotation(later.clone().scopes(scopes(asked)), &actor).await;
            match wider {
                Ok(()) => assert_eq!(begun.unwrap().info().scopes, scopes(asked)),
                refused => {
                    assert_eq!(kind(begun), refused);
                    assert_eq!(bench.all().await, before);
                    // A successor that is no wider needs no plan.
                    let begun = bench.manager.begin_rotation(later.scopes(scopes("")), &actor).await.unwrap();
                    assert_eq!(begun.info().expires_at, Some(time("2028-01-01T00:00:00Z")));
                }
            }
        }
    }
}

#[tokio::test]
async fn key_gives_more_scopes_by_a_rotation_only_within_its_own_and_if_it_may_issue() {
    let issue = denied(DenialReason::InsufficientScope(crate::ManagingScope::Issue));
    let wide = denied(DenialReason::ScopesTooWide);
    for (own, asked, expected) in [
        ("* keys:rotate", "read write", issue),
        ("read keys:rotate", "read write", issue),
        ("read keys:rotate keys:issue", "read write", wide),
        ("read write keys:rotate keys:issue", "read write", Ok(())),
        ("* keys:manage", "*", Ok(())),
        ("* keys:manage", "read keys:rotate", wide),
        ("* keys:rotate", "read", Ok(())),
    ] {
        let bench = Bench::new();
        let (_, actor) = acting(&bench, &team("blue"), own).await;
        let id = bench.plant(OLD, &team("blue"), "read").await;
        let begun = bench.manager.begin_rotation(RotateKey::of(id).scopes(scopes(asked)), &actor).await;
        assert_eq!(kind(begun), expected, "{own}: {asked}");
    }
    // A key cannot create a wider successor for itself either.
    let bench = Bench::new();
    let (id, actor) = acting(&bench, &team("blue"), "read keys:manage").await;
    for asked in ["read write keys:manage", "*", "* keys:manage"] {
        let begun = bench.manager.begin_rotation(RotateKey::of(id).scopes(scopes(asked)), &actor).await;
        assert_eq!(kind(begun), wide, "{asked}");
    }
}

#[tokio::test]
async fn scopes_are_those_that_the_service_has() {
    let known = [crate::Scope::new("write").unwrap()].into_iter().collect();
    let bench = Bench::with_rules(crate::manage::Rules { scopes: Some(known), ..crate::manage::Rules::default() });
    let id = bench.plant(OLD, &user("alice"), "read write").await;
    let request = RotateKey::of(id).scopes(scopes("read"));
    let refused = kind(bench.manager.begin_rotation(request, &person("alice")).await);
    assert_eq!(refused, Err(ManageErrorKind::Invalid(InvalidInput::UnknownScope)));
    // It keeps scopes that it always had.
    let issued = bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await.unwrap();
    assert_eq!(issued.info().scopes, scopes("read write"));
}

#[tokio::test]
async fn dead_key_is_not_rotated() {
    let (bench, id) = bench_with("read").await;
    bench.manager.expire_at(&id, time("2026-03-01T13:00:00Z"), &system()).await.unwrap();
    bench.clock.advance(Duration::from_secs(3_600));
    let begin = || async { kind(bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await) };
    assert_eq!(begin().await, Err(ManageErrorKind::KeyExpired));
    bench.manager.revoke(&id, &system()).await.unwrap();
    assert_eq!(begin().await, Err(ManageErrorKind::KeyRevoked));
}

#[tokio::test]
async fn key_that_is_revoked_right_before_is_not_rotated() {
    let (bench, id) = bench_with("read").await;
    quicker(&bench, [revoke(&id)]);
    let refused = kind(bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await);
    assert_eq!(refused, Err(ManageErrorKind::KeyRevoked));
    assert_eq!(bench.all().await.0.len(), 1);
}

#[tokio::test]
async fn key_has_one_live_successor_at_a_time() {
    let (bench, id) = bench_with("read").await;
    let (alice, manager) = (person("alice"), &bench.manager);
    let first = manager.begin_rotation(RotateKey::of(id), &alice).await.unwrap().info().id;
    let under_way = Err(ManageErrorKind::RotationUnderWay);
    assert_eq!(kind(manager.begin_rotation(RotateKey::of(id), &alice).await), under_way);
    // The new key cannot get a successor before the old key is gone.
    assert_eq!(kind(manager.begin_rotation(RotateKey::of(first), &alice).await), under_way);

    manager.abort_rotation(&first, &alice).await.unwrap();
    let second = manager.begin_rotation(RotateKey::of(id), &alice).await.unwrap().info().id;
    manager.finish_rotation_anyway(&second, &alice).await.unwrap();
    assert!(manager.begin_rotation(RotateKey::of(second), &alice).await.is_ok());
}

#[tokio::test]
async fn successor_of_a_key_whose_grace_is_over_can_be_rotated() {
    let (bench, id) = bench_with("read").await;
    let request = RotateKey::of(id).old_key_ends_at(time("2026-03-01T13:00:00Z"));
    let new = bench.manager.begin_rotation(request, &person("alice")).await.unwrap().info().id;
    bench.clock.advance(Duration::from_secs(3_600));
    assert!(bench.manager.begin_rotation(RotateKey::of(new), &person("alice")).await.is_ok());
}

#[tokio::test]
async fn one_who_begins_right_before_is_the_only_one() {
    let (bench, id) = bench_with("read").await;
    let row = KeyRow { id: "quicker_quicker_qui_".into(), replaces: Some(OLD.into()), ..bench.row(&id).await };
    quicker(&bench, [plain_change("quicker", Write::Insert(row))]);
    let refused = kind(bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await);
    assert_eq!(refused, Err(ManageErrorKind::RotationUnderWay));
    assert_eq!(bench.all().await.0.len(), 2);
}

#[tokio::test]
async fn scopes_that_are_taken_right_before_do_not_come_back() {
    let (bench, id) = bench_with("read write").await;
    quicker(&bench, [update(KeyRow { scopes: "read".into(), ..bench.row(&id).await })]);
    let issued = bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await.unwrap();
    assert_eq!(issued.info().scopes, scopes("read"));
    assert_eq!(bench.row(&issued.info().id).await.scopes, "read");
}

#[tokio::test]
async fn key_that_is_changed_without_pause_is_a_conflict() {
    let (bench, id) = bench_with("read").await;
    let row = KeyRow { name: "a".into(), ..bench.row(&id).await };
    quicker(&bench, [update(row.clone()), update(KeyRow { name: "b".into(), version: 2, ..row })]);
    let refused = kind(bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await);
    assert_eq!(refused, Err(ManageErrorKind::Conflict));
    assert_eq!(bench.all().await.0.len(), 1);
}

#[tokio::test]
async fn suspended_or_closed_owner_gets_no_successor() {
    let suspension = OwnerChange::Suspend(Suspension::Plan);
    for (change, expected) in
        [(suspension, ManageErrorKind::OwnerPlanSuspended), (OwnerChange::Close, ManageErrorKind::OwnerClosed)]
    {
        let bench = Bench::new();
        let id = bench.plant(OLD, &team("blue"), "read").await;
        let of = OwnerRef { organization: OrganizationId::single(), owner: team("blue") };
        quicker(&bench, [plain_change("suspend", Write::Owner(of, change))]);
        let refused = kind(bench.manager.begin_rotation(RotateKey::of(id), &system()).await);
        assert_eq!(refused, Err(expected));
    }
}

#[tokio::test]
async fn repeat_under_one_idempotency_key_is_a_replay() {
    let (bench, id) = bench_with("read").await;
    let request = RotateKey::of(id).idempotency_key("3f1c");
    let _ = bench.manager.begin_rotation(request.clone(), &person("alice")).await.unwrap();
    assert_eq!(
        kind(bench.manager.begin_rotation(request, &person("alice")).await),
        Err(ManageErrorKind::IdempotencyKeyUsed)
    );
}

#[tokio::test]
async fn lost_answer_of_a_begin_is_resolved_to_one_successor() {
    for faults in [
        &[Fault::DoesAndLosesTheAnswer][..],
        &[Fault::LosesTheAnswer],
        &[Fault::DoesAndPanics],
        &[Fault::LosesTheAnswer, Fault::DoesAndLosesTheAnswer],
    ] {
        let (bench, id) = bench_with("read").await;
        bench.store.fail(faults.iter().copied());
        let request = RotateKey::of(id).old_key_ends_at(time(END));
        let issued = bench.manager.begin_rotation(request, &person("alice")).await.unwrap();
        let (keys, events) = bench.all().await;
        assert_eq!((keys.len(), events.len()), (2, 2), "{faults:?}");
        assert!(keys.iter().any(|key| key.key.id == issued.plaintext().id().as_str()));
        assert_eq!(bench.row(&id).await.version, 2);
    }
}

#[tokio::test]
async fn begin_of_unknown_outcome_is_found_by_the_old_key_and_given_up() {
    let (bench, id) = bench_with("read").await;
    bench.store.fail([Fault::DoesAndLosesTheAnswer, Fault::LosesTheAnswer, Fault::LosesTheAnswer]);
    let begin = || async { kind(bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await) };
    assert_eq!(begin().await, Err(ManageErrorKind::OutcomeUnknown));
    assert_eq!(begin().await, Err(ManageErrorKind::RotationUnderWay));
    let lost = bench.manager.rotation(&id, &person("alice")).await.unwrap().new.id;
    bench.manager.abort_rotation(&lost, &person("alice")).await.unwrap();
    assert_eq!(begin().await, Ok(()));
}

#[tokio::test]
async fn personal_key_becomes_a_teams() {
    let (bench, id) = bench_with("* keys:manage").await;
    let request = || RotateKey::of(id).into_team(team_id("blue"));
    let alice = admin("blue", true);
    let begin = |request, actor: Actor| {
        let manager = &bench.manager;
        async move { manager.begin_rotation(request, &actor).await }
    };
    assert_eq!(kind(begin(request(), admin("blue", false)).await), denied(DenialReason::PlanRequired));
    assert_eq!(kind(begin(request(), admin("red", true)).await), Err(ManageErrorKind::NotFound));
    let member =
        Actor::user(user_id("alice"), Rights::none().team(team_id("blue"), TeamRole::Member).team_keys_included());
    assert_eq!(kind(begin(request(), member).await), denied(DenialReason::InsufficientRole));

    let issued = begin(request(), alice.clone()).await.unwrap();
    let info = issued.info();
    assert_eq!((&info.owner, &info.scopes), (&team("blue"), &scopes("*")));
    assert!(issued.plaintext().expose_secret().starts_with("team."));
    bench.manager.abort_rotation(&info.id, &alice).await.unwrap();

    let issued = begin(request().scopes(scopes("* keys:manage")), alice).await.unwrap();
    assert_eq!(issued.info().scopes, scopes("* keys:manage"));
}

#[tokio::test]
async fn who_left_the_team_of_the_new_key_is_told_how_to_go_on_and_can() {
    let (bench, id) = bench_with("*").await;
    let (manager, gone) = (&bench.manager, person("alice"));
    let into_blue = RotateKey::of(id).into_team(team_id("blue"));
    let new = manager.begin_rotation(into_blue, &admin("blue", true)).await.unwrap().info().id;

    let told = manager.begin_rotation(RotateKey::of(id), &gone).await.unwrap_err().to_string();
    assert_eq!(
        told,
        "a rotation of this key is under way: finish or abort it first; if the other key belongs to somebody else, \
         ask them or an admin of the organization to revoke it"
    );
    assert_eq!(kind(manager.finish_rotation(&id, &gone).await), Err(ManageErrorKind::NotFound));
    assert_eq!(kind(manager.abort_rotation(&id, &gone).await), Err(ManageErrorKind::NotFound));
    assert_eq!(kind(manager.rotation(&id, &gone).await), Err(ManageErrorKind::NotFound));

    let root = Actor::user(user_id("root"), Rights::none().org_admin());
    manager.revoke(&new, &root).await.unwrap();
    assert!(manager.begin_rotation(RotateKey::of(id), &gone).await.is_ok());
}

#[tokio::test]
async fn who_owned_the_old_key_is_not_needed_to_rotate_the_new_one() {
    let (bench, id) = bench_with("*").await;
    let manager = &bench.manager;
    let into_blue = RotateKey::of(id).into_team(team_id("blue"));
    let new = manager.begin_rotation(into_blue, &admin("blue", true)).await.unwrap().info().id;
    let bob = Actor::user(user_id("bob"), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included());
    let refused = kind(manager.begin_rotation(RotateKey::of(new), &bob).await);
    assert_eq!(refused, Err(ManageErrorKind::RotationUnderWay));
    let root = Actor::user(user_id("root"), Rights::none().org_admin());
    manager.revoke(&id, &root).await.unwrap();
    assert!(manager.begin_rotation(RotateKey::of(new), &bob).await.is_ok());
}

#[tokio::test]
async fn somebody_elses_personal_key_is_not_taken_into_a_team() {
    let (bench, id) = bench_with("*").await;
    let request = || RotateKey::of(id).into_team(team_id("blue"));
    let rights = || Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included();
    let bob = Actor::user(user_id("bob"), rights());
    assert_eq!(kind(bench.manager.begin_rotation(request(), &bob).await), Err(ManageErrorKind::NotFound));
    let root = Actor::user(user_id("root"), rights().org_admin());
    assert_eq!(kind(bench.manager.begin_rotation(request(), &root).await), denied(DenialReason::NotYourKey));
}

#[tokio::test]
async fn team_key_is_rotated_whatever_the_plan() {
    let bench = Bench::new();
    let id = bench.plant(OLD, &team("blue"), "*").await;
    let request = RotateKey::of(id).into_team(team_id("blue"));
    assert!(bench.manager.begin_rotation(request, &admin("blue", false)).await.is_ok());
}

#[tokio::test]
async fn key_rotates_itself_with_all_its_scopes_and_no_longer_life() {
    let bench = Bench::new();
    let (id, actor) = acting(&bench, &team("blue"), "read keys:manage").await;
    bench.manager.expire_at(&id, time(END), &system()).await.unwrap();
    let of = || RotateKey::of(id);
    let later = Err(ManageErrorKind::Invalid(InvalidInput::ExpiryLaterByKey));
    let begin = |request| bench.manager.begin_rotation(request, &actor);
    assert_eq!(kind(begin(of().expires_at(time("2027-01-01T00:00:00.001Z"))).await), later);
    assert_eq!(kind(begin(of().expires_at(None)).await), later);

    let issued = begin(of()).await.unwrap();
    assert_eq!((&issued.info().scopes, issued.info().expires_at), (&scopes("read keys:manage"), Some(time(END))));
    assert_eq!(issued.info().created_via_key, Some(id));
}

#[tokio::test]
async fn key_shortens_a_life() {
    let bench = Bench::new();
    let (id, actor) = acting(&bench, &team("blue"), "read keys:manage").await;
    let request = RotateKey::of(id).expires_at(time(END));
    assert_eq!(bench.manager.begin_rotation(request, &actor).await.unwrap().info().expires_at, Some(time(END)));
}

#[tokio::test]
async fn key_that_acts_gets_no_text_of_a_wider_key() {
    let wide = denied(DenialReason::ScopesTooWide);
    for (own, other, expected) in [
        ("read keys:manage", "read", Ok(())),
        ("* keys:manage", "*", Ok(())),
        ("read keys:manage", "", Ok(())),
        ("read keys:manage", "read write", wide),
        ("read keys:manage", "*", wide),
        ("* keys:manage", "read keys:manage", wide),
        ("* keys:manage", "* keys:manage", wide),
    ] {
        let bench = Bench::new();
        let (_, actor) = acting(&bench, &team("blue"), own).await;
        let id = bench.plant(OLD, &team("blue"), other).await;
        assert_eq!(kind(bench.manager.begin_rotation(RotateKey::of(id), &actor).await), expected, "{own}: {other}");
    }
}

#[tokio::test]
async fn key_that_moves_into_a_team_hands_its_managing_to_nobody() {
    let bench = Bench::new();
    let (id, _) = acting(&bench, &user("alice"), "* keys:manage").await;
    let rights = Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included();
    let actor = Actor::key(&principal(&user("alice"), "* keys:manage"), rights);
    let request = || RotateKey::of(id).into_team(team_id("blue"));
    let asked = request().scopes(scopes("* keys:manage"));
    assert_eq!(kind(bench.manager.begin_rotation(asked, &actor).await), denied(DenialReason::ScopesTooWide));
    let issued = bench.manager.begin_rotation(request(), &actor).await.unwrap();
    assert_eq!((&issued.info().owner, &issued.info().scopes), (&team("blue"), &scopes("*")));
}

#[tokio::test]
async fn key_of_another_team_is_not_found() {
    let bench = Bench::new();
    let (_, actor) = acting(&bench, &team("blue"), "* keys:manage").await;
    let id = bench.plant(OLD, &team("red"), "read").await;
    let refused = kind(bench.manager.begin_rotation(RotateKey::of(id), &actor).await);
    assert_eq!(refused, Err(ManageErrorKind::NotFound));
}

#[test]
fn request_does_not_show_a_key_that_was_pasted_into_its_name() {
    let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::User).unwrap();
    let request = RotateKey::of(key.id()).named(key.expose_secret());
    assert!(format!("{request:?}").contains("[REDACTED]"));
    let secret = key.expose_secret().rsplit('.').next().unwrap();
    assert!(!format!("{request:?}").contains(secret));
}

#[tokio::test]
async fn begin_can_be_spawned() {
    fn sendable<T: Send>(_: &T) {}
    let (bench, id) = bench_with("*").await;
    let (actor, manager) = (system(), &bench.manager);
    sendable(&manager.begin_rotation(RotateKey::of(id), &actor));
    sendable(&manager.finish_rotation(&id, &actor));
    sendable(&manager.finish_rotation_anyway(&id, &actor));
    sendable(&manager.abort_rotation(&id, &actor));
    sendable(&manager.rotation(&id, &actor));
    sendable(&manager.issue(IssueKey::user(user_id("alice")), &actor));
}
