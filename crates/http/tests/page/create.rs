//! Creating a key, from the empty form to a reload of the answer.

use axum::http::StatusCode;

use crate::support::World;

#[tokio::test]
async fn a_team_key_is_made_shown_once_and_works() {
    let world = World::new().await;
    let form = world.get("alice", "/new?kind=team").await;
    form.is(200)
        .has("Create team API key Give your key a memorable name so you can identify it later.")
        .has("For the team Engineering")
        .has("Everything that the team may do")
        .has("Good to know")
        .has("It keeps working when the person who creates it leaves or is suspended.");
    let fields = [("name", "GitHub Actions - production"), ("may", "only"), ("scope", "agents:read"), ("end", "on")];
    let more = [("ends", "2027-01-01"), ("ticket", "OPS-1234"), ("installed_in", "repo secrets")];
    let all: Vec<_> = fields.iter().chain(&more).copied().collect();
    let mut form = form.hidden();
    form.extend(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let made = world.post("alice", "/new", &form).await;
    made.is(200)
        .has("Copy your new key now")
        .has("This is the only time it is shown: only a hash of it is stored.")
        .has("curl -H \"Authorization: Bearer $KEY\" https://api.example.com/whoami")
        .has("I have stored it");
    assert_eq!(made.header("referrer-policy"), Some("no-referrer"));
    let text = made.secret();
    assert!(text.starts_with("team."));
    assert_eq!(made.body.matches(&text).count(), 1, "the key is in one place of the page");
    assert_eq!(world.call(&text, "curl/8").await, StatusCode::OK);

    let again = world.post("alice", "/new", &form).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    again
        .is(409)
        .has("That key was created, and its text was shown once. If nobody copied it: delete it and create a new one.");
    let list = world.get("alice", "").await;
    list.is(200).has("GitHub Actions - production");
    let id = text.split('.').nth(1).unwrap();
    assert_eq!(list.body.matches(&format!("/keys/{id}/delete")).count(), 1);
    world
        .get("alice", &format!("/keys/{id}"))
        .await
        .is(200)
        .has("OPS-1234")
        .has("repo secrets")
        .has("1 Jan 2027")
        .has("agents:read");
}

#[tokio::test]
async fn a_link_fills_the_form_in_and_makes_nothing() {
    let world = World::new().await;
    let path = "/new?kind=team&name=CI%20Pipeline&scope=agents:read&ends=2027-01-01&ticket=OPS-1";
    world
        .get("alice", path)
        .await
        .is(200)
        .markup("value=\"CI Pipeline\"")
        .markup("value=\"agents:read\" checked")
        .markup("value=\"2027-01-01\"")
        .markup("<details open>");
    let named = world.get("alice", "/new?kind=team&idempotency_key=chosen").await;
    named.is(200).no_markup("chosen");
    world.get("alice", "").await.is(200).has("No team keys yet.");
}

#[tokio::test]
async fn several_teams_are_a_choice() {
    let world = World::new().await;
    let form = world.get("tess", "/new?kind=team").await;
    form.is(200).markup("<select id=\"team\"").markup("<option value=\"support\"");
    let hidden = form.hidden();
    let key = &hidden.iter().find(|(name, _)| name == "idempotency_key").unwrap().1;
    let fields = [("kind", "team"), ("idempotency_key", key.as_str()), ("name", "Ticket import - nightly")];
    world.post("tess", "/new", &fields).await.is(422).has("Choose a team.").markup("value=\"Ticket import - nightly\"");
    let fields: Vec<_> = fields.into_iter().chain([("team", "support")]).collect();
    world.post("tess", "/new", &fields).await.is(200).has("Copy your new key now");
}

#[tokio::test]
async fn who_may_not_create_is_told_before_the_form() {
    let world = World::new().await;
    for (who, sentence) in [
        ("mo", "Your role does not allow this. Ask an admin of the team or the organization."),
        ("fred", "Team API keys are not included in this plan."),
    ] {
        let team = if who == "mo" { "engineering" } else { "sales" };
        world
            .get(who, &format!("/new?kind=team&team={team}"))
            .await
            .is(403)
            .has(sentence)
            .no_markup("<form method=\"post\"");
        let fields = [("kind", "team"), ("team", team), ("name", "x"), ("idempotency_key", "0123456789abcdef")];
        world.post(who, "/new", &fields).await.is(403).has(sentence);
    }
    let stranger = [("kind", "team"), ("team", "hidden"), ("name", "x"), ("idempotency_key", "0123456789abcdef")];
    world.post("alice", "/new", &stranger).await.is(404);
}

#[tokio::test]
async fn notes_follow_what_is_typed() {
    let world = World::new().await;
    let fields = [("kind", "user"), ("name", "CI deploy")];
    let notes = world.post_with("alice", "/notes", &fields, &[("x-part", "dialog"), ("sec-fetch-site", "same-origin")]);
    let notes = notes.await;
    notes.is(200).has("Good to know").has("A personal key stops working").no_markup("<main").no_markup("<nav");
    notes.has("Create a team key instead").markup("/new?kind=team&amp;name=CI%20deploy");
    let vague = world.post("alice", "/notes", &[("kind", "team"), ("name", "key1")]).await;
    vague.is(200).has("Name the key after what uses it, and where: \"GitHub Actions - production\".");
    let wrong = world.post("alice", "/notes", &[("kind", "team"), ("name", "a\u{202e}b")]).await;
    wrong.is(200).has("Error:");
}

#[tokio::test]
async fn a_pasted_key_is_refused_and_not_shown_again() {
    let world = World::new().await;
    let (_, text) = world.team_key("Monday cron").await;
    for field in ["name", "ticket", "installed_in", "responsible"] {
        let fields = [("kind", "team"), ("idempotency_key", "0123456789abcdef"), (field, text.as_str())];
        // The browser of these tests looks for the secret in every answer.
        world.post("alice", "/new", &fields).await.is(422).has("without API keys");
        world.post("alice", "/notes", &fields).await.is(200);
    }
}

#[tokio::test]
async fn wrong_fields_are_told_at_the_form() {
    let world = World::new().await;
    let fields = |name, value| [("kind", "user"), ("idempotency_key", "0123456789abcdef"), (name, value)];
    let long = "x".repeat(101);
    world
        .post("alice", "/new", &fields("name", &long))
        .await
        .is(422)
        .has("A name can have at most 100 characters")
        .markup("aria-invalid=\"true\"");
    world.post("alice", "/new", &fields("ends", "2020-01-01")).await.is(422).has("An expiry must be in the future");
    world.post("alice", "/new", &fields("ends", "soon")).await.is(422).has("Choose a day for the expiry.");
    let unclear = [("kind", "user"), ("idempotency_key", "0123456789abcdef"), ("end", "never"), ("ends", "2027-01-01")];
    let again = world.post("alice", "/new", &unclear).await;
    again.is(422).has("Choose one of the two.").markup("name=\"idempotency_key\" value=\"0123456789abcdef\"");
    world.post("alice", "/notes", &unclear).await.is(200).has("Error: You chose that the key never expires");
    let unclear = [("kind", "user"), ("idempotency_key", "0123456789abcdef"), ("may", "all"), ("scope", "agents:read")];
    world.post("alice", "/new", &unclear).await.is(422).has("Choose one of the two.");
    world.post("alice", "/new", &fields("kind", "user")[..1]).await.is(400).has("idempotency_key");
    world.get("alice", "/new?kind=other").await.is(400);
    world.get("alice", "").await.is(200).has("No personal keys yet.");
}

#[tokio::test]
async fn a_dialog_is_the_same_without_the_page_around_it() {
    let world = World::new().await;
    let part = world.part("alice", "/new?kind=user").await;
    part.is(200).has("Create personal API key").markup("<form method=\"post\"").no_markup("<main").no_markup("<nav");
    world.get("alice", "/new?kind=user").await.is(200).markup("<main").markup("<nav");
}
