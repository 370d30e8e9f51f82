//! Tests of pausing and resuming keys.

use std::time::Duration;

use crate::{
    Actor, Scopes,
    key::KeyId,
    manage::{
        DenialReason, InventoryQuery, KeyFlag, KeyInfo, KeyState, ManageErrorKind, PauseKey, ResumeKey, RevokeMany,
        Rights, RotateKey, TeamRole,
        fixture::{Bench, Fault, START, person, plain_change, principal, system, team, team_id, time, user, user_id},
    },
    owner::OrganizationId,
    record::{ActorId, KeyRow},
    store::{Effect, Write},
};

const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

async fn bench() -> (Bench, KeyId) {
    let bench = Bench::new();
    let id = bench.plant(TARGET, &user("alice"), "*").await;
    (bench, id)
}

fn root() -> Actor {
    Actor::user(user_id("root"), Rights::none().org_admin())
}

fn pause_by(id: KeyId, by: &str) -> Write {
    Write::Pause { organization: OrganizationId::single(), id, by: by.into() }
}

#[tokio::test]
async fn pause_says_who_and_when_and_a_second_one_says_already() {
    let (bench, id) = bench().await;
    let first = PauseKey::of(id).because("does anybody use this?");
    let paused = bench.manager.pause(first, &person("alice")).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    let again = bench.manager.pause(PauseKey::of(id).because("again").expecting(99), &person("alice")).await.unwrap();
    assert_eq!((paused.effect(), again.effect()), (Effect::Changed, Effect::Unchanged));
    for info in [paused.info(), again.info(), &bench.manager.find(&id, &root()).await.unwrap()] {
        assert_eq!((info.state, info.paused_at), (KeyState::KeyPaused, Some(time(START))));
        assert_eq!(info.paused_by, Some(ActorId::User(user_id("alice"))));
        assert_eq!((info.version, info.revoked_at), (2, None));
        assert!(info.is_live(bench.now()) && !info.is_usable(bench.now()));
    }
    let resumed = bench.manager.resume(ResumeKey::of(id).because("the nightly report"), &root()).await.unwrap();
    let again = bench.manager.resume(&id, &root()).await.unwrap();
    assert_eq!((resumed.effect(), again.effect()), (Effect::Changed, Effect::Unchanged));
    for info in [resumed.info(), again.info(), &bench.manager.find(&id, &root()).await.unwrap()] {
        assert_eq!((info.state, info.paused_at, &info.paused_by), (KeyState::Live, None, &None));
        assert_eq!(info.version, 3);
        assert!(info.is_usable(bench.now()));
    }
    let events = bench.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (&*event.action, &*event.actor, event.after.as_deref().unwrap_or_default()))
        .collect();
    let expected =
        [("key.paused", "user:alice", "does anybody use this?"), ("key.resumed", "user:root", "the nightly report")];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_an_admin_or_nobody_known_paused_its_person_does_not_resume() {
    for pause in [Some(root()), Some(system()), None] {
        let (bench, id_of_row) = bench().await;
        let id = match pause {
            Some(by) => bench.manager.pause(&id_of_row, &by).await.unwrap().info().id,
            None => {
                let (id, lineage) = ("BBBBBBBBBBBBBBBBBBBB".to_owned(), "BBBBBBBBBBBBBBBBBBBB".to_owned());
                bench.plant_row(KeyRow { id, lineage, paused_at: Some(5), ..bench.row(&id_of_row).await }).await
            }
        };
        let before = bench.all().await;
        let refused = bench.manager.resume(&id, &person("alice")).await.unwrap_err().kind();
        assert_eq!(refused, ManageErrorKind::Denied(DenialReason::InsufficientRole.into()));
        assert_eq!(bench.all().await.0, before.0);
        assert_eq!(bench.manager.resume(&id, &root()).await.unwrap().effect(), Effect::Changed);
    }
    let (bench, id) = bench().await;
    bench.manager.pause(&id, &person("alice")).await.unwrap();
    assert_eq!(bench.manager.resume(&id, &person("bob")).await.unwrap_err().kind(), ManageErrorKind::NotFound);
    assert_eq!(bench.manager.resume(&id, &person("alice")).await.unwrap().effect(), Effect::Changed);
}

