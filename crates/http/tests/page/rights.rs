//! Every form of a key, by every person: what the policy allows is done, what it denies changes nothing, and what a
//! person may not see is answered as if it did not exist.

use tower_api_keys::{
    IssueKey, KeyId,
    manage::{KeyAction, ManageErrorKind},
};

use crate::support::{Answer, UNKNOWN, World, actor, system, team, user};

const PEOPLE: [&str; 7] = ["alice", "mo", "fred", "tess", "olga", "audrey", "mallory"];

const FORMS: [(&str, KeyAction); 5] = [
    ("delete", KeyAction::Revoke),
    ("edit", KeyAction::Rename),
    ("pause", KeyAction::Pause),
    ("resume", KeyAction::Resume),
    ("rotate", KeyAction::Rotate),
];

async fn send(world: &World, who: &str, id: &str, form: &str, version: i64) -> Answer {
    let version = version.to_string();
    let fields = [("version", version.as_str()), ("name", "renamed"), ("idempotency_key", "0123456789abcdef")];
    world.post(who, &format!("/keys/{id}/{form}"), &fields).await
}

/// A world with one key, paused by its maker if the form resumes.
async fn with_key(is_team: bool, form: &str) -> (World, KeyId, i64) {
    let world = World::new().await;
    let request =
        if is_team { IssueKey::team(team("engineering")) } else { IssueKey::user(user("alice")) }.named("Monday cron");
    let (key, _) = world.issue(request, "alice").await;
    if form == "resume" {
        world.keys.manager().pause(&key.id, &actor("alice").unwrap()).await.unwrap();
    }
    let version = world.keys.manager().find(&key.id, &system()).await.unwrap().version;
    (world, key.id, version)
}

#[tokio::test]
async fn every_form_does_what_the_policy_says_for_everybody() {
    let mut cells = 0;
    for is_team in [true, false] {
        for (form, action) in FORMS {
            for who in PEOPLE {
                let (world, id, version) = with_key(is_team, form).await;
                let manager = world.keys.manager();
                let person = actor(who).unwrap();
                let cell = format!("{who} {form} {}", if is_team { "team" } else { "personal" });
                let before = manager.find(&id, &system()).await.unwrap();
                let seen = manager.find(&id, &person).await;
                let answer = send(&world, who, id.as_str(), form, version).await;
                let after = manager.find(&id, &system()).await.unwrap();
                match seen {
                    Err(error) => {
                        assert_eq!(error.kind(), ManageErrorKind::NotFound, "{cell}");
                        let unknown = send(&world, who, UNKNOWN, form, version).await;
                        assert_eq!((answer.status, &answer.body), (unknown.status, &unknown.body), "{cell}");
                        answer.is(404);
                        assert_eq!(before, after, "{cell}");
                    }
                    Ok(key) if manager.abilities(&key, &person).unwrap().allows(action) => {
                        answer.is(if form == "rotate" { 200 } else { 303 });
                        assert_ne!(before, after, "{cell}");
                    }
                    Ok(_) => {
                        answer.is(403);
                        assert_eq!(before, after, "{cell}");
                    }
                }
                // The list offers what it would do, and nothing else.
                let (world, id, _) = with_key(is_team, form).await;
                let page = world.get(who, &format!("/keys/{id}")).await;
                if page.status == 200 {
                    let offered = page.body.contains(&format!("/keys/{id}/{form}\""));
                    let key = world.keys.manager().find(&id, &person).await.unwrap();
                    let allowed = world.keys.manager().abilities(&key, &person).unwrap().allows(action);
                    assert_eq!(offered, allowed, "{cell}");
                }
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 70);
}

#[tokio::test]
async fn screens_for_readers_are_for_readers() {
    let world = World::new().await;
    world.own_key("laptop").await;
    for (who, path, status) in [
        ("alice", "/refusals", 403),
        ("mo", "/refusals", 403),
        ("audrey", "/refusals", 200),
        ("olga", "/refusals", 200),
        ("mallory", "/people/alice", 404),
        ("mo", "/people/alice", 404),
        ("olga", "/people/alice", 200),
        ("mallory", "/trail", 200),
        ("mallory", "/review", 200),
    ] {
        world.get(who, path).await.is(status);
    }
    world.get("mallory", "/trail").await.lacks("laptop");
    world.get("mallory", "/review").await.lacks("laptop");
    // An auditor reads everything about keys, and nothing about what stops.
    world.get("audrey", "/people/alice").await.is(403);
}
