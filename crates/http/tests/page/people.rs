//! What stops when a person leaves, and stopping it.

use axum::http::StatusCode;
use tower_api_keys::IssueKey;

use crate::support::{World, user};

#[tokio::test]
async fn an_admin_sees_what_stops_and_what_goes_on() {
    let world = World::new().await;
    world.own_key("laptop").await;
    world.team_key("GitHub Actions - production").await;
    let found = world.get("olga", "/people?user=alice").await;
    found.is(303);
    assert_eq!(found.header("location"), Some("/settings/api-keys/people/alice"));
    world
        .get("olga", "/people/alice")
        .await
        .is(200)
        .has("Alice A.")
        .has("If Alice A. leaves, 1 personal key")
        .has("laptop")
        .has("Keys that keep working")
        .has("GitHub Actions - production")
        .has("Keys that this person has seen")
        .has("Suspend")
        .has("Close permanently");
    world.get("olga", "/people/bob").await.is(200).has("Bob B. (left)");
    world.get("alice", "/people/alice").await.is(200).has("laptop").lacks("Close permanently");
    world.get("mo", "/people/alice").await.is(404);
    world.get("olga", "/people").await.is(200).has("Name or id of a person");
}

#[tokio::test]
async fn a_person_is_suspended_reinstated_and_closed_after_a_look() {
    let world = World::new().await;
    let (_, text) = world.own_key("laptop").await;
    let path = "/people/alice";
    let look = world.post("olga", path, &[("do", "suspend"), ("step", "look")]).await;
    look.is(200).has("1 active personal key is refused until the account is reinstated.");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let done = world.post("olga", path, &[("do", "suspend"), ("step", "do")]).await;
    done.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("olga", path).await.is(200).has("suspended since 28 Nov 2026").has("Reinstate");
    world.post("olga", path, &[("do", "reinstate"), ("step", "do")]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);

    let look = world.post("olga", path, &[("do", "close"), ("step", "look")]).await;
    look.is(200).has("Type alice to confirm").has("This cannot be undone.");
    let wrong = world.post("olga", path, &[("do", "close"), ("step", "do"), ("confirm", "Alice")]).await;
    wrong.is(200).has("The text that you typed is different.");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    world.post("olga", path, &[("do", "close"), ("step", "do"), ("confirm", "alice")]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("olga", path).await.is(200).has("closed permanently on").no_markup("name=\"do\"");
}

#[tokio::test]
async fn only_an_admin_stops_a_person() {
    let world = World::new().await;
    let (_, text) = world.own_key("laptop").await;
    for act in ["suspend", "reinstate", "close"] {
        let fields = [("do", act), ("step", "do"), ("confirm", "alice")];
        let denied = world.post("alice", "/people/alice", &fields).await;
        assert!([403, 404].contains(&denied.status.as_u16()), "{act}: {}", denied.text());
        world.post("mo", "/people/alice", &fields).await.is(404);
    }
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    world.post("olga", "/people/alice", &[("do", "dance")]).await.is(400);
}

#[tokio::test]
async fn any_id_has_a_page() {
    let world = World::new().await;
    let id = "a/b?c#d e%";
    world.issue(IssueKey::user(user(id)).named("laptop of somebody"), "system").await;
    let found = world.get("olga", "/people?user=a%2Fb%3Fc%23d%20e%25").await;
    let location = found.header("location").unwrap().strip_prefix(crate::support::MOUNT).unwrap().to_owned();
    world.get("olga", &location).await.is(200).has("laptop of somebody").has(id);
}
