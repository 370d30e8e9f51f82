//! Twelve incidents of an admin's year, each done on the page alone: only by links that are followed and forms that are
//! sent. What was done is checked by the service itself.
//!
//! `cargo test -p tower-api-keys-http --test page incidents -- --nocapture` prints how many clicks each takes.

use axum::http::StatusCode;
use tower_api_keys::{IssueKey, OrganizationId, Owner, Suspension, manage::AuditQuery};

use crate::{
    browser::Browser,
    support::{World, actor, system, team},
};

/// The most clicks that an incident may take.
const MOST: usize = 5;
const DAY: u64 = 86_400;

async fn first_key() -> usize {
    let world = World::new().await;
    let mut alice = Browser::open(&world, "alice").await;
    alice.follow("Create Team API Key").await;
    let text = alice.submit("Create", &[("name", "GitHub Actions - production")]).await.is(200).secret();
    assert_eq!(world.call(&text, "github-actions/2").await, StatusCode::OK);
    alice.clicks()
}

async fn leaver_on_friday() -> usize {
    let world = World::new().await;
    let (_, own) = world.own_key("laptop").await;
    let (_, of_team) = world.team_key("GitHub Actions - production").await;
    let mut olga = Browser::open(&world, "olga").await;
    olga.follow("People").await;
    olga.follow("Alice A.").await.has("If Alice A. leaves, 1 personal key").has("are left to replace or delete.");
    olga.submit("Suspend", &[]).await.has("1 active personal key is refused until the account is reinstated.");
    olga.submit("Suspend", &[]).await.is(200).has("suspended since");
    assert_eq!(world.call(&own, "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&of_team, "curl/8").await, StatusCode::OK);
    olga.clicks()
}

async fn leak_at_night_seen_by_a_member() -> usize {
    let world = World::new().await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let mut mo = Browser::open(&world, "mo").await;
    mo.follow("A key leaked").await;
    let log = format!("2026-11-28 03:12 deploy: export API_KEY={text} # oh no");
    mo.submit("Revoke the keys in this text", &[("text", &log)]).await.is(200).has("The key is revoked now.");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    mo.clicks()
}

async fn quarterly_review() -> usize {
    let world = World::new().await;
    let (vague, vague_text) = world.team_key("key1").await;
    let (good, _) = world.team_key("GitHub Actions - production").await;
    let mut olga = Browser::open(&world, "olga").await;
    olga.follow("Review").await.has("Vague name");
    olga.submit("Mark the selected keys as reviewed", &[("key", good.id.as_str())]).await.has("1 key was marked");
    olga.follow("Back to the review").await.has("Reviewed on 28 Nov 2026: olga What changed since then");
    olga.submit("Delete the selected keys", &[("key", vague.id.as_str())]).await.has("1 of 1 key would be revoked.");
    olga.submit("Delete 1", &[("because", "quarterly review")]).await.is(200).has("1 of 1 key revoked.");
    assert_eq!(world.call(&vague_text, "curl/8").await, StatusCode::UNAUTHORIZED);
    let reviewed = world.keys.manager().find(&good.id, &system()).await.unwrap();
    assert_eq!(reviewed.labels.value("reviewed"), Some("2026-11-28 user:olga"));
    olga.clicks()
}

async fn webhook_that_fails() -> usize {
    let world = World::new().await;
    let (key, text) = world.team_key("Billing webhook - production").await;
    world.keys.manager().pause(&key.id, &actor("olga").unwrap()).await.unwrap();
    assert_eq!(world.call(&text[..40], "billing/1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&text, "billing/1").await, StatusCode::UNAUTHORIZED);
    let mut olga = Browser::open(&world, "olga").await;
    olga.follow("Billing webhook - production")
        .await
        .has("A request with this key would be refused with \"key_paused\".")
        .has("These requests showed no key that is known: Malformed key truncated Once, from api/billing");
    olga.follow("Resume").await;
    olga.submit("Resume", &[]).await.is(200).has("A request with this key would be accepted.");
    assert_eq!(world.call(&text, "billing/1").await, StatusCode::OK);
    olga.clicks()
}

async fn downgrade() -> usize {
    let world = World::new().await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    let owner = Owner::Team(team("engineering"));
    world.keys.manager().suspend(&owner, Suspension::Plan, &system()).await.unwrap();
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    let mut alice = Browser::open(&world, "alice").await;
    alice.page().has("They are accepted again as soon as the plan includes them. Upgrade");
    assert_eq!(alice.leave("Upgrade"), "/settings/license");
    // There, somebody pays, and the service reports it.
    world.keys.manager().reinstate(&owner, Suspension::Plan, &system()).await.unwrap();
    alice.come_back().await;
    alice.page().lacks("These keys are refused");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    alice.clicks()
}

async fn auditor() -> usize {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    world.keys.manager().revoke(&key.id, &actor("alice").unwrap()).await.unwrap();
    let mut audrey = Browser::open(&world, "audrey").await;
    audrey.follow("Trail").await;
    audrey.submit("Show", &[("action", "key.revoked"), ("actor", "user:alice")]).await.has("Key revoked");
    let trail = audrey.download("Download as CSV").await;
    assert!(trail.body.contains("key.revoked") && !trail.body.contains("key.issued"), "{}", trail.body);
    audrey.follow("Review").await;
    let inventory = audrey.download("Download as CSV").await;
    assert!(
        inventory
            .header("content-disposition")
            .is_some_and(|name| name.starts_with("attachment; filename=\"api-keys-20"))
    );
    let by_audrey = AuditQuery::all().by("user:audrey".parse().unwrap());
    let exports = world.keys.manager().events(by_audrey, &system()).await.unwrap().entries;
    assert_eq!(exports.len(), 2, "{exports:?}");
    audrey.clicks()
}

async fn rotation_of_a_weekly_job() -> usize {
    let world = World::new().await;
    let (_, old) = world.team_key("Monday cron").await;
    world.call(&old, "curl/8").await;
    let mut alice = Browser::open(&world, "alice").await;
    alice.follow_near("Monday cron", "Rotate").await;
    let new = alice.submit("Rotate", &[]).await.is(200).secret();
    alice.follow("I have stored it, continue").await.has("Wait until every source was seen with the new key");
    world.later(7 * DAY);
    world.call(&new, "curl/8").await;
    alice.come_back().await;
    alice.follow_near("Monday cron", "Continue the rotation").await.has("Every source that used the old key");
    alice.submit("Delete the old key", &[]).await.is(200).has("The rotation is finished");
    assert_eq!(world.call(&old, "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&new, "curl/8").await, StatusCode::OK);
    alice.clicks()
}

async fn vague_name() -> usize {
    let world = World::new().await;
    let (key, _) = world.team_key("key1").await;
    let mut alice = Browser::open(&world, "alice").await;
    alice.follow_near("key1", "Rename").await;
    alice.submit("Save", &[("name", "GitHub Actions - production")]).await.is(200).lacks("Vague name");
    let now = world.keys.manager().find(&key.id, &system()).await.unwrap();
    assert_eq!(now.name.as_str(), "GitHub Actions - production");
    alice.clicks()
}

async fn key_that_ends() -> usize {
    let world = World::new().await;
    let end = "2026-12-03T00:00:00Z".parse().unwrap();
    let request = IssueKey::team(team("engineering")).named("GitHub Actions - production").expires_at(end);
    let (_, old) = world.issue(request, "alice").await;
    let mut alice = Browser::open(&world, "alice").await;
    alice.page().has("Ends soon");
    alice.follow_near("Ends soon", "Rotate").await;
    let new = alice.submit("Rotate", &[("new_end", "on"), ("new_ends", "2027-06-01")]).await.is(200).secret();
    world.later(6 * DAY);
    assert_eq!(world.call(&old, "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&new, "curl/8").await, StatusCode::OK);
    alice.clicks()
}

async fn wrong_team() -> usize {
    let world = World::new().await;
    let request = IssueKey::team(team("engineering")).named("Ticket import - nightly");
    let (_, wrong) = world.issue(request, "tess").await;
    let mut tess = Browser::open(&world, "tess").await;
    tess.follow("Create Team API Key").await;
    let fields = [("team", "support"), ("name", "Ticket import - support")];
    let right = tess.submit("Create", &fields).await.is(200).secret();
    tess.follow("I have stored it").await;
    tess.follow_near("Ticket import - nightly", "Delete").await;
    tess.submit("Delete", &[]).await.is(200);
    assert_eq!(world.call(&wrong, "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&right, "curl/8").await, StatusCode::OK);
    tess.clicks()
}

async fn two_customers() -> usize {
    let world = World::of_customers().await;
    let mut texts = Vec::new();
    for customer in ["acme", "globex"] {
        let manager = world.keys.manager_for(OrganizationId::new(customer).unwrap());
        let request = IssueKey::team(team("engineering")).named(format!("GitHub Actions - {customer}"));
        let issued = manager.issue(request, &system()).await.unwrap();
        let text = issued.plaintext().expose_secret().to_owned();
        world.remember(&text);
        texts.push(text);
    }
    let mut olga = Browser::open(&world, "olga@acme").await;
    olga.page().has("GitHub Actions - acme").lacks("globex");
    olga.follow_near("GitHub Actions - acme", "Delete").await;
    olga.submit("Delete", &[]).await.is(200);
    assert_eq!(world.call(&texts[0], "curl/8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call(&texts[1], "curl/8").await, StatusCode::OK);
    olga.clicks()
}

#[tokio::test]
async fn twelve_incidents_take_at_most_five_clicks_each() {
    let incidents = [
        ("first key", first_key().await),
        ("leaver on Friday", leaver_on_friday().await),
        ("leak at night, seen by a member", leak_at_night_seen_by_a_member().await),
        ("quarterly review", quarterly_review().await),
        ("webhook that fails", webhook_that_fails().await),
        ("downgrade", downgrade().await),
        ("auditor", auditor().await),
        ("rotation of a weekly job", rotation_of_a_weekly_job().await),
        ("vague name", vague_name().await),
        ("key that ends", key_that_ends().await),
        ("wrong team", wrong_team().await),
        ("two customers", two_customers().await),
    ];
    println!("{:<34}clicks", "incident");
    for (incident, clicks) in incidents {
        println!("{incident:<34}{clicks}");
    }
    let quick = incidents.iter().filter(|(_, clicks)| *clicks <= MOST).count();
    assert!(quick >= 11, "{quick} of 12");
}
