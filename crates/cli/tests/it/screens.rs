//! Every screen, as people see it: the files below `tests/screens`. `SCREENS=write cargo test -p tower-api-keys-cli` writes
//! them again, to be looked at before they are committed.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use crate::support::{Made, World};

/// Commands and what they said, with ids, times and sizes that are the same in each run.
struct Screens {
    name: &'static str,
    world: World,
    ids: BTreeMap<String, String>,
    text: String,
}

impl Screens {
    fn of(name: &'static str, world: World) -> Self {
        Self { name, world, ids: BTreeMap::new(), text: String::new() }
    }

    /// Gives a key an id that is the same in each run, of the same length.
    fn key(&mut self, name: &str, made: Made) -> Made {
        self.ids.insert(made.id.clone(), format!("{name:_<20}"));
        made
    }

    fn run(&mut self, arguments: &[&str]) {
        self.run_with(arguments, "");
    }

    fn run_with(&mut self, arguments: &[&str], input: &str) {
        let ran = self.world.run_with(arguments, input);
        let quoted = |argument: &&str| {
            if argument.contains([' ', '"']) || argument.is_empty() {
                format!("'{argument}'")
            } else {
                (*argument).to_owned()
            }
        };
        let command = arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
        let command = self.stable(&command);
        self.text.push_str(&format!("$ apikeys {command}\n"));
        let (out, err) = (self.stable(&ran.out), self.stable(&ran.err));
        out.lines().for_each(|line| self.text.push_str(&format!("{line}\n")));
        err.lines().for_each(|line| self.text.push_str(&format!("{}\n", format!("! {line}").trim_end())));
        if ran.code != 0 {
            self.text.push_str(&format!("[exit {}]\n", ran.code));
        }
        self.text.push('\n');
    }

    fn stable(&self, text: &str) -> String {
        let text = self.ids.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name));
        with_one_time(&text)
    }

    /// Fails if the screens differ from the committed ones.
    #[track_caller]
    fn end(self) {
        self.world.assert_no_secret_was_said();
        compare(self.name, &self.text);
    }
}

