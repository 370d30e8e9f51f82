use std::{collections::BTreeSet, env, fs, path::PathBuf};

use serde_json::Value;

#[cfg(feature = "schemars")]
use super::world::Examples;
use super::{kinds::every_kind, world::examples};
use crate::manage::{DenialReason, ManageErrorKind, Problem};

/// Public names of `manage` that are no answers: requests, traits, acting types, and errors, which are answered as a
/// problem.
const NO_ANSWERS: &[&str] = &[
    "Actor",
    "AuditQuery",
    "ChangeOrganization",
    "ChangeOwner",
    "DefaultPolicy",
    "DenialReason",
    "Directory",
    "EditKey",
    "EndRotation",
    "Erase",
    "ExportError",
    "ExportFormat",
    "FlagSettings",
    "InventoryColumn",
    "InventoryQuery",
    "IssueKey",
    "IssueKnownKey",
    "IssuedKey",
    "KeyManager",
    "ListKeys",
    "ManageError",
    "ManageErrorKind",
    "OnDowngrade",
    "PauseKey",
    "PausedBy",
    "PlanChange",
    "PersonalKeysByAdmins",
    "Policy",
    "Reconcile",
    "ResumeKey",
    "RevokeKey",
    "RevokeMany",
    "Rights",
    "RotateKey",
    "Target",
    "TrailColumn",
    "lint_name",
    "sentences",
];

/// Answers of other modules that are parts of answers of this one.
const OF_OTHERS: &[&str] =
    &["Day", "Event", "KeyCursor", "Outcome", "OutcomeSummary", "Sentence", "UsageCount", "UsageDetail", "UsageTotals"];

/// The folder of the recorded answers.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/manage/tests/answers")
}

/// The recorded text. With the variable `UPDATE_ANSWERS`, it becomes `now`.
pub(super) fn as_it_was(file: &str, now: &str) -> String {
    let path = folder().join(file);
    if env::var_os("UPDATE_ANSWERS").is_some() {
        fs::write(&path, now).unwrap();
    }
    fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n")
}

#[tokio::test]
async fn every_answer_is_as_it_was() {
    for (name, answers) in examples().await.of {
        let was = as_it_was(&format!("{name}.json"), &(serde_json::to_string_pretty(&answers).unwrap() + "\n"));
        // Without a file, the test fails. The order of members does not matter.
        let was: Vec<Value> = serde_json::from_str(&was).unwrap_or_default();
        assert!(
            was == answers,
            "{name} is not as it was; if that is meant, run the tests with UPDATE_ANSWERS=1.\n{:#}",
            Value::from(answers)
        );
    }
}

/// Complete answers that contain usage counts.
const TELL_COUNTS: &[&str] = &[
    "Advice",
    "BlastRadius",
    "Explanation",
    "Exposure",
    "InventoryExport",
    "InventoryPage",
    "InventorySummary",
    "KeyInfo",
    "KeyPage",
    "KeyUsage",
    "LeakReport",
    "RefusalsWithoutKey",
    "Rotation",
];

/// Parts of these.
const PARTS: &[&str] = &[
    "Attempts",
    "Cadence",
    "ExposedKey",
    "InventoryEntry",
    "LastUse",
    "LineageUsage",
    "OutcomeSummary",
    "OwnerSummary",
    "SourceUse",
    "StoppingKey",
    "UsageCount",
    "UsageDay",
    "UsageDetail",
    "UsageTotals",
];

/// All objects in an answer, including itself.
fn objects(answer: &Value) -> Vec<&serde_json::Map<String, Value>> {
    match answer {
        Value::Object(members) => [members].into_iter().chain(members.values().flat_map(objects)).collect(),
        Value::Array(items) => items.iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn an_answer_that_tells_counts_says_once_how_far_they_go() {
    let told = ["successes", "failures", "accepted", "refused", "last_at", "last_success_at", "last_failure_at"];
    let mut silent = BTreeSet::from_iter(TELL_COUNTS.iter().chain(PARTS).copied());
    for (name, answers) in examples().await.of {
        for answer in &answers {
            let tells = objects(answer).iter().any(|object| told.iter().any(|member| object.contains_key(*member)));
            let says =
                objects(answer).iter().filter(|object| object.get("counted").is_some_and(Value::is_object)).count();
            let says_itself = answer.get("counted").is_some_and(Value::is_object);
            match (TELL_COUNTS.contains(&name), PARTS.contains(&name)) {
                // An actor that may not see the usage of a key gets neither counts nor their time.
                (true, _) if name == "KeyInfo" && !tells => assert_eq!(says, 0, "{name}: {answer:#}"),
                (true, _) => assert!(says_itself && says == 1, "{name}: {answer:#}"),
                (_, true) => assert_eq!(says, 0, "{name}: {answer:#}"),
                _ => assert!(!tells && says == 0, "{name} tells counts, and not how far they go: {answer:#}"),
            }
            if tells || says_itself {
                silent.remove(name);
            }
        }
    }
    assert_eq!(silent, BTreeSet::new(), "these tell no counts");
}

#[tokio::test]
async fn no_file_is_left_of_an_answer_that_is_gone() {
    let known = examples().await.of;
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".json") else { continue };
        assert!(known.contains_key(name), "{name}");
    }
}

