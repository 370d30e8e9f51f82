//! `If-Match` and `Idempotency-Key`.

use serde_json::{Value, json};

use crate::support::{Answer, World};

async fn edit(world: &World, id: &str, name: &str, tag: &str) -> Answer {
    let body = json!({ "name": name });
    world.ask("alice", "PATCH", &format!("/keys/{id}"), Some(body), &[("if-match", tag)]).await
}

#[tokio::test]
async fn of_two_changes_to_one_version_one_is_made() {
    of_two_changes_to_one_version_one_is_made_in(World::new().await).await;
}

pub async fn of_two_changes_to_one_version_one_is_made_in(world: World) {
    let (id, _) = world.team_key("first").await;
    let read = world.get("alice", &format!("/keys/{id}")).await;
    let tag = read.header("etag").unwrap();
    let (one, other) = tokio::join!(edit(&world, &id, "one", tag), edit(&world, &id, "other", tag));
    let (made, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!((made.status, made.header("etag")), (200, Some("\"2\"")));
    assert_eq!(refused.refused(412), "precondition_failed");
    assert_eq!(refused.json()["current"], 2);
    let now = world.get("alice", &format!("/keys/{id}")).await;
    assert_eq!((now.header("etag"), &now.json()["name"]), (Some("\"2\""), &made.json()["name"]));
    assert_eq!(edit(&world, &id, "any", "*").await.status, 200);
}

#[tokio::test]
async fn every_change_of_a_key_heeds_if_match() {
    every_change_of_a_key_heeds_if_match_in(World::new().await).await;
}

pub async fn every_change_of_a_key_heeds_if_match_in(world: World) {
    let (id, _) = world.team_key("kept").await;
    let stale = [("if-match", "\"7\"")];
    for end in ["/pause", "/revoke", "/rotation"] {
        let answer = world.ask("alice", "POST", &format!("/keys/{id}{end}"), Some(json!({})), &stale).await;
        assert_eq!(answer.refused(412), "precondition_failed", "{end}");
    }
    assert_eq!(world.post("alice", &format!("/keys/{id}/pause"), json!({})).await.header("etag"), Some("\"2\""));
    let resume = format!("/keys/{id}/resume");
    assert_eq!(world.ask("alice", "POST", &resume, Some(json!({})), &stale).await.refused(412), "precondition_failed");
    let fresh = [("if-match", "\"2\"")];
    assert_eq!(world.ask("alice", "POST", &resume, Some(json!({})), &fresh).await.header("etag"), Some("\"3\""));
    let begun = world.post("alice", &format!("/keys/{id}/rotation"), json!({})).await.json();
    let new = begun["key"]["id"].as_str().unwrap();
    for end in ["/finish", "/abort"] {
        let path = format!("/keys/{new}/rotation{end}");
        assert_eq!(
            world.ask("alice", "POST", &path, Some(json!({})), &stale).await.refused(412),
            "precondition_failed"
        );
    }
}

#[tokio::test]
async fn a_malformed_if_match_changes_nothing() {
    a_malformed_if_match_changes_nothing_in(World::new().await).await;
}

pub async fn a_malformed_if_match_changes_nothing_in(world: World) {
    let (id, _) = world.team_key("kept").await;
    for tag in ["1", "\"one\"", "W/\"1\"", "\"1\", \"2\"", "\"+1\"", "\"01\"", "\"", ""] {
        let answer = edit(&world, &id, "changed", tag).await;
        assert_eq!(
            (answer.refused(400), &answer.json()["field"]),
            ("malformed_header".to_owned(), &json!("if-match")),
            "{tag}"
        );
    }
    let twice = [("if-match", "\"1\""), ("if-match", "\"2\"")];
    let answer = world.ask("alice", "PATCH", &format!("/keys/{id}"), Some(json!({ "name": "changed" })), &twice).await;
    assert_eq!(answer.refused(400), "malformed_header");
    assert_eq!(world.get("alice", &format!("/keys/{id}")).await.json()["version"], 1);
}

#[tokio::test]
async fn a_repeat_makes_no_second_key_and_shows_no_text() {
    a_repeat_makes_no_second_key_and_shows_no_text_in(World::new().await).await;
}

pub async fn a_repeat_makes_no_second_key_and_shows_no_text_in(world: World) {
    let body = json!({ "owner": { "kind": "team", "id": "engineering" }, "name": "once" });
    let create = async |body: &Value, key: &str| {
        world.ask("alice", "POST", "/keys", Some(body.clone()), &[("idempotency-key", key)]).await
    };
    let made = create(&body, "3f1c5a4e").await;
    let (id, text) = (made.json()["key"]["id"].clone(), made.json()["plaintext"].as_str().unwrap().to_owned());
    for key in ["3f1c5a4e", "\"3f1c5a4e\""] {
        let repeat = create(&body, key).await;
        assert_eq!(
            (repeat.refused(409), &repeat.json()["key"]["id"]),
            ("idempotency_key_used".to_owned(), &id),
            "{key}"
        );
        assert!(!repeat.text.contains(text.rsplit('.').next().unwrap()));
    }
    let other = json!({ "owner": { "kind": "team", "id": "engineering" }, "name": "another" });
    assert_eq!(create(&other, "3f1c5a4e").await.refused(422), "idempotency_mismatch");
    assert_eq!(world.get("alice", "/keys").await.json()["keys"].as_array().unwrap().len(), 1);

    let (id, header) = (id.as_str().unwrap(), [("idempotency-key", "rotate-once")]);
    let rotate = async || world.ask("alice", "POST", &format!("/keys/{id}/rotation"), Some(json!({})), &header).await;
    let begun = rotate().await;
    let repeat = rotate().await;
    assert_eq!(repeat.refused(409), "idempotency_key_used");
    assert_eq!(repeat.json()["key"]["id"], begun.json()["key"]["id"]);
    assert!(!repeat.text.contains(begun.json()["plaintext"].as_str().unwrap().rsplit('.').next().unwrap()));
}

#[tokio::test]
async fn an_idempotency_key_that_is_none_makes_no_key() {
    an_idempotency_key_that_is_none_makes_no_key_in(World::new().await).await;
}

pub async fn an_idempotency_key_that_is_none_makes_no_key_in(world: World) {
    let body = json!({ "owner": { "kind": "team", "id": "engineering" } });
    for key in ["", "\"\"", &"k".repeat(257)] {
        let answer = world.ask("alice", "POST", "/keys", Some(body.clone()), &[("idempotency-key", key)]).await;
        assert_eq!((answer.refused(422), &answer.json()["field"]), ("invalid".to_owned(), &json!("idempotency_key")));
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_eq!(world.ask("alice", "POST", "/keys", Some(body), &twice).await.refused(400), "malformed_header");
    assert_eq!(world.get("alice", "/keys").await.json()["keys"], json!([]));
}

#[tokio::test]
async fn of_two_requests_at_once_under_one_idempotency_key_one_makes_a_key() {
    of_two_requests_at_once_under_one_idempotency_key_one_makes_a_key_in(World::new().await).await;
}

pub async fn of_two_requests_at_once_under_one_idempotency_key_one_makes_a_key_in(world: World) {
    let body = json!({ "owner": { "kind": "team", "id": "engineering" }, "name": "once" });
    let create = || world.ask("alice", "POST", "/keys", Some(body.clone()), &[("idempotency-key", "at-once")]);
    let (one, other) = tokio::join!(create(), create());
    let (made, repeat) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!((made.status, repeat.refused(409)), (201, "idempotency_key_used".to_owned()));
    assert_eq!(made.json()["key"]["id"], repeat.json()["key"]["id"]);
    assert_eq!(world.get("alice", "/keys").await.json()["keys"].as_array().unwrap().len(), 1);
}
