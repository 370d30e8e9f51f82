//! People with many teams, whom to ask, networks, and what is beside the forms.

use std::{future, time::Duration};

use axum::http::StatusCode;
use tokio::time::Instant;
use tower_api_keys::{IssueKey, Networks, auth::Addresses, manage::InventoryQuery};
use tower_api_keys_http::page::Page;

use crate::support::{World, actor, system, team, user};

#[tokio::test]
async fn more_teams_than_a_list_can_hold_are_searched() {
    let world = World::new().await;
    let form = world.get("hundred", "/new?kind=team").await;
    form.is(200).has("Search for a team").has("20 more teams are not in the list.");
    assert_eq!(form.body.matches("<option").count(), 100);
    let found = world.get("hundred", "/new?kind=team&find=team-11").await;
    found.is(200).markup("<option value=\"team-119\"").lacks("are not in the list");
    assert_eq!(found.body.matches("<option").count(), 10);
    let fields =
        [("kind", "team"), ("team", "team-119"), ("name", "Nightly import"), ("idempotency_key", "0123456789ab")];
    world.post("hundred", "/new", &fields).await.is(200).has("Copy your new key now");
    // A form that is shown again keeps the team that was chosen, though it is not among the first hundred.
    let wrong: Vec<_> = fields.iter().copied().chain([("ends", "soon")]).collect();
    let again = world.post("hundred", "/new", &wrong).await;
    again.is(422).markup("<option value=\"team-119\" selected");
    let (_, text) = world.own_key("laptop").await;
    world.get("hundred", &format!("/new?kind=team&find={text}")).await.is(200).has("Do not search for an API key");
    let (own, _) = world.issue(IssueKey::user(user("hundred")).named("laptop"), "hundred").await;
    let rotate = world.get("hundred", &format!("/keys/{}/rotate?find=team-11", own.id)).await;
    rotate.is(200).markup("<option value=\"team-119\"").has("Search for a team");
    world.get("tess", "/new?kind=team").await.is(200).lacks("Search for a team");
}

#[tokio::test]
async fn a_button_that_does_not_work_says_whom_to_ask() {
    let page = Page::new("Auxot").whom_to_ask(|_, team| async move {
        match team.as_ref().map(tower_api_keys::TeamId::as_str) {
            Some("engineering") => vec!["Alice A.".to_owned(), "<b>Bob</b>".to_owned(), "  ".to_owned()],
            Some(_) => Vec::new(),
            None => vec!["Olga O.".to_owned()],
        }
    });
    let world = World::with(page).await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    let list = world.get("mo", "").await;
    list.is(200).has("Ask an admin of the team or the organization. You can ask: Alice A., <b>Bob</b>.");
    list.no_markup("<b>Bob");
    world.get("mo", &format!("/keys/{}", key.id)).await.is(200).has("You can ask: Alice A., <b>Bob</b>.");
    world.get("mallory", "").await.is(200).has("You can ask: Olga O.");
    world.get("fred", "").await.is(200).has("not included in this plan.").lacks("You can ask");
    world.get("alice", &format!("/keys/{}", key.id)).await.is(200).lacks("You can ask");
}

