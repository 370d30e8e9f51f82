//! How a rotation ends: it is finished or aborted, once, by the first actor.

use std::time::Duration;

use super::begin::{END, OLD, quicker, revoke, update};
use crate::{
    Actor, OrganizationId, Timestamp, UserId,
    key::KeyId,
    manage::{
        DenialReason, Effect, EndedRotation, InvalidInput, ManageError, ManageErrorKind, RevokeMany, Rights, RotateKey,
        RotationStage, TeamRole,
        fixture::{ACTING, Bench, Fault, person, plain_change, principal, system, team, team_id, time, user, user_id},
    },
    owner::OwnerRef,
    record::{KeyRow, Suspension},
    store::{KeyStore, OwnerChange, Prune, Write},
};

const EARLIER: &str = "2026-04-01T00:00:00Z";

/// A rotation of Alice's key.
struct Begun {
    bench: Bench,
    old: KeyId,
    new: KeyId,
}

impl Begun {
    async fn new() -> Self {
        Self::with(None, None).await
    }

    /// An old key with this expiry, which got this end of grace.
    async fn with(expiry: Option<&str>, grace: Option<&str>) -> Self {
        let bench = Bench::new();
        let old = bench.plant(OLD, &user("alice"), "read").await;
        if let Some(expiry) = expiry {
            bench.manager.expire_at(&old, time(expiry), &system()).await.unwrap();
        }
        bench.clock.advance(Duration::from_secs(1));
        let request = RotateKey::of(old);
        let request = grace.into_iter().fold(request, |request, end| request.old_key_ends_at(time(end)));
        let new = bench.manager.begin_rotation(request, &person("alice")).await.unwrap().info().id;
        bench.clock.advance(Duration::from_secs(1));
        Self { bench, old, new }
    }

    async fn finish(&self, id: &KeyId) -> Result<EndedRotation, ManageError> {
        self.bench.manager.finish_rotation_anyway(id, &person("alice")).await
    }

    async fn abort(&self, id: &KeyId) -> Result<EndedRotation, ManageError> {
        self.bench.manager.abort_rotation(id, &person("alice")).await
    }

    /// Whether the old and the new key are not revoked.
    async fn standing(&self) -> (bool, bool) {
        let stands = async |id| self.bench.row(id).await.revoked_at.is_none();
        (stands(&self.old).await, stands(&self.new).await)
    }

    async fn old_expiry(&self) -> Option<Timestamp> {
        self.bench.row(&self.old).await.expires_at.map(|end| Timestamp::from_millis(end).unwrap())
    }

    async fn last_events(&self, count: usize) -> Vec<(String, String, Option<String>, Option<String>)> {
        let events = self.bench.events().await;
        let last = events.into_iter().rev().take(count).rev();
        last.map(|event| (event.action, event.key.unwrap(), event.before, event.after)).collect()
    }
}

fn kind<T>(result: Result<T, ManageError>) -> Result<(), ManageErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

fn effect(result: Result<EndedRotation, ManageError>) -> Result<Effect, ManageErrorKind> {
    result.map(|ended| ended.effect).map_err(|error| error.kind())
}

#[tokio::test]
async fn finish_ends_the_old_key_with_one_event() {
    for by_old in [false, true] {
        let begun = Begun::new().await;
        let ended = begun.finish(if by_old { &begun.old } else { &begun.new }).await.unwrap();
        assert_eq!((ended.old.id, ended.new.id, ended.effect), (begun.old, begun.new, Effect::Changed));
        assert_eq!(ended.old.revoked_at, Some(begun.bench.now()));
        assert_eq!(begun.standing().await, (false, true));
        let (action, old) = ("key.rotation_finished".to_owned(), begun.old.to_string());
        assert_eq!(begun.last_events(1).await, [(action, old, None, Some(begun.new.to_string()))]);
        assert_eq!(begun.bench.events().await.len(), 3);
    }
}

#[tokio::test]
async fn abort_ends_the_new_key_with_one_event() {
    for by_old in [false, true] {
        let begun = Begun::new().await;
        let ended = begun.abort(if by_old { &begun.old } else { &begun.new }).await.unwrap();
        assert_eq!((ended.old.id, ended.new.id, ended.effect), (begun.old, begun.new, Effect::Changed));
        assert_eq!(ended.new.revoked_at, Some(begun.bench.now()));
        assert_eq!(begun.standing().await, (true, false));
        let (action, new) = ("key.rotation_aborted".to_owned(), begun.new.to_string());
        assert_eq!(begun.last_events(1).await, [(action, new, None, Some(begun.old.to_string()))]);
        assert_eq!(begun.bench.events().await.len(), 3);
    }
}