/// The public names of a module.
fn public_names(text: &str) -> BTreeSet<String> {
    let uses = text.split("\npub use ").skip(1).map(|rest| rest.split(';').next().unwrap());
    let names = uses.flat_map(|text| {
        let list = text.split_once('{').map_or(text, |(_, list)| list).trim_end_matches(['}', '\n', ' ']);
        list.split(',').map(|name| name.rsplit("::").next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[tokio::test]
async fn no_answer_is_forgotten() {
    let text = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/manage/mod.rs")).unwrap();
    let (names, known) = (public_names(&text), examples().await.of);
    assert!(names.contains("KeyInfo") && names.contains("Effect"), "{names:?}");
    for name in &names {
        let is_answer = known.contains_key(name.as_str());
        assert!(is_answer != NO_ANSWERS.contains(&name.as_str()), "{name} has no example in `world`, or two fates");
    }
    for name in known.keys() {
        assert!(names.contains(*name) || OF_OTHERS.contains(name), "{name} is no answer");
    }
    for name in NO_ANSWERS {
        assert!(names.contains(*name), "{name} is gone");
    }
}

/// An object has the same members in all examples: unknown is `null`.
#[cfg(feature = "schemars")]
#[tokio::test]
async fn every_answer_is_as_its_schema_says() {
    let Examples { of, schemas } = examples().await;
    for (name, answers) in of {
        let mut schema = schemas[name].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        close(&mut schema);
        let strict = jsonschema::validator_for(&schema).unwrap();
        for answer in &answers {
            for validator in [&validator, &strict] {
                let errors: Vec<_> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{name}: {errors:?}\n{answer:#}\n{schema:#}");
            }
            assert!(!strict.is_valid(&Value::Array(vec![Value::Null])), "{name} says nothing");
            let Value::Object(members) = answer else { continue };
            for member in members.keys() {
                let mut less = members.clone();
                less.remove(member);
                assert!(!validator.is_valid(&Value::Object(less)), "{name}: {member} may be absent");
            }
        }
    }
}

/// Forbids members that the schema does not describe.
#[cfg(feature = "schemars")]
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(close);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn every_kind_of_error_has_a_code_of_its_own() {
    let mut codes: Vec<_> = every_kind().into_iter().map(|kind| (kind.status(), kind.code(), kind.reason())).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
    for kind in every_kind() {
        assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
        assert!(kind.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{kind:?}");
        assert!(!kind.sentence().to_string().is_empty() && !kind.sentence().to_string().contains('{'), "{kind:?}");
    }
}

#[test]
fn asking_again_is_not_suggested_where_it_may_do_harm() {
    let seconds = |kind: ManageErrorKind| Problem::from(kind).retry_after_seconds();
    assert_eq!(seconds(ManageErrorKind::StoreUnavailable), Some(1));
    for kind in [ManageErrorKind::OutcomeUnknown, ManageErrorKind::CorruptRecord, ManageErrorKind::NotFound] {
        assert_eq!(seconds(kind), None, "{kind:?}");
    }
}

/// The document of the routes lists the codes of a status once, for all of them.
#[test]
fn every_denial_and_every_outage_is_in_the_document_of_the_routes() {
    let document = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crates/http/openapi.json");
    let document: Value = serde_json::from_str(&fs::read_to_string(document).unwrap()).unwrap();
    let listed = |name: &str| -> BTreeSet<String> {
        let schema = &document["components"]["responses"][name]["content"]["application/problem+json"]["schema"];
        let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap();
        codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
    };
    let denials = DenialReason::examples().into_iter().map(|reason| ManageErrorKind::Denied(reason.into()));
    let kinds: Vec<_> = every_kind().into_iter().chain(denials).collect();
    for (status, name) in [(403, "Denied"), (503, "Unavailable")] {
        let expected: BTreeSet<_> =
            kinds.iter().filter(|kind| kind.status() == status).map(|kind| kind.code().to_owned()).collect();
        assert_eq!(listed(name), expected, "{name}");
    }
}
