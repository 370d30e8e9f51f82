//! The review, its export, and deleting many keys behind a look.

use axum::http::StatusCode;
use tower_api_keys::{manage::EditKey, record::Labels};

use crate::support::{World, actor, system};

#[tokio::test]
async fn a_review_shows_what_needs_attention() {
    let world = World::new().await;
    world.team_key("key1").await;
    world.team_key("GitHub Actions - production").await;
    let page = world.get("alice", "/review").await;
    page.is(200).has("key1").has("Vague name").has("GitHub Actions").has("As of 28 Nov 2026, 12:00 UTC.");
    let flagged = world.get("alice", "/review?flag=vague_name").await;
    flagged.is(200).has("key1").markup("value=\"vague_name\" checked");
    assert!(!flagged.text().contains("GitHub Actions - production Engineering"), "{}", flagged.text());
    world.get("alice", "/review?flag=nonsense").await.is(400);
    world.get("alice", "/review?label=ticket").await.is(200).has("No key matches.");
    world.get("mo", "/review").await.is(200).lacks("key1");
}

#[tokio::test]
async fn the_export_is_a_file_and_a_refusal_has_its_status() {
    let world = World::new().await;
    world.team_key("=HYPERLINK(\"x\")").await;
    let csv = world.get("alice", "/review.csv?flag=vague_name&flag=unnamed").await;
    csv.is(200);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let disposition = csv.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment; filename=\"api-keys-20"), "{disposition}");
    let all = world.get("alice", "/review.csv").await;
    all.is(200);
    assert!(all.body.contains("HYPERLINK") && !all.body.contains(",=HYPERLINK"), "{}", all.body);
    world.get("alice", "/review.csv?owner=user:mo").await.is(404);
    world.down(true);
    world.get("alice", "/review.csv").await.is(503);
}

#[tokio::test]
async fn many_keys_are_deleted_after_a_look() {
    let world = World::new().await;
    let (one, one_text) = world.team_key("key1").await;
    let (two, two_text) = world.team_key("key2").await;
    let (_, kept) = world.team_key("key3").await;
    let (one, two) = (one.id.to_string(), two.id.to_string());
    assert_eq!(world.call(&one_text, "curl/8").await, StatusCode::OK);
    world.keys.flush_usage().await.unwrap();
    let look = world
        .post("alice", "/review", &[("key", &one), ("key", &two), ("step", "look"), ("query", "?flag=vague_name")])
        .await;
    look.is(200).has("2 of 2 keys would be revoked.").has("Delete 2").has("key1").has("In use: api/curl, once");
    look.has("Type 2 to confirm").markup("value=\"?flag=vague_name\"");
    assert_eq!(world.call(&one_text, "curl/8").await, StatusCode::OK);
    let fields = [("key", one.as_str()), ("key", two.as_str()), ("step", "delete"), ("because", "spring cleaning")];
    for confirm in ["", "1", "22"] {
        let unconfirmed: Vec<_> = fields.iter().copied().chain([("confirm", confirm)]).collect();
        world.post("alice", "/review", &unconfirmed).await.is(422).has("The text that you typed is different.");
        assert_eq!(world.call(&two_text, "curl/8").await, StatusCode::OK);
    }
    let confirmed: Vec<_> = fields.iter().copied().chain([("confirm", "2"), ("query", "?flag=vague_name")]).collect();
    let done = world.post("alice", "/review", &confirmed).await;
    done.is(200).has("2 of 2 keys revoked.").no_markup("method=\"post\"").markup("/review?flag=vague_name\"");
    for text in [&one_text, &two_text] {
        assert_eq!(world.call(text, "curl/8").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.call(&kept, "curl/8").await, StatusCode::OK);
    world.get("alice", "/trail?action=key.revoked").await.is(200).has("spring cleaning");
}

#[tokio::test]
async fn nobody_deletes_what_they_may_not() {
    let world = World::new().await;
    let (key, text) = world.team_key("key1").await;
    let id = key.id.to_string();
    let answer = world.post("mo", "/review", &[("key", &id), ("step", "delete")]).await;
    assert!([200, 403].contains(&answer.status.as_u16()), "{}", answer.text());
    let answer = world.post("mallory", "/review", &[("key", &id), ("step", "delete")]).await;
    assert!([200, 403, 404].contains(&answer.status.as_u16()), "{}", answer.text());
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    assert!(world.keys.manager().find(&key.id, &actor("alice").unwrap()).await.unwrap().revoked_at.is_none());
    let none = world.post("alice", "/review", &[("step", "look")]).await;
    none.is(303);
    world.post("alice", "/review", &[("key", "x")]).await.is(404);
}

#[tokio::test]
async fn more_keys_than_a_screen_has_are_refused() {
    let world = World::new().await;
    let ids: Vec<String> = (0..101).map(|number| format!("{number:020}")).collect();
    for step in ["reviewed", "look", "delete"] {
        let keys = ids.iter().map(|id| ("key", id.as_str()));
        let form: Vec<(&str, &str)> = keys.chain([("step", step)]).collect();
        world.post("mo", "/review", &form).await.is(400);
    }
    // The same key twice is one.
    let (key, _) = world.team_key("Monday cron").await;
    let id = key.id.to_string();
    let twice = [("key", id.as_str()), ("key", id.as_str()), ("step", "look")];
    world.post("alice", "/review", &twice).await.is(200).has("1 of 1 key would be revoked.");
}

#[tokio::test]
async fn a_review_that_cannot_have_been_is_not_shown() {
    let world = World::new().await;
    let (own, _) = world.own_key("laptop").await;
    let (shared, _) = world.team_key("Monday cron").await;
    for (id, label) in [
        // Only the owner can mark a personal key.
        (own.id, "2999-01-01 user:olga"),
        // From before the key was there: a rotation takes labels over.
        (shared.id, "2001-01-01 user:olga"),
    ] {
        let labels = Labels::new([("reviewed", label)]).unwrap();
        world.keys.manager().edit(EditKey::of(id).labels(labels), &system()).await.unwrap();
    }
    world.get("olga", "/review").await.is(200).has("Monday cron").has("laptop").lacks("Reviewed on");
}

/// The trail is read once for all keys, and for each key only if that was not enough.
#[tokio::test]
async fn a_review_is_found_behind_a_thousand_changes_of_other_keys() {
    let world = World::new().await;
    let (reviewed, _) = world.team_key("Monday cron").await;
    let (noisy, _) = world.team_key("Nightly import").await;
    let id = reviewed.id.to_string();
    world.post("olga", "/review", &[("key", &id), ("step", "reviewed")]).await.is(200).has("1 key was marked");
    for number in 0..1_001 {
        let labels = Labels::new([("ticket", format!("OPS-{number}"))]).unwrap();
        world.keys.manager().edit(EditKey::of(noisy.id).labels(labels), &system()).await.unwrap();
    }
    world.get("olga", "/review").await.is(200).has("Reviewed on 28 Nov 2026: olga");
}
