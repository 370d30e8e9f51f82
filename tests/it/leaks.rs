//! No secret leaks. All other tests run again, while their output, their log at TRACE and their database files are
//! kept. Then everything is searched for every run of 8 characters of every secret.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::secrets;

/// The length of the runs of characters for which a secret is searched.
const WINDOW: usize = 8;

/// Names a folder with the files of a whole test run. If it is set, the tests do not run again. The script for all
/// checks sets it, because a second run takes as long as everything else.
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
    // A single hit may be chance. A database is full of base64url characters: one run of a secret appears by chance
    // about once in a thousand test runs, two about once in a million. Code that leaks part of a secret, however short,
    // leaks part of every secret that it handles.
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

/// The names of the tests that failed, and the output around each failure. Not all output, because a log at TRACE is
/// long.
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
    // At the beginning and the end of a file, and for each run of the secret.
    for place in 0..=secret.len() - WINDOW {
        fs::write(&path, &secret[place..place + WINDOW]).unwrap();
        assert_eq!(search.hits(&path).len(), 1, "{place}");
        fs::write(&path, &secret[place..place + WINDOW - 1]).unwrap();
        assert!(search.hits(&path).is_empty(), "{place}");
    }
    fs::write(&path, format!("{secret} {secret}")).unwrap();
    assert_eq!(search.hits(&path).len(), secret.len() - WINDOW + 1);
}

/// Every run of 8 characters of every secret. A build without optimization searches some hundred megabytes. So a run is
/// looked up in the set only if its bit is set, which for another run happens by chance in one of a hundred cases.
pub(crate) struct Search {
    parts: HashSet<u64>,
    bits: Vec<u64>,
}

/// The number of bits is two to the power of this.
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

    /// The places where a file holds a run of 8 characters of a secret, and the runs.
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

/// All files that were kept, except the list of secrets.
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
