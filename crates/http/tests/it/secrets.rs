//! The text of a key is in the answer that creates it, and in no other.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Answer, World};

/// What is logged, as bytes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// All windows of eight characters of a secret.
fn windows(text: &str) -> Vec<String> {
    let secret: Vec<char> = text.rsplit('.').next().unwrap().chars().collect();
    secret.windows(8).map(|window| window.iter().collect()).collect()
}

#[tokio::test]
async fn no_other_answer_has_a_part_of_a_key() {
    no_other_answer_has_a_part_of_a_key_in(World::new().await).await;
}

pub async fn no_other_answer_has_a_part_of_a_key_in(world: World) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    // Of this thread, which answers all requests of this test.
    let logging = tracing_subscriber::util::SubscriberInitExt::set_default(
        subscriber.with_ansi(false).with_writer(log.clone()).finish(),
    );
    tracing::trace!("the log is read");
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
    // A repeat of the request that made a key.
    let (named, once) = (json!({ "owner": { "kind": "team", "id": "engineering" } }), [("idempotency-key", "once")]);
    let made = world.ask("alice", "POST", "/keys", Some(named.clone()), &once).await.json();
    let third = windows(made["plaintext"].as_str().unwrap());
    let repeat = world.ask("alice", "POST", "/keys", Some(named), &once).await;
    assert_eq!(repeat.refused(409), "idempotency_key_used");
    assert!(third.iter().all(|part| !repeat.text.contains(part)), "{}", repeat.text);
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
    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is read"), "the log is not read");
    let found = secret.iter().chain(&third).find(|part| log.contains(*part));
    assert!(found.is_none(), "the log has a part of a key");
}
