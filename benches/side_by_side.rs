//! This crate compared with its alternatives: `cargo bench --bench side_by_side`.
//!
//! As dependencies of this package, the alternatives would be built for every new user's first command. So they, and
//! all measurements, are in the package `benches/peers`. This bench builds and runs that package, and passes its output
//! on.
#![allow(clippy::print_stderr, reason = "it says why there is nothing to run")]

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    // `cargo test --benches` also runs this, but not to measure.
    if !env::args().any(|argument| argument == "--bench") {
        eprintln!("nothing to test here; it measures: cargo bench --bench side_by_side");
        return ExitCode::SUCCESS;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/Cargo.toml");
    if !manifest.is_file() {
        eprintln!("benches/peers is not part of the published archive: run this bench from a clone of the repository");
        return ExitCode::FAILURE;
    }
    // A target folder inside of this package's own: the two share few builds, and no second folder has to be ignored.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    let mut cargo = Command::new(env!("CARGO"));
    // The variables that cargo sets for this package would make a build script of the other package run again and
    // again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    let run = cargo
        .args(["bench", "--locked", "--bench", "side_by_side", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .status();
    match run {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("the bench in benches/peers ended with {status}");
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
