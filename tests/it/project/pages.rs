//! The pages are correct: links have a target, the table of errors has every code, and tests that are named exist.

use std::{collections::BTreeSet, fs, path::Path};

use tower_api_keys::RefusalCode;

use super::{assert_none, read, root};
use crate::architecture::files_below;

/// Pages that people read in the repository.
pub(super) fn pages() -> Vec<String> {
    let mut pages: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md"].map(String::from).into();
    for path in ["docs", "crates/http/docs"].iter().flat_map(|folder| files_below(&root().join(folder))) {
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"));
        }
    }
    assert!(pages.len() > 20, "the pages were not found");
    pages
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let broken = pages().iter().flat_map(|page| broken_links(page, &read(page))).collect::<Vec<_>>();
    assert_none(&broken);
}

#[test]
fn the_table_of_errors_has_every_code_with_its_status() {
    let page = read("docs/http.md");
    let mut said: Vec<(String, String)> = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let [_, status, code, ..] = cells.as_slice()
            && status.parse::<u16>().is_ok()
        {
            said.push(((*code).trim_matches('`').to_owned(), (*status).to_owned()));
        }
    }
    said.sort();
    let codes = RefusalCode::ALL.into_iter();
    let expected: Vec<_> = codes.map(|code| (code.to_string(), code.status().as_u16().to_string())).collect();
    assert_eq!(said, expected);
}

#[test]
fn the_tests_that_pages_name_are_there() {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests", "crates", "examples"] {
        for path in files_below(&root().join(folder)) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
                tests.extend(names.map(str::to_owned));
            }
        }
    }
    let mut missing = Vec::new();
    for page in ["docs/security.md", "docs/compared.md"] {
        let named: Vec<String> = named_tests(&read(page)).map(String::from).collect();
        assert!(named.len() > 3, "{page} names no tests");
        missing.extend(named.iter().filter(|name| !tests.contains(*name)).map(|name| format!("{page}: {name}")));
    }
    assert_none(&missing);
}

#[test]
fn what_is_published_has_one_version() {
    let version = |file: &str| read(file).parse::<toml::Table>().unwrap()["package"]["version"].clone();
    let library = version("Cargo.toml");
    for file in ["crates/cli/Cargo.toml", "crates/conformance/Cargo.toml", "crates/http/Cargo.toml"] {
        let package: toml::Table = read(file).parse().unwrap();
        let asked = package["dependencies"]["tower-api-keys"]["version"].as_str().unwrap().to_owned();
        assert_eq!(library, version(file));
        assert_eq!(asked, format!("={}", library.as_str().unwrap()));
    }
}

#[test]
fn the_front_page_is_short_and_no_line_of_its_code_scrolls() {
    let page = read("README.md");
    assert!(page.len() < 10_000, "README.md has {} bytes", page.len());
    assert_none(&long_code("README.md", &page));
}

/// Names of at least four words in backticks. Only tests have such names here.
fn named_tests(page: &str) -> impl Iterator<Item = &str> {
    let is_name = |text: &&str| {
        text.matches('_').count() >= 3 && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let settings = ["max_live_keys_per_user", "longest_life_of_user_keys"];
    page.split('`').skip(1).step_by(2).filter(is_name).filter(move |name| !settings.contains(name))
}

fn long_code(page: &str, text: &str) -> Vec<String> {
    let mut inside = false;
    let mut long = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside && line.chars().count() > 100 {
            long.push(format!("{page}:{} has {} columns", number + 1, line.chars().count()));
        }
    }
    long
}

/// Links and link definitions to files, with the heading if there is one. Other links are not checked.
fn broken_links(page: &str, text: &str) -> Vec<String> {
    let folder = Path::new(page).parent().unwrap();
    let mut broken = Vec::new();
    for target in targets(text) {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if file.is_empty() { root().join(page) } else { root().join(folder).join(file) };
        if !path.exists() {
            broken.push(format!("{page}: there is no {target}"));
        } else if !heading.is_empty() && !headings(&fs::read_to_string(&path).unwrap()).contains(heading) {
            broken.push(format!("{page}: there is no heading for {target}"));
        }
    }
    broken
}

fn targets(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        }
        if inside {
            continue;
        }
        targets.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            targets.push(target);
        }
    }
    // URLs and items of the crate are checked elsewhere.
    targets.retain(|target| !target.contains(':') && !target.contains(' '));
    targets
}

/// The anchors of headings, as forges make them: lower case, a hyphen for a blank, other signs removed.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |title: &str| {
        let kept = title.to_lowercase();
        kept.chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect()
    };
    titles.map(slug).collect()
}

/// Proves that each rule can fail, with a bad example.
mod bad_samples {
    use super::{broken_links, headings, long_code, named_tests};

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text = "See [this](docs/none.md), [that](README.md#no-such-heading), [here](README.md) and\n[away]: gone.md\n\
                    [an item](crate::Key) or [an address](https://example.com).";
        assert_eq!(
            broken_links("README.md", text),
            [
                "README.md: there is no docs/none.md",
                "README.md: there is no heading for README.md#no-such-heading",
                "README.md: there is no gone.md"
            ]
        );
    }

    #[test]
    fn a_heading_is_a_slug() {
        assert!(headings("## \"It does not work\": what `now`?").contains("it-does-not-work-what-now"));
    }

    #[test]
    fn long_lines_of_code_are_found_and_those_of_prose_are_not() {
        let text = format!("{0}\n```text\n{0}\n```\n{0}", "x".repeat(101));
        assert_eq!(long_code("a.md", &text), ["a.md:3 has 101 columns"]);
    }

    #[test]
    fn names_of_tests_are_those_of_four_words() {
        let text = "`a_b_c_d`, `keep_events`, `Not_A_Test_Name`, `max_live_keys_per_user`";
        assert_eq!(named_tests(text).collect::<Vec<_>>(), ["a_b_c_d"]);
    }
}
