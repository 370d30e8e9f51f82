//! The words of this project are plain English: no file has one of the idioms that readers had to look up, not in a sentence,
//! not in a name, and not over the end of a line.

use std::{fs, path::Path};

use super::{assert_none, read, root};
use crate::architecture::files_below;

const LIST: &str = "tests/it/project/idioms.txt";

#[test]
fn no_file_has_an_idiom() {
    let list = read(LIST);
    let idioms: Vec<&str> = list.lines().collect();
    let mut found = Vec::new();
    let mut read_files = 0;
    for path in files_below(root()) {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        if name == LIST || name.ends_with("project/idioms.rs") || !is_prose_or_code(&path) {
            continue;
        }
        read_files += 1;
        let text = fs::read_to_string(&path).unwrap();
        found.extend(idioms_in(&text, &idioms).into_iter().map(|idiom| format!("{name}: {idiom}")));
    }
    assert!(read_files > 700, "{read_files}");
    assert_none(&found);
}

#[test]
fn an_idiom_is_found_in_every_dress() {
    let found = |text: &str| idioms_in(text, &["for good", "anew"]);
    for text in [
        "It is closed for good.",
        "//! it is closed for\n//! good",
        "    -- closed for\n    -- good",
        "# closed for\n# good",
        "> closed for\n> good",
        "\"closed for \\\n        good\"",
        "fn closed_for_good() {}",
        "(For good)",
    ] {
        assert_eq!(found(text), ["for good"], "{text}");
    }
    for text in ["for goods", "before good", "for a good reason", "renewed", "for; good"] {
        assert!(found(text).is_empty(), "{text}");
    }
    assert_eq!(found("Anew, for good"), ["for good", "anew"]);
}

/// Not what programs made.
fn is_prose_or_code(path: &Path) -> bool {
    let kinds = ["cfg", "json", "md", "proto", "py", "rs", "sh", "sql", "toml", "txt", "yml"];
    path.extension().is_some_and(|extension| kinds.iter().any(|kind| extension == *kind))
}

/// Those of the list that are in a text, with what begins a line of a comment, a quotation or a string left out.
fn idioms_in<'a>(text: &str, list: &[&'a str]) -> Vec<&'a str> {
    let lines = text.lines().map(|line| {
        let line = line.trim_end_matches('\\').trim();
        line.trim_start_matches(['/', '!', '-', '#', '>', '*']).trim()
    });
    let text = lines.collect::<Vec<_>>().join(" ").to_lowercase().replace('_', " ");
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    // Between spaces alone, so that a phrase is found only as whole words.
    let text: String = words.join(" ").chars().map(|c| if "\"'`()[]{}<>.".contains(c) { ' ' } else { c }).collect();
    let has = |idiom: &str| {
        text.match_indices(idiom).any(|(at, _)| {
            let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            is_end(text[..at].chars().next_back()) && is_end(text[at + idiom.len()..].chars().next())
        })
    };
    list.iter().copied().filter(|idiom| has(idiom)).collect()
}
