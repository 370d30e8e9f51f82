//! Ends of grace that were left behind, and old keys of people who left.

use std::time::Duration;

use super::begin::{END, OLD};
use crate::{
    Actor, Timestamp,
    key::KeyId,
    manage::{
        Effect, ManageError, ManageErrorKind, Rights, RotateKey, TeamRole,
        fixture::{Bench, person, system, team, team_id, time, user, user_id},
    },
    record::Suspension,
    store::{KeyStore, OwnerChange, Prune},
};

const GRACE: &str = "2026-04-01T00:00:00Z";
const SOONER: &str = "2026-03-20T00:00:00Z";

fn kind<T>(result: Result<T, ManageError>) -> Result<(), ManageErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

async fn begin(bench: &Bench, request: RotateKey) -> (KeyId, Option<Timestamp>) {
    bench.clock.advance(Duration::from_secs(1));
    let issued = bench.manager.begin_rotation(request, &person("alice")).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    (issued.info().id, issued.info().expires_at)
}

async fn revoke(bench: &Bench, id: &KeyId) {
    bench.manager.revoke(id, &person("alice")).await.unwrap();
}

async fn expiry(bench: &Bench, id: &KeyId) -> Option<Timestamp> {
    bench.row(id).await.expires_at.map(|end| Timestamp::from_millis(end).unwrap())
}

/// Alice's key with this expiry.
async fn bench(expiry: Option<&str>) -> (Bench, KeyId) {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "read").await;
    if let Some(expiry) = expiry {
        bench.manager.expire_at(&old, time(expiry), &system()).await.unwrap();
    }
    (bench, old)
}

/// An answer warns if the successor expires soon, because it inherited the end of its predecessor.
#[tokio::test]
async fn successor_that_ends_as_soon_says_so() {
    for (inherited, asked, is_soon) in [
        (Some("2026-03-02T00:00:00Z"), None, true),
        (Some("2026-03-02T00:00:00Z"), Some("2026-06-01T00:00:00Z"), false),
        (Some("2026-06-01T00:00:00Z"), None, false),
        (None, None, false),
        (None, Some("2026-03-03T00:00:00Z"), true),
    ] {
        let (bench, old) = bench(inherited).await;
        let request = asked.into_iter().fold(RotateKey::of(old), |of, end| of.expires_at(time(end)));
        let issued = bench.manager.begin_rotation(request, &system()).await.unwrap();
        let end = issued.info().expires_at;
        assert_eq!(end, asked.or(inherited).map(time));
        let says = |end: Timestamp| {
            format!(
                "It expires soon, at {end}: if it is still needed, rotate it before then and give the new key a later expiry."
            )
        };
        let expected: Vec<_> = end.filter(|_| is_soon).map(says).into_iter().collect();
        let said: Vec<_> = issued.ends_soon().iter().map(ToString::to_string).collect();
        assert_eq!(said, expected, "{inherited:?} {asked:?}");
        // An explanation has the same note.
        let explanation = bench.manager.explain(&issued.info().id, &system()).await.unwrap();
        let notes: Vec<_> = explanation.notes.iter().map(ToString::to_string).collect();
        assert_eq!(notes, expected);
        assert!(expected.iter().all(|said| explanation.to_string().contains(said)), "{explanation}");
    }
}

#[tokio::test]
async fn successor_does_not_inherit_the_end_of_grace_of_rotations_that_came_to_nothing() {
    for before in [None, Some(END)] {
        let (bench, old) = bench(before).await;
        for grace in [Some(GRACE), None, Some(SOONER)] {
            let request = grace.into_iter().fold(RotateKey::of(old), |of, end| of.old_key_ends_at(time(end)));
            let (new, end) = begin(&bench, request).await;
            assert_eq!(end, before.map(time), "{before:?} {grace:?}");
            revoke(&bench, &new).await;
        }
        assert_eq!(begin(&bench, RotateKey::of(old)).await.1, before.map(time));
        assert_eq!(expiry(&bench, &old).await, Some(time(SOONER)));
    }
}

#[tokio::test]
async fn successor_does_not_inherit_the_end_of_grace_of_a_rotation_that_lapsed() {
    let (bench, old) = bench(None).await;
    let lapses = RotateKey::of(old).old_key_ends_at(time(GRACE)).expires_at(time("2026-03-01T13:00:00Z"));
    begin(&bench, lapses).await;
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(begin(&bench, RotateKey::of(old)).await.1, None);
}