#[tokio::test]
async fn no_key_resumes_a_key_whatever_its_scopes() {
    let bench = Bench::new();
    let target = bench.plant(TARGET, &team("blue"), "*").await;
    bench
        .plant_row(KeyRow {
            id: crate::manage::fixture::ACTING.into(),
            lineage: crate::manage::fixture::ACTING.into(),
            owner: "blue".into(),
            scopes: "* keys:manage".into(),
            ..KeyRow::example()
        })
        .await;
    let key = Actor::key(&principal(&team("blue"), "* keys:manage"), Rights::none());
    assert_eq!(bench.manager.pause(&target, &key).await.unwrap().effect(), Effect::Changed);
    let refused = bench.manager.resume(&target, &key).await.unwrap_err().kind();
    assert_eq!(refused, ManageErrorKind::Denied(DenialReason::NotForKeys.into()));
    let admin = Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin));
    assert_eq!(bench.manager.resume(&target, &admin).await.unwrap().effect(), Effect::Changed);
}

#[tokio::test]
async fn pause_that_comes_second_at_the_store_says_who_was_quicker() {
    let (bench, id) = bench().await;
    bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", pause_by(id, "user:carol")));
    let paused = bench.manager.pause(&id, &person("alice")).await.unwrap();
    assert_eq!(paused.effect(), Effect::Unchanged);
    assert_eq!(paused.info().paused_by.as_ref().unwrap().to_string(), "user:carol");
    assert!(bench.events().await.is_empty());
}

/// A person who saw their own pause cannot end a pause that an admin set meanwhile.
#[tokio::test]
async fn another_pause_than_the_one_that_was_seen_is_not_ended() {
    let (bench, id) = bench().await;
    bench.manager.pause(&id, &person("alice")).await.unwrap();
    let row = bench.row(&id).await;
    let resume = Write::Resume {
        organization: OrganizationId::single(),
        id,
        paused_at: row.paused_at.unwrap(),
        paused_by: row.paused_by,
    };
    let mut quicker = plain_change("quicker", resume);
    quicker.writes.extend(plain_change("and again", pause_by(id, "user:root")).writes);
    bench.store.quicker.lock().unwrap().push_back(quicker);
    let refused = bench.manager.resume(&id, &person("alice")).await.unwrap_err().kind();
    assert_eq!(refused, ManageErrorKind::Conflict);
    assert_eq!(bench.row(&id).await.paused_by.as_deref(), Some("user:root"));
}

#[tokio::test]
async fn revoked_key_is_neither_paused_nor_resumed() {
    for is_paused in [false, true] {
        let (bench, id) = bench().await;
        if is_paused {
            bench.manager.pause(&id, &root()).await.unwrap();
        }
        bench.manager.revoke(&id, &root()).await.unwrap();
        let before = bench.all().await;
        let results = [
            bench.manager.pause(&id, &root()).await.unwrap_err().kind(),
            bench.manager.resume(&id, &root()).await.unwrap_err().kind(),
        ];
        assert_eq!(results, [ManageErrorKind::KeyRevoked; 2]);
        assert_eq!(bench.all().await, before);
        assert_eq!(bench.manager.find(&id, &root()).await.unwrap().state, KeyState::Revoked);
    }
}

#[tokio::test]
async fn another_version_than_expected_is_neither_paused_nor_resumed() {
    let (bench, id) = bench().await;
    let differs = ManageErrorKind::VersionDiffers { current: 1 };
    assert_eq!(bench.manager.pause(PauseKey::of(id).expecting(2), &root()).await.unwrap_err().kind(), differs);
    bench.manager.pause(PauseKey::of(id).expecting(1), &root()).await.unwrap();
    let differs = ManageErrorKind::VersionDiffers { current: 2 };
    assert_eq!(bench.manager.resume(ResumeKey::of(id).expecting(1), &root()).await.unwrap_err().kind(), differs);
    bench.manager.resume(ResumeKey::of(id).expecting(2), &root()).await.unwrap();
}

#[tokio::test]
async fn paused_key_begins_no_rotation_also_where_the_pause_comes_meanwhile() {
    for comes_meanwhile in [false, true] {
        let (bench, id) = bench().await;
        if comes_meanwhile {
            bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", pause_by(id, "user:root")));
        } else {
            bench.manager.pause(&id, &root()).await.unwrap();
        }
        let refused = bench.manager.begin_rotation(RotateKey::of(id), &person("alice")).await.unwrap_err().kind();
        assert_eq!(refused, ManageErrorKind::KeyPaused);
        assert_eq!(bench.all().await.0.len(), 1);
    }
}

#[tokio::test]
async fn rotation_is_not_finished_in_favour_of_a_paused_key_unless_somebody_insists() {
    let (bench, old) = bench().await;
    let alice = person("alice");
    let new = bench.manager.begin_rotation(RotateKey::of(old), &alice).await.unwrap().info().id;
    bench.manager.pause(&new, &alice).await.unwrap();
    assert_eq!(bench.manager.finish_rotation(&new, &alice).await.unwrap_err().kind(), ManageErrorKind::KeyPaused);
    assert!(bench.row(&old).await.revoked_at.is_none());
    bench.manager.finish_rotation_anyway(&new, &alice).await.unwrap();
    assert!(bench.row(&old).await.revoked_at.is_some() && bench.row(&new).await.paused_at.is_some());
}

