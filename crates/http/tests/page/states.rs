//! Everything that can be wrong with a key, its owner or the store, on the screens where people meet it.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use tower_api_keys::{Owner, Suspension, manage::Names};

use crate::support::{World, system, team, user};

/// The screens that show a key of engineering to alice.
fn screens(id: &str) -> [String; 3] {
    [String::new(), "/keys".to_owned(), format!("/keys/{id}")]
}

#[tokio::test]
async fn a_suspended_a_held_and_a_closed_team_are_told_apart_everywhere() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    let id = key.id.to_string();
    let owner = Owner::Team(team("engineering"));
    let manager = world.keys.manager();
    let of_plan = "These keys are refused: the team is suspended by its plan. They are accepted again as soon as the plan \
                   includes them. Upgrade";
    let of_admin = "These keys are refused: the team is suspended. An admin of the organization can reinstate it.";
    let closed = "These keys are refused: the team is closed permanently.";
    manager.suspend(&owner, Suspension::Plan, &system()).await.unwrap();
    for (path, sentence) in screens(&id).iter().zip([of_plan, "Suspended by the plan", of_plan]) {
        world.get("alice", path).await.is(200).has(sentence).has("Suspended by the plan").has("Delete");
    }
    manager.suspend(&owner, Suspension::Admin, &system()).await.unwrap();
    for (path, sentence) in screens(&id).iter().zip([of_admin, "Owner suspended", of_admin]) {
        world.get("alice", path).await.is(200).has(sentence).has("Owner suspended").has("Delete");
    }
    manager.close(&owner, &system()).await.unwrap();
    for (path, sentence) in screens(&id).iter().zip([closed, "Owner closed", closed]) {
        // Read only: nothing makes these keys work again.
        world.get("alice", path).await.is(200).has(sentence).has("Owner closed").no_markup(&format!("{id}/rotate\""));
    }
    let create = [("kind", "team"), ("team", "engineering"), ("idempotency_key", "0123456789abcdef")];
    world.post("alice", "/new", &create).await.is(409).has("closed");
    let page = world.get("alice", &format!("/keys/{id}")).await;
    page.is(200).has("A request with this key would be refused with `owner_closed`.").no_markup("class=\"buttons\"");
}

#[tokio::test]
async fn a_paused_key_says_so_and_by_whom_everywhere() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    let id = key.id.to_string();
    world.submit("alice", &format!("/keys/{id}/pause"), &[("because", "a look at the logs")]).await.is(303);
    for path in screens(&id) {
        world.get("alice", &path).await.is(200).has("Paused").has("Resume").no_markup(&format!("{id}/rotate\""));
    }
    let page = world.get("alice", &format!("/keys/{id}")).await;
    page.is(200).has("Paused 28 Nov 2026, 12:00 UTC , Alice A.").has("a look at the logs");
    world.get("alice", "/review?flag=paused").await.is(200).has("GitHub Actions");
}

#[tokio::test]
async fn an_unreadable_record_spoils_no_screen() {
    let world = World::new().await;
    let (broken, _) = world.team_key("GitHub Actions - production").await;
    world.team_key("Monday cron").await;
    world.damage(broken.id).await;
    let sentence = "A key that cannot be read. Requests with it get 503. Tell the operator of this service.";
    for path in ["", "/keys", "/review"] {
        world.get("alice", path).await.is(200).has(sentence).has("Monday cron");
    }
    world.get("olga", "/people/alice").await.is(200).has(sentence);
    let own = world.get("alice", &format!("/keys/{}", broken.id)).await;
    own.is(503).has("The stored data of this key is damaged").lacks("GitHub Actions");
    let many = world.post("alice", "/review", &[("key", broken.id.as_str()), ("step", "look")]).await;
    many.is(200)
        .has("1 key was not revoked, because its stored data cannot be read: tell the operator of the service.");
}

#[tokio::test]
async fn a_store_that_is_down_gives_a_page_of_503_and_no_half_screen() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    let id = key.id.to_string();
    world.down(true);
    let screens = ["", "/delete", "/edit", "/pause", "/resume", "/rotate", "/rotation"];
    let of_key = screens.map(|screen| format!("/keys/{id}{screen}"));
    let others =
        ["", "/keys", "/review", "/review.csv", "/trail", "/trail.csv", "/people", "/people/alice", "/refusals"];
    for path in of_key.iter().map(String::as_str).chain(others) {
        let answer = world.get("olga", path).await;
        answer
            .is(503)
            .has("Keys cannot be shown at the moment. Existing keys may still work.")
            .has("Servers that check each request with the key store refuse all keys until it answers again.")
            .lacks("GitHub Actions")
            .lacks("10.1.2.3");
        assert_eq!(answer.header("retry-after"), Some("1"), "{path}");
    }
    let create = [("kind", "team"), ("team", "engineering"), ("name", "x"), ("idempotency_key", "0123456789abcdef")];
    for form in ["delete", "edit", "pause", "resume", "rotate", "rotation"] {
        let fields = [("version", "1"), ("do", "abort"), ("idempotency_key", "0123456789abcdef")];
        let answer = world.post("alice", &format!("/keys/{id}/{form}"), &fields).await;
        answer.is(503).lacks("10.1.2.3").has("nothing was changed");
    }
    world.post("alice", "/new", &create).await.is(503).lacks("10.1.2.3");
    world.down(false);
    let now = world.keys.manager().find(&key.id, &system()).await.unwrap();
    assert_eq!((now.version, now.revoked_at, now.paused_at), (1, None, None));
}

#[tokio::test]
async fn a_person_who_is_closed_or_has_left_is_told_apart() {
    let world = World::new().await;
    world.own_key("laptop").await;
    world.keys.manager().close(Owner::User(user("alice")), &system()).await.unwrap();
    world.get("alice", "").await.is(403).has("closed");
    world.get("olga", "/people/alice").await.is(200).has("closed permanently on 28 Nov 2026").lacks("Suspend");
    assert!(Names::none().is_complete());
}

/// Without its counts, a key in use looks unused.
#[tokio::test]
async fn counts_that_cannot_be_written_are_told_wherever_they_are_shown() {
    let world = World::new().await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    let (old, _) = world.team_key("Monday cron").await;
    let id = key.id.to_string();
    world.submit("alice", &format!("/keys/{}/rotate", old.id), &[]).await.is(200);
    let failing = "this server has not been able to write its counts. Later requests may be missing here.";
    let rotation = format!("/keys/{}/rotation", old.id);
    let screens = [format!("/keys/{id}"), format!("/keys/{id}/delete"), format!("/keys/{id}/pause"), rotation];
    let counted = screens.iter().map(String::as_str).chain(["/review"]);
    for path in counted.clone() {
        world.get("alice", path).await.is(200).lacks(failing);
    }
    world.store.counts_nothing.store(true, Ordering::SeqCst);
    assert_eq!(world.calls(&text, "curl/8").await, StatusCode::OK);
    world.later(60);
    world.keys.flush_usage().await.unwrap_err();
    for path in counted.clone() {
        world.get("alice", path).await.is(200).has(failing).has("Since 28 Nov 2026, 12:01 UTC, this server");
    }
    let many = world.post("alice", "/review", &[("key", &id), ("step", "look")]).await;
    many.is(200).has(failing);
    world.store.counts_nothing.store(false, Ordering::SeqCst);
    world.keys.flush_usage().await.unwrap();
    for path in counted {
        world.get("alice", path).await.is(200).lacks(failing);
    }
    world.get("alice", &screens[0]).await.has("api/curl, once");
}
