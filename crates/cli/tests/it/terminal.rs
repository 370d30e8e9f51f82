//! On a terminal: questions, colours, cut columns, names that would give it orders.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Stdio},
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::World;

/// A program on a terminal.
struct Session {
    terminal: File,
    child: Child,
    heard: String,
}

impl Session {
    fn start(world: &World, arguments: &[&str], color: bool) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let end = || Stdio::from(open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        let mut command = world.command(arguments);
        command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm");
        if !color {
            command.env("NO_COLOR", "1");
        }
        let child = command.spawn().unwrap();
        Self { terminal: File::from(terminal), child, heard: String::new() }
    }

    /// Types this after the program said that.
    fn types(&mut self, after: &str, line: &str) {
        let mut byte = [0; 1];
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains(after) {
            self.terminal.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
        self.heard.push_str(&String::from_utf8(bytes).unwrap());
        writeln!(self.terminal, "{line}").unwrap();
    }

    /// All that was heard, and the exit code.
    fn end(mut self) -> (String, i32) {
        let mut rest = Vec::new();
        // At the end, the terminal of a program that is gone cannot be read.
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = self.terminal.read(&mut buffer) {
            rest.extend_from_slice(&buffer[..read]);
        }
        self.heard.push_str(&String::from_utf8(rest).unwrap());
        (self.heard, self.child.wait().unwrap().code().unwrap())
    }
}

#[test]
fn a_key_is_revoked_once_its_name_was_typed() {
    let world = World::sqlite();
    let made = world.team_key("Monday cron");
    let mut session = Session::start(&world, &["revoke", &made.id], false);
    session.types("Type its name to revoke it: Monday cron", "Tuesday cron");
    let (heard, code) = session.end();
    assert_eq!(code, 4, "{heard}");
    assert!(heard.contains("NOT revoked: You typed something else than its name: run the command again."), "{heard}");
    assert!(heard.contains("\"Monday cron\" was never used."), "{heard}");

    let mut session = Session::start(&world, &["revoke", &made.id], false);
    session.types("Type its name to revoke it: Monday cron", "Monday cron");
    let (heard, code) = session.end();
    assert_eq!(code, 0, "{heard}");
    assert!(heard.contains("Revoked. "), "{heard}");
}

#[test]
fn the_number_of_keys_and_the_id_of_an_owner_are_asked_for() {
    let world = World::sqlite();
    world.user_key("alice", "one");
    world.user_key("alice", "two");
    let mut session = Session::start(&world, &["revoke", "--owner", "user:alice", "--because", "test"], false);
    session.types("Type the number to revoke 2 keys: 2", "2");
    let (heard, code) = session.end();
    assert!(code == 0 && heard.contains("2"), "{heard}");
    let mut session = Session::start(&world, &["close", "user:alice"], false);
    session.types("Type its id to close user alice, which cannot be undone: alice", "bob");
    let (heard, code) = session.end();
    assert!(code == 4 && heard.contains("NOT closed: "), "{heard}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let world = World::sqlite();
    world.team_key("CI");
    let (heard, _) = Session::start(&world, &["list"], true).end();
    assert!(heard.contains("\u{1b}[1mID "), "{heard}");
    let (heard, _) = Session::start(&world, &["list"], false).end();
    assert!(!heard.contains('\u{1b}'), "{heard}");
    let (heard, _) = Session::start(&world, &["list", "--color", "never"], true).end();
    assert!(!heard.contains('\u{1b}'), "{heard}");
    assert!(!world.run(&["list"]).ok().contains('\u{1b}'));
    assert!(world.run(&["list", "--color", "always"]).ok().contains("\u{1b}[1mID "));
}

#[test]
fn a_terminal_gets_a_line_for_the_text_and_a_program_does_not() {
    let world = World::sqlite();
    let (heard, _) = Session::start(&world, &["create", "--team", "sales", "--name", "x"], false).end();
    let first = heard.lines().next().unwrap();
    assert!(first.starts_with("team.") && first.len() == 74, "{heard}");
    assert!(!world.run(&["create", "--team", "sales", "--name", "x"]).out.contains('\n'));
}

/// Older versions and plain SQL may have left such names.
#[test]
fn names_give_a_terminal_no_orders() {
    let world = World::sqlite();
    let made = world.user_key("mallory", "harmless");
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}drowssap\r\n=cmd";
    let file = rusqlite::Connection::open(world.path("keys.db")).unwrap();
    file.execute("update api_keys set name = ?1", [hostile]).unwrap();
    world.call(&made.text, "evil", 1);
    drop(file);
    let obeyed = |text: &str| {
        text.replace(['\n', '\r'], "").chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
    };
    for arguments in [
        &["list"][..],
        &["show", &made.id],
        &["inventory", "--all"],
        &["blast-radius", "mallory"],
        &["exposure", "mallory"],
        &["advise", "--all"],
        &["audit"],
        &["leak", &made.id],
    ] {
        for form in [&[][..], &["--json"]] {
            let ran = world.run(&[arguments, form].concat());
            assert!(!obeyed(&ran.out) && !obeyed(&ran.err), "{arguments:?}: {ran:?}");
            assert!(!ran.out.contains('\r'), "{arguments:?}");
        }
    }
    let (heard, _) = Session::start(&world, &["list"], false).end();
    assert!(!obeyed(&heard), "{heard:?}");
}

#[test]
fn a_long_name_is_cut_on_a_terminal_only() {
    let world = World::sqlite();
    let name = "a name that goes on for much longer than a column of a table has room";
    world.team_key(name);
    let (heard, _) = Session::start(&world, &["list"], false).end();
    assert!(heard.contains("a name that goes on for much longer tha…") && !heard.contains(name), "{heard}");
    assert!(world.run(&["list"]).ok().contains(name));
}
