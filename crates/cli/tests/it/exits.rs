//! What is refused, with which exit code and which words.

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::World;

const SECRET: &str = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PK1q7";

#[test]
fn a_key_in_an_argument_is_refused_and_not_repeated() {
    let world = World::sqlite();
    let made = world.team_key("CI");
    let (id, secret) = (made.id.as_str(), made.text.rsplit('.').next().unwrap());
    let pieces = [
        made.text.clone(),
        format!("{id}.{secret}"),
        format!("Authorization: Bearer {}", made.text),
        made.text[..made.text.len() - 20].to_owned(),
        format!("--name={}", made.text),
    ];
    for piece in &pieces {
        for arguments in [&["verify", piece][..], &[piece], &["revoke", piece, "--yes"], &["create", "--name", piece]] {
            let said = world.run(arguments).fails(2);
            assert!(said.starts_with("A key is never taken from an argument"), "{said}");
        }
        let said = world.run(&["verify", piece, "--json"]).fails(2);
        assert!(said.contains("\"code\":\"usage\""), "{said}");
    }
    // Nobody can see that the secret alone is one; it is not repeated anyway.
    for arguments in [&["show", secret][..], &[secret], &["show", id, &format!("--wrong={secret}")]] {
        world.run(arguments).fails(2);
    }
    world.assert_no_secret_was_said();
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let world = World::sqlite();
    for (arguments, said) in [
        (&["lsit"][..], "unrecognized subcommand 'lsit'\n\n  tip: a similar subcommand exists: 'list'"),
        (
            &["show", "short"],
            "invalid value 'short' for '<ID>': write the 20 characters in the middle of the key's text",
        ),
        (
            &["create", "--name", "x"],
            "the following required arguments were not provided:\n  <--user <ID>|--team <ID>>",
        ),
        (
            &["create", "--user", "a", "--team", "b", "--name", "x"],
            "the argument '--user <ID>' cannot be used with '--team <ID>'",
        ),
        (&["create", "--user", "a", "--name", "x", "--expires", "soon"], "write a date (2027-01-31), a time"),
        (&["create", "--user", "a", "--name", "x", "--expires", "2020-01-01"], "An expiry must be in the future"),
        (&["create", "--user", "a", "--name", "x", "--label", "ticket"], "write a label and its value"),
        (&["create", "--user", "a", "--name", "x", "--network", "everywhere"], "network"),
        (&["create", "--user", "a", "--name", "x", "--scope", "a b"], "scope"),
        (&["edit", "AAAAAAAAAAAAAAAAAAAA"], "Nothing to change: say what, such as --name."),
        (&["revoke"], "Which keys? Give ids, or say which with --owner"),
        (&["revoke", "--owner", "user:alice", "--yes"], "Say why with --because"),
        (&["revoke", "--owner", "alice"], "write user:ID or team:ID"),
        (&["suspend", "alice"], "write user:ID, team:ID or organization"),
        (&["inventory", "--flag", "nice"], "invalid value 'nice' for '--flag <FLAG>'"),
        (&["reconcile"], "Who is there? Give the ids with --users FILE, --teams FILE, or both."),
        (&["audit", "--limit", "1", "--follow"], "cannot be used with"),
        (&["inventory", "--csv", "--json"], "cannot be used with"),
        (&["copy", "a.db", "b.db", "--starting-at", "nowhere"], "invalid value 'nowhere' for '--starting-at <PLACE>'"),
        (&["list", "--as", "a\nb"], "The value of --as is wrong. An id must have 1 to 128 bytes"),
        (&["list", "--brand", "Not A Brand"], "brand"),
        (&["list", "--node-freshness", "often"], "write `strict` or a bound such as 2s"),
        (&["list", "--named", "ghp_0123456789abcdefghij0123456789abcdef"], "Do not search for an API key"),
        (&["copy", "-", "-"], "Only one of the two stores can be read from standard input."),
        (&["copy", "keys.db", "keys.db"], "Both stores are the same file."),
        (&["--store", "", "list"], "neither a file nor a URL"),
    ] {
        let heard = world.run(arguments).fails(2);
        assert!(heard.contains(said), "{arguments:?}: {heard}");
    }
    let said = World::empty().with("APIKEYS_STORE", "").run(&["list"]).fails(2);
    assert!(said.contains("neither a file nor a URL"), "{said}");
    for off in ["", "0", "false", "off"] {
        World::sqlite().with("APIKEYS_BEHIND_POOLER", off).with("APIKEYS_ACCEPT_UNBRANDED", off).run(&["list"]).ok();
    }
    World::sqlite().with("APIKEYS_BRAND", "acme").with("APIKEYS_ACCEPT_UNBRANDED", "1").run(&["list"]).ok();
    let nowhere = World::empty();
    let mut without = nowhere.command(&["list"]);
    let said = String::from_utf8(without.env_remove("APIKEYS_STORE").output().unwrap().stderr).unwrap();
    assert_eq!(said, "Which store? Give its file or URL with --store, or set APIKEYS_STORE.\n");
}

