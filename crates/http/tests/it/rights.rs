//! Authorization: the manager decides, and the routes add no way around it.

use serde_json::{Value, json};

use crate::support::{UNKNOWN, World};

/// What can be asked about one key, with a body where there is one.
fn about(key: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let get = |rest: &str| ("GET", format!("/keys/{key}{rest}"), None);
    let post = |rest: &str| ("POST", format!("/keys/{key}{rest}"), Some(json!({})));
    vec![
        get(""),
        get("/usage"),
        get("/explanation"),
        get("/advice"),
        get("/leak-report"),
        get("/leak-report?since=2020-01-01T00:00:00Z"),
        get("/rotation"),
        ("PATCH", format!("/keys/{key}"), Some(json!({ "name": "mine now" }))),
        post("/pause"),
        post("/resume"),
        post("/revoke"),
        post("/rotation"),
        post("/rotation/finish"),
        post("/rotation/abort"),
    ]
}

#[tokio::test]
async fn a_key_of_another_organization_is_answered_byte_for_byte_like_an_unknown_one() {
    a_key_of_another_organization_is_answered_byte_for_byte_like_an_unknown_one_in(World::new().await).await;
}

pub async fn a_key_of_another_organization_is_answered_byte_for_byte_like_an_unknown_one_in(world: World) {
    let (id, _) = world.team_key("of acme").await;
    let questions = about(&id).into_iter().zip(about(UNKNOWN)).zip(about("not-an-id"));
    for (((method, path, body), (_, unknown, _)), (_, malformed, _)) in questions {
        let known = world.ask("eve", method, &path, body.clone(), &[]).await;
        let unknown = world.ask("eve", method, &unknown, body.clone(), &[]).await;
        let malformed = world.ask("eve", method, &malformed, body, &[]).await;
        assert_eq!(known.refused(404), "not_found", "{method} {path}");
        for other in [&unknown, &malformed] {
            assert_eq!((&known.text, &known.headers), (&other.text, &other.headers), "{method} {path}");
        }
    }
    let key = world.get("alice", &format!("/keys/{id}")).await.json();
    assert_eq!((&key["name"], &key["version"]), (&json!("of acme"), &json!(1)), "nothing was changed");
}

#[tokio::test]
async fn people_of_another_organization_are_not_there() {
    let world = World::new().await;
    let personal = world.post("alice", "/keys", json!({ "owner": { "kind": "user", "id": "alice" } })).await;
    assert_eq!(personal.status, 201);
    // Whether a person is known is the directory's knowledge: without one, the answers are those about anyone.
    let known = world.get("eve", "/users/alice/blast-radius").await;
    assert_eq!((known.status, &known.json()["stops"]), (200, &json!([])));
    for (kind, id) in [("robot", "alice"), ("user", "%00"), ("user", "%FF")] {
        assert_eq!(world.get("olga", &format!("/owners/{kind}/{id}")).await.refused(404), "not_found", "{kind} {id}");
    }
}

#[tokio::test]
async fn a_member_sees_a_team_key_and_may_do_nothing_to_it() {
    a_member_sees_a_team_key_and_may_do_nothing_to_it_in(World::new().await).await;
}

pub async fn a_member_sees_a_team_key_and_may_do_nothing_to_it_in(world: World) {
    let (id, _) = world.team_key("of engineering").await;
    for (method, path, body) in about(&id) {
        let answer = world.ask("mo", method, &path, body, &[]).await;
        match path.rsplit('/').next().unwrap() {
            last if last == id && method == "GET" => assert_eq!(answer.json()["usage"], Value::Null),
            _ => assert_eq!(answer.refused(403), "insufficient_role", "{method} {path}"),
        }
    }
    let create = json!({ "owner": { "kind": "team", "id": "engineering" } });
    assert_eq!(world.post("mo", "/keys", create).await.refused(403), "insufficient_role");
    let many = json!({ "keys": [id] });
    let many = world.post("mo", "/revocations", many).await;
    assert!(many.status == 403 || many.json()["revoked"] == 0, "{}", many.text);
    for path in ["/refusals-without-key", "/users/alice/exposure"] {
        assert!([403, 404].contains(&world.get("mo", path).await.status), "{path}");
    }
    for path in ["/owners/user/alice/suspend", "/owners/team/engineering/reinstate", "/owners/user/alice/close"] {
        assert!([403, 404].contains(&world.post("mo", path, json!({})).await.status), "{path}");
    }
    assert_eq!(world.get("alice", &format!("/keys/{id}")).await.json()["state"], "live");
}

#[tokio::test]
async fn an_auditor_reads_everything_and_changes_nothing() {
    let world = World::new().await;
    let (id, _) = world.team_key("audited").await;
    for path in [&*format!("/keys/{id}"), "/keys", "/inventory", "/inventory/export", "/events", "/events/export"] {
        assert_eq!(world.get("audrey", path).await.status, 200, "{path}");
    }
    for (method, path, body) in about(&id).into_iter().filter(|(method, ..)| *method != "GET") {
        assert_eq!(world.ask("audrey", method, &path, body, &[]).await.status, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn lists_show_what_the_actor_may_see() {
    let world = World::new().await;
    let (id, _) = world.team_key("of engineering").await;
    for (who, expected) in [("alice", 1), ("mo", 1), ("olga", 1), ("audrey", 1), ("eve", 0)] {
        let keys = world.get(who, "/keys").await.json();
        assert_eq!(keys["keys"].as_array().unwrap().len(), expected, "{who}");
    }
    assert_eq!(world.get("eve", &format!("/events?key={id}")).await.refused(404), "not_found");
    let found = world.post("eve", "/identifications", json!({ "text": id })).await;
    assert_eq!(found.json()["keys"], json!([]));
}