#[tokio::test]
async fn repeats_are_told_so_and_the_other_end_is_refused() {
    let begun = Begun::new().await;
    begun.finish(&begun.new).await.unwrap();
    begun.bench.clock.advance(Duration::from_secs(1));
    for id in [&begun.old, &begun.new] {
        assert_eq!(effect(begun.finish(id).await), Ok(Effect::Unchanged));
        assert_eq!(effect(begun.abort(id).await), Err(ManageErrorKind::RotationOver));
    }
    assert_eq!(begun.bench.events().await.len(), 3);

    let begun = Begun::new().await;
    begun.abort(&begun.new).await.unwrap();
    begun.bench.clock.advance(Duration::from_secs(1));
    for id in [&begun.old, &begun.new] {
        assert_eq!(effect(begun.abort(id).await), Ok(Effect::Unchanged));
        assert_eq!(effect(begun.finish(id).await), Err(ManageErrorKind::RotationOver));
    }
    assert_eq!(begun.bench.events().await.len(), 3);
}

#[tokio::test]
async fn keys_that_were_revoked_together_leave_nothing_to_end() {
    let begun = Begun::new().await;
    let all = RevokeMany::of(begun.bench.row(&begun.old).await.owner.parse::<UserId>().unwrap());
    assert_eq!(begun.bench.manager.revoke_many(all.because("left"), &system()).await.unwrap().revoked, 2);
    begun.bench.clock.advance(Duration::from_secs(1));
    for id in [&begun.old, &begun.new] {
        assert_eq!(effect(begun.finish(id).await), Err(ManageErrorKind::RotationOver));
        assert_eq!(effect(begun.abort(id).await), Err(ManageErrorKind::RotationOver));
    }
}

#[tokio::test]
async fn key_without_a_rotation_has_none_to_end() {
    let bench = Bench::new();
    let id = bench.plant(OLD, &user("alice"), "read").await;
    let none = Err(ManageErrorKind::NoRotation);
    assert_eq!(effect(bench.manager.finish_rotation(&id, &system()).await), none);
    assert_eq!(effect(bench.manager.abort_rotation(&id, &system()).await), none);
    assert_eq!(kind(bench.manager.rotation(&id, &system()).await), Err(ManageErrorKind::NoRotation));
}

#[tokio::test]
async fn key_between_two_rotations_names_neither_while_the_second_is_under_way() {
    let begun = Begun::new().await;
    begun.finish(&begun.new).await.unwrap();
    begun.bench.clock.advance(Duration::from_secs(1));
    let third = begun.bench.manager.begin_rotation(RotateKey::of(begun.new), &person("alice")).await.unwrap();
    let third = third.info().id;
    let two = Err(ManageErrorKind::Invalid(InvalidInput::TwoRotations));
    assert_eq!(effect(begun.finish(&begun.new).await), two);
    assert_eq!(effect(begun.abort(&begun.new).await), two);
    assert_eq!(begun.bench.manager.rotation(&begun.new, &system()).await.unwrap().new.id, third);
    // A late repeat of the first finish does not finish the second.
    assert_eq!(effect(begun.finish(&begun.old).await), Ok(Effect::Unchanged));

    begun.bench.clock.advance(Duration::from_secs(1));
    assert_eq!(effect(begun.finish(&third).await), Ok(Effect::Changed));
    assert_eq!(effect(begun.finish(&begun.new).await), Ok(Effect::Unchanged));
}

#[tokio::test]
async fn old_key_names_the_rotation_under_way_and_not_one_that_was_aborted() {
    let begun = Begun::new().await;
    begun.abort(&begun.new).await.unwrap();
    let again = begun.bench.manager.begin_rotation(RotateKey::of(begun.old), &person("alice")).await.unwrap();
    assert_eq!(effect(begun.abort(&begun.new).await), Ok(Effect::Unchanged));
    assert_eq!(begun.finish(&begun.old).await.unwrap().new.id, again.info().id);
}