#[tokio::test]
async fn successor_keeps_an_expiry_that_somebody_chose() {
    let (bench, old) = bench(None).await;
    let (new, _) = begin(&bench, RotateKey::of(old).old_key_ends_at(time(GRACE))).await;
    bench.manager.expire_at(&old, time(SOONER), &person("alice")).await.unwrap();
    revoke(&bench, &new).await;
    assert_eq!(begin(&bench, RotateKey::of(old)).await.1, Some(time(SOONER)));
}

#[tokio::test]
async fn abort_takes_back_the_end_of_grace_that_a_revoked_new_key_left_behind() {
    for before in [None, Some(END)] {
        let (bench, old) = bench(before).await;
        let (new, _) = begin(&bench, RotateKey::of(old).old_key_ends_at(time(GRACE))).await;
        revoke(&bench, &new).await;
        let ended = bench.manager.abort_rotation(&new, &person("alice")).await.unwrap();
        assert_eq!((ended.effect, ended.old.expires_at), (Effect::Changed, before.map(time)));
        assert_eq!(expiry(&bench, &old).await, before.map(time));
        // A second abort changes nothing.
        let again = bench.manager.abort_rotation(&new, &person("alice")).await.unwrap();
        assert_eq!(again.effect, Effect::Unchanged);
    }
}

#[tokio::test]
async fn abort_that_is_repeated_leaves_the_end_of_grace_of_the_next_rotation() {
    let (bench, old) = bench(None).await;
    let request = || RotateKey::of(old).old_key_ends_at(time(GRACE));
    let (first, _) = begin(&bench, request()).await;
    bench.manager.abort_rotation(&first, &person("alice")).await.unwrap();
    let (second, _) = begin(&bench, request()).await;
    for revoked in [false, true] {
        if revoked {
            revoke(&bench, &second).await;
        }
        let again = bench.manager.abort_rotation(&first, &person("alice")).await.unwrap();
        assert_eq!(again.effect, Effect::Unchanged);
        assert_eq!(expiry(&bench, &old).await, Some(time(GRACE)));
    }
}

#[tokio::test]
async fn abort_leaves_what_somebody_chose_in_the_millisecond_of_the_beginning() {
    let (bench, old) = bench(None).await;
    let alice = person("alice");
    let request = RotateKey::of(old).old_key_ends_at(time(GRACE));
    let new = bench.manager.begin_rotation(request, &alice).await.unwrap().info().id;
    bench.manager.expire_at(&old, time(SOONER), &alice).await.unwrap();
    bench.manager.abort_rotation(&new, &alice).await.unwrap();
    assert_eq!(expiry(&bench, &old).await, Some(time(SOONER)));
}

#[tokio::test]
async fn rotation_that_set_no_end_is_aborted_without_an_audit_trail() {
    let (bench, old) = bench(Some(END)).await;
    let (new, _) = begin(&bench, RotateKey::of(old)).await;
    let prune = Prune { events_before: Some(bench.now()), ..Prune::default() };
    bench.store.inner.prune(&prune).await.unwrap();
    let ended = bench.manager.abort_rotation(&new, &person("alice")).await.unwrap();
    assert_eq!((ended.effect, ended.old.expires_at), (Effect::Changed, Some(time(END))));
}

#[tokio::test]
async fn key_that_came_from_somebody_who_left_is_rotated_by_its_team() {
    for gone in [OwnerChange::Close, OwnerChange::Suspend(Suspension::Admin)] {
        let bench = Bench::new();
        let old = bench.plant(OLD, &user("alice"), "read").await;
        let in_blue =
            |who| Actor::user(user_id(who), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included());
        let request = RotateKey::of(old).into_team(team_id("blue"));
        let new = bench.manager.begin_rotation(request, &in_blue("alice")).await.unwrap().info().id;
        let rotate = || async { kind(bench.manager.begin_rotation(RotateKey::of(new), &in_blue("bob")).await) };
        assert_eq!(rotate().await, Err(ManageErrorKind::RotationUnderWay));
        bench.change_owner(&user("alice"), gone).await;
        assert_eq!(rotate().await, Ok(()), "{gone:?}");
    }
}

#[tokio::test]
async fn key_of_an_owner_who_is_suspended_is_not_rotated_twice_at_once() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    let new = bench.manager.begin_rotation(RotateKey::of(old), &system()).await.unwrap().info().id;
    bench.change_owner(&team("blue"), OwnerChange::Suspend(Suspension::Plan)).await;
    let refused = kind(bench.manager.begin_rotation(RotateKey::of(new), &system()).await);
    assert_eq!(refused, Err(ManageErrorKind::RotationUnderWay));
}
