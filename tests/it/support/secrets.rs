//! Tests record here what must not leak, so that one test can search the files of all others.
//!
//! Nothing is recorded unless the environment names a folder: see `leaks.rs`.

use std::{fs::OpenOptions, io::Write, path::PathBuf, sync::Once};

/// The variable that names the folder.
pub const FOLDER: &str = "TOWER_API_KEYS_TEST_LEAKS";

/// Tests that record nothing: the search itself, tests about the text of the project, random histories and other long
/// tests, and tests that count allocations, because a log at TRACE allocates.
pub const NOT_SEARCHED: [&str; 8] = [
    "allocations::",
    "leaks::",
    "architecture::",
    "project::",
    "memory_answers_like",
    "answers_like_the_model",
    "examples::",
    "resident_memory",
];

/// The folder, if this run is searched for leaks.
pub fn folder() -> Option<PathBuf> {
    // A runner that gives each test its own process names the test.
    let test = std::env::var("NEXTEST_TEST_NAME").unwrap_or_default();
    let is_searched = !NOT_SEARCHED.iter().any(|name| test.contains(name));
    std::env::var_os(FOLDER).map(PathBuf::from).filter(|_| is_searched)
}

/// Records the text of a key, and from now on writes the log of this process to the folder.
pub fn remember(text: &str) {
    let Some(folder) = folder() else { return };
    capture_log();
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("secrets")).unwrap();
    // One write for each line, because several processes append.
    file.write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Writes every event of the process, down to TRACE, to the folder.
pub fn capture_log() {
    static ONCE: Once = Once::new();
    let Some(folder) = folder() else { return };
    ONCE.call_once(|| {
        let path = folder.join(format!("log.{}", std::process::id()));
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(std::sync::Mutex::new(file))
            .init();
    });
}

/// A folder for the files of a test. It is kept in the searched folder, if there is one, else removed with the handle.
pub fn scratch() -> Scratch {
    match folder() {
        Some(folder) => Scratch::Kept(tempfile::Builder::new().prefix("files.").tempdir_in(folder).unwrap().keep()),
        None => Scratch::Gone(tempfile::tempdir().unwrap()),
    }
}

/// See [`scratch`].
pub enum Scratch {
    Gone(tempfile::TempDir),
    Kept(PathBuf),
}

impl Scratch {
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Gone(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}
