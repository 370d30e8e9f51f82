//! Whatever a request says, its answer is a documented one, and never a defect.

use std::sync::LazyLock;

use form_urlencoded::byte_serialize;
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::support::{DOCUMENT, World};

/// One world for all requests, with a key.
static WORLD: LazyLock<(Runtime, World, String)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let (world, key) = runtime.block_on(async {
        let world = World::new().await;
        let (key, _) = world.team_key("in the noise").await;
        (world, key)
    });
    (runtime, world, key)
});

/// Texts that mean something somewhere.
const KNOWN: &[&str] = &[
    "",
    "*",
    "%",
    "user",
    "team",
    "user:alice",
    "team:engineering",
    "system:x",
    "alice",
    "engineering",
    "acme",
    "true",
    "newest",
    "live",
    "csv",
    "jsonl",
    "key.issued",
    "0",
    "1",
    "-1",
    "1000",
    "65536",
    "2026-12-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "1969-01-01T00:00:00Z",
    "AAAAAAAAAAAAAAAAAAAA",
    "5.AAAAAAAAAAAAAAAAAAAA",
    "agents:read",
    "keys:manage",
    "203.0.113.0/24",
    "../..",
    "\u{202e}",
    "\0",
    "unused",
    "ticket:",
    ":",
    "\"1\"",
];

/// These texts, and any others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![2 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => ".{0,40}", 1 => "[ -~]{100,300}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let owner = text().prop_map(|id| json!({ "kind": "team", "id": id }));
    let nested = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    });
    prop_oneof![3 => nested, 1 => owner, 1 => Just(json!({ "kind": "team", "id": "engineering" }))]
}

/// All operations of the document: method, path, and what it says of them.
fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let of_path = |(path, methods): (&'static String, &'static Value)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation)).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

/// The names of the members of the body that an operation takes.
fn members(operation: &Value) -> Vec<&str> {
    let schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
    let name = schema.and_then(|schema| schema.rsplit('/').next());
    let schema = name.map(|name| &DOCUMENT["components"]["schemas"][name]["properties"]);
    schema.and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_request_is_answered_with_a_defect(
        which in any::<Index>(),
        who in proptest::sample::select(&["alice", "mo", "olga", "audrey", "eve"][..]),
        ids in proptest::collection::vec(text(), 3),
        with_key in any::<bool>(),
        query in proptest::collection::vec((any::<Index>(), text()), 0..3),
        body in proptest::collection::vec((any::<Index>(), value()), 0..4),
        headers in proptest::collection::vec((any::<bool>(), "[ -~]{0,20}"), 0..2),
    ) {
        let (runtime, world, key) = &*WORLD;
        let operations = operations();
        let (method, template, operation) = *which.get(&operations);
        let mut ids = ids.iter().map(|id| byte_serialize(id.as_bytes()).collect::<String>());
        let filled = template.split('/').map(|part| match part {
            "{key}" if with_key => key.clone(),
            // An empty part would be another path.
            part if part.starts_with('{') => ids.next().filter(|id| !id.is_empty()).unwrap_or_else(|| "team".to_owned()),
            part => part.to_owned(),
        });
        let mut path = filled.collect::<Vec<_>>().join("/");
        let params: Vec<&str> = operation["parameters"].as_array().unwrap().iter()
            .filter(|param| param["in"] == "query").map(|param| param["name"].as_str().unwrap()).collect();
        for (n, (which, value)) in query.iter().enumerate().filter(|_| !params.is_empty()) {
            let value: String = byte_serialize(value.as_bytes()).collect();
            path += &format!("{}{}={value}", if n == 0 { "?" } else { "&" }, which.get(&params));
        }
        let members = members(operation);
        let body = body.iter().filter(|_| !members.is_empty());
        let body: Map<String, Value> = body.map(|(which, value)| ((*which.get(&members)).to_owned(), value.clone())).collect();
        let body = operation["requestBody"].is_object().then(|| body.into());
        let headers: Vec<_> = headers.iter()
            .map(|(is_match, value)| (if *is_match { "if-match" } else { "idempotency-key" }, value.as_str())).collect();
        // The world checks that the answer is documented.
        let answer = runtime.block_on(world.ask(who, &method.to_uppercase(), &path, body, &headers));
        prop_assert!(answer.status < 500, "{} {}: {}", method, path, answer.text);
    }
}
