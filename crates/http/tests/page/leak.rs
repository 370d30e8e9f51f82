//! A whole key that somebody pastes: this person may stop it, and learns nothing else.

use axum::http::StatusCode;
use tower_api_keys::{ApiKeysBuilder, auth::Freshness, manage::EditKey};
use tower_api_keys_http::page::Page;

use crate::support::{World, actor, system};

#[tokio::test]
async fn anybody_who_pastes_a_whole_key_ends_it_and_learns_nothing_about_it() {
    for who in ["mallory", "mo", "fred", "audrey", "olga", "alice"] {
        let world = World::new().await;
        let (key, text) = world.team_key("GitHub Actions - production").await;
        let answer = world.post(who, "/leak", &[("text", &format!("key: {text}\n")), ("do", "revoke")]).await;
        answer
            .is(200)
            .has("The key is revoked now.")
            .has("This server, and every other server with the same settings, refuses the next request with the key.")
            .has(&format!("team.{}.…", key.id));
        assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED, "{who}");
        if ["mallory", "fred"].contains(&who) {
            answer.lacks("GitHub Actions").lacks("Engineering").lacks("Alice");
        }
        let again = world.post(who, "/leak", &[("text", &text), ("do", "revoke")]).await;
        again.is(200).has("The key was already revoked.");
        let event = world.get("alice", &format!("/trail?key={}", key.id)).await;
        event.is(200).has("the service: presented").has("settings-page");
    }
}

#[tokio::test]
async fn a_pasted_key_is_paused_and_an_admin_resumes_it() {
    let world = World::new().await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    world.post("mallory", "/leak", &[("text", &text), ("do", "pause")]).await.is(200).has("The key is paused now.");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.submit("mo", &format!("/keys/{}/resume", key.id), &[]).await.is(403);
    world.submit("olga", &format!("/keys/{}/resume", key.id), &[]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
}

#[tokio::test]
async fn what_proves_nothing_stops_nothing_and_says_the_same_of_every_id() {
    let world = World::new().await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    // Whole keys of another service, one of them with an id that is here.
    let elsewhere = World::new().await;
    let (_, foreign) = elsewhere.team_key("elsewhere").await;
    let other = world.post("mallory", "/leak", &[("text", &foreign), ("do", "revoke")]).await;
    other.is(200).has("This is not a whole key of this service. Nothing was done.");
    for part in [&text[..40], "hello", ""] {
        let answer = world.post("mallory", "/leak", &[("text", part), ("do", "revoke")]).await;
        answer.is(422).has("The text contains no whole key, so nothing was stopped.");
    }
    world.post("mallory", "/leak", &[("text", &text), ("do", "dance")]).await.is(400);
    world.post("mallory", "/leak", &[("text", &text), ("do", "look")]).await.is(200).lacks("is revoked now");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    world.down(true);
    let down = world.post("mallory", "/leak", &[("text", &text), ("do", "revoke")]).await;
    assert_eq!(down.status, StatusCode::OK);
    down.has("This key could not be checked or stopped. Send the text again.").lacks("is revoked now");
    world.down(false);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
}

#[tokio::test]
async fn a_suspended_person_stops_a_key_too() {
    let world = World::new().await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    let mo: tower_api_keys::Owner = crate::support::user("mo").into();
    world.keys.manager().suspend(&mo, tower_api_keys::Suspension::Admin, &system()).await.unwrap();
    world.get("mo", "/trail").await.is(403);
    world.post("mo", "/leak", &[("text", &text), ("do", "revoke")]).await.is(200).has("The key is revoked now.");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_admin_sees_what_it_did_and_who_is_to_be_told() {
    let world = World::new().await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    let edit = EditKey::of(key.id).responsible("#platform");
    world.keys.manager().edit(edit, &actor("alice").unwrap()).await.unwrap();
    world.call(&text, "curl/8").await;
    let found = world.post("olga", "/leak", &[("text", &text), ("do", "revoke")]).await;
    found
        .is(200)
        .has("Tell: Engineering, Alice A. who created it. Also tell: #platform.")
        .has("What was done with the first of these keys")
        .has("api/curl")
        .has("Revoked");
    world.post("mo", "/leak", &[("text", &text)]).await.is(200).has("Tell: Engineering").lacks("api/curl");
    // Looking is no attempt that was denied.
    world.keys.shutdown().await.unwrap();
    world.get("olga", "/trail").await.is(200).lacks("Manage denied");
}

#[tokio::test]
async fn a_bound_is_said_wherever_a_key_is_stopped() {
    let bounded = |keys: ApiKeysBuilder<_>| {
        let bound = Freshness::Bounded(std::time::Duration::from_secs(2));
        keys.freshness(bound).freshness_of_other_nodes(bound)
    };
    let world = World::set_up(Page::new("Auxot"), bounded).await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    world.own_key("laptop").await;
    let said = "every other server does so after at most 2 seconds.";
    let id = key.id.to_string();
    world.get("alice", &format!("/keys/{id}/delete")).await.is(200).has(said);
    world.get("alice", &format!("/keys/{id}/pause")).await.is(200).has(said);
    world.post("alice", "/review", &[("key", &id), ("step", "look")]).await.is(200).has(said);
    for step in ["suspend", "close"] {
        world.post("olga", "/people/alice", &[("do", step), ("step", "look")]).await.is(200).has(said);
    }
    world.post("mallory", "/leak", &[("text", &text), ("do", "pause")]).await.is(200).has(said);
}
