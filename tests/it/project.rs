//! The rules for everything around src/: the dependencies of the project, and the contents of its front pages.
//!
//! `deny.toml` holds the lists. cargo-deny reads the same file if it is installed. These tests need only cargo.

mod advisories;
mod commands;
mod idioms;
mod licences;
mod pages;
mod weight;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    sync::OnceLock,
};

use base64ct::{Base64, Encoding};
use serde_json::Value;
use tower_api_keys::store::{Alphabet, COLUMNS, Column};

const OWN: &str = "tower-api-keys";

/// The packages of this repository that are published.
const PUBLISHED: [&str; 4] = [OWN, "tower-api-keys-cli", "tower-api-keys-conformance", "tower-api-keys-http"];

#[test]
fn every_dependency_has_an_accepted_licence() {
    assert_none(&refused_licences(packages(), &deny_toml()));
}

#[test]
fn no_crate_is_there_twice() {
    assert_none(&duplicates(packages(), &deny_toml()));
}

#[test]
fn no_refused_crate_is_there() {
    assert_none(&refused_crates(packages(), &deny_toml()));
}

#[test]
fn every_dependency_comes_from_the_one_registry() {
    assert_none(&foreign_sources(packages()));
}

#[test]
fn no_dependency_needs_a_newer_rust_than_this_crate() {
    assert_none(&too_new(packages()));
}

#[test]
fn the_readme_names_both_commands() {
    let readme = read("README.md");
    for command in ["cargo run --example quickstart --features sqlite", "./scripts/test.sh"] {
        assert!(readme.contains(command), "README.md lacks: {command}");
    }
}

/// Jobs run in parallel. Each step is in exactly one of them, except for the steps that all jobs need.
#[test]
fn the_workflow_runs_each_step_of_the_script() {
    let (script, workflow) = (read("scripts/test.sh"), read(".github/workflows/ci.yml"));
    let everything = script.split_once("\neverything() {\n").unwrap().1.split_once("\n}").unwrap().0;
    let steps: Vec<&str> = everything.lines().map(|line| line.trim().strip_prefix("run ").unwrap()).collect();
    assert!(steps.len() > 10, "{steps:?}");
    let words: Vec<&str> = workflow.split_whitespace().collect();
    for step in steps {
        let times = words.iter().filter(|word| **word == step).count();
        assert_eq!(times, if ["tools", "fetch"].contains(&step) { 3 } else { 1 }, "{step}");
        assert!(script.contains(&format!("\n{step}() {{")), "{step} is no step of the script");
    }
}

#[test]
fn every_feature_is_in_the_table_of_the_readme_and_the_front_page() {
    let own = packages().iter().find(|package| package["name"] == OWN).unwrap();
    let features: BTreeSet<String> =
        own["features"].as_object().unwrap().keys().filter(|name| *name != "default").cloned().collect();
    for page in ["README.md", "src/lib.rs"] {
        assert_eq!(features_in_table(&read(page)), features, "the feature table of {page} and Cargo.toml differ");
    }
}

/// The documentation embeds the plot as a link definition, because no path leads from there to the file.
#[test]
fn the_plot_of_the_manual_is_the_one_in_docs() {
    let definition = read("docs/scale.svg.md");
    let encoded = definition.trim_end().strip_prefix("[scale.svg]: data:image/svg+xml,").unwrap();
    let mut pieces = encoded.split('%');
    let mut svg = pieces.next().unwrap().to_owned();
    for piece in pieces {
        svg.push(char::from(u8::from_str_radix(&piece[..2], 16).unwrap()));
        svg.push_str(&piece[2..]);
    }
    assert_eq!(svg, read("docs/scale.svg").trim_end());
}

#[test]
fn the_pictures_of_the_manual_are_those_in_docs() {
    let manual = read("src/manual.rs");
    let shown = manual.split("../docs/pictures/").skip(1).map(|rest| rest.split(".md\"").next().unwrap());
    let mut seen = 0;
    for picture in shown {
        let file = fs::read(root().join("docs/pictures").join(picture)).unwrap();
        let encoded = Base64::encode_string(&file);
        assert_eq!(
            read(&format!("docs/pictures/{picture}.md")),
            format!("[{picture}]: data:image/png;base64,{encoded}\n")
        );
        seen += 1;
    }
    assert!(seen > 0, "the manual has pictures");
}

