//! A rotation, step by step.

use axum::http::StatusCode;
use tower_api_keys::{Actor, IssueKey};

use crate::support::{World, actor, user};

fn actor_of(name: &str) -> Actor {
    actor(name).unwrap()
}

#[tokio::test]
async fn a_rotation_goes_through_its_steps_with_evidence() {
    let world = World::new().await;
    let (old, old_text) = world.team_key("Monday cron").await;
    world.call(&old_text, "curl/8").await;
    let path = format!("/keys/{}/rotate", old.id);
    world
        .get("alice", &path)
        .await
        .is(200)
        .has("Rotate \"Monday cron\"")
        .has("Both keys work until you delete the old one.")
        .lacks("Move to a team");
    let form = world.get("alice", &path).await.hidden();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let made = world.post("alice", &path, &form).await;
    made.is(200).has("Copy your new key now").has("I have stored it, continue");
    let new_text = made.secret();
    let new = new_text.split('.').nth(1).unwrap();
    world.post("alice", &path, &form).await.is(409).has("That key was created");

    let steps = format!("/keys/{new}/rotation");
    let page = world.get("alice", &steps).await;
    page.is(200)
        .has("The new key was never used: install it where the old one is.")
        .has("Wait until every source was seen with the new key, or look at what is left.")
        .has("api/curl once, last just now not seen yet")
        .markup("aria-current=\"step\"")
        .markup("role=\"status\" aria-live=\"polite\"")
        .markup(&format!("data-poll=\"/settings/api-keys{steps}?part=evidence\""));
    world.get("alice", "").await.is(200).has("Rotation under way").has("Continue the rotation");

    world.call(&new_text, "curl/8").await;
    let part = world.part("alice", &format!("{steps}?part=evidence")).await;
    part.is(200).has("The old key is still used by 1 source.").has("once, last just now").no_markup("<main");
    let early = world.submit("alice", &steps, &[("do", "finish")]).await;
    early.is(409).has("The old key is still used by 1 source.").has("finish the rotation anyway");
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::OK);

    world.later(2 * 3_600);
    world.call(&new_text, "curl/8").await;
    let page = world.get("alice", &steps).await;
    page.is(200)
        .has("Every source that used the old key now uses the new one.")
        .has("✓ moved")
        .no_markup("aria-disabled");
    let done = world.submit("alice", &steps, &[("do", "finish")]).await;
    done.is(303);
    assert_eq!(done.header("location"), Some(format!("/settings/api-keys{steps}").as_str()));
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world
        .get("alice", &steps)
        .await
        .is(200)
        .has("The rotation is finished: the old key was revoked, and the new one kept.")
        .has("Alice A.")
        .no_markup("data-poll")
        .no_markup("method=\"post\"");
}

