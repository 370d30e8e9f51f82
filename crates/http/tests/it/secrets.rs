//! The text of a key is in the answer that creates it, and in no other.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Answer, World};

/// All windows of eight characters of a secret.
fn windows(text: &str) -> Vec<String> {
    let secret: Vec<char> = text.rsplit('.').next().unwrap().chars().collect();
    secret.windows(8).map(|window| window.iter().collect()).collect()
}

#[tokio::test]
async fn no_other_answer_has_a_part_of_a_key() {
    let world = World::new().await;
    let (id, text) = world.team_key("watched").await;
    let begun = world.post("alice", &format!("/keys/{id}/rotation"), json!({})).await.json();
    let (new, second) = (begun["key"]["id"].as_str().unwrap(), begun["plaintext"].as_str().unwrap());
    let secret: BTreeSet<_> = windows(&text).into_iter().chain(windows(second)).collect();
    assert_eq!(secret.len(), 82);
    let look = |path: &str, answer: &Answer| {
        let headers = format!("{:?}", answer.headers);
        let found = secret.iter().find(|part| answer.text.contains(*part) || headers.contains(*part));
        assert!(found.is_none(), "{path} ({}) has a part of a key", answer.status);
    };
    let paths = [
        "/me",
        "/keys",
        "/inventory",
        "/inventory/summary",
        "/inventory/export",
        "/events",
        "/events/export",
        "/refusals-without-key",
        "/users/alice/exposure",
        "/users/alice/blast-radius",
        "/owners/team/engineering",
    ];
    let of_key = ["", "/usage", "/explanation", "/advice", "/leak-report", "/rotation"];
    let of_keys = [&*id, new].into_iter().flat_map(|key| of_key.map(|end| format!("/keys/{key}{end}")));
    for path in paths.map(str::to_owned).into_iter().chain(of_keys) {
        look(&path, &world.get("olga", &path).await);
    }
    // What a person pastes into a wrong place is not said back.
    let pasted = [
        ("POST", "/identifications".to_owned(), json!({ "text": format!("curl -H 'x-api-key: {text}'") })),
        ("POST", "/keys".to_owned(), json!({ "owner": { "kind": "team", "id": "engineering" }, "name": text })),
        ("POST", "/keys".to_owned(), json!({ "owner": { "kind": "team", "id": text } })),
        ("POST", "/keys".to_owned(), json!({ "owner": { "kind": text, "id": "engineering" } })),
        ("POST", "/keys".to_owned(), json!({ "owner": { "kind": "team", "id": "engineering" }, text.clone(): "" })),
        ("POST", "/keys".to_owned(), json!({ "owner": { "kind": "team", "id": "engineering" }, "scopes": [text] })),
        (
            "POST",
            "/keys".to_owned(),
            json!({ "owner": { "kind": "team", "id": "engineering" }, "labels": { "ticket": text } }),
        ),
        ("POST", format!("/keys/{id}/pause"), json!({ "because": format!("found {text}") })),
        ("POST", format!("/keys/{id}/resume"), json!({ "because": format!("found {text}") })),
        ("POST", "/revocations".to_owned(), json!({ "keys": [text] })),
        ("POST", format!("/keys/{text}/revoke"), json!({})),
        ("GET", format!("/keys/{text}"), json!({})),
        ("GET", format!("/keys?named={text}"), json!({})),
        ("GET", format!("/keys?{text}=1"), json!({})),
        ("GET", format!("/events?action={text}"), json!({})),
    ];
    for (method, path, body) in pasted {
        let body = (method == "POST").then_some(body);
        look(&path, &world.ask("olga", method, &path, body, &[]).await);
    }
    look("/events", &world.get("olga", "/events").await);
}
