//! The rules for src/: which module may import which, how long a file may be, which words are forbidden.

mod imports;

use std::{
    fs,
    path::{Path, PathBuf},
};

use imports::{Import, Imports, Source};

/// A module imports only from the lines above its own. Modules on one line do not import each other.
const LAYERS: &[&[&str]] = &[
    &["background", "json", "lengths", "log", "text", "words"],
    &["owner", "random", "scope", "time"],
    &["key"],
    &["sentence"],
    &["hash", "networks", "outcome"],
    &["principal", "record"],
    &["audit", "usage"],
    &["store"],
    &["feed", "metering", "schema"],
    &["auth", "manage"],
    &["middleware"],
    &["api_keys"],
    &["extract", "manual"],
];

/// `lib.rs` holds the front page and the re-exports only.
const MOST_LINES_OF_LIB: usize = 180;

/// A shorter file must begin with the reason why it is a file of its own.
const FEWEST_LINES: usize = 40;

/// A reader can keep such a file in mind. Tests may be longer, in their own `tests.rs`.
const MOST_LINES: usize = 400;

#[test]
fn modules_import_only_from_the_layers_above() {
    assert_none(&broken_layers(&Imports::read(&sources())));
}

#[test]
fn no_files_import_each_other_in_a_ring() {
    assert_none(&Imports::read(&sources()).rings());
}

#[test]
fn nothing_is_imported_with_a_star() {
    assert_none(&Imports::read(&sources()).stars);
}

#[test]
fn files_are_short_enough_to_hold_in_the_head() {
    assert_none(&long_files(&sources()));
}

#[test]
fn folders_and_short_files_say_why_they_are_there() {
    assert_none(&unexplained(&sources()));
}

#[test]
fn the_project_speaks_only_of_itself() {
    assert_none(&project_files().iter().flat_map(|(path, text)| foreign_words(path, text)).collect::<Vec<_>>());
}

/// The module right below src/ that a file belongs to: `store` for `store/sqlite/mod.rs`, `lib` for `lib.rs`.
fn unit(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn layer(file: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&unit(file)))
}

fn broken_layers(imports: &Imports) -> Vec<String> {
    let mut broken = Vec::new();
    for file in &imports.files {
        if file != "lib.rs" && layer(file).is_none() {
            broken.push(format!("{file} has no place in LAYERS"));
        }
    }
    for Import { from, to, text } in &imports.imports {
        // lib.rs sees everything and defines nothing, so no module needs to import from it.
        let allowed = from == "lib.rs" || unit(from) == unit(to) || (to != "lib.rs" && layer(to) < layer(from));
        if !allowed {
            broken.push(format!("{from} imports {text} from {to}, which is not above it"));
        }
    }
    broken
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let mut long = Vec::new();
    for Source { path, text } in sources {
        let most = match path.as_str() {
            "lib.rs" => MOST_LINES_OF_LIB,
            path if imports::holds_tests(path) => usize::MAX,
            _ => MOST_LINES,
        };
        let lines = text.lines().count();
        if lines > most {
            long.push(format!("{path} has {lines} lines, {most} are allowed"));
        }
    }
    long
}

/// Folders without a first line that explains them, and files so short that they could be part of another file, without
/// the reason.
fn unexplained(sources: &[Source]) -> Vec<String> {
    let mut unexplained = Vec::new();
    for Source { path, text } in sources {
        let is_folder = path.ends_with("/mod.rs");
        let is_short = text.lines().count() < FEWEST_LINES && !imports::holds_tests(path);
        if (is_folder || is_short) && path != "lib.rs" && !text.starts_with("//! ") {
            unexplained.push(format!("{path} does not say what belongs in it, in a first line `//! …`"));
        }
    }
    unexplained
}

