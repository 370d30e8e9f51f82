//! The status of a rotation.

use std::time::Duration;

use super::begin::OLD;
use crate::{
    Actor, Clock,
    key::KeyId,
    manage::{
        DenialReason, ManageErrorKind, RevokeMany, Rights, RotateKey, RotationStage, RotationVerdict, TeamRole,
        fixture::{Bench, person, system, team, team_id, time, user, user_id},
    },
    outcome::RefusalCode,
    store::{Effect, Ledger},
    usage::{UsageBatch, UsageRow},
};

impl Bench {
    async fn count(&self, sequence: i64, counts: &[(&KeyId, &str, &str)]) {
        let at = self.clock.now().as_millis();
        let row = |&(id, outcome, source): &(&KeyId, &str, &str)| UsageRow {
            key: Some(id.to_string()),
            outcome: outcome.into(),
            count: 1,
            first_at: at,
            last_at: at,
            ..UsageRow::seen_from(source)
        };
        let batch = UsageBatch { writer: [9; 16], sequence, rows: counts.iter().map(row).collect(), days: Vec::new() };
        self.store.inner.record_usage(&batch).await.unwrap();
    }
}

#[tokio::test]
async fn status_follows_a_rotation_to_its_end() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    bench.count(1, &[(&old, "success", "api/ci"), (&old, "success", "intake/cron")]).await;
    bench.clock.advance(Duration::from_secs(60));
    let end = time("2026-04-01T00:00:00Z");
    let request = RotateKey::of(old).old_key_ends_at(end);
    let new = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
    let begun_at = bench.now();

    let status = async |id| bench.manager.rotation(id, &system()).await.unwrap();
    let at_first = status(&new).await;
    assert_eq!(at_first, status(&old).await);
    assert_eq!((at_first.old.id, at_first.new.id), (old, new));
    assert_eq!((at_first.begun_at, at_first.asked_at, at_first.ends_at), (begun_at, begun_at, Some(end)));
    assert_eq!((at_first.verdict, at_first.new_key_seen), (RotationVerdict::NotStarted, None));
    assert_eq!(at_first.old.usage.map(|usage| usage.successes), Some(2));

    bench.clock.advance(Duration::from_secs(60));
    bench.count(2, &[(&new, "success", "api/ci"), (&new, "wrong_team", "intake/cron")]).await;
    let first_seen = bench.now();
    assert_eq!(status(&new).await.verdict, RotationVerdict::StillUsedBy(2));

    bench.clock.advance(Duration::from_secs(3_600));
    let one_moved = status(&new).await;
    assert_eq!(one_moved.verdict, RotationVerdict::QuietSince(begun_at));
    assert_eq!(one_moved.verdict_with(Duration::from_secs(7_200)), RotationVerdict::StillUsedBy(2));
    let left = one_moved.still_on_old.iter().map(|count| (count.source.to_string(), count.count)).collect::<Vec<_>>();
    assert_eq!(left, [("intake/cron".to_owned(), 1)]);
    let seen = one_moved.new_key_seen.unwrap();
    assert_eq!((seen.successes, seen.first_at, seen.last_at), (1, first_seen, first_seen));
    assert_eq!(one_moved.on_new.with_outcome(RefusalCode::WrongTeam), 1);

    bench.count(3, &[(&new, "success", "intake/cron"), (&new, "success", "intake/cron")]).await;
    let moved = status(&new).await;
    assert_eq!((moved.verdict, moved.still_on_old.len()), (RotationVerdict::SafeToFinish, 0));

    bench.manager.finish_rotation(&new, &system()).await.unwrap();
    let ended_at = bench.now();
    bench.clock.advance(Duration::from_secs(86_400));
    for id in [&old, &new] {
        let ended = status(id).await;
        assert_eq!(
            (ended.stage, ended.ended_at, ended.ended_by),
            (RotationStage::Finished, Some(ended_at), Some(system().id()))
        );
        // The evidence stays unchanged.
        assert_eq!((ended.begun_at, ended.verdict), (moved.begun_at, moved.verdict));
        assert_eq!((ended.on_old, ended.on_new), (moved.on_old.clone(), moved.on_new.clone()));
    }
}