#[test]
fn what_is_not_there_is_3() {
    let world = World::sqlite();
    let id = "AAAAAAAAAAAAAAAAAAAA";
    for (arguments, said) in [
        (&["show", id][..], "Not found, or you do not have access to it.\n"),
        (&["explain", id], "Not found, or you do not have access to it.\n"),
        (&["advise", id], "Not found, or you do not have access to it.\n"),
        (&["leak", id], "Not found, or you do not have access to it.\n"),
        (&["edit", id, "--name", "x"], "NOT changed: Not found, or you do not have access to it.\n"),
        (&["pause", id], "NOT paused: Not found, or you do not have access to it.\n"),
        (&["resume", id], "NOT resumed: Not found, or you do not have access to it.\n"),
        (&["revoke", id, "--yes"], "NOT revoked: Not found, or you do not have access to it.\n"),
        (&["rotate", "begin", id], "NOT rotated: Not found, or you do not have access to it.\n"),
        (&["rotate", "status", id], "Not found, or you do not have access to it.\n"),
        (&["rotate", "finish", id], "NOT finished: Not found, or you do not have access to it.\n"),
        (&["rotate", "abort", id], "NOT aborted: Not found, or you do not have access to it.\n"),
    ] {
        assert_eq!(world.run(arguments).fails(3), said, "{arguments:?}");
    }
    let said = world.run(&["show", id, "--json"]).fails(3);
    let problem: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&"not_found".into(), &404.into()));
}

#[test]
fn what_is_in_conflict_is_4() {
    let world = World::sqlite();
    let dead = world.team_key("dead").id;
    world.run(&["revoke", &dead, "--yes"]).ok();
    let old = world.team_key("old").id;
    world.make(&["rotate", "begin", &old]);
    let paused = world.team_key("paused").id;
    world.run(&["pause", &paused]).ok();
    world.run(&["suspend", "user:alice"]).ok();
    world.run(&["close", "user:bob", "--yes"]).ok();
    let again = ["create", "--team", "sales", "--name", "once", "--idempotency-key", "job 7"];
    let once = world.make(&again);
    for (arguments, said) in [
        (
            &["edit", &dead, "--name", "x"][..],
            "NOT changed: The key is revoked, which cannot be undone: create a new one.\n",
        ),
        (&["rotate", "begin", &dead], "NOT rotated: The key is revoked, which cannot be undone: create a new one.\n"),
        (&["rotate", "begin", &old], "NOT rotated: "),
        (&["rotate", "begin", &paused], "NOT rotated: The key is paused"),
        (&["rotate", "status", &paused], "This key has no rotation: start one first.\n"),
        (&["edit", &old, "--name", "x", "--if-version", "7"], "NOT changed: Somebody changed the key in the meantime"),
        (&["create", "--user", "alice", "--name", "x"], "NOT created: The user, team or organization is suspended"),
        (
            &["create", "--user", "bob", "--name", "x"],
            "NOT created: The user, team or organization is closed permanently",
        ),
        (&["reinstate", "user:bob"], "NOT reinstated: "),
        (&again, "NOT created: This request has already created a key"),
    ] {
        let heard = world.run(arguments).fails(4);
        assert!(heard.starts_with(said), "{arguments:?}: {heard}");
    }
    let said = world.run(&again).fails(4);
    assert!(said.contains(&format!(" It is the team key {}, \"once\", of team sales.", once.id)), "{said}");
    let said = world.run(&["create", "--team", "sales", "--name", "twice", "--idempotency-key", "job 7"]).fails(2);
    assert!(said.starts_with("This idempotency key was used for a different request"), "{said}");
}

