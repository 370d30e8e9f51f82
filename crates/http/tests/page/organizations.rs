//! Two customers on one page, and a key that acts.

use tower_api_keys::{IssueKey, KeyId, OrganizationId, Scopes, manage::ManageErrorKind};

use crate::support::{UNKNOWN, World, system, team};

const SCREENS: [&str; 7] = ["", "/delete", "/edit", "/pause", "/resume", "/rotate", "/rotation"];

/// A key of engineering in this organization, with the start of a rotation if that is wanted.
async fn key_of(world: &World, organization: &str, name: &str) -> (KeyId, String) {
    let manager = world.keys.manager_for(OrganizationId::new(organization).unwrap());
    let issued = manager.issue(IssueKey::team(team("engineering")).named(name), &system()).await.unwrap();
    let text = issued.plaintext().expose_secret().to_owned();
    world.remember(&text);
    (issued.info().id, text)
}

#[tokio::test]
async fn another_organizations_key_is_as_unknown_as_one_that_does_not_exist() {
    let world = World::of_customers().await;
    let (theirs, _) = key_of(&world, "globex", "GitHub Actions - globex").await;
    let (ours, _) = key_of(&world, "acme", "GitHub Actions - acme").await;
    let before = world.keys.manager_for(OrganizationId::new("globex").unwrap()).find(&theirs, &system()).await.unwrap();
    for who in ["olga@acme", "alice@acme", "audrey@acme", "mo@acme", "mallory@acme"] {
        for screen in SCREENS {
            let of = |id: &str| format!("/keys/{id}{screen}");
            let (hidden, unknown) = (world.get(who, &of(theirs.as_str())).await, world.get(who, &of(UNKNOWN)).await);
            hidden.is(404).has("Not found, or you do not have access to it.");
            assert_eq!(hidden.body, unknown.body, "{who} {screen}");
            assert_eq!(hidden.headers, unknown.headers, "{who} {screen}");
            if screen.is_empty() {
                continue;
            }
            let fields = [
                ("version", "1"),
                ("name", "x"),
                ("do", "abort"),
                ("confirm", "GitHub Actions - globex"),
                ("idempotency_key", "0123456789abcdef"),
            ];
            let hidden = world.post(who, &of(theirs.as_str()), &fields).await;
            let unknown = world.post(who, &of(UNKNOWN), &fields).await;
            hidden.is(404);
            assert_eq!((hidden.body, hidden.headers), (unknown.body, unknown.headers), "{who} {screen}");
        }
        for path in ["/trail?key={}", "/trail.csv?key={}", "/trail?lineage={}"] {
            let ask = |id: &str| path.replace("{}", id);
            let (hidden, unknown) = (world.get(who, &ask(theirs.as_str())).await, world.get(who, &ask(UNKNOWN)).await);
            assert_eq!((hidden.status, hidden.body), (unknown.status, unknown.body), "{who} {path}");
        }
        for step in ["look", "delete", "reviewed"] {
            let hidden = world.post(who, "/review", &[("key", theirs.as_str()), ("step", step)]).await;
            let unknown = world.post(who, "/review", &[("key", UNKNOWN), ("step", step)]).await;
            assert_eq!(hidden.status, unknown.status, "{who} {step}");
            assert_eq!(hidden.body.replace(theirs.as_str(), UNKNOWN), unknown.body, "{who} {step}");
        }
    }
    for path in ["", "/keys", "/review", "/trail", "/people", "/people/alice", "/refusals", "/review.csv", "/trail.csv"]
    {
        let answer = world.get("olga@acme", path).await;
        answer.is(200).no_markup("globex").no_markup(theirs.as_str());
    }
    world.get("olga@acme", "").await.has("GitHub Actions - acme").markup(ours.as_str());
    let manager = world.keys.manager_for(OrganizationId::new("globex").unwrap());
    assert_eq!(manager.find(&theirs, &system()).await.unwrap(), before);
    // Somebody of no organization is nobody here.
    world.get("olga", "").await.is(500);
}

#[tokio::test]
async fn a_key_that_acts_sees_its_team_and_no_personal_section() {
    let world = World::new().await;
    let request = IssueKey::team(team("engineering")).named("admin bot");
    let request = request.scopes("* keys:manage".parse::<Scopes>().unwrap());
    let (bot, _) = world.issue(request, "alice").await;
    let (key, _) = world.team_key("key1").await;
    let who = format!("key:{}", bot.id);
    world.get(&who, "").await.is(200).has("key1").has("Vague name").lacks("Personal API Keys").lacks("Create Personal");
    let path = format!("/keys/{}/edit", key.id);
    world.submit(&who, &path, &[("name", "GitHub Actions - production")]).await.is(303);
    let page = world.get("alice", &format!("/keys/{}", key.id)).await;
    page.is(200).has("GitHub Actions - production").has(&format!("key {} (Engineering)", bot.id));
    // What needs a person is denied to it, and said so beside the button.
    world.submit("alice", &format!("/keys/{}/pause", key.id), &[]).await.is(303);
    world.get(&who, &format!("/keys/{}", key.id)).await.is(200).markup("aria-describedby=\"why-resume\"");
    world.submit(&who, &format!("/keys/{}/resume", key.id), &[]).await.is(403);
    // A key of nobody does nothing.
    world.get(&format!("key:{UNKNOWN}"), "").await.is(403);
    world.keys.manager().revoke(&bot.id, &system()).await.unwrap();
    world.get(&who, "").await.is(403);
    let error = world.keys.manager().find(&key.id, &crate::support::actor(&who).unwrap()).await.unwrap_err();
    assert!(matches!(error.kind(), ManageErrorKind::Denied(_)));
}