/// The text with one date and one time of day instead of all.
fn with_one_time(text: &str) -> String {
    // A fraction of a second has as many digits as it needs.
    let exact = ["dd:dd:dd.dddZ", "dd:dd:dd.ddZ", "dd:dd:dd.dZ", "dd:dd:ddZ"].map(|exact| (exact, "12:00:00.000Z"));
    let shorter = [("dddd-dd-dd", "2026-11-30"), ("dd:dd:dd", "12:00:00"), ("dd:dd", "12:00")];
    let patterns = [&exact[..], &shorter].concat();
    let fits = |part: &[u8], pattern: &str| {
        part.len() >= pattern.len()
            && part
                .iter()
                .zip(pattern.bytes())
                .all(|(byte, wanted)| if wanted == b'd' { byte.is_ascii_digit() } else { *byte == wanted })
    };
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        match patterns.iter().find(|(pattern, _)| fits(rest, pattern)) {
            Some((pattern, put)) => {
                out.extend_from_slice(put.as_bytes());
                rest = &rest[pattern.len()..];
            }
            None => {
                out.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = folder().join(format!("{name}.txt"));
    if env::var("SCREENS").is_ok_and(|wish| wish == "write") {
        fs::write(&path, text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    for (number, (line, expected)) in (1..).zip(text.lines().zip(committed.lines())) {
        assert_eq!(line, expected, "line {number} of {}", path.display());
    }
    assert_eq!(text.lines().count(), committed.lines().count(), "{} is too short or too long", path.display());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens")
}

#[test]
fn screens_of_keys() {
    let mut screens = Screens::of("keys", World::empty());
    screens.run(&["init"]);
    screens.run(&["list"]);
    let made = screens.world.make(&[
        "create",
        "--team",
        "engineering",
        "--name",
        "GitHub Actions - production",
        "--label",
        "ticket=OPS-1234",
        "--scope",
        "agents:read",
    ]);
    let ci = screens.key("ci", made);
    let made = screens.world.user_key("alice", "cursor-macbook-alice");
    let laptop = screens.key("laptop", made);
    screens.world.call(&ci.text, "github-actions", 12);
    screens.run(&["init"]);
    screens.run(&["list"]);
    screens.run(&["show", &ci.id]);
    screens.run(&["edit", &ci.id, "--name", "GitHub Actions - staging", "--remove-label", "ticket"]);
    screens.run(&["pause", &ci.id, "--because", "is it still needed?"]);
    screens.run(&["pause", &ci.id]);
    screens.run(&["show", &ci.id, "--node-freshness", "2s"]);
    screens.run(&["resume", &ci.id]);
    screens.run(&["resume", &ci.id]);
    screens.run(&["revoke", &laptop.id]);
    screens.run(&["revoke", &laptop.id, "--yes"]);
    screens.run(&["revoke", &laptop.id, "--yes"]);
    screens.run(&["revoke", &ci.id, "--yes", "--node-freshness", "strict"]);
    screens.run(&["list"]);
    screens.run(&["list", "--revoked"]);
    for number in 0..2 {
        let made = screens.world.user_key("bob", "script");
        screens.key(&format!("bob{number}"), made);
    }
    screens.run(&["revoke", "--owner", "user:bob", "--dry-run"]);
    screens.run(&["revoke", "--owner", "user:bob", "--because", "lost laptop", "--yes", "--node-freshness", "2s"]);
    screens.run(&["revoke", "--owner", "user:bob", "--because", "lost laptop", "--yes"]);
    screens.end();
}

#[test]
fn screens_of_rotations() {
    let mut screens = Screens::of("rotations", World::sqlite());
    let made = screens.world.team_key("Monday cron");
    let old = screens.key("old", made);
    screens.world.call(&old.text, "curl", 12);
    screens.world.call(&old.text, "github-actions", 310);
    screens.run(&["rotate", "status", &old.id]);
    screens.run(&["rotate", "begin", &old.id, "--output", "new-key"]);
    let text = screens.world.read("new-key");
    screens.world.knows(&text);
    fs::remove_file(screens.world.path("new-key")).unwrap();
    let new = screens.key("new", Made { id: text.split('.').nth(1).unwrap().to_owned(), text });
    // The line with the id is above; it is written again with the name that it has now.
    screens.text = screens.text.replace(&new.id, &format!("{:_<20}", "new"));
    screens.run(&["rotate", "begin", &old.id]);
    screens.run(&["rotate", "status", &new.id]);
    screens.run(&["rotate", "finish", &new.id]);
    screens.world.call(&new.text, "github-actions", 41);
    screens.run(&["rotate", "status", &new.id]);
    screens.run(&["rotate", "finish", &new.id]);
    screens.run(&["rotate", "finish", &new.id, "--anyway"]);
    screens.run(&["rotate", "finish", &new.id, "--anyway", "--yes"]);
    screens.run(&["rotate", "finish", &new.id]);
    screens.run(&["rotate", "status", &new.id]);
    screens.run(&["rotate", "abort", &new.id]);
    screens.end();
}

#[test]
fn screens_of_looks() {
    let mut screens = Screens::of("looks", World::sqlite());
    screens.run(&["inventory"]);
    screens.run(&["refusals"]);
    let made = screens.world.user_key("jordan", "key1");
    let key = screens.key("key1", made);
    let made = screens.world.team_key("GitHub Actions - production");
    let ci = screens.key("ci", made);
    screens.world.call(&key.text, "zapier", 1);
    screens.world.call("not a key", "curl", 2);
    screens.world.call("ghp_tM0r8xGQ2kVb", "curl", 1);
    screens.run(&["inventory"]);
    screens.run(&["inventory", "--all"]);
    screens.run(&["inventory", "--fail-on", "vague_name"]);
    screens.run(&["explain", &key.id]);
    screens.world.run(&["suspend", "user:jordan"]).ok();
    screens.run(&["explain", &key.id, "--check"]);
    screens.world.run(&["reinstate", "user:jordan"]).ok();
    screens.run(&["advise", &key.id]);
    screens.run(&["advise", &ci.id]);
    screens.run(&["advise", "--all"]);
    screens.run(&["audit"]);
    screens.run(&["audit", "--key", &ci.id, "--limit", "1"]);
    screens.run(&["audit", "--attempts"]);
    screens.run(&["refusals"]);
    screens.run(&["blast-radius", "jordan"]);
    screens.run(&["exposure", "jordan"]);
    screens.run(&["exposure", "nobody"]);
    screens.end();
}

#[test]
fn screens_of_leaks_and_owners() {
    let mut screens = Screens::of("leaks_and_owners", World::sqlite());
    let made = screens.world.team_key("GitHub Actions - production");
    let key = screens.key("ci", made);
    screens.world.call(&key.text, "github-actions", 2);
    screens.run_with(&["identify"], &format!("curl -H 'x-api-key: {}'", key.text));
    screens.run_with(&["identify"], &key.id);
    screens.run_with(&["identify"], "nothing");
    screens.run_with(&["verify"], &key.text);
    screens.run_with(&["verify"], &format!("{} ", key.text));
    screens.run_with(&["verify"], "hello");
    screens.run(&["leak", &key.id]);
    screens.run(&["leak", &key.id, "--revoke"]);
    screens.run(&["leak", &key.id, "--revoke", "--yes"]);
    screens.run_with(&["verify"], &key.text);
    let made = screens.world.user_key("alice", "laptop");
    screens.key("laptop", made);
    screens.run(&["suspend", "user:alice", "--dry-run"]);
    screens.run(&["suspend", "user:alice"]);
    screens.run(&["suspend", "user:alice"]);
    screens.run(&["suspend", "team:nobody-knows", "--reason", "plan"]);
    screens.run(&["reinstate", "user:alice", "--dry-run"]);
    screens.run(&["reinstate", "user:alice"]);
    screens.run(&["reinstate", "user:alice"]);
    screens.world.write("users", "bob\n");
    screens.run(&["reconcile", "--users", "users"]);
    screens.run(&["reconcile", "--users", "users", "--close", "--even-if-many", "--yes"]);
    screens.run(&["reconcile", "--users", "users"]);
    screens.run(&["close", "user:bob", "--dry-run"]);
    screens.run(&["close", "user:bob"]);
    screens.run(&["close", "user:bob", "--yes"]);
    screens.run(&["close", "organization", "--yes"]);
    screens.end();
}

#[test]
fn screens_of_operations() {
    let mut screens = Screens::of("operations", World::sqlite());
    let made = screens.world.team_key("CI");
    let key = screens.key("ci", made);
    let made = screens.world.user_key("alice", "laptop");
    screens.key("laptop", made);
    screens.world.call("no key", "curl", 1);
    screens.world.write("users", "bob\n");
    screens.run(&["migrate"]);
    screens.run(&["doctor"]);
    screens.run(&["doctor", "--node-freshness", "strict", "--users", "users"]);
    let file = rusqlite::Connection::open(screens.world.path("keys.db")).unwrap();
    file.execute("update api_keys set labels = '{' where id = ?1", [&key.id]).unwrap();
    drop(file);
    screens.run(&["doctor", "--node-freshness", "2s"]);
    screens.run(&["list"]);
    screens.run(&["show", &key.id]);
    screens.run(&["copy", "keys.db", "nowhere.db"]);
    screens.run(&["--store", "copy.db", "init"]);
    screens.run(&["copy", "keys.db", "copy.db"]);
    screens.run(&["--store", "copy.db", "create", "--user", "dave", "--name", "x", "--output", "dave"]);
    let text = screens.world.read("dave");
    screens.text = screens.text.replace(text.split('.').nth(1).unwrap(), &format!("{:_<20}", "dave"));
    fs::remove_file(screens.world.path("dave")).unwrap();
    screens.run(&["copy", "copy.db", "keys.db"]);
    screens.end();
}

/// The first page, and the page of each command.
#[test]
fn screens_of_help() {
    let world = World::empty();
    let mut text = String::new();
    let page = world.run(&["--help"]).ok();
    text.push_str(&format!("$ apikeys --help\n{page}\n"));
    let commands: Vec<&str> = page.lines().filter(|line| line.contains("  ") && !line.starts_with(' ')).collect();
    let commands: Vec<String> =
        commands.iter().flat_map(|line| line.split_whitespace().skip(1)).map(String::from).collect();
    assert!(commands.len() > 25, "{commands:?}");
    let steps = ["begin", "status", "finish", "abort"].map(|step| format!("rotate {step}"));
    for command in commands.iter().chain(&steps) {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let page = world.run(&arguments).ok();
        // What all commands have is on the first page.
        let own = page.split("\nOptions of all commands:").next().unwrap();
        text.push_str(&format!("$ apikeys {command} --help\n{own}\n"));
    }
    compare("help", &text);
}
