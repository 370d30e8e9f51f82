//! What a key cannot achieve through a rotation.

use std::time::Duration;

use crate::{
    Actor,
    key::KeyId,
    manage::{
        Effect, InvalidInput, ManageError, ManageErrorKind, Rights, RotateKey, TeamRole,
        fixture::{ACTING, Bench, principal, team, team_id, time, user_id},
    },
};

const GRACE: &str = "2026-03-02T12:00:00Z";

/// A key of blue that manages keys, and an admin of blue.
async fn bench() -> (Bench, KeyId, Actor, Actor) {
    let bench = Bench::new();
    let id = bench.plant(ACTING, &team("blue"), "* keys:manage").await;
    let key = Actor::key(&principal(&team("blue"), "* keys:manage"), Rights::none());
    let admin = Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin).team_keys_included());
    (bench, id, key, admin)
}

fn kind<T>(result: Result<T, ManageError>) -> Result<(), ManageErrorKind> {
    result.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn key_does_not_take_back_the_end_that_somebody_gave_it() {
    let (bench, id, key, admin) = bench().await;
    let request = RotateKey::of(id).old_key_ends_at(time(GRACE));
    let new = bench.manager.begin_rotation(request, &admin).await.unwrap().info().id;
    let before = bench.all().await;
    for named in [&id, &new] {
        let refused = kind(bench.manager.abort_rotation(named, &key).await);
        assert_eq!(refused, Err(ManageErrorKind::Invalid(InvalidInput::ExpiryLaterByKey)));
    }
    assert_eq!(bench.all().await, before);
    // The denial is in the trail.
    bench.manager.flush_denials().await.unwrap();
    let told = bench.events().await.pop().unwrap();
    assert_eq!((&*told.action, told.key.as_deref()), ("manage.denied", Some(ACTING)));
    assert_eq!(told.after.as_deref(), Some(r#"{"action":"rotate","reason":"expiry_later","count":2}"#));
    // A detour does not work either.
    bench.manager.revoke(&new, &key).await.unwrap();
    let again = RotateKey::of(id).expires_at(None);
    let refused = kind(bench.manager.begin_rotation(again, &key).await);
    assert_eq!(refused, Err(ManageErrorKind::Invalid(InvalidInput::ExpiryLaterByKey)));
    assert_eq!(bench.row(&id).await.expires_at, Some(time(GRACE).as_millis()));
}

#[tokio::test]
async fn key_takes_back_the_end_that_it_gave_itself() {
    let (bench, id, key, _) = bench().await;
    let request = RotateKey::of(id).old_key_ends_at(time(GRACE));
    let new = bench.manager.begin_rotation(request, &key).await.unwrap().info().id;
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.manager.abort_rotation(&new, &key).await.unwrap().effect, Effect::Changed);
    assert_eq!(bench.row(&id).await.expires_at, None);
}

#[tokio::test]
async fn key_aborts_a_rotation_that_set_no_end() {
    let (bench, id, key, admin) = bench().await;
    let new = bench.manager.begin_rotation(RotateKey::of(id), &admin).await.unwrap().info().id;
    assert_eq!(bench.manager.abort_rotation(&new, &key).await.unwrap().effect, Effect::Changed);
}