/// The verdict of the status, and the result of finishing at that moment.
#[tokio::test]
async fn rotation_is_finished_only_if_the_counts_do_not_speak_against_it() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    bench.count(1, &[(&old, "success", "api/ci"), (&old, "success", "intake/cron")]).await;
    bench.clock.advance(Duration::from_secs(60));
    let new = bench.manager.begin_rotation(RotateKey::of(old), &system()).await.unwrap().info().id;
    let before = (bench.row(&old).await, bench.events().await);
    let finish = async |id| bench.manager.finish_rotation(id, &system()).await;
    let refused = async |verdict: RotationVerdict, said: &str| {
        for id in [&old, &new] {
            let error = finish(id).await.unwrap_err();
            assert_eq!(error.kind(), ManageErrorKind::NotSafeToFinish(verdict));
            assert_eq!(
                error.to_string(),
                format!(
                    "{said}; nothing was changed. If you know that the old key is not needed any more, finish the rotation anyway"
                )
            );
        }
        assert_eq!((bench.row(&old).await, bench.events().await), before);
    };
    refused(RotationVerdict::NotStarted, "the new key was never used: install it where the old one is").await;
    bench.count(2, &[(&new, "success", "api/ci")]).await;
    refused(RotationVerdict::StillUsedBy(2), "the old key is still used by 2 sources").await;
    bench.clock.advance(Duration::from_secs(3_540));
    bench.count(3, &[(&old, "success", "intake/cron")]).await;
    refused(RotationVerdict::StillUsedBy(1), "the old key is still used by 1 source").await;

    // Quiet for an hour: a job that runs once a day may still use the old key, or no client does. People have to
    // decide.
    bench.clock.advance(Duration::from_secs(3_600));
    let status = bench.manager.rotation(&new, &system()).await.unwrap();
    assert!(matches!(status.verdict, RotationVerdict::QuietSince(_)));
    assert_eq!(finish(&new).await.unwrap().effect, Effect::Changed);
    // A finished rotation stays finished, whatever the counts say.
    bench.count(4, &[(&old, "success", "intake/cron")]).await;
    assert_eq!(finish(&new).await.unwrap().effect, Effect::Unchanged);
}

#[tokio::test]
async fn rotation_is_finished_anyway_whatever_the_counts_say() {
    for counts in [&[][..], &[("old", "api/ci")], &[("old", "api/ci"), ("new", "api/ci")]] {
        let bench = Bench::new();
        let old = bench.plant(OLD, &team("blue"), "read").await;
        let new = bench.manager.begin_rotation(RotateKey::of(old), &system()).await.unwrap().info().id;
        let counts: Vec<_> =
            counts.iter().map(|(key, source)| (if *key == "old" { &old } else { &new }, "success", *source)).collect();
        bench.count(1, &counts).await;
        assert!(bench.manager.finish_rotation(&new, &system()).await.is_err());
        assert_eq!(
            bench.manager.finish_rotation_anyway(&new, &system()).await.unwrap().effect,
            Effect::Changed,
            "{counts:?}"
        );
        assert!(bench.row(&old).await.revoked_at.is_some());
    }
}

/// The old key expired by itself, so finishing stops no client.
#[tokio::test]
async fn rotation_whose_old_key_expired_is_finished_without_evidence() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    let end = time("2026-03-01T13:00:00Z");
    let new = bench.manager.begin_rotation(RotateKey::of(old).old_key_ends_at(end), &system()).await.unwrap();
    bench.count(1, &[(&old, "success", "api/ci")]).await;
    bench.clock.advance(Duration::from_secs(3_600));
    assert_eq!(bench.manager.finish_rotation(&new.info().id, &system()).await.unwrap().effect, Effect::Changed);
}

#[tokio::test]
async fn status_tells_of_an_old_key_whose_grace_is_over() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    let end = time("2026-03-01T13:00:00Z");
    let new = bench.manager.begin_rotation(RotateKey::of(old).old_key_ends_at(end), &system()).await.unwrap();
    bench.clock.advance(Duration::from_secs(3_600));
    bench.count(1, &[(&old, "key_expired", "api/ci")]).await;
    for id in [&old, &new.info().id] {
        let status = bench.manager.rotation(id, &system()).await.unwrap();
        assert_eq!((status.ends_at, status.on_old.with_outcome(RefusalCode::KeyExpired)), (Some(end), 1));
    }
}

