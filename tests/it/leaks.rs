//! No secret leaves except where it is meant to: the whole run of the other tests is repeated with its output, its log
//! at TRACE and its database files kept, and everything is searched for every 8 characters of every secret.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::secrets;

/// A secret is searched for by every run of so many characters.
const WINDOW: usize = 8;

#[test]
fn no_secret_is_in_output_log_or_database_of_the_whole_test_run() {
    let folder = tempfile::tempdir().unwrap();
    // Not this test, not those about the text of the project, and of the random histories and other long ones the rest.
    let skipped = [
        "leaks::",
        "architecture::",
        "project::",
        "memory_answers_like",
        "answers_like_the_model",
        "examples::",
        "resident_memory",
    ];
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads=2"])
        .args(skipped.iter().flat_map(|name| ["--skip", name]))
        .env(secrets::FOLDER, folder.path())
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    fs::write(folder.path().join("stdout"), &output.stdout).unwrap();
    fs::write(folder.path().join("stderr"), &output.stderr).unwrap();
    assert!(output.status.success(), "the repeated run failed: run the tests without this one to see why");

    let texts = fs::read_to_string(folder.path().join("secrets")).unwrap();
    let secrets: HashSet<&str> = texts.lines().map(|text| &text[text.len() - 48..]).collect();
    assert!(secrets.len() > 50, "the tests remembered {} secrets only", secrets.len());
    let files = files(folder.path());
    let has = |part: &str| files.iter().any(|file| file.to_string_lossy().contains(part));
    assert!(has("log."), "no log was kept");
    #[cfg(feature = "sqlite")]
    assert!(has(".db") && has("-wal"), "no database was kept: {files:?}");

    let search = Search::new(&secrets);
    let found: Vec<String> = files.iter().flat_map(|file| search.hits(file)).collect();
    assert!(found.is_empty(), "secrets were found:\n{}", found.join("\n"));
}

#[test]
fn the_search_finds_a_part_of_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret: String = ('a'..='z').chain('A'..='V').collect();
    let path = folder.path().join("log");
    fs::write(&path, format!("key={} refused", &secret[10..19])).unwrap();
    let secrets = HashSet::from([secret.as_str()]);
    assert_eq!(Search::new(&secrets).hits(&path).len(), 1);
    fs::write(&path, "key=[REDACTED] refused").unwrap();
    assert!(Search::new(&secrets).hits(&path).is_empty());
}

/// Every run of 8 characters of every secret, and whose it is.
struct Search<'a>(HashMap<&'a [u8], &'a str>);

impl<'a> Search<'a> {
    fn new(secrets: &HashSet<&'a str>) -> Self {
        Self(
            secrets
                .iter()
                .flat_map(|secret| secret.as_bytes().windows(WINDOW).map(move |part| (part, *secret)))
                .collect(),
        )
    }

    /// The secrets of which a file has two runs of 8 characters. One alone is chance: a database is full of base64url
    /// characters, and 10 MB of it hold a given run of one of 1,000 secrets about once in a thousand test runs. What leaks
    /// a secret leaks neighbouring runs, too.
    fn hits(&self, path: &Path) -> Vec<String> {
        let bytes = fs::read(path).unwrap();
        let mut runs: HashMap<&str, HashSet<&[u8]>> = HashMap::new();
        for part in bytes.windows(WINDOW) {
            if let Some((run, secret)) = self.0.get_key_value(part) {
                runs.entry(secret).or_default().insert(run);
            }
        }
        runs.retain(|_, found| found.len() > 1);
        runs.into_values().map(|found| format!("{}: {} parts of one secret", path.display(), found.len())).collect()
    }
}

/// Everything that was kept but the list of secrets.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if !path.ends_with("secrets") {
            files.push(path);
        }
    }
    files
}
