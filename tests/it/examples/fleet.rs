//! A small run with several nodes that share one PostgreSQL: it finds no fault, and it finds a planted one.

use std::{
    collections::BTreeMap,
    process::{Command, Output},
};

use super::running::program;

/// Decides whether an answer was wrong, and has its own tests.
#[path = "../../../examples/fleet/judge.rs"]
mod judge;

fn fleet(arguments: &[&str]) -> Output {
    Command::new(program("fleet")).args(["--requests", "2000", "--nodes", "2"]).args(arguments).output().unwrap()
}

/// The lines, by name.
fn figures(output: &Output) -> BTreeMap<String, f64> {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    let line = |line: &str| {
        let (name, figure) = line.split_once('\t').unwrap();
        (name.to_owned(), figure.parse().unwrap())
    };
    said.lines().map(line).collect()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_no_node_accepts_what_was_revoked(freshness: &str) {
    let output = fleet(&["--freshness", freshness]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let figures = figures(&output);
    let names: Vec<&str> = figures.keys().map(String::as_str).collect();
    let expected = [
        "checks_per_second_per_node",
        "database_queries_per_second",
        "freshness_reads_per_second_per_node",
        "refused_live",
        "requests",
        "revocation_max_ms",
        "revocation_p50_ms",
        "revocation_p99_ms",
        "revocations",
        "stale_accepts",
        "unavailable",
    ];
    assert_eq!(names, expected);
    assert_eq!((figures["stale_accepts"], figures["refused_live"]), (0.0, 0.0), "{figures:?}");
    // Each of sixteen tasks revokes, rotates and suspends at least once.
    assert!(figures["requests"] >= 2_000.0 && figures["revocations"] >= 48.0, "{figures:?}");
    assert!(figures["unavailable"] < figures["requests"], "{figures:?}");
    let ordered = ["revocation_p50_ms", "revocation_p99_ms", "revocation_max_ms"].map(|name| figures[name]);
    assert!(0.0 < ordered[0] && ordered.is_sorted(), "{figures:?}");
    for name in &expected[..3] {
        assert!(figures[*name] > 0.0, "{figures:?}");
    }
}

#[test]
fn no_node_of_a_strict_fleet_accepts_what_was_revoked() {
    assert_no_node_accepts_what_was_revoked("strict");
}

#[test]
fn no_node_of_a_bounded_fleet_accepts_what_was_revoked_a_second_before() {
    assert_no_node_accepts_what_was_revoked("bounded");
}

#[test]
fn a_fleet_that_caches_answers_is_found_out() {
    let output = fleet(&["--answer-cache"]);
    assert_eq!(output.status.code(), Some(1), "{}", error(&output));
    assert!(figures(&output)["stale_accepts"] > 0.0);
    assert_eq!(error(&output), "fleet: a key was accepted after it had been revoked or suspended\n");
}

#[test]
fn a_fleet_with_a_bad_argument_is_told_how_it_is_used() {
    for bad in [&["--nodes", "0"][..], &["--requests", "many"], &["--freshness", "fresh"], &["--url"], &["--help"]] {
        let output = fleet(bad);
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        assert!(error(&output).starts_with("usage: fleet [--requests") && output.stdout.is_empty(), "{bad:?}");
    }
}
