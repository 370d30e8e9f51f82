//! Commands of the pages: what they name is there with the features that they give it, and those to be copied are run here.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{OWN, array, assert_none, packages, pages::pages, read, root, text};
use crate::architecture::files_below;

/// Each command of a block of `sh`, with the file that runs it and what shows it there. Blocks of `text` are for measurements
/// of minutes, and for what a release does.
const RUN: [(&str, &str, &str); 10] = [
    ("./scripts/test.sh", ".ci/run", "scripts/test.sh"),
    ("cargo install --locked --path crates/cli", "scripts/test.sh", "cargo install --locked --debug --path crates/cli"),
    ("cargo package --locked --list", "scripts/test.sh", "cargo package"),
    ("cargo run --example quickstart --features sqlite", "tests/it/examples/quickstart.rs", "\"quickstart\""),
    ("cargo run --example rotation_job --features sqlite", "tests/it/examples/rotation_job.rs", "\"rotation_job\""),
    ("cargo run -p settings_page", "scripts/test.sh", "cargo build --locked -p settings_page"),
    ("cargo run --release --example fleet", "tests/it/examples/fleet.rs", "\"fleet\""),
    ("cargo run --release --example throughput", "tests/it/examples/throughput.rs", "\"throughput\""),
    ("cargo test --example handler_tests --features test-util", "Cargo.toml", "name = \"handler_tests\""),
    ("python3 docs/verify.py docs/vectors.json", "tests/it/elsewhere.rs", "verify.py"),
];

#[test]
fn every_command_to_copy_is_run() {
    let mut unknown = Vec::new();
    for page in pages() {
        for command in blocks(&read(&page), "sh") {
            let known = RUN.iter().find(|(begin, ..)| command.starts_with(begin));
            match known {
                Some((_, file, marker)) => assert!(read(file).contains(marker), "{file} does not run {command}"),
                None => unknown.push(format!("{page}: {command}")),
            }
        }
    }
    assert_none(&unknown);
}

#[test]
fn every_command_names_what_is_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let page_text = read(&page);
        let commands = ["sh", "text"].into_iter().flat_map(|kind| blocks(&page_text, kind)).chain(inline(&page_text));
        for command in commands.filter(|command| is_of_cargo(command)) {
            seen += 1;
            wrong.extend(fault(&command).map(|fault| format!("{page}: {command}: {fault}")));
        }
    }
    assert!(seen > 30, "{seen}");
    assert_none(&wrong);
}

fn is_of_cargo(command: &str) -> bool {
    ["run ", "bench ", "test "]
        .iter()
        .any(|verb| command.split_once("cargo ").is_some_and(|(_, rest)| rest.starts_with(verb)))
}

/// What a command names that is not there, or the feature that it lacks.
fn fault(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after =
        |flag: &str| words.iter().position(|word| *word == flag).and_then(|place| words.get(place + 1).copied());
    if let Some(member) = after("-p").or_else(|| after("--package")) {
        let name = format!("name = \"{member}\"\n");
        let is_it = |path: &PathBuf| path.ends_with("Cargo.toml") && fs::read_to_string(path).unwrap().contains(&name);
        let is_there =
            ["examples", "crates"].iter().flat_map(|folder| files_below(&root().join(folder))).any(|path| is_it(&path));
        return (!is_there).then(|| format!("there is no member {member}"));
    }
    let (kind, name) = ["example", "bench"].iter().find_map(|kind| Some((kind, after(&format!("--{kind}"))?)))?;
    let own = packages().iter().find(|package| package["name"] == OWN).unwrap();
    let is_it = |target: &&Value| target["name"] == name && array(&target["kind"]).iter().any(|is| is == kind);
    let Some(target) = array(&own["targets"]).iter().find(is_it) else {
        return Some(format!("there is no {kind} {name}"));
    };
    if words.contains(&"--all-features") {
        return None;
    }
    let given = after("--features").unwrap_or_default().split(',').map(str::to_owned);
    let by_default = array(&own["features"]["default"]).iter().map(|feature| text(feature).to_owned());
    let given: BTreeSet<String> = given.chain(by_default).collect();
    let lacks = array(&target["required-features"]).iter().map(text).find(|feature| !given.contains(*feature));
    lacks.map(|feature| format!("it needs the feature {feature}"))
}

/// The lines of the blocks of this kind.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in page.lines().map(str::trim) {
        match line.strip_prefix("```") {
            Some(opened) => inside = !inside && opened == kind,
            None if inside && !line.is_empty() => lines.push(line.to_owned()),
            None => {}
        }
    }
    lines
}

/// What is in backticks.
fn inline(page: &str) -> Vec<String> {
    page.split('`').skip(1).step_by(2).map(|code| code.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The rules have to be able to fail: each is shown something bad.
mod bad_samples {
    use super::{blocks, fault, inline};

    #[test]
    fn what_is_not_there_is_found() {
        for (command, said) in [
            ("cargo run --example nothing", "there is no example nothing"),
            ("cargo bench --bench quickstart", "there is no bench quickstart"),
            ("cargo run -p nothing", "there is no member nothing"),
            ("cargo run --example quickstart", "it needs the feature sqlite"),
        ] {
            assert_eq!(fault(command).as_deref(), Some(said), "{command}");
        }
        for command in ["cargo run --example quickstart --features sqlite", "cargo run --example fleet --all-features"]
        {
            assert_eq!(fault(command), None, "{command}");
        }
    }

    #[test]
    fn commands_are_found_in_blocks_and_in_lines() {
        let page = "a `cargo run\nx`\n```sh\ncargo test\n\n./go\n```\n```text\ncargo no\n```\n";
        assert_eq!(blocks(page, "sh"), ["cargo test", "./go"]);
        assert!(inline(page).contains(&"cargo run x".to_owned()));
    }
}