#[tokio::test]
async fn one_who_finishes_right_before_is_the_one() {
    let begun = Begun::new().await;
    quicker(&begun.bench, [revoke(&begun.old)]);
    let ended = begun.finish(&begun.new).await.unwrap();
    assert_eq!(ended.effect, Effect::Unchanged);
    assert_eq!(ended.old.revoked_by.map(|by| by.to_string()).as_deref(), Some("user:eve"));
    assert_eq!(begun.bench.events().await.len(), 2);
}

#[tokio::test]
async fn one_who_aborts_right_before_is_the_one() {
    let begun = Begun::new().await;
    quicker(&begun.bench, [revoke(&begun.new)]);
    let ended = begun.abort(&begun.new).await.unwrap();
    assert_eq!(ended.effect, Effect::Unchanged);
    assert_eq!(ended.new.revoked_by.map(|by| by.to_string()).as_deref(), Some("user:eve"));
}

#[tokio::test]
async fn finish_and_abort_never_end_both_keys() {
    let begun = Begun::new().await;
    quicker(&begun.bench, [revoke(&begun.new)]);
    assert_eq!(effect(begun.finish(&begun.new).await), Err(ManageErrorKind::RotationOver));
    assert_eq!(begun.standing().await, (true, false));

    let begun = Begun::new().await;
    quicker(&begun.bench, [revoke(&begun.old)]);
    assert_eq!(effect(begun.abort(&begun.new).await), Err(ManageErrorKind::RotationOver));
    assert_eq!(begun.standing().await, (false, true));
}

#[tokio::test]
async fn rotation_to_a_key_that_expired_is_over() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "read").await;
    let request = RotateKey::of(old).expires_at(time(EARLIER));
    let new = bench.manager.begin_rotation(request, &person("alice")).await.unwrap().info().id;
    bench.clock.advance(Duration::from_secs(60 * 86_400));
    for id in [&old, &new] {
        let over = Err(ManageErrorKind::RotationOver);
        assert_eq!(effect(bench.manager.finish_rotation(id, &person("alice")).await), over);
        assert_eq!(effect(bench.manager.abort_rotation(id, &person("alice")).await), over);
        assert_eq!(bench.manager.rotation(id, &system()).await.unwrap().stage, RotationStage::Over);
    }
    assert!(bench.manager.begin_rotation(RotateKey::of(old), &person("alice")).await.is_ok());
}

#[tokio::test]
async fn another_organization_finds_no_rotation() {
    let begun = Begun::new().await;
    let others = begun.bench.manager.for_organization(OrganizationId::new("acme").unwrap());
    for id in [&begun.old, &begun.new] {
        let not_found = Err(ManageErrorKind::NotFound);
        assert_eq!(kind(others.begin_rotation(RotateKey::of(*id), &system()).await), not_found);
        assert_eq!(kind(others.rotation(id, &system()).await), not_found);
        assert_eq!(kind(others.finish_rotation(id, &system()).await), not_found);
        assert_eq!(kind(others.abort_rotation(id, &system()).await), not_found);
    }
    assert_eq!(
        kind(begun.bench.manager.finish_rotation(&begun.new, &person("bob")).await),
        Err(ManageErrorKind::NotFound)
    );
    assert_eq!(begun.standing().await, (true, true));
}

#[tokio::test]
async fn rotation_whose_grace_is_over_can_be_finished_and_not_aborted() {
    let begun = Begun::with(None, Some(EARLIER)).await;
    begun.bench.clock.advance(Duration::from_secs(60 * 86_400));
    assert_eq!(effect(begun.abort(&begun.new).await), Err(ManageErrorKind::RotationOver));
    assert_eq!(effect(begun.finish(&begun.new).await), Ok(Effect::Changed));
    assert_eq!(begun.standing().await, (false, true));
}

#[tokio::test]
async fn abort_gives_the_old_key_its_expiry_back() {
    for before in [None, Some(END)] {
        let begun = Begun::with(before, Some(EARLIER)).await;
        assert_eq!(begun.old_expiry().await, Some(time(EARLIER)));
        let ended = begun.abort(&begun.new).await.unwrap();
        assert_eq!((ended.old.expires_at, begun.old_expiry().await), (before.map(time), before.map(time)));
        assert_eq!(ended.old.version, begun.bench.row(&begun.old).await.version);
        let [_, restored] = &begun.last_events(2).await[..] else { panic!("there are two events") };
        let (action, old) = ("key.expiry_set".to_owned(), begun.old.to_string());
        assert_eq!(*restored, (action, old, Some(EARLIER.to_owned()), before.map(ToOwned::to_owned)));
    }
}