#[test]
fn what_is_not_said_to_be_wanted_is_not_done() {
    let world = World::sqlite();
    let made = world.user_key("alice", "laptop");
    let new = world.make(&["rotate", "begin", &made.id]);
    world.write("users", "bob");
    for arguments in [
        &["revoke", &made.id][..],
        &["revoke", "--owner", "user:alice", "--because", "test"],
        &["revoke", &made.id, &new.id, "--because", "test"],
        &["rotate", "finish", &new.id, "--anyway"],
        &["leak", &made.id, "--revoke"],
        &["close", "user:alice"],
        &["close", "organization"],
        &["reconcile", "--users", "users", "--close"],
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.err.contains("standard input is not a terminal: add --yes"), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(world.run(&["list", "--json"]).ok().lines().count(), 2);
}

#[test]
fn lists_that_cannot_be_meant_close_nobody() {
    let world = World::sqlite();
    world.user_key("alice", "laptop");
    world.write("empty", "\n \n");
    world.write("broken", "bob\n\u{7}bell\n");
    for (file, said) in [
        ("none", "The list `none` cannot be read."),
        ("empty", "The list `empty` is empty: it would say that nobody is there any more."),
        ("broken", "Line 2 of the list `broken` is not an id."),
    ] {
        let heard = world.run(&["reconcile", "--users", file, "--close", "--yes"]).fails(2);
        assert!(heard.starts_with(said), "{heard}");
    }
    assert!(world.run(&["show", &world.user_key("alice", "other").id]).ok().contains("live"));
}

#[test]
fn a_text_that_is_no_key_is_1() {
    let world = World::sqlite().with("APIKEYS_BRAND", "acme");
    let made = world.team_key("CI");
    let other = format!("{}.{SECRET}", made.text.rsplit_once('.').unwrap().0);
    for (text, said) in [
        ("hello", "Malformed key: "),
        ("ghp_tM0r8xGQ2kVb", "Malformed key: it is a credential of another service (GitHub)."),
        (&made.text[..60], "Malformed key: "),
        (&other, "Malformed key: "),
        ("", "Malformed key: "),
    ] {
        let ran = world.run_with(&["verify"], text);
        assert!(ran.code == 1 && ran.out.starts_with(said), "{text}: {ran:?}");
    }
    let elsewhere = World::sqlite().with("APIKEYS_BRAND", "acme");
    let stranger = elsewhere.team_key("CI");
    let ran = world.run_with(&["verify"], &stranger.text);
    assert_eq!(ran.out, "The text has the form of a key, but it is none of the keys in this store.\n");
    assert_eq!(ran.code, 1);
    let ran = world.run_with(&["verify"], &"x".repeat(70_000));
    assert!(ran.code == 2 && ran.err.contains("at most 64 KiB"), "{ran:?}");
    world.run(&["verify", "no such file"]).fails(2);
    world.knows(SECRET);
    world.assert_no_secret_was_said();
}

#[test]
fn a_command_that_waits_can_be_interrupted() {
    let world = World::sqlite();
    world.team_key("CI");
    let mut child = world.command(&["audit", "--follow", "--since", "1h"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("AT"));
    assert!(lines.next().unwrap().unwrap().contains("key.issued"));
    // What happens now comes, too.
    world.user_key("alice", "laptop");
    assert!(lines.next().unwrap().unwrap().contains("user alice"));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "Interrupted.\n");
}

#[test]
fn the_trail_says_who_acted() {
    let world = World::sqlite().with("USER", "carol");
    world.team_key("CI");
    let ran = world.command(&["create", "--team", "sales", "--name", "x"]).env_remove("APIKEYS_AS").output().unwrap();
    assert!(ran.status.success());
    let trail = world.run(&["audit", "--json"]).ok();
    let actors: Vec<_> = trail
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["actor"].to_string())
        .collect();
    assert!(actors[0].starts_with("\"system:command line: carol@"), "{actors:?}");
    assert_eq!(actors[1], "\"system:ops\"");
}

#[test]
fn organizations_are_apart() {
    let world = World::sqlite();
    let acme = ["--organization", "acme"];
    let made = world.make(&[&["create", "--team", "sales", "--name", "x"][..], &acme].concat());
    assert_eq!(world.run(&["list", "--json"]).ok(), "");
    world.run(&["show", &made.id]).fails(3);
    assert!(world.run(&[&["show", &made.id][..], &acme].concat()).ok().contains("of team sales"));
    let verified = world.run_with(&["verify"], &made.text).ok();
    assert!(verified.contains(", in organization acme: live."), "{verified}");
    world.run(&[&["close", "organization", "--yes"][..], &acme].concat()).ok();
    assert!(world.run(&[&["show", &made.id][..], &acme].concat()).ok().contains("owner closed"));
}
