use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{answers::as_it_was, world::examples};
use crate::{
    manage::sentences,
    sentence::{Argument, Sentence},
};

/// The ids of sentences and their arguments. Translations rely on both.
#[test]
fn every_sentence_is_as_it_was() {
    let lines = sentences().into_iter().map(|sentence| {
        let arguments: Vec<_> = sentence.arguments().map(|(name, is)| format!("{name}: {}", type_of(is))).collect();
        format!("{} ({})\n    {}\n", sentence.id(), arguments.join(", "), sentence.template())
    });
    let now: String = lines.collect();
    assert_eq!(as_it_was("sentences.txt", &now), now, "if that is meant, run the tests with UPDATE_ANSWERS=1");
}

fn type_of(argument: &Argument) -> String {
    serde_json::to_value(argument).unwrap()["type"].as_str().unwrap().to_owned()
}

#[test]
fn an_id_is_one_sentence() {
    let mut known: BTreeMap<String, Sentence> = BTreeMap::new();
    for sentence in sentences() {
        let id = sentence.id();
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte))
        };
        assert!(id.contains('.') && id.split('.').all(is_word), "{id}");
        assert!(known.insert(id.to_owned(), sentence.clone()).is_none(), "{id} is there twice");
    }
}

#[test]
fn a_template_and_its_arguments_fit() {
    for sentence in sentences() {
        let mut named = BTreeSet::new();
        for place in sentence.template().split('{').skip(1) {
            let place = place.split_once('}').unwrap().0;
            let (name, words) = place.split_once(':').map_or((place, None), |(name, words)| (name, Some(words)));
            let argument = sentence.argument(name).unwrap_or_else(|| panic!("{}: {name}", sentence.id()));
            if let Some(words) = words {
                assert_eq!(words.split('|').count(), 2, "{}", sentence.id());
                let chooses =
                    matches!(argument, Argument::List(_) | Argument::Number(_) | Argument::Team(_) | Argument::User(_));
                assert!(chooses, "{}: {name}", sentence.id());
            }
            named.insert(name.to_owned());
        }
        for (name, _) in sentence.arguments() {
            assert!(named.contains(name), "{}: {name} is not said", sentence.id());
        }
        assert!(!sentence.to_string().contains(['{', '}']), "{sentence}");
    }
}

/// The source code lists all sentences.
#[test]
fn every_sentence_that_is_declared_is_listed() {
    let listed: BTreeSet<String> = sentences().iter().map(|sentence| sentence.id().to_owned()).collect();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = 0;
    for text in sources(&root) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for rest in text.split("= \"").skip(1) {
            let Some((id, _)) = rest.split_once("\": \"") else { continue };
            if id.contains('.') && id.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte)) {
                assert!(listed.contains(id), "{id} is not listed by `manage::sentences`");
                found += 1;
            }
        }
        for rest in text.split("enum ").skip(1) {
            let Some((_, rest)) =
                rest.split_once(" as \"").filter(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric()))
            else {
                continue;
            };
            let of = rest.split_once('"').unwrap().0;
            assert!(listed.iter().any(|id| id.starts_with(&format!("{of}."))), "{of} is not listed");
        }
    }
    assert!(found > 100, "{found}");
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "tests" && name != "sentence" {
            texts.extend(sources(&path));
        } else if name.ends_with(".rs") {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

/// Names in the examples, which are not words of this crate.
const NAMES: &[&str] = &[
    "Alice Jones",
    "Blue",
    "Bob Brown",
    "Engineering",
    "GitHub Actions - production",
    "GitHub-Actions",
    "Laptop of Alice",
    "OPS-1234",
    "Olga Mann",
    "203.0.113.0/24",
    "Personal keys are not offered here.",
    "laptop stolen",
    "team.OldOldOldOldOldOldOl.[REDACTED]",
];

/// If every sentence is replaced by its id, no English is left. So every text is a sentence, and no argument is English
/// text.
#[tokio::test]
async fn another_language_can_say_every_answer() {
    for (name, answers) in examples().await.of {
        for mut answer in answers {
            let mut said = 0;
            translate(&mut answer, &mut said);
            if let Value::Object(members) = &mut answer {
                // These are English only: the HTTP text for the status, and the sentences in one line.
                if name == "Problem" {
                    members.remove("title");
                    members.remove("detail");
                }
                if let Some(Value::Object(problem)) = members.get_mut("problem") {
                    problem.remove("title");
                    problem.remove("detail");
                }
            }
            assert_no_english(name, &answer);
        }
    }
}

/// Replaces every sentence by its id and arguments.
fn translate(value: &mut Value, said: &mut usize) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(|value| translate(value, said));
            let is_sentence =
                members.contains_key("id") && members.contains_key("arguments") && members.contains_key("text");
            if is_sentence {
                *said += 1;
                members.remove("text");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| translate(value, said)),
        _ => {}
    }
}

fn assert_no_english(name: &str, value: &Value) {
    match value {
        Value::Object(members) => members.values().for_each(|value| assert_no_english(name, value)),
        Value::Array(values) => values.iter().for_each(|value| assert_no_english(name, value)),
        Value::String(text) => {
            let is_word =
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.:*-".contains(&byte));
            let is_time = text.ends_with('Z') && text.parse::<crate::Timestamp>().is_ok();
            let is_id = text.rsplit(['.', ':']).next().is_some_and(|id| crate::KeyId::new(id).is_ok());
            let is_redacted = text.ends_with(".[REDACTED]") && !text.contains(' ');
            let is_chosen = NAMES.contains(&text.as_str());
            assert!(
                is_word || is_time || is_id || is_redacted || is_chosen,
                "{name}: {text:?} is in no other language"
            );
        }
        _ => {}
    }
}