#[tokio::test]
async fn rotation_that_is_aborted_leaves_the_old_key_paused() {
    let (bench, old) = bench().await;
    let alice = person("alice");
    let new = bench.manager.begin_rotation(RotateKey::of(old), &alice).await.unwrap().info().id;
    bench.manager.pause(&old, &alice).await.unwrap();
    bench.manager.abort_rotation(&new, &alice).await.unwrap();
    assert!(bench.row(&new).await.revoked_at.is_some());
    assert!(bench.row(&old).await.paused_at.is_some() && bench.row(&old).await.revoked_at.is_none());
}

#[tokio::test]
async fn paused_key_can_be_restricted_further_and_comes_back_as_it_is_then() {
    let (bench, id) = bench().await;
    let alice = person("alice");
    bench.manager.pause(&id, &alice).await.unwrap();
    bench.manager.rename(&id, "Monday cron", &alice).await.unwrap();
    bench.manager.narrow_scopes(&id, Scopes::none(), &alice).await.unwrap();
    bench.manager.expire_at(&id, time("2026-03-02T12:00:00Z"), &alice).await.unwrap();
    let resumed = bench.manager.resume(&id, &alice).await.unwrap().into_info();
    assert_eq!((resumed.state, resumed.scopes, resumed.version), (KeyState::Live, Scopes::none(), 6));
    bench.manager.pause(&id, &alice).await.unwrap();
    bench.clock.advance(Duration::from_secs(400 * 24 * 3_600));
    let resumed = bench.manager.resume(&id, &alice).await.unwrap();
    assert_eq!((resumed.effect(), resumed.info().state), (Effect::Changed, KeyState::Expired));
}

#[tokio::test]
async fn leak_response_ends_what_is_paused_and_inventories_find_it() {
    let (bench, id) = bench().await;
    bench.manager.pause(&id, &root()).await.unwrap();
    let query = || InventoryQuery::all().flagged([KeyFlag::Paused]);
    let page = bench.manager.inventory(query(), &root()).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.id).collect::<Vec<_>>(), [id]);
    let done = bench.manager.revoke_many(RevokeMany::of(user("alice")), &root()).await.unwrap();
    assert_eq!(done.revoked, 1);
    assert!(bench.manager.inventory(query(), &root()).await.unwrap().entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_a_pause_and_its_end_are_resolved() {
    for fault in [Fault::DoesAndLosesTheAnswer, Fault::LosesTheAnswer, Fault::Hangs, Fault::DoesAndHangs, Fault::Panics]
    {
        let (bench, id) = bench().await;
        bench.store.fail([fault]);
        assert_eq!(bench.manager.pause(&id, &root()).await.unwrap().effect(), Effect::Changed);
        bench.store.fail([fault]);
        assert_eq!(bench.manager.resume(&id, &root()).await.unwrap().effect(), Effect::Changed);
        let row = bench.row(&id).await;
        assert_eq!((row.paused_at, row.paused_by, row.version), (None, None, 3));
        assert_eq!(bench.events().await.len(), 2);
    }
}

/// Otherwise a person who paused first could end the pause of an admin.
#[tokio::test]
async fn pause_of_somebody_else_takes_the_place_of_a_person_s_own() {
    let (bench, id) = bench().await;
    bench.manager.pause(&id, &person("alice")).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    let paused = bench.manager.pause(PauseKey::of(id).because("leaked"), &root()).await.unwrap();
    assert_eq!(paused.effect(), Effect::Changed);
    assert_eq!(paused.into_info(), bench.manager.find(&id, &root()).await.map(without_usage).unwrap());
    let row = bench.row(&id).await;
    assert_eq!((row.paused_by.as_deref(), row.version), (Some("user:root"), 4));
    assert!(bench.manager.resume(&id, &person("alice")).await.is_err());
    // The reverse does not happen, and a second pause of an admin changes nothing.
    for actor in [person("alice"), root(), system()] {
        assert_eq!(bench.manager.pause(&id, &actor).await.unwrap().effect(), Effect::Unchanged);
    }
    assert_eq!(bench.row(&id).await, row);
    let events = bench.events().await;
    let told: Vec<_> = events.iter().map(|event| (&*event.action, &*event.actor)).collect();
    let expected = [("key.paused", "user:alice"), ("key.resumed", "user:root"), ("key.paused", "user:root")];
    assert_eq!(told, expected);
}

/// The key as in the answer of a change.
fn without_usage(info: KeyInfo) -> KeyInfo {
    KeyInfo { usage: None, counted: None, predecessor_is_live: None, ..info }
}