/// Machine paths, host names of package registries, and names of papers that are not part of the project. They are
/// written in pieces, so that this file does not contain what it looks for.
fn foreign_words(path: &str, text: &str) -> Vec<String> {
    let needles = [
        ["/wo", "rk/"],
        ["/tmp/bash", "_jobs"],
        ["/ro", "ot/"],
        ["crates", ".io"],
        ["npm", "js."],
        ["py", "pi.org"],
        ["DESI", "GN.md"],
        ["STY", "LE.md"],
        ["FAC", "TS.md"],
    ];
    let found = needles.iter().map(|pieces| pieces.concat()).filter(|needle| text.contains(needle));
    found.map(|needle| format!("{path} says {needle}")).collect()
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut sources = Vec::new();
    for path in files_below(&src) {
        let name = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        if name.ends_with(".rs") {
            sources.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(sources.iter().any(|source| source.path == "lib.rs"), "src/ was not found");
    sources
}

/// All files that people write: no lock files, databases or logs.
fn project_files() -> Vec<(String, String)> {
    let written = ["dict", "md", "rs", "sh", "sql", "toml", "yaml", "yml"];
    let mut texts = Vec::new();
    for path in files_below(root()) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let named = extension.is_none_or(|extension| written.contains(&extension));
        if named && let Ok(text) = fs::read_to_string(&path) {
            texts.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
        }
    }
    assert!(texts.iter().any(|(path, _)| path == "Cargo.toml"), "the project was not found");
    texts
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && name != ".git" {
            files.extend(files_below(&path));
        } else if path.is_file() && name != ".git" {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Proves that each rule can fail, with a bad example.
mod bad_samples {
    use super::{Imports, Source, broken_layers, foreign_words, long_files, unexplained};

    fn read(files: &[(&str, &str)]) -> Imports {
        let sources: Vec<_> =
            files.iter().map(|(path, text)| Source { path: (*path).into(), text: (*text).into() }).collect();
        Imports::read(&sources)
    }

    #[test]
    fn an_import_from_below_is_found_however_it_is_written() {
        let below = [
            "use crate::store::Row;",
            "use crate::{time::Timestamp, store::{self, Row}};",
            "use super::super::store::Row as R;",
            "fn f() -> crate::store::Row { todo!() }",
            "fn f() { tokio::select! { row = crate::store::find() => row } }",
            "macro_rules! m { () => { $crate::store::find() } }",
            "pub use crate::store::Row;",
            "use crate::Row;",
            "fn f(row: Vec<crate::Row>) {}",
            "mod inner { use super::super::super::store::Row; }",
        ];
        for text in below {
            let imports = read(&[
                ("lib.rs", "pub mod key; pub mod store; mod time; pub use store::Row;"),
                ("key/mod.rs", "mod format;"),
                ("key/format.rs", text),
                ("store/mod.rs", "mod row; pub use self::row::Row;"),
                ("store/row.rs", "pub struct Row;"),
                ("time.rs", "pub struct Timestamp;"),
            ]);
            let broken = broken_layers(&imports);
            assert!(broken.iter().any(|line| line.contains("store")), "{text}: {broken:?}");
        }
    }

    #[test]
    fn neighbours_on_one_line_are_not_above_each_other() {
        let imports = read(&[("auth/mod.rs", "use crate::manage::Actor;"), ("manage/mod.rs", "pub struct Actor;")]);
        assert_eq!(
            broken_layers(&imports),
            ["auth/mod.rs imports crate::manage::Actor from manage/mod.rs, which is not above it"]
        );
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        assert_eq!(broken_layers(&read(&[("utils.rs", "")])), ["utils.rs has no place in LAYERS"]);
    }

    #[test]
    fn imports_from_above_foreign_crates_and_tests_are_fine() {
        let imports = read(&[
            ("time.rs", "pub struct Timestamp;"),
            (
                "key/mod.rs",
                r#"
                    //! Unlike [`crate::store::Row`].
                    use ::time::Date;
                    use http::{Request, store::Row};
                    use crate::time::Timestamp;
                    const TEXT: &str = "crate::store::Row";
                    pub(in crate::key) fn captures<'a>() -> impl Sized + use<'a> {}
                    #[cfg(test)]
                    use crate::store::Row;
                    #[cfg(test)]
                    mod tests { use super::*; use crate::store::Row; }
                    #[cfg(all(test, feature = "sqlite"))]
                    mod model;
                "#,
            ),
            ("key/model.rs", "use crate::store::Row;"),
            ("key/tests.rs", "use crate::store::Row;"),
            ("store/mod.rs", "pub struct Row;"),
        ]);
        assert_eq!(broken_layers(&imports), Vec::<String>::new());
        assert_eq!(imports.stars, Vec::<String>::new());
        assert_eq!(imports.imports.len(), 1);
    }

    #[test]
    fn a_ring_is_found_through_re_exports_too() {
        let rings = read(&[
            ("key/mod.rs", "mod format; mod id; pub use format::Format; pub use id::Id;"),
            ("key/format.rs", "use super::Id;"),
            ("key/id.rs", "use crate::key::format::Format;"),
        ])
        .rings();
        assert_eq!(rings, ["ring: key/format.rs -> key/id.rs -> key/format.rs"]);
    }

    #[test]
    fn a_folder_that_works_with_what_its_file_takes_from_it_is_a_ring() {
        let rings = read(&[
            ("key/mod.rs", "mod id; pub use id::Id; pub struct Key(Id);"),
            ("key/id.rs", "use super::Key; pub struct Id;"),
        ])
        .rings();
        assert_eq!(rings, ["ring: key/id.rs -> key/mod.rs -> key/id.rs"]);
    }

    #[test]
    fn a_private_import_is_no_re_export() {
        let rings = read(&[
            ("key/mod.rs", "mod id; pub struct Key {} use id::Id;"),
            ("key/id.rs", "use super::Key; pub struct Id;"),
        ])
        .rings();
        assert_eq!(rings, ["ring: key/id.rs -> key/mod.rs -> key/id.rs"]);
    }

    #[test]
    fn re_exporting_what_lies_below_is_no_ring() {
        let imports = read(&[
            ("key/mod.rs", "pub struct Key {} mod id; pub(crate) use id::Id;"),
            ("key/id.rs", "use super::Key; pub struct Id;"),
        ]);
        assert_eq!(imports.rings(), Vec::<String>::new());
    }

    #[test]
    fn a_star_is_found() {
        assert_eq!(read(&[("time.rs", "use std::fmt::{self, *};")]).stars, ["time.rs: use std::fmt::*"]);
    }

    #[test]
    fn a_long_file_is_found_unless_it_holds_tests() {
        let long =
            |path: &str, lines: usize| long_files(&[Source { path: path.into(), text: "\n".repeat(lines) }]).len();
        assert_eq!((long("time.rs", 400), long("time.rs", 401)), (0, 1));
        assert_eq!((long("lib.rs", 180), long("lib.rs", 181)), (0, 1));
        assert_eq!(long("key/tests.rs", 2_000), 0);
    }

    #[test]
    fn a_folder_and_a_short_file_without_a_first_line_are_found() {
        let found = |path: &str, text: String| unexplained(&[Source { path: path.into(), text }]).len();
        let (bare, explained) = ("\n".repeat(39), |lines: usize| format!("//! Why.{}", "\n".repeat(lines)));
        assert_eq!((found("time.rs", bare.clone()), found("time.rs", "\n".repeat(40))), (1, 0));
        assert_eq!((found("time.rs", explained(39)), found("key/tests.rs", bare)), (0, 0));
        assert_eq!((found("key/mod.rs", "\n".repeat(100)), found("key/mod.rs", explained(100))), (1, 0));
    }

    #[test]
    fn a_machine_path_is_found() {
        let text = ["see /wo", "rk/notes"].concat();
        assert_eq!(foreign_words("README.md", &text).len(), 1);
        assert!(foreign_words("README.md", "a framework/library").is_empty());
    }
}
