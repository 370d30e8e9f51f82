//! Deleting, editing, pausing and resuming one key.

use axum::http::StatusCode;

use crate::support::{World, system};

#[tokio::test]
async fn a_key_in_use_is_deleted_by_its_name_and_the_next_call_is_refused() {
    let world = World::new().await;
    let (key, text) = world.team_key("Monday cron").await;
    world.call(&text, "curl/8").await;
    world.later(4 * 3_600);
    let path = format!("/keys/{}/delete", key.id);
    world
        .get("alice", &path)
        .await
        .is(200)
        .has("Delete \"Monday cron\"?")
        .has("In use: api/curl, once, last 4 hours ago")
        .has("Requests from these sources will get 401.")
        .has("Type Monday cron to confirm")
        .has("Replace it without an outage instead: Rotate");
    let wrong = world.submit("alice", &path, &[("confirm", "monday"), ("because", "not needed")]).await;
    wrong.is(422).has("The text that you typed is different.").markup("value=\"not needed\"");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let done = world.submit("alice", &path, &[("confirm", "Monday cron"), ("because", "not needed")]).await;
    done.is(303);
    assert_eq!(done.header("location"), Some("/settings/api-keys"));
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("alice", &path).await.is(200).has("This key is revoked or has expired.").no_markup("method=\"post\"");
    world.get("alice", &format!("/keys/{}", key.id)).await.is(200).has("Key revoked").has("not needed");
}

#[tokio::test]
async fn an_unused_key_is_deleted_without_typing() {
    let world = World::new().await;
    let (key, _) = world.team_key("Monday cron").await;
    let path = format!("/keys/{}/delete", key.id);
    world.get("alice", &path).await.is(200).has("Never used.").lacks("to confirm");
    world.submit("alice", &path, &[]).await.is(303);
}

#[tokio::test]
async fn a_key_that_changed_meanwhile_is_not_deleted() {
    let world = World::new().await;
    let (key, text) = world.team_key("Monday cron").await;
    world.keys.manager().rename(&key.id, "Tuesday cron", &system()).await.unwrap();
    // The version counts before anything else.
    for path in ["delete", "edit", "pause"] {
        let answer = world.post("alice", &format!("/keys/{}/{path}", key.id), &[("version", "1")]).await;
        answer.is(412).has("Somebody changed the key in the meantime, to version 2");
        answer.markup("name=\"version\" value=\"2\"");
    }
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let without = world.post("alice", &format!("/keys/{}/delete", key.id), &[]).await;
    without.is(400).has("version");
}

#[tokio::test]
async fn a_member_sees_why_not() {
    let world = World::new().await;
    let (key, text) = world.team_key("Monday cron").await;
    for path in ["delete", "pause"] {
        world
            .get("mo", &format!("/keys/{}/{path}", key.id))
            .await
            .is(200)
            .has("Your role does not allow this.")
            .markup("type=\"button\" aria-disabled=\"true\"");
        let fields = [("version", "1"), ("name", "x")];
        world.post("mo", &format!("/keys/{}/{path}", key.id), &fields).await.is(403).has("Your role does not allow");
    }
    let fields = [("version", "1"), ("name", "x")];
    world.post("mo", &format!("/keys/{}/edit", key.id), &fields).await.is(403);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
}

#[tokio::test]
async fn an_edit_changes_what_was_changed_and_nothing_else() {
    let world = World::new().await;
    let (key, _) = world.team_key("Monday cron").await;
    let path = format!("/keys/{}/edit", key.id);
    let fields = [
        ("name", "Tuesday cron"),
        ("responsible", "#ops"),
        ("ticket", "OPS-1"),
        ("may", "only"),
        ("scope", "agents:read"),
        ("ends", "2027-01-01"),
    ];
    let done = world.submit("alice", &path, &fields).await;
    done.is(303);
    assert_eq!(done.header("location"), Some(format!("/settings/api-keys/keys/{}", key.id).as_str()));
    let page = world.get("alice", &format!("/keys/{}", key.id)).await;
    page.is(200).has("Tuesday cron").has("#ops").has("OPS-1").has("agents:read").has("1 Jan 2027");
    let now = world.keys.manager().find(&key.id, &system()).await.unwrap();
    assert_eq!(now.version, 6);
    // The same form again: nothing to change, so no event.
    let form = world.get("alice", &path).await;
    form.is(200)
        .markup("value=\"Tuesday cron\"")
        .markup("value=\"agents:read\" checked")
        .markup("value=\"2027-01-01\"");
    world.submit("alice", &path, &fields).await.is(303);
    assert_eq!(world.keys.manager().find(&key.id, &system()).await.unwrap().version, 6);
    let later = world.submit("alice", &path, &[("name", "Tuesday cron"), ("ends", "2028-01-01")]).await;
    later.is(422).has("You can only shorten the lifetime of a key");
}

#[tokio::test]
async fn a_key_is_paused_and_resumed() {
    let world = World::new().await;
    let (key, text) = world.team_key("Monday cron").await;
    let (pause, resume) = (format!("/keys/{}/pause", key.id), format!("/keys/{}/resume", key.id));
    world.get("alice", &pause).await.is(200).has("Pause \"Monday cron\"?").has("until somebody resumes it");
    world.submit("alice", &pause, &[("because", "a look at the logs")]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("alice", &format!("/keys/{}", key.id)).await.is(200).has("Paused").has("Resume").lacks("Rotate");
    world.submit("alice", &resume, &[]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
}