#[tokio::test]
async fn status_of_an_aborted_rotation_says_who_aborted_it() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    let new = bench.manager.begin_rotation(RotateKey::of(old), &system()).await.unwrap().info().id;
    bench.clock.advance(Duration::from_secs(60));
    let at = bench.now();
    let root = Actor::user(user_id("root"), Rights::none().org_admin());
    bench.manager.abort_rotation(&new, &root).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    for id in [&old, &new] {
        let status = bench.manager.rotation(id, &system()).await.unwrap();
        let ended = (status.stage, status.ended_at, status.ended_by.map(|by| by.to_string()));
        assert_eq!(ended, (RotationStage::Aborted, Some(at), Some("user:root".to_owned())));
    }
}

/// Every way in which a rotation can end, and the status by either key.
#[tokio::test]
async fn status_tells_how_any_rotation_ended() {
    let (hour, later) = (Duration::from_secs(3_600), time("2026-03-01T14:00:00Z"));
    for (ends, stage) in [
        ("nothing", RotationStage::UnderWay),
        ("old key expires", RotationStage::UnderWay),
        ("new key expires", RotationStage::Over),
        ("old key is revoked", RotationStage::Finished),
        ("new key is revoked", RotationStage::Aborted),
        ("both are revoked", RotationStage::Over),
        ("old key is revoked, then the new one", RotationStage::Finished),
        ("new key is revoked, then the old one", RotationStage::Aborted),
    ] {
        let bench = Bench::new();
        let old = bench.plant(OLD, &user("alice"), "read").await;
        let mut request = RotateKey::of(old);
        if ends == "old key expires" {
            request = request.old_key_ends_at(later);
        } else if ends == "new key expires" {
            request = request.expires_at(later);
        }
        let new = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
        bench.clock.advance(hour);
        let revoked_at = bench.now();
        let ids = match ends {
            "old key is revoked" => vec![old],
            "new key is revoked" => vec![new],
            "both are revoked" => {
                let all = RevokeMany::of(user_id("alice")).because("left");
                bench.manager.revoke_many(all, &system()).await.unwrap();
                vec![]
            }
            "old key is revoked, then the new one" => vec![old, new],
            "new key is revoked, then the old one" => vec![new, old],
            _ => vec![],
        };
        for id in ids {
            bench.manager.revoke(&id, &system()).await.unwrap();
            bench.clock.advance(hour);
        }
        bench.clock.advance(hour * 24);
        let (at, by) = match (stage, ends) {
            (RotationStage::UnderWay, _) => (None, None),
            (_, "new key expires") => (Some(later), None),
            _ => (Some(revoked_at), Some(system().id())),
        };
        for id in [&old, &new] {
            let status = bench.manager.rotation(id, &system()).await.unwrap();
            assert_eq!((status.stage, status.ended_at, status.ended_by), (stage, at, by.clone()), "{ends} {id}");
            assert_eq!((status.old.id, status.new.id), (old, new), "{ends}");
        }
    }
}

/// Before, during and after the second rotation: an id that showed a rotation still shows it after its end.
#[tokio::test]
async fn key_in_two_rotations_tells_of_the_last_that_was_begun() {
    let bench = Bench::new();
    let manager = &bench.manager;
    let first = bench.plant(OLD, &team("blue"), "read").await;
    let second = manager.begin_rotation(RotateKey::of(first), &system()).await.unwrap().info().id;
    let told = async |id| {
        let status = manager.rotation(id, &system()).await.unwrap();
        (status.old.id, status.new.id, status.stage)
    };
    manager.finish_rotation_anyway(&second, &system()).await.unwrap();
    assert_eq!(told(&second).await, (first, second, RotationStage::Finished));
    bench.clock.advance(Duration::from_secs(1));
    let third = manager.begin_rotation(RotateKey::of(second), &system()).await.unwrap().info().id;
    assert_eq!(told(&second).await, (second, third, RotationStage::UnderWay));
    manager.abort_rotation(&third, &system()).await.unwrap();
    assert_eq!(told(&second).await, (second, third, RotationStage::Aborted));
    bench.clock.advance(Duration::from_secs(1));
    let fourth = manager.begin_rotation(RotateKey::of(second), &system()).await.unwrap().info().id;
    manager.finish_rotation_anyway(&fourth, &system()).await.unwrap();
    for id in [&second, &fourth] {
        assert_eq!(told(id).await, (second, fourth, RotationStage::Finished));
    }
    assert_eq!(told(&first).await, (first, second, RotationStage::Finished));
    assert_eq!(told(&third).await, (second, third, RotationStage::Aborted));
}