#[tokio::test]
async fn abort_leaves_an_expiry_that_the_rotation_did_not_set() {
    // The key had the expiry before, and the end of grace is later.
    let begun = Begun::with(Some(EARLIER), Some(END)).await;
    begun.abort(&begun.new).await.unwrap();
    assert_eq!(begun.old_expiry().await, Some(time(EARLIER)));

    // The expiry is set during the rotation.
    for grace in [None, Some(END)] {
        let begun = Begun::with(None, grace).await;
        begun.bench.manager.expire_at(&begun.old, time(EARLIER), &person("alice")).await.unwrap();
        begun.abort(&begun.new).await.unwrap();
        assert_eq!(begun.old_expiry().await, Some(time(EARLIER)));
    }
}

#[tokio::test]
async fn abort_leaves_an_expiry_that_somebody_set_in_the_same_millisecond() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "read").await;
    bench.manager.expire_at(&old, time(EARLIER), &person("alice")).await.unwrap();
    let new = bench.manager.begin_rotation(RotateKey::of(old), &person("alice")).await.unwrap().info().id;
    let ended = bench.manager.abort_rotation(&new, &person("alice")).await.unwrap();
    assert_eq!(ended.old.expires_at, Some(time(EARLIER)));
}

#[tokio::test]
async fn the_expiry_before_a_rotation_is_known_without_an_audit_trail() {
    for ends in ["abort", "revoke"] {
        let begun = Begun::with(None, Some(EARLIER)).await;
        let prune = Prune { events_before: Some(begun.bench.now()), ..Prune::default() };
        begun.bench.store.inner.prune(&prune).await.unwrap();
        if ends == "abort" {
            begun.abort(&begun.new).await.unwrap();
            assert_eq!(begun.old_expiry().await, None);
        } else {
            begun.bench.manager.revoke(&begun.new, &person("alice")).await.unwrap();
            assert_eq!(begun.old_expiry().await, Some(time(EARLIER)));
        }
        let again = begun.bench.manager.begin_rotation(RotateKey::of(begun.old), &person("alice")).await.unwrap();
        assert_eq!(again.info().expires_at, None, "{ends}");
    }
}

#[tokio::test]
async fn abort_without_an_expiry_needs_no_audit_trail() {
    let begun = Begun::new().await;
    let prune = Prune { events_before: Some(begun.bench.now()), ..Prune::default() };
    begun.bench.store.inner.prune(&prune).await.unwrap();
    assert_eq!(effect(begun.abort(&begun.new).await), Ok(Effect::Changed));
}

#[tokio::test]
async fn rename_right_before_an_abort_is_kept() {
    let begun = Begun::with(None, Some(EARLIER)).await;
    let row = begun.bench.row(&begun.old).await;
    quicker(&begun.bench, [update(KeyRow { name: "Monday cron".into(), ..row.clone() })]);
    assert_eq!(effect(begun.abort(&begun.new).await), Ok(Effect::Changed));
    let after = begun.bench.row(&begun.old).await;
    assert_eq!((&*after.name, after.expires_at, after.version), ("Monday cron", None, row.version + 2));
}

#[tokio::test(start_paused = true)]
async fn lost_answer_of_an_end_is_resolved_to_one() {
    for faults in [
        &[Fault::DoesAndLosesTheAnswer][..],
        &[Fault::LosesTheAnswer],
        &[Fault::DoesAndPanics],
        &[Fault::DoesAndLosesTheAnswer, Fault::Unavailable],
        &[Fault::LosesTheAnswer, Fault::DoesAndLosesTheAnswer],
    ] {
        for finish in [false, true] {
            let begun = resumed(async { Begun::with(None, Some(EARLIER)).await }).await;
            let before = begun.bench.events().await.len();
            begun.bench.store.fail(faults.iter().copied());
            let ended = if finish { begun.finish(&begun.new).await } else { begun.abort(&begun.new).await };
            assert_eq!(effect(ended), Ok(Effect::Changed), "{faults:?}");
            assert_eq!(begun.standing().await, (!finish, finish));
            assert_eq!(begun.bench.events().await.len(), before + if finish { 1 } else { 2 });
        }
    }
}

/// With real time, because a hash takes some.
async fn resumed<T>(future: impl Future<Output = T>) -> T {
    tokio::time::resume();
    let output = future.await;
    tokio::time::pause();
    output
}