#[tokio::test]
async fn the_old_key_can_be_deleted_anyway_by_its_name() {
    let world = World::new().await;
    let (old, old_text) = world.team_key("Monday cron").await;
    world.call(&old_text, "curl/8").await;
    let made = world.submit("alice", &format!("/keys/{}/rotate", old.id), &[]).await;
    let new = made.secret().split('.').nth(1).unwrap().to_owned();
    let steps = format!("/keys/{new}/rotation");
    let wrong = world.submit("alice", &steps, &[("do", "finish_anyway"), ("confirm", "x")]).await;
    wrong.is(422).has("The text that you typed is different.");
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::OK);
    world.submit("alice", &steps, &[("do", "finish_anyway"), ("confirm", "Monday cron")]).await.is(303);
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn giving_up_keeps_the_old_key() {
    let world = World::new().await;
    let (old, old_text) = world.team_key("Monday cron").await;
    let made = world.submit("alice", &format!("/keys/{}/rotate", old.id), &[]).await;
    let new_text = made.secret();
    // The address of the old key shows the same forms, which name the new one.
    let steps = format!("/keys/{}/rotation", new_text.split('.').nth(1).unwrap());
    let by_old = world.get("alice", &format!("/keys/{}/rotation", old.id)).await;
    by_old.is(200).markup(&format!("action=\"{}{steps}\"", crate::support::MOUNT));
    world.submit("alice", &steps, &[("do", "abort")]).await.is(303);
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::OK);
    assert_eq!(world.call(&new_text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("alice", &steps).await.is(200).has("The rotation was aborted");
    world.submit("alice", &steps, &[("do", "dance")]).await.is(400);
}

/// Whoever already sends the new key would get 401.
#[tokio::test]
async fn giving_up_a_new_key_in_use_asks_for_its_name() {
    let world = World::new().await;
    let (old, old_text) = world.team_key("Monday cron").await;
    let made = world.submit("alice", &format!("/keys/{}/rotate", old.id), &[]).await;
    let new_text = made.secret();
    let steps = format!("/keys/{}/rotation", new_text.split('.').nth(1).unwrap());
    assert_eq!(world.call(&new_text, "curl/8").await, StatusCode::OK);
    world.get("alice", &steps).await.is(200).has("Some requests already come with the new key. They will get 401.");
    for confirm in ["", "monday cron", "Monday"] {
        let fields = [("do", "abort"), ("confirm_abort", confirm)];
        world.submit("alice", &steps, &fields).await.is(422).has("The text that you typed is different.");
        assert_eq!(world.call(&new_text, "curl/8").await, StatusCode::OK);
    }
    world.submit("alice", &steps, &[("do", "abort"), ("confirm_abort", "Monday cron")]).await.is(303);
    assert_eq!(world.call(&new_text, "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::OK);
}

#[tokio::test]
async fn a_personal_key_moves_to_a_team() {
    let world = World::new().await;
    let (key, _) = world.own_key("CI deploy").await;
    let path = format!("/keys/{}/rotate", key.id);
    world.get("alice", &path).await.is(200).has("Move to a team").markup("<option value=\"engineering\"");
    let made =
        world.submit("alice", &path, &[("into_team", "engineering"), ("end", "on"), ("ends", "2026-12-24")]).await;
    made.is(200);
    assert!(made.secret().starts_with("team."));
    let old = world.keys.manager().find(&key.id, &actor_of("alice")).await.unwrap();
    assert_eq!(old.expires_at, Some("2026-12-24T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_rotation_that_never_began_and_one_of_somebody_else_are_told_apart() {
    let world = World::new().await;
    let (key, _) = world.team_key("Monday cron").await;
    world.get("alice", &format!("/keys/{}/rotation", key.id)).await.is(409).has("This key has no rotation");
    let (other, _) = world.issue(IssueKey::user(user("mo")).named("laptop of mo"), "mo").await;
    world.get("alice", &format!("/keys/{}/rotation", other.id)).await.is(404);
    let no_day = [("end", "on"), ("ends", "")];
    world.submit("alice", &format!("/keys/{}/rotate", key.id), &no_day).await.is(422).has("Choose a day");
    let unclear = [("end", "finish"), ("ends", "2026-12-24")];
    world.submit("alice", &format!("/keys/{}/rotate", key.id), &unclear).await.is(422).has("Choose one of the two.");
    world.get("mo", &format!("/keys/{}/rotate", key.id)).await.is(200).has("Your role does not allow this.");
}

#[tokio::test]
async fn of_two_admins_one_ends_a_rotation_and_the_other_sees_what_happened() {
    let world = World::new().await;
    let (old, old_text) = world.team_key("Monday cron").await;
    let made = world.submit("alice", &format!("/keys/{}/rotate", old.id), &[]).await;
    let new_text = made.secret();
    let steps = format!("/keys/{}/rotation", new_text.split('.').nth(1).unwrap());
    // Both look at it; then one deletes the old key, and the other gives up.
    let form = world.get("olga", &steps).await.hidden();
    let version = form.iter().find(|(name, _)| name == "version").unwrap().1.clone();
    let finish = [("do", "finish_anyway"), ("confirm", "Monday cron")];
    world.submit("alice", &steps, &finish).await.is(303);
    let late = world.post("olga", &steps, &[("do", "abort"), ("version", &version)]).await;
    late.is(409).has("The rotation is finished: the old key was revoked, and the new one kept.").has("Alice A.");
    late.no_markup("method=\"post\"");
    assert_eq!(world.call(&old_text, "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&new_text, "curl/8").await, StatusCode::OK);
    // A second rotation of the old key is not begun either.
    let again = [("version", "1"), ("idempotency_key", "0123456789abcdef")];
    world.post("olga", &format!("/keys/{}/rotate", old.id), &again).await.is(409);
}

#[tokio::test]
async fn a_key_that_came_from_a_rotation_is_rotated_again() {
    let world = World::new().await;
    let (first, _) = world.team_key("Monday cron").await;
    let mut old = first.id.to_string();
    for round in 0..3 {
        let made = world.submit("alice", &format!("/keys/{old}/rotate"), &[]).await;
        let new = made.secret().split('.').nth(1).unwrap().to_owned();
        let steps = format!("/keys/{new}/rotation");
        let shown = world.get("alice", &format!("/keys/{old}/rotation")).await;
        shown.is(200).markup(&format!("action=\"{}{steps}\"", crate::support::MOUNT));
        let end: &[(&str, &str)] =
            if round == 1 { &[("do", "abort")] } else { &[("do", "finish_anyway"), ("confirm", "Monday cron")] };
        world.submit("alice", &steps, end).await.is(303);
        old = if round == 1 { old } else { new };
    }
}
