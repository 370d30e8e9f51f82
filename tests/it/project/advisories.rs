//! How `scripts/advisories.sh` handles the results of cargo-deny.
#![cfg(unix)]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// Runs the script with a `cargo` that does this, and with this time limit in seconds.
fn run(cargo: &str, wait: &str) -> Output {
    run_with(cargo, wait, "")
}

/// The same, with a value of `ADVISORIES_REQUIRED`.
fn run_with(cargo: &str, wait: &str, required: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("cargo");
    fs::write(&program, format!("#!/bin/sh\n{cargo}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/advisories.sh");
    Command::new(script)
        .env("PATH", path)
        .env("ADVISORIES_WAIT", wait)
        .env("ADVISORIES_REQUIRED", required)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn without_the_tool_or_the_network_it_says_so_and_fails_only_where_it_has_to_ask() {
    let no_network = r#"case "$*" in *fetch*) exit 1;; *check*) exit 1;; esac"#;
    let hangs = r#"case "$*" in *fetch*) exec sleep 600;; *check*) exit 1;; esac"#;
    for (cargo, wait, why) in [
        ("exit 101", "60", "NOT ASKED: cargo-deny is not installed"),
        (no_network, "60", "NOT ASKED: the database of advisories could not be fetched within 60 s"),
        (hangs, "0.01", "NOT ASKED: the database of advisories could not be fetched within 0.01 s"),
    ] {
        let output = run(cargo, wait);
        assert!(output.status.success(), "{cargo}");
        assert!(said(&output).lines().any(|line| line.starts_with(why)), "{cargo}: {}", said(&output));
        // The weekly run must be able to ask.
        let required = run_with(cargo, wait, "1");
        assert_eq!(required.status.code(), Some(2), "{cargo}");
        assert!(said(&required).lines().any(|line| line.starts_with(why)), "{cargo}: {}", said(&required));
    }
}

#[test]
fn a_known_weakness_fails_the_run_and_none_does_not() {
    let finds = run(r#"case "$*" in *check*) exit 1;; esac"#, "60");
    assert!(!finds.status.success() && !said(&finds).contains("NOT ASKED"));
    let asked = run(r#"echo "$*""#, "60");
    assert!(asked.status.success() && !said(&asked).contains("NOT ASKED"));
    assert!(said(&asked).contains("deny --all-features check --disable-fetch advisories"), "{}", said(&asked));
}