#[tokio::test(start_paused = true)]
async fn end_of_unknown_outcome_is_asked_for_again() {
    let begun = resumed(Begun::new()).await;
    begun.bench.store.fail([Fault::DoesAndLosesTheAnswer, Fault::LosesTheAnswer, Fault::LosesTheAnswer]);
    assert_eq!(effect(begun.finish(&begun.new).await), Err(ManageErrorKind::OutcomeUnknown));
    assert_eq!(effect(begun.finish(&begun.new).await), Ok(Effect::Unchanged));
    assert_eq!(begun.bench.events().await.len(), 3);
}

#[tokio::test]
async fn team_that_is_suspended_does_not_lose_the_persons_key() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "*").await;
    let rights = Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included();
    let alice = Actor::user(user_id("alice"), rights);
    let new = bench.manager.begin_rotation(RotateKey::of(old).into_team(team_id("blue")), &alice).await.unwrap();
    let new = new.info().id;
    let of = OwnerRef { organization: OrganizationId::single(), owner: team("blue") };
    let quick = |change| plain_change(&format!("{change:?}"), Write::Owner(of.clone(), change));
    quicker(&bench, [quick(OwnerChange::Suspend(Suspension::Plan))]);
    assert_eq!(
        effect(bench.manager.finish_rotation_anyway(&new, &alice).await),
        Err(ManageErrorKind::OwnerPlanSuspended)
    );
    quicker(&bench, [quick(OwnerChange::Reinstate(Suspension::Plan))]);
    assert_eq!(effect(bench.manager.finish_rotation_anyway(&new, &alice).await), Ok(Effect::Changed));
}

#[tokio::test]
async fn an_actor_that_may_not_rotate_the_old_key_ends_nothing() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "*").await;
    let request = RotateKey::of(old).into_team(team_id("blue"));
    let new = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
    let before = bench.all().await;

    let of_blue = |role| Rights::none().team(team_id("blue"), role).team_keys_included();
    let denied = |reason: DenialReason| ManageErrorKind::Denied(reason.into());
    for (actor, finish, abort) in [
        // He sees the team's key, but no key of Alice.
        (Actor::user(user_id("bob"), of_blue(TeamRole::Admin)), ManageErrorKind::NotFound, ManageErrorKind::NotFound),
        (
            Actor::user(user_id("root"), Rights::none().org_admin()),
            denied(DenialReason::NotYourKey),
            denied(DenialReason::NotYourKey),
        ),
        // Alice sees no key of a team that she has left.
        (person("alice"), ManageErrorKind::NotFound, ManageErrorKind::NotFound),
    ] {
        for id in [&old, &new] {
            let text = format!("{actor:?} {id}");
            assert_eq!(effect(bench.manager.finish_rotation(id, &actor).await), Err(finish), "{text}");
            assert_eq!(effect(bench.manager.abort_rotation(id, &actor).await), Err(abort), "{text}");
        }
    }
    // As a member she sees the new key, so she may finish the rotation, but not revoke the new key.
    let member = Actor::user(user_id("alice"), of_blue(TeamRole::Member));
    let role = Err(denied(DenialReason::InsufficientRole));
    assert_eq!(effect(bench.manager.abort_rotation(&new, &member).await), role);
    assert_eq!(bench.all().await, before);
    assert_eq!(effect(bench.manager.finish_rotation_anyway(&new, &member).await), Ok(Effect::Changed));
}

#[tokio::test]
async fn key_finishes_its_own_rotation() {
    let bench = Bench::new();
    let old = bench.plant(ACTING, &team("blue"), "* keys:manage").await;
    let actor = Actor::key(&principal(&team("blue"), "* keys:manage"), Rights::none());
    let new = bench.manager.begin_rotation(RotateKey::of(old), &actor).await.unwrap().info().id;
    assert_eq!(effect(bench.manager.finish_rotation_anyway(&new, &actor).await), Ok(Effect::Changed));
    let dead = Err(ManageErrorKind::Denied(DenialReason::ActorKeyDead.into()));
    assert_eq!(kind(bench.manager.rename(&new, "a dead key does nothing", &actor).await), dead);
}

#[tokio::test]
async fn finished_rotation_serializes() {
    let begun = Begun::new().await;
    let json = serde_json::to_value(begun.finish(&begun.new).await.unwrap()).unwrap();
    assert_eq!(json["effect"], "changed");
    assert_eq!((&json["old"]["id"], &json["new"]["replaces"]), (&OLD.into(), &OLD.into()));
}
