//! No secret leaves except where it is meant to: the whole run of the other tests is repeated with its output, its log
//! at TRACE and its database files kept, and everything is searched for every 8 characters of every secret.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::secrets;

/// A secret is searched for by every run of so many characters.
const WINDOW: usize = 8;

/// Names a folder in which the whole test run has kept what it left behind already: then nothing is repeated. The script that
/// runs all checks does this, for it takes as long as everything else.
const KEPT: &str = "TOWER_API_KEYS_TEST_LEAKS_KEPT";

#[test]
fn no_secret_is_in_output_log_or_database_of_the_whole_test_run() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os(KEPT).map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or_else(|| {
        repeat_the_run(scratch.path());
        scratch.path()
    });
    let texts = fs::read_to_string(folder.join("secrets")).unwrap();
    let secrets: HashSet<&str> = texts.lines().map(|text| &text[text.len() - 48..]).collect();
    assert!(secrets.len() > 50, "the tests remembered {} secrets only", secrets.len());
    let files = files(folder);
    let has = |part: &str| files.iter().any(|file| file.to_string_lossy().contains(part));
    assert!(has("log."), "no log was kept");
    assert!(has("output"), "no output was kept");
    #[cfg(feature = "sqlite")]
    assert!(has(".db") && has("-wal"), "no database was kept: {files:?}");

    let search = Search::new(&secrets);
    // One run alone is chance: a database is full of base64url characters, and holds a given run of one of the secrets
    // about once in a thousand test runs, but two about once in a million. Whatever leaks a part of a secret, however
    // short, leaks one of every secret that comes its way.
    let found: BTreeSet<String> = files.iter().flat_map(|file| search.hits(file)).collect();
    assert!(found.len() < 2, "parts of secrets were found: {found:#?}");
}

fn repeat_the_run(folder: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads=2"])
        .args(secrets::NOT_SEARCHED.iter().flat_map(|name| ["--skip", name]))
        .env(secrets::FOLDER, folder)
        .env_remove("NEXTEST_TEST_NAME")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    fs::write(folder.join("output.stdout"), &output.stdout).unwrap();
    fs::write(folder.join("output.stderr"), &output.stderr).unwrap();
    assert!(output.status.success(), "the repeated run failed:\n{}", why_it_failed(&output));
}

/// The tests that failed, and what was said where they did. No more of it: a log at TRACE is long.
fn why_it_failed(output: &Output) -> String {
    let (tests, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let failed = tests.lines().filter(|line| line.ends_with("... FAILED"));
    let lines: Vec<&str> = said.lines().collect();
    let panics = lines.iter().enumerate().filter(|(_, line)| line.contains("panicked at"));
    failed.chain(panics.flat_map(|(at, _)| lines.iter().skip(at).take(4).copied())).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_search_finds_a_part_of_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret: String = ('a'..='z').chain('A'..='V').collect();
    let path = folder.path().join("log");
    fs::write(&path, format!("key={} refused", &secret[10..18])).unwrap();
    let secrets = HashSet::from([secret.as_str()]);
    assert_eq!(Search::new(&secrets).hits(&path).len(), 1);
    fs::write(&path, "key=[REDACTED] refused").unwrap();
    let search = Search::new(&secrets);
    assert!(search.hits(&path).is_empty());
    // At the very beginning and end of a file, and each of its runs.
    for place in 0..=secret.len() - WINDOW {
        fs::write(&path, &secret[place..place + WINDOW]).unwrap();
        assert_eq!(search.hits(&path).len(), 1, "{place}");
        fs::write(&path, &secret[place..place + WINDOW - 1]).unwrap();
        assert!(search.hits(&path).is_empty(), "{place}");
    }
    fs::write(&path, format!("{secret} {secret}")).unwrap();
    assert_eq!(search.hits(&path).len(), secret.len() - WINDOW + 1);
}

/// Every run of 8 characters of every secret. What is searched is some hundred megabytes, by a build that is not optimized:
/// so a run is looked for in the set only if its bit is there, which another one has by chance in one of a hundred cases.
pub(crate) struct Search {
    parts: HashSet<u64>,
    bits: Vec<u64>,
}

/// There are two to the power of this.
const BITS: u32 = 27;

impl Search {
    pub(crate) fn new(secrets: &HashSet<&str>) -> Self {
        let parts = secrets.iter().flat_map(|secret| secret.as_bytes().windows(WINDOW));
        let parts: HashSet<_> = parts.map(|part| u64::from_be_bytes(part.try_into().unwrap())).collect();
        let mut bits = vec![0; 1 << (BITS - 6)];
        for part in &parts {
            let (word, bit) = Self::bit(*part);
            bits[word] |= bit;
        }
        Self { parts, bits }
    }

    fn bit(part: u64) -> (usize, u64) {
        // Fibonacci hashing: the upper bits of the product depend on all of the factor.
        let place = part.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS);
        ((place >> 6) as usize, 1 << (place & 63))
    }

    /// Where a file has a run of 8 characters of a secret, and which.
    pub(crate) fn hits(&self, path: &Path) -> BTreeSet<String> {
        let (mut hits, mut run) = (BTreeSet::new(), 0_u64);
        for (place, byte) in fs::read(path).unwrap().into_iter().enumerate() {
            run = run << 8 | u64::from(byte);
            let (word, bit) = Self::bit(run);
            if self.bits[word] & bit != 0 && place + 1 >= WINDOW && self.parts.contains(&run) {
                hits.insert(format!("{}: {}", path.display(), String::from_utf8_lossy(&run.to_be_bytes())));
            }
        }
        hits
    }
}

/// Everything that was kept but the list of secrets.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
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
