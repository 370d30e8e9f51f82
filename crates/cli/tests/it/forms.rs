//! The JSON of each command has the form that the core describes, and that the routes over HTTP answer in.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;
use tower_api_keys::{
    manage::{
        Advice, AuditEntry, BlastRadius, EndedRotation, Explanation, Exposure, InventoryEntry, KeyInfo, KeyMatches,
        KeyUsage, LeakReport, OwnerReinstated, OwnerStopped, PauseChanged, Problem, Reconciled, RefusalsWithoutKey,
        Revoked, RevokedMany, Rotation, Traced,
    },
    sentence::Sentence,
};

use crate::support::World;

/// Fails if a document has another form.
#[track_caller]
fn has_form<T: JsonSchema>(document: &Value) {
    let schema = serde_json::to_value(schema_for!(T)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{}: {errors:?} in {document}", T::schema_name());
    // A schema that accepts everything would prove nothing.
    assert!(!validator.is_valid(&serde_json::json!("something else")));
}

/// The lines of a list, at least one.
fn lines(world: &World, arguments: &[&str]) -> Vec<Value> {
    let said = world.run(&[arguments, &["--json"]].concat()).ok();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty(), "{arguments:?}");
    lines
}

#[test]
fn each_answer_has_the_form_of_the_core() {
    let world = World::sqlite();
    let json = |arguments: &[&str]| world.run(&[arguments, &["--json"]].concat()).json();
    let old = world.user_key("alice", "key1");
    world.call(&old.text, "zapier", 2);
    world.call("no key", "curl", 1);
    let id = old.id.as_str();

    lines(&world, &["list"]).iter().for_each(has_form::<KeyInfo>);
    let shown = json(&["show", id]);
    has_form::<KeyInfo>(&shown["key"]);
    has_form::<KeyUsage>(&shown["usage"]);
    has_form::<KeyInfo>(&json(&["edit", id, "--label", "place=vault"]));
    has_form::<PauseChanged>(&json(&["pause", id]));
    has_form::<PauseChanged>(&json(&["resume", id]));
    lines(&world, &["inventory"]).iter().for_each(has_form::<InventoryEntry>);
    has_form::<Explanation>(&json(&["explain", id]));
    has_form::<Advice>(&json(&["advise", id]));
    lines(&world, &["audit"]).iter().for_each(has_form::<AuditEntry>);
    has_form::<RefusalsWithoutKey>(&json(&["refusals"]));
    has_form::<BlastRadius>(&json(&["blast-radius", "alice"]));
    has_form::<Exposure>(&json(&["exposure", "alice"]));
    has_form::<LeakReport>(&json(&["leak", id]));
    has_form::<KeyMatches>(&world.run_with(&["identify", "--json"], &old.text).json());
    let verified = world.run_with(&["verify", "--json"], &old.text).json();
    has_form::<Traced>(&verified["traced"]);
    has_form::<Explanation>(&verified["explanation"]);

    let begun = json(&["rotate", "begin", id, "--output", "new"]);
    has_form::<KeyInfo>(&begun["old"]);
    has_form::<KeyInfo>(&begun["key"]);
    assert_eq!(begun["old"]["successor"], begun["key"]["id"]);
    has_form::<Rotation>(&json(&["rotate", "status", id]));
    has_form::<EndedRotation>(&json(&["rotate", "finish", id, "--anyway", "--yes"]));
    has_form::<Revoked>(&json(&["revoke", id, "--yes"]));
    has_form::<RevokedMany>(&json(&["revoke", "--owner", "user:alice", "--because", "test", "--yes"]));
    has_form::<OwnerStopped>(&json(&["suspend", "user:alice"]));
    has_form::<OwnerReinstated>(&json(&["reinstate", "user:alice"]));
    has_form::<OwnerStopped>(&json(&["close", "user:alice", "--yes"]));
    world.user_key("bob", "laptop");
    world.write("users", "bob\n");
    has_form::<Reconciled>(&json(&["reconcile", "--users", "users"]));
}

/// Also those that the manager knows nothing about, except for their status.
#[test]
fn each_error_is_a_problem_document() {
    let world = World::sqlite();
    let missing = World::empty();
    let of_manager = world.run(&["show", "AAAAAAAAAAAAAAAAAAAA", "--json"]).fails(3);
    let expected: Value = serde_json::from_str(&of_manager).unwrap();
    has_form::<Problem>(&expected);
    let members = |problem: &Value| problem.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for said in [
        world.run(&["lsit", "--json"]).fails(2),
        missing.run(&["list", "--json"]).fails(5),
        world.run(&["revoke", "AAAAAAAAAAAAAAAAAAAA", "--json"]).fails(3),
        world.run(&["create", "--team", "sales", "--name", "x", "--output", "keys.db", "--json"]).fails(4),
    ] {
        assert_eq!(said.lines().count(), 1, "{said}");
        let problem: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(members(&problem), members(&expected), "{said}");
        has_form::<Sentence>(&problem["sentence"]);
        assert_eq!(problem["sentence"]["text"], problem["detail"]);
    }
}