#[tokio::test]
async fn key_between_two_rotations_tells_of_the_one_under_way() {
    let bench = Bench::new();
    let first = bench.plant(OLD, &team("blue"), "read").await;
    let end = time("2026-03-01T13:00:00Z");
    let request = RotateKey::of(first).old_key_ends_at(end);
    let second = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
    bench.clock.advance(Duration::from_secs(3_600));
    let third = bench.manager.begin_rotation(RotateKey::of(second), &system()).await.unwrap().info().id;
    assert_eq!(bench.manager.rotation(&second, &system()).await.unwrap().new.id, third);
}

#[tokio::test]
async fn usage_of_both_keys_has_to_be_the_actors_to_see() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &user("alice"), "*").await;
    let request = RotateKey::of(old).into_team(team_id("blue"));
    let new = bench.manager.begin_rotation(request, &system()).await.unwrap().info().id;
    let with = |id, role| Actor::user(user_id(id), Rights::none().team(team_id("blue"), role).team_keys_included());
    let role = ManageErrorKind::Denied(DenialReason::InsufficientRole.into());
    for (actor, expected) in [
        (with("alice", TeamRole::Admin), None),
        (Actor::user(user_id("root"), Rights::none().org_admin()), None),
        (with("alice", TeamRole::Member), Some(role)),
        (person("alice"), Some(ManageErrorKind::NotFound)),
        (with("bob", TeamRole::Admin), Some(ManageErrorKind::NotFound)),
        (person("eve"), Some(ManageErrorKind::NotFound)),
    ] {
        for id in [&old, &new] {
            let told = bench.manager.rotation(id, &actor).await.err().map(|error| error.kind());
            assert_eq!(told, expected, "{actor:?} {id}");
        }
    }
}

#[tokio::test]
async fn status_serializes() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    bench.count(1, &[(&old, "success", "api/ci")]).await;
    let new = bench.manager.begin_rotation(RotateKey::of(old), &system()).await.unwrap().info().id;
    let json = serde_json::to_value(bench.manager.rotation(&new, &system()).await.unwrap()).unwrap();
    assert_eq!((&json["verdict"]["verdict"], &json["ends_at"]), (&"not_started".into(), &serde_json::Value::Null));
    assert_eq!(json["stage"], "under_way");
    assert!(json["ended_at"].is_null() && json["ended_by"].is_null());
    assert_eq!(json["still_on_old"][0]["source"]["client"], "ci");
}

/// Whatever the counts say, calls with the new key are refused.
#[tokio::test]
async fn nothing_is_safe_while_the_new_key_is_paused() {
    let bench = Bench::new();
    let old = bench.plant(OLD, &team("blue"), "read").await;
    bench.count(1, &[(&old, "success", "api/ci")]).await;
    bench.clock.advance(Duration::from_secs(60));
    let new = bench.manager.begin_rotation(RotateKey::of(old), &system()).await.unwrap().info().id;
    let told = async || {
        let status = bench.manager.rotation(&new, &system()).await.unwrap();
        (status.verdict, status.verdict_with(Duration::from_secs(1)))
    };
    let paused = (RotationVerdict::NewKeyPaused, RotationVerdict::NewKeyPaused);
    // The new key is never used; used while the old one is in use; and safe to finish.
    for (sequence, seconds, verdict) in [
        (None, 0, RotationVerdict::NotStarted),
        (Some(2), 1, RotationVerdict::StillUsedBy(1)),
        (None, 3_600, RotationVerdict::SafeToFinish),
    ] {
        bench.clock.advance(Duration::from_secs(seconds));
        if let Some(sequence) = sequence {
            bench.count(sequence, &[(&new, "success", "api/ci")]).await;
        }
        assert_eq!(told().await.0, verdict);
        bench.manager.pause(&new, &system()).await.unwrap();
        assert_eq!(told().await, paused);
        let error = bench.manager.finish_rotation(&new, &system()).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::KeyPaused);
        bench.manager.resume(&new, &system()).await.unwrap();
        assert_eq!(told().await.0, verdict);
    }
    // If the old key is paused, its end makes nothing worse.
    bench.manager.pause(&old, &system()).await.unwrap();
    assert_eq!(told().await.0, RotationVerdict::SafeToFinish);
}
