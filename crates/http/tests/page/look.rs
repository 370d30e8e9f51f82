//! The screens that change nothing: a key's page, the trail, refusals, a leak, all keys.

use axum::http::StatusCode;

use crate::support::{World, system};

#[tokio::test]
async fn a_keys_page_has_its_use_its_checks_and_its_trail() {
    let world = World::new().await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    world.call(&text, "github-actions/2").await;
    world.keys.manager().pause(&key.id, &system()).await.unwrap();
    world.call(&text, "github-actions/2").await;
    world.keys.shutdown().await.unwrap();
    let page = world.get("alice", &format!("/keys/{}", key.id)).await;
    page.is(200)
        .has("GitHub Actions - production")
        .has("Accepted requests: 1. Refused requests: 1.")
        .has("Would it work now?")
        .has("A request with this key would be refused with \"key_paused\".")
        .has("Key issued")
        .has("Alice A.")
        .has("the service: test")
        .markup("<svg class=\"bars\" role=\"img\" aria-label=\"Requests in the last 30 days: 2, at most 2 a day.\"")
        .markup("<rect class=\"good\"")
        .markup("<rect class=\"bad\"")
        .markup("<th scope=\"row\">2026-11-28</th>");
    assert_eq!(page.body.matches("<th scope=\"row\">2026-").count(), 30, "the table has every day");
    let member = world.get("mo", &format!("/keys/{}", key.id)).await;
    member
        .is(200)
        .has("GitHub Actions")
        .has("Your role does not allow this.")
        .lacks("Would it work now?")
        .lacks("Trail Who");
}

#[tokio::test]
async fn a_key_without_calls_has_no_chart() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    let page = world.get("alice", &format!("/keys/{}", key.id)).await;
    page.is(200)
        .has("No requests by day are known for the last 30 days. This server has not counted requests by day yet.")
        .no_markup("<svg");
    page.has("A request with this key would be accepted.").has("No request with this key has arrived");
}

#[tokio::test]
async fn the_trail_has_filters_and_an_export() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    world.own_key("laptop").await;
    world.keys.manager().rename(&key.id, "Monday cron", &system()).await.unwrap();
    let all = world.get("alice", "/trail").await;
    all.is(200).has("Key issued").has("Key renamed").has("GitHub Actions - production → Monday cron");
    let one = world.get("alice", "/trail?action=key.renamed").await;
    one.is(200).has("Key renamed").lacks("Key issued").markup("value=\"key.renamed\"");
    world.get("alice", &format!("/trail?key={}", key.id)).await.is(200).has("Key renamed");
    world.get("alice", "/trail?actor=user:nobody").await.is(200).has("No entry matches.");
    world.get("alice", "/trail?from=2026-11-29").await.is(200).has("No entry matches.");
    world.get("alice", "/trail?order=oldest&until=2026-11-29").await.is(200).has("Key issued");
    for wrong in ["/trail?key=x", "/trail?owner=x", "/trail?actor=x", "/trail?from=x", "/trail?after=x"] {
        world.get("alice", wrong).await.is(400);
    }
    let csv = world.get("olga", "/trail.csv").await;
    csv.is(200);
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert!(
        csv.header("content-disposition")
            .is_some_and(|name| name.starts_with("attachment; filename=\"api-keys-trail-20"))
    );
    assert!(csv.body.lines().count() >= 4, "{}", csv.body);
}

#[tokio::test]
async fn refusals_without_a_key_are_for_admins() {
    let world = World::new().await;
    assert_eq!(world.call("team.AAAA", "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("olga", "/refusals").await.is(200).has("Refused without a key").has("Malformed key").has("api/curl");
    world.get("alice", "/refusals").await.is(403).has("Your role does not allow this.");
}

#[tokio::test]
async fn a_leaked_key_is_found_and_its_text_is_not_shown_again() {
    let world = World::new().await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    world.call(&text, "curl/8").await;
    world.get("alice", "/leak").await.is(200).has("Paste what leaked").markup("<textarea");
    let found = world.post("alice", "/leak", &[("text", &format!("export KEY={text} # prod"))]).await;
    found
        .is(200)
        .has("The text contains the whole key")
        .has("GitHub Actions - production")
        .has("api/curl")
        .lacks("export KEY")
        .markup(&format!("/keys/{}/delete", key.id));
    let none = world.post("alice", "/leak", &[("text", "hello")]).await;
    none.is(200).has("This text contains no key that you have access to").lacks("hello");
    let hidden = world.post("mallory", "/leak", &[("text", &text)]).await;
    hidden.is(200).has("This text contains no key that you have access to");
    let long = "x".repeat(64 * 1_024 + 1);
    world.post("alice", "/leak", &[("text", &long)]).await.is(422).has("at most 64 KiB");
    let huge = "x".repeat(300 * 1_024);
    world.post("alice", "/leak", &[("text", &huge)]).await.is(413);
}

#[tokio::test]
async fn all_keys_have_filters() {
    let world = World::new().await;
    world.team_key("GitHub Actions - production").await;
    world.own_key("laptop").await;
    let (dead, _) = world.own_key("old laptop").await;
    world.keys.manager().revoke(&dead.id, &system()).await.unwrap();
    world.get("alice", "/keys").await.is(200).has("GitHub Actions").has("old laptop").has("Revoked");
    world.get("alice", "/keys?kind=team").await.is(200).has("GitHub Actions").lacks("laptop");
    world.get("alice", "/keys?state=live&owner=user:alice").await.is(200).has("laptop").lacks("old laptop");
    world.get("alice", "/keys?creator=user:bob").await.is(200).has("No key was found.");
    for order in ["newest", "oldest", "ends"] {
        world.get("alice", &format!("/keys?order={order}")).await.is(200).has("GitHub Actions");
    }
    for wrong in ["/keys?kind=x", "/keys?state=x", "/keys?order=x", "/keys?owner=alice", "/keys?after=x"] {
        world.get("alice", wrong).await.is(400).has("does not have a valid value");
    }
    world.get("alice", "/keys?owner=user:mo").await.is(404);
}
