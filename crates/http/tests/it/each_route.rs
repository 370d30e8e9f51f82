//! Each route once, in the order in which a service's life would call them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{DOCUMENT, World, operation};

/// Counts which operations were answered well.
struct Walk {
    world: World,
    seen: BTreeSet<String>,
}

impl Walk {
    async fn ok(&mut self, status: u16, who: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.world.ask(who, method, path, body, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        let (_, operation) = operation(method, path).unwrap();
        self.seen.insert(operation["operationId"].as_str().unwrap().to_owned());
        serde_json::from_str(&answer.text).unwrap_or_default()
    }
}

#[tokio::test]
async fn each_route_is_answered_as_documented() {
    each_route_is_answered_as_documented_in(World::new().await).await;
}

pub async fn each_route_is_answered_as_documented_in(world: World) {
    let mut walk = Walk { world, seen: BTreeSet::new() };
    let me = walk.ok(200, "alice", "GET", "/me", None).await;
    assert_eq!((&me["actor"], &me["organization"]), (&json!("user:alice"), &json!("acme")));
    assert_eq!(me["prefixes"], json!({ "user": "user.", "team": "team." }));
    assert_eq!(me["personal"]["create"]["allowed"], true);
    assert_eq!((&me["revocation"]["longest_ms"], &me["revocation"]["is_of_all_nodes"]), (&json!(0), &json!(false)));
    assert_eq!(me["revocation"]["sentence"]["id"], "staleness.none_here");
    let team = &me["teams"][0];
    assert_eq!((&team["id"], &team["role"]), (&json!("engineering"), &json!("admin")));
    assert_eq!(team["team_keys"], json!({ "included": true, "sentence": null }));

    let teams = walk.ok(200, "alice", "GET", "/teams", None).await;
    assert_eq!(teams["teams"].as_array().unwrap().len(), 1);
    let teams = walk.ok(200, "alice", "GET", "/teams?named=sales", None).await;
    assert_eq!(teams["teams"], json!([]));

    let new = json!({
        "owner": { "kind": "team", "id": "engineering" }, "name": "Monday cron", "labels": { "ticket": "OPS-1" },
        "scopes": ["agents:read", "agents:write"], "expires_at": null, "responsible": "#team-ops",
    });
    let preview = walk.ok(200, "alice", "POST", "/previews", Some(new.clone())).await;
    assert_eq!(preview["can_be_issued"], true);
    let made = walk.ok(201, "alice", "POST", "/keys", Some(new)).await;
    let id = made["key"]["id"].as_str().unwrap().to_owned();
    assert!(made["plaintext"].as_str().unwrap().starts_with(&format!("team.{id}.")));

    let list =
        walk.ok(200, "mo", "GET", "/keys?owner=team:engineering&kind=team&order=newest&liveness=live", None).await;
    assert_eq!((&list["keys"][0]["id"], &list["next"]), (&json!(id), &Value::Null));
    let key = walk.ok(200, "alice", "GET", &format!("/keys/{id}"), None).await;
    assert_eq!((&key["name"], &key["state"]), (&json!("Monday cron"), &json!("live")));
    assert!(key["can"].as_array().unwrap().iter().any(|can| can["action"] == "rename" && can["allowed"] == true));

    let change = json!({ "name": "Tuesday cron", "scopes": ["agents:read"], "responsible": null });
    let key = walk.ok(200, "alice", "PATCH", &format!("/keys/{id}"), Some(change)).await;
    assert_eq!((&key["name"], &key["scopes"]), (&json!("Tuesday cron"), &json!(["agents:read"])));
    assert_eq!((&key["labels"], &key["responsible"]), (&json!({ "ticket": "OPS-1" }), &Value::Null));

    let pause = json!({ "because": "looks odd" });
    let paused = walk.ok(200, "alice", "POST", &format!("/keys/{id}/pause"), Some(pause)).await;
    assert_eq!(paused["key"]["state"], "key_paused");
    let resumed = walk.ok(200, "alice", "POST", &format!("/keys/{id}/resume"), Some(json!({}))).await;
    assert_eq!(resumed["key"]["state"], "live");

    for question in ["usage?days=7", "explanation", "advice", "leak-report", "leak-report?since=2020-01-01T00:00:00Z"] {
        walk.ok(200, "alice", "GET", &format!("/keys/{id}/{question}"), None).await;
    }

    let successor = json!({ "name": "Cron, the second", "expires_at": null });
    let begun = walk.ok(201, "alice", "POST", &format!("/keys/{id}/rotation"), Some(successor)).await;
    let second = begun["key"]["id"].as_str().unwrap().to_owned();
    assert_eq!(begun["key"]["replaces"], json!(id));
    let rotation = walk.ok(200, "alice", "GET", &format!("/keys/{second}/rotation"), None).await;
    assert_eq!(rotation["stage"], "under_way");
    let aborted = walk.ok(200, "alice", "POST", &format!("/keys/{second}/rotation/abort"), Some(json!({}))).await;
    assert_eq!(aborted["new"]["state"], "revoked");
    let begun = walk.ok(201, "alice", "POST", &format!("/keys/{id}/rotation"), Some(json!({}))).await;
    let third = begun["key"]["id"].as_str().unwrap().to_owned();
    let finish = format!("/keys/{third}/rotation/finish");
    let early = walk.world.post("alice", &finish, json!({})).await;
    assert_eq!(early.refused(409), "not_safe_to_finish");
    let finished = walk.ok(200, "alice", "POST", &finish, Some(json!({ "anyway": true }))).await;
    assert_eq!(finished["old"]["state"], "revoked");

    let flagged = "/inventory?flag=unnamed&flag=unused&label=ticket:OPS-1&source_label=api&unused_after_days=30";
    for path in ["/inventory", flagged, "/inventory/summary"] {
        walk.ok(200, "alice", "GET", path, None).await;
    }
    for path in ["/inventory/export?format=jsonl", "/events/export?format=csv"] {
        walk.ok(200, "olga", "GET", path, None).await;
    }
    walk.ok(200, "olga", "GET", "/refusals-without-key", None).await;
    let events = walk.ok(200, "olga", "GET", &format!("/events?key={id}&order=oldest&limit=2"), None).await;
    assert_eq!(events["entries"][0]["action"], "key.issued");

    for question in ["blast-radius", "exposure"] {
        walk.ok(200, "olga", "GET", &format!("/users/alice/{question}"), None).await;
    }
    let owner = "/owners/user/alice";
    walk.ok(200, "olga", "GET", owner, None).await;
    let dry = walk.ok(200, "olga", "POST", &format!("{owner}/suspend?dry_run=true"), Some(json!({}))).await;
    assert_eq!(dry["dry_run"], true);
    let why = json!({ "because": "on leave" });
    let suspended = walk.ok(200, "olga", "POST", &format!("{owner}/suspend"), Some(why)).await;
    assert_eq!(suspended["effect"], "changed");
    let events = walk.world.get("olga", "/events?owner=user:alice&order=newest&limit=1").await.json();
    assert_eq!(events["entries"][0]["after"]["reason"], "on leave", "{events}");
    assert_eq!(walk.world.get("alice", "/keys").await.refused(403), "owner_suspended");
    let reinstated = walk.ok(200, "olga", "POST", &format!("{owner}/reinstate"), Some(json!({}))).await;
    assert_eq!(reinstated["effect"], "changed");

    let found = walk.ok(200, "olga", "POST", "/identifications", Some(json!({ "text": format!("key={third}") }))).await;
    assert_eq!(found["keys"][0]["key"]["id"], json!(third));
    let revoked = walk.ok(200, "olga", "POST", &format!("/keys/{third}/revoke"), Some(json!({}))).await;
    assert_eq!((&revoked["key"]["state"], &revoked["effect"]), (&json!("revoked"), &json!("changed")));
    let all = json!({ "owner": { "kind": "team", "id": "engineering" }, "because": "a test", "dry_run": true });
    let many = walk.ok(200, "olga", "POST", "/revocations", Some(all)).await;
    assert_eq!((&many["matched"], &many["already_dead"]), (&json!(3), &json!(3)));
    walk.ok(200, "olga", "POST", &format!("{owner}/close"), Some(json!({}))).await;

    let paths =
        DOCUMENT["paths"].as_object().unwrap().values().flat_map(|methods| methods.as_object().unwrap().values());
    let documented: BTreeSet<_> =
        paths.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(documented.difference(&walk.seen).collect::<Vec<_>>(), Vec::<&String>::new(), "never answered well");
}

#[tokio::test]
async fn a_new_key_has_a_location_that_answers() {
    a_new_key_has_a_location_that_answers_in(World::new().await).await;
}

pub async fn a_new_key_has_a_location_that_answers_in(world: World) {
    let body = json!({ "owner": { "kind": "user", "id": "alice" } });
    let made = world.post("alice", "/keys", body).await;
    let location = made.header("location").unwrap().to_owned();
    let id = made.json()["key"]["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/api/api-keys/keys/{id}"));
    let rotated = world.post("alice", &format!("/keys/{id}/rotation"), json!({})).await;
    let second = rotated.json()["key"]["id"].as_str().unwrap().to_owned();
    assert_eq!(rotated.header("location"), Some(&*format!("/api/api-keys/keys/{second}")));
}