#[tokio::test]
async fn nobody_waits_long_for_whom_to_ask() {
    let page = Page::new("Auxot").whom_to_ask(|_, _| future::pending());
    let world = World::with(page).await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    tokio::time::pause();
    let key = format!("/keys/{}", key.id);
    for (path, status) in [("", 200), (&*key, 200), (&*format!("{key}/rotate"), 200), ("/new?kind=team", 403)] {
        let asked = Instant::now();
        world.get("mo", path).await.is(status).has("Ask an admin").lacks("You can ask");
        assert!(asked.elapsed() < Duration::from_secs(2), "{path}: {:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn networks_are_set_narrowed_and_taken_away() {
    let plain = World::new().await;
    plain.get("alice", "/new?kind=team").await.is(200).no_markup("name=\"networks\"");
    let world = World::set_up(Page::new("Auxot"), |keys| keys.addresses(Addresses::forwarded_for(1))).await;
    world.get("alice", "/new?kind=team").await.is(200).markup("name=\"networks\"");
    let fields = [
        ("kind", "team"),
        ("team", "engineering"),
        ("name", "Nightly import"),
        ("idempotency_key", "0123456789ab"),
        ("networks", "203.0.113.0/24, 2001:db8::/32"),
    ];
    let made = world.post("alice", "/new", &fields).await;
    let id = made.is(200).secret().split('.').nth(1).unwrap().parse().unwrap();
    let path = format!("/keys/{id}/edit");
    let networks = async || world.keys.manager().find(&id, &system()).await.unwrap().networks;
    let both = Networks::new(["203.0.113.0/24", "2001:db8::/32"]).unwrap();
    assert_eq!(networks().await, Some(both.clone()));
    world.get("alice", &path).await.is(200).markup("value=\"203.0.113.0/24 2001:db8::/32\"");
    // A form without the field changes nothing of them.
    world.submit("alice", &path, &[("name", "Nightly import - production")]).await.is(303);
    assert_eq!(networks().await, Some(both));
    let named = ("name", "Nightly import - production");
    world.submit("alice", &path, &[named, ("networks", "203.0.113.7")]).await.is(303);
    assert_eq!(networks().await, Some(Networks::new(["203.0.113.7"]).unwrap()));
    let wrong = world.submit("alice", &path, &[named, ("networks", "0.0.0.0/0")]).await;
    wrong.is(422).markup("name=\"networks\" value=\"0.0.0.0/0\"").markup("aria-invalid=\"true\"");
    world.submit("alice", &path, &[named, ("networks", "")]).await.is(303);
    assert_eq!(networks().await, None);
}

#[tokio::test]
async fn a_review_is_a_label_and_shows_what_changed_since() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    let (own, _) = world.issue(IssueKey::user(user("mo")).named("laptop of mo"), "mo").await;
    let fields = [("key", key.id.as_str()), ("key", own.id.as_str()), ("step", "reviewed")];
    let marked = world.post("olga", "/review", &fields).await;
    marked.is(200).has("1 key was marked as reviewed.").has("was not marked: Only the person who owns");
    world.later(3 * 86_400);
    world.keys.manager().rename(&key.id, "GitHub Actions - staging", &actor("alice").unwrap()).await.unwrap();
    let review = world.get("olga", "/review").await;
    review.is(200).has("Reviewed on 28 Nov 2026: olga What changed since then");
    let since = format!("/trail?key={}&from=2026-11-28", key.id);
    review.markup(&since.replace('&', "&amp;"));
    world.get("olga", &since).await.is(200).has("GitHub Actions - staging");
    let query = InventoryQuery::all().label("reviewed");
    assert_eq!(world.keys.manager().inventory(query, &system()).await.unwrap().entries.len(), 1);
    world.post("mo", "/review", &fields[..1]).await.is(200);
    let denied = world.post("mo", "/review", &[("key", key.id.as_str()), ("step", "reviewed")]).await;
    denied.is(200).has("0 keys were marked as reviewed.");
    let label = world.keys.manager().find(&key.id, &system()).await.unwrap().labels;
    assert_eq!(label.value("reviewed"), Some("2026-11-28 user:olga"));
}

#[tokio::test]
async fn refusals_without_a_key_are_beside_what_they_may_explain() {
    let world = World::new().await;
    let (key, text) = world.team_key("GitHub Actions - production").await;
    for wrong in [&text[..40], "\u{a0}", "hello"] {
        assert_eq!(world.call(wrong, "curl/8").await, StatusCode::UNAUTHORIZED);
    }
    let page = format!("/keys/{}", key.id);
    for path in ["/review", page.as_str(), "/refusals"] {
        world.get("olga", path).await.is(200).has("Malformed key truncated").has("api/curl");
        world.get("audrey", path).await.is(200).has("Malformed key truncated");
    }
    for path in ["/review", page.as_str()] {
        world.get("alice", path).await.is(200).lacks("Malformed key truncated");
    }
    // Looking is no attempt that was denied.
    world.keys.shutdown().await.unwrap();
    world.get("olga", "/trail").await.is(200).lacks("Manage denied");
}

#[tokio::test]
async fn the_trail_is_filtered_by_source_and_has_attempts_where_they_are_kept() {
    let world = World::set_up(Page::new("Auxot"), |keys| keys.access_log(true)).await;
    let (_, text) = world.team_key("GitHub Actions - production").await;
    world.call(&text, "curl/8").await;
    world.call(&text, "python-requests/2").await;
    world.post("mallory", "/leak", &[("text", &text), ("do", "pause")]).await.is(200);
    world.keys.shutdown().await.unwrap();
    // Mallory holds the key and has no right: the trail says who stopped it.
    let paused = world.get("alice", "/trail?source=settings-page/mallory").await;
    paused.is(200).has("Key paused").lacks("Key issued");
    world.get("alice", "/trail?source=nowhere").await.is(200).has("No entry matches.");
    let curl = world.get("alice", "/trail?attempts=1&source=api/curl").await;
    curl.is(200).has("Attempt accepted").has("api/curl").lacks("python-requests");
    world.get("alice", "/trail?attempts=1").await.is(200).has("python-requests");
    let csv = world.get("alice", "/trail.csv?attempts=1&source=api/curl").await;
    assert!(csv.body.contains("attempt.accepted") && !csv.body.contains("python"), "{}", csv.body);
    let without = World::new().await;
    without.team_key("GitHub Actions - production").await;
    without.get("alice", "/trail?attempts=1").await.is(200).has("The service may keep no access log");
}

#[tokio::test]
async fn people_are_found_by_name_and_a_team_admin_sees_a_part() {
    let world = World::new().await;
    let (key, _) = world.team_key("GitHub Actions - production").await;
    world.own_key("laptop").await;
    world.issue(IssueKey::team(team("support")).named("Ticket import - nightly"), "tess").await;
    world.issue(IssueKey::user(user("bob")).named("laptop of bob"), "bob").await;
    let people = world.get("olga", "/people").await;
    people.is(200).has("Bob B. (left) bob 1 0").has("Alice A. alice 1 1").has("tess tess 0 1");
    assert!(people.text().find("Bob B.") < people.text().find("Alice A."), "who left comes first");
    world.get("olga", "/people?user=ali").await.is(200).has("Alice A.").lacks("Bob B.");
    world.get("olga", "/people?user=nobody").await.is(200).has("No person with active keys was found.");
    assert_eq!(world.get("olga", "/people?user=alice").await.status, StatusCode::SEE_OTHER);

    let part = world.get("tess", "/people/alice").await;
    part.is(200).has("You see the keys of the teams that you manage.").has("GitHub Actions").lacks("laptop");
    part.has("1 key is left to replace or delete.").lacks("Suspend").markup(&format!("/keys/{}/rotate\"", key.id));
    // An admin of another team sees nothing, and no more of a person who does not exist.
    let hidden = world.get("fred", "/people/alice").await;
    let unknown = world.get("fred", "/people/nobody").await;
    hidden.is(200).lacks("GitHub Actions").lacks("Alice A.");
    assert_eq!(hidden.body.replace("alice", "nobody"), unknown.body);
    world.get("tess", "").await.is(200).has("People");
    world.get("mo", "").await.is(200).lacks("People");
}

#[tokio::test]
async fn the_checklist_of_a_leaver_survives_a_reload_and_is_done_at_last() {
    let world = World::new().await;
    let (one, _) = world.issue(IssueKey::team(team("engineering")).named("first"), "bob").await;
    let (two, _) = world.issue(IssueKey::team(team("engineering")).named("second"), "bob").await;
    let path = "/people/bob";
    world.get("alice", path).await.is(200).has("2 keys are left to replace or delete.");
    let made = world.submit("alice", &format!("/keys/{}/rotate", one.id), &[]).await;
    let new = made.secret().split('.').nth(1).unwrap().to_owned();
    for _ in 0..2 {
        let list = world.get("alice", path).await;
        list.is(200).has("1 key is left to replace or delete.").has("Rotation under way").has("Continue the rotation");
    }
    world.submit("alice", &format!("/keys/{}/delete", two.id), &[]).await.is(303);
    world.get("alice", path).await.is(200).has("0 keys are left to replace or delete.").has("✓ second");
    let finish = [("do", "finish_anyway"), ("confirm", "first")];
    world.submit("alice", &format!("/keys/{new}/rotation"), &finish).await.is(303);
    let done = world.get("olga", path).await;
    done.is(200).lacks("left to replace").has("✓ first").has("✓ second");
}

#[tokio::test]
async fn an_admin_of_the_organization_suspends_reinstates_and_closes_a_team() {
    let world = World::new().await;
    let (_, text) = world.team_key("Monday cron").await;
    let at = "/teams/engineering";
    world.get("mo", at).await.is(200).lacks("Suspend");
    world.get("mallory", at).await.is(404);
    world.get("olga", "").await.is(200).markup("/teams/engineering\"");
    let look = world.post("olga", at, &[("do", "suspend"), ("step", "look")]).await;
    look.is(200).has("1 active key of the team is refused until it is reinstated.");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let done = [("do", "suspend"), ("step", "do"), ("because", "audit of May")];
    world.post("olga", at, &done).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.get("olga", at).await.is(200).has("suspended since");
    world.get("olga", "/trail?action=owner.suspended").await.is(200).has("audit of May");
    // Nobody creates or rotates a key of it meanwhile, and the page says so first.
    world.get("alice", "").await.is(200).has("The team is suspended, so no key can be created for it.");
    world.post("mo", at, &[("do", "reinstate"), ("step", "do")]).await.is(403);
    world.post("olga", at, &[("do", "reinstate"), ("step", "do")]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);
    let close = [("do", "close"), ("step", "do"), ("confirm", "sales")];
    world.post("olga", at, &close).await.is(200).has("The text that you typed is different.");
    world.post("olga", at, &[("do", "close"), ("step", "do"), ("confirm", "engineering")]).await.is(303);
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::UNAUTHORIZED);
    world.post("olga", at, &[("do", "nonsense")]).await.is(400);
}