/// Authors of stores copy the column widths from that page.
#[test]
fn the_page_for_authors_of_stores_has_the_length_of_every_column() {
    let page = read("docs/stores.md");
    let mut rows = page.lines().filter(|line| line.starts_with("| `api_key"));
    for Column { table, name, longest } in COLUMNS {
        let made_of = match longest.alphabet() {
            Alphabet::Ascii => "ASCII",
            Alphabet::Bytes => "bytes",
            _ => "any",
        };
        let [characters, bytes] = [longest.characters(), longest.bytes()].map(with_commas);
        let expected = format!("| `{table}` | `{name}` | {characters} | {bytes} | {made_of} | ");
        let row = rows.next().unwrap_or_default();
        assert!(row.starts_with(&expected), "expected {expected}, saw {row}");
    }
    assert_eq!(rows.next(), None);
}

fn with_commas(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

/// Every package that the published packages depend on, for all platforms and features, including the packages
/// themselves and what tests need. Examples that are packages of their own are free to use others.
fn packages() -> &'static [Value] {
    static PACKAGES: OnceLock<Vec<Value>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let metadata: Value =
            serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--all-features"])).unwrap();
        // The metadata cover the whole workspace, with all features that any member uses.
        let mut tree = vec!["tree", "--all-features", "--target", "all", "--prefix", "none", "--format", "{p}"];
        PUBLISHED.iter().for_each(|name| tree.extend(["--package", name]));
        let tree = cargo(&tree);
        let reached: BTreeSet<String> = tree.lines().filter_map(label_of_line).collect();
        array(&metadata["packages"]).iter().filter(|package| reached.contains(&label(package))).cloned().collect()
    })
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(cargo).args(arguments).args(["--locked", "--manifest-path", manifest]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Turns `name v1.2.3 (from somewhere)` into a label as [`label`] does.
fn label_of_line(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    Some(format!("{}@{}", words.next()?, words.next()?.strip_prefix('v')?))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn dependencies(packages: &[Value]) -> impl Iterator<Item = &Value> {
    packages.iter().filter(|package| !PUBLISHED.contains(&text(&package["name"])))
}

/// `name@version`, as deny.toml writes it.
fn label(package: &Value) -> String {
    format!("{}@{}", text(&package["name"]), text(&package["version"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn deny_toml() -> toml::Table {
    read("deny.toml").parse().unwrap()
}

fn list<'a>(deny: &'a toml::Table, section: &str, key: &str) -> &'a [toml::Value] {
    deny[section][key].as_array().unwrap_or_else(|| panic!("deny.toml: {section}.{key} is no list"))
}

/// The `crate = "name"` or `crate = "name@version"` of each entry of a list in `[bans]`.
fn crates<'a>(deny: &'a toml::Table, key: &str) -> BTreeSet<&'a str> {
    let entries = list(deny, "bans", key).iter();
    entries
        .map(|entry| entry["crate"].as_str().unwrap_or_else(|| panic!("deny.toml: {entry:?} lacks `crate`")))
        .collect()
}

fn refused_licences(packages: &[Value], deny: &toml::Table) -> Vec<String> {
    let allowed: BTreeSet<&str> = list(deny, "licenses", "allow").iter().filter_map(toml::Value::as_str).collect();
    let mut refused = Vec::new();
    for package in dependencies(packages) {
        let licence = text(&package["license"]);
        if !licences::accepts(&allowed, licence) {
            refused.push(format!("{}: the licence `{licence}` is not in deny.toml", label(package)));
        }
    }
    refused
}

fn duplicates(packages: &[Value], deny: &toml::Table) -> Vec<String> {
    let skipped = crates(deny, "skip");
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages.iter().filter(|package| !skipped.contains(label(package).as_str())) {
        versions.entry(text(&package["name"])).or_default().push(label(package));
    }
    let mut found: Vec<String> = versions
        .into_values()
        .filter(|labels| labels.len() > 1)
        .map(|labels| format!("several versions, none of them in deny.toml's skip list: {}", labels.join(", ")))
        .collect();
    let locked: BTreeSet<String> = packages.iter().map(label).collect();
    let idle = skipped.into_iter().filter(|label| !locked.contains(*label));
    found.extend(idle.map(|label| format!("deny.toml skips {label}, which is no longer there")));
    found
}

fn refused_crates(packages: &[Value], deny: &toml::Table) -> Vec<String> {
    let refused = crates(deny, "deny");
    packages.iter().filter(|package| refused.contains(text(&package["name"]))).map(label).collect()
}

/// The default registry is the only source: no git repository, no other registry, and no path outside of this
/// repository.
fn foreign_sources(packages: &[Value]) -> Vec<String> {
    let registry = ["registry+https://github.com/rust-lang/crates", ".io-index"].concat();
    dependencies(packages)
        .filter(|package| text(&package["source"]) != registry)
        .map(|package| format!("{} comes from `{}`", label(package), text(&package["source"])))
        .collect()
}

/// Dependencies that declare a newer Rust version than we promise. A dependency without a declaration passes.
fn too_new(packages: &[Value]) -> Vec<String> {
    let ours = packages.iter().find(|package| package["name"] == OWN).map(rust_version).unwrap();
    assert_ne!(ours, [0, 0, 0], "Cargo.toml lacks rust-version");
    dependencies(packages)
        .filter(|package| rust_version(package) > ours)
        .map(|package| format!("{} needs Rust {}", label(package), text(&package["rust_version"])))
        .collect()
}

fn rust_version(package: &Value) -> [u32; 3] {
    let mut version = [0; 3];
    for (number, part) in version.iter_mut().zip(text(&package["rust_version"]).split('.')) {
        *number = part.parse().unwrap_or(0);
    }
    version
}

/// The features in the first column of the table with the heading `feature`.
fn features_in_table(page: &str) -> BTreeSet<String> {
    let rows = page.lines().map(|line| line.trim_start_matches("//!").trim());
    let cells =
        |row: &str| row.strip_prefix('|').and_then(|row| row.split('|').next()).map(|cell| cell.trim().to_owned());
    rows.skip_while(|row| cells(row).as_deref() != Some("feature"))
        .skip(2)
        .map_while(cells)
        .filter_map(|cell| cell.split('`').nth(1).map(String::from))
        .collect()
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Proves that each rule can fail, with a bad example.
mod bad_samples {
    use serde_json::{Value, json};

    use super::{duplicates, features_in_table, foreign_sources, refused_crates, refused_licences, too_new};

    fn deny() -> toml::Table {
        r#"
            licenses = { allow = ["MIT"] }
            [bans]
            deny = [{ crate = "openssl-sys", reason = "" }]
            skip = [{ crate = "syn@2.0.0", reason = "" }, { crate = "gone@1.0.0", reason = "" }]
        "#
        .parse()
        .unwrap()
    }

    fn package(name: &str, version: &str) -> Value {
        json!({ "name": name, "version": version })
    }

    #[test]
    fn a_licence_that_is_not_listed_or_missing_is_found() {
        let packages = [
            json!({ "name": "fine", "version": "1.0.0", "license": "MIT OR GPL-3.0-only" }),
            json!({ "name": "strict", "version": "1.0.0", "license": "GPL-3.0-only" }),
            json!({ "name": "silent", "version": "1.0.0", "license": null }),
        ];
        let refused = refused_licences(&packages, &deny());
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].starts_with("strict@1.0.0") && refused[1].starts_with("silent@1.0.0"), "{refused:?}");
    }

    #[test]
    fn a_second_version_is_found_and_so_is_an_idle_exception() {
        let packages =
            [package("syn", "1.0.0"), package("syn", "2.0.0"), package("rand", "0.8.0"), package("rand", "0.9.0")];
        let found = duplicates(&packages, &deny());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("rand@0.8.0, rand@0.9.0") && found[1].contains("gone@1.0.0"), "{found:?}");
    }

    #[test]
    fn a_refused_crate_is_found() {
        assert_eq!(refused_crates(&[package("openssl-sys", "0.9.0")], &deny()), ["openssl-sys@0.9.0"]);
    }

    #[test]
    fn a_git_source_is_found() {
        let package = json!({ "name": "fork", "version": "1.0.0", "source": "git+https://example.com/fork" });
        assert_eq!(foreign_sources(&[package]), ["fork@1.0.0 comes from `git+https://example.com/fork`"]);
    }

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_found() {
        let packages = [
            json!({ "name": "tower-api-keys", "version": "0.1.0", "rust_version": "1.88" }),
            json!({ "name": "old", "version": "1.0.0", "rust_version": "1.88.0" }),
            json!({ "name": "new", "version": "1.0.0", "rust_version": "1.88.1" }),
        ];
        assert_eq!(too_new(&packages), ["new@1.0.0 needs Rust 1.88.1"]);
    }

    #[test]
    fn only_the_feature_table_is_read() {
        let page = "//! | store | cost |\n//! |---|---|\n//! | `memory` | none |\n//!\n\
                    //! | feature | adds |\n//! |---|---|\n//! | `axum` (default) | `Extractor` |\n//! text | `no` |";
        assert_eq!(features_in_table(page).into_iter().collect::<Vec<_>>(), ["axum"]);
    }
}
