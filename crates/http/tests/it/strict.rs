//! Forged, doubled, oversized and misplaced parts of a request: refused, and nothing is written.

use serde_json::{Value, json};

use crate::support::{UNKNOWN, World};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn count(world: &World) -> usize {
    world.get("olga", "/keys").await.json()["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn members_that_no_request_has_are_refused() {
    let world = World::new().await;
    let (id, _) = world.team_key("kept").await;
    let owner = json!({ "kind": "team", "id": "engineering" });
    for member in ["created_by", "hash", "id", "organization", "actor", "plaintext", "version", "state", "Name"] {
        let requests = [
            ("POST", "/keys".to_owned(), json!({ "owner": owner })),
            ("POST", "/previews".to_owned(), json!({ "owner": owner })),
            ("PATCH", format!("/keys/{id}"), json!({ "name": "forged" })),
            ("POST", format!("/keys/{id}/pause"), json!({})),
            ("POST", format!("/keys/{id}/revoke"), json!({})),
            ("POST", format!("/keys/{id}/rotation"), json!({})),
            ("POST", format!("/keys/{id}/rotation/finish"), json!({})),
            ("POST", format!("/keys/{id}/rotation/abort"), json!({})),
            ("POST", "/identifications".to_owned(), json!({ "text": "x" })),
            ("POST", "/revocations".to_owned(), json!({ "keys": [id] })),
            ("POST", "/owners/team/engineering/suspend".to_owned(), json!({})),
            ("POST", "/owners/team/engineering/reinstate".to_owned(), json!({})),
            ("POST", "/owners/team/engineering/close".to_owned(), json!({})),
        ];
        for (method, path, mut body) in requests {
            if (path.as_str(), member) == ("/revocations", "created_by") {
                continue; // the only request that has one: a condition
            }
            body[member] = json!("forged");
            let answer = world.ask("olga", method, &path, Some(body), &[]).await;
            assert_eq!(answer.refused(400), "malformed_body", "{method} {path} {member}");
            assert!(!answer.text.contains("forged"), "{}", answer.text);
        }
    }
    let forged = json!({ "owner": { "kind": "team", "id": "engineering", "organization": "globex" } });
    assert_eq!(world.post("olga", "/keys", forged).await.refused(400), "malformed_body");
    let key = world.get("alice", &format!("/keys/{id}")).await.json();
    assert_eq!((count(&world).await, &key["name"], &key["version"]), (1, &json!("kept"), &json!(1)));
}

#[tokio::test]
async fn a_body_is_one_object_without_doubled_keys() {
    let world = World::new().await;
    let owner = r#""owner":{"kind":"team","id":"engineering"}"#;
    for body in [
        String::new(),
        "null".into(),
        "[]".into(),
        "{".into(),
        format!("{{{owner}}} {{}}"),
        format!("{{{owner},{owner}}}"),
        format!("{{{owner},\"name\":\"a\",\"name\":\"b\"}}"),
        format!("{{{owner},\"labels\":{{\"ticket\":\"a\",\"ticket\":\"b\"}}}}"),
        r#"{"owner":{"kind":"team","kind":"user","id":"engineering"}}"#.into(),
        r#"{"owner":["team","engineering"]}"#.into(),
        r#"{"owner":{"kind":"robot","id":"engineering"}}"#.into(),
        r#"[{"kind":"team","id":"engineering"},"name"]"#.into(),
        format!("{{{owner},\"name\":5}}"),
        format!("{{{owner},\"scopes\":\"agents:read\"}}"),
        "{\"owner\":{\"kind\":\"team\",\"id\":\"\u{fffd}\"}".into(),
    ] {
        let answer = world.send("alice", "POST", "/keys", body.clone(), &[JSON]).await;
        assert_eq!(answer.refused(400), "malformed_body", "{body}");
    }
    let not_text = b"{\"owner\":{\"kind\":\"team\",\"id\":\"\xff\"}}".to_vec();
    assert_eq!(world.send("alice", "POST", "/keys", not_text, &[JSON]).await.refused(400), "malformed_body");
    assert_eq!(count(&world).await, 0);
}

#[tokio::test]
async fn values_that_no_key_can_have_name_their_field() {
    values_that_no_key_can_have_name_their_field_in(World::new().await).await;
}

pub async fn values_that_no_key_can_have_name_their_field_in(world: World) {
    let owner = json!({ "kind": "team", "id": "engineering" });
    for (field, value) in [
        ("owner", json!({ "kind": "team", "id": "" })),
        ("owner", json!({ "kind": "team", "id": "a\u{0}b" })),
        ("name", json!("\u{202e}evil")),
        ("name", json!("n".repeat(101))),
        ("labels", json!({ "Not A Label": "x" })),
        ("scopes", json!(["not a scope"])),
        ("scopes", json!((0..65).map(|n| format!("s{n}")).collect::<Vec<_>>())),
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("networks", json!(["everywhere"])),
        ("networks", json!([])),
    ] {
        let mut body = json!({ "owner": owner });
        body[field] = value.clone();
        let answer = world.post("alice", "/keys", body).await;
        assert_eq!(
            (answer.refused(422), &answer.json()["field"]),
            ("invalid".to_owned(), &json!(field)),
            "{field} {value}"
        );
    }
    assert_eq!(count(&world).await, 0);
}

#[tokio::test]
async fn a_change_of_nothing_and_a_null_that_means_nothing_are_refused() {
    let world = World::new().await;
    let (id, _) = world.team_key("kept").await;
    for body in [json!({}), json!({ "name": null }), json!({ "expires_at": null }), json!({ "scopes": null })] {
        let answer = world.ask("alice", "PATCH", &format!("/keys/{id}"), Some(body.clone()), &[]).await;
        assert_eq!(answer.refused(400), "malformed_body", "{body}");
    }
    assert_eq!(world.get("alice", &format!("/keys/{id}")).await.json()["version"], 1);
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let world = World::new().await;
    let text = |bytes: usize| format!("{{\"text\":\"{}\"}}", " ".repeat(bytes - r#"{"text":""}"#.len()));
    assert_eq!(world.send("olga", "POST", "/identifications", text(65_536), &[JSON]).await.status, 200);
    let answer = world.send("olga", "POST", "/identifications", text(65_537), &[JSON]).await;
    assert_eq!(answer.refused(413), "body_too_large");
    let two_mib = world.send("alice", "POST", "/keys", text(2 * 1024 * 1024), &[JSON]).await;
    assert_eq!(two_mib.refused(413), "body_too_large");
}

/// What a form of another site can send.
#[tokio::test]
async fn only_json_is_taken_and_it_is_named_even_without_a_body() {
    let world = World::new().await;
    let (id, _) = world.team_key("kept").await;
    let paths = ["/pause", "/revoke", "/rotation", "/rotation/abort"].map(|end| format!("/keys/{id}{end}"));
    for path in paths.iter().map(String::as_str).chain(["/keys", "/revocations", "/owners/team/engineering/close"]) {
        for types in [
            &[][..],
            &["application/x-www-form-urlencoded"],
            &["text/plain"],
            &["multipart/form-data; boundary=x"],
            &["application/json", "text/plain"],
            &["application/jsonp"],
            &[""],
        ] {
            let headers: Vec<_> = types.iter().map(|name| ("content-type", *name)).collect();
            let answer = world.send("olga", "POST", path, "", &headers).await;
            assert_eq!(answer.refused(415), "unsupported_media_type", "{path} {types:?}");
        }
    }
    assert_eq!(world.get("alice", &format!("/keys/{id}")).await.json()["version"], 1);
    let headers = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(world.send("olga", "POST", &format!("/keys/{id}/revoke"), "", &headers).await.status, 200);
}

#[tokio::test]
async fn a_query_has_only_parameters_of_its_route_with_values_that_fit() {
    let world = World::new().await;
    for (path, field) in [
        ("/me?x=1", Value::Null),
        ("/keys?organization=globex", Value::Null),
        ("/keys?actor=user:olga", Value::Null),
        ("/keys?limit=10&limit=20", json!("limit")),
        ("/keys?limit=ten", json!("limit")),
        ("/keys?limit=-1", json!("limit")),
        ("/keys?limit=99999", json!("limit")),
        ("/keys?kind=robot", json!("kind")),
        ("/keys?order=random", json!("order")),
        ("/keys?liveness=undead", json!("liveness")),
        ("/inventory?flag=shiny", json!("flag")),
        ("/inventory?unused_after_days=0", json!("unused_after_days")),
        ("/inventory/export?format=xlsx", json!("format")),
        ("/events?order=soonest_end", json!("order")),
        ("/events?attempts=yes", json!("attempts")),
        (&*format!("/keys/{UNKNOWN}/usage?days=many"), json!("days")),
    ] {
        let answer = world.get("alice", path).await;
        assert_eq!((answer.refused(400), &answer.json()["field"]), ("malformed_query".to_owned(), &field), "{path}");
    }
    for (path, field) in [
        ("/keys?owner=engineering", "owner"),
        ("/keys?owner=team:", "owner"),
        ("/keys?after=next", "after"),
        ("/keys?unused_since=yesterday", "unused_since"),
        ("/keys?lineage=short", "lineage"),
        ("/keys?creator=alice", "creator"),
        ("/inventory?source_client=", "source_client"),
        ("/events?after=last", "after"),
        ("/keys?named=%00", "named"),
        ("/events?from=1969-12-31T23:59:59Z", "from"),
    ] {
        let answer = world.get("olga", path).await;
        assert_eq!((answer.refused(422), &answer.json()["field"]), ("invalid".to_owned(), &json!(field)), "{path}");
    }
    for path in ["/keys?limit=0", "/keys?limit=1001", "/events?limit=0"] {
        let answer = world.get("olga", path).await;
        assert_eq!((answer.refused(422), &answer.json()["field"]), ("invalid".to_owned(), &json!("limit")), "{path}");
    }
}

#[tokio::test]
async fn many_are_revoked_only_with_a_condition() {
    many_are_revoked_only_with_a_condition_in(World::new().await).await;
}

pub async fn many_are_revoked_only_with_a_condition_in(world: World) {
    let (id, _) = world.team_key("kept").await;
    for body in [json!({}), json!({ "because": "all" }), json!({ "dry_run": true }), json!({ "keys": null })] {
        assert_eq!(world.post("olga", "/revocations", body.clone()).await.refused(400), "malformed_body", "{body}");
    }
    for (field, body) in [
        ("keys", json!({ "keys": [id], "key_and_made": id })),
        ("keys", json!({ "keys": ["short"] })),
        ("key_and_made", json!({ "key_and_made": "short" })),
        ("created_by", json!({ "created_by": "alice" })),
        ("created_between", json!({ "created_between": { "from": "then", "until": "now" } })),
    ] {
        let answer = world.post("olga", "/revocations", body).await;
        assert_eq!((answer.refused(422), &answer.json()["field"]), ("invalid".to_owned(), &json!(field)));
    }
    assert_eq!(world.get("alice", &format!("/keys/{id}")).await.json()["state"], "live");
    let others = json!({ "keys": [id], "owner": { "kind": "user", "id": "alice" } });
    assert_eq!(world.post("olga", "/revocations", others).await.json()["revoked"], 0);
    let all =
        json!({ "created_by": "user:alice", "owner": { "kind": "team", "id": "engineering" }, "because": "a test" });
    assert_eq!(world.post("olga", "/revocations", all).await.json()["revoked"], 1);
}
