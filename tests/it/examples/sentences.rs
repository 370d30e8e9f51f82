//! The page of all sentences is what its program prints.

use std::{fs, path::Path, process::Command};

use super::running::program;

#[test]
fn the_page_of_sentences_is_what_the_program_prints() {
    let printed = Command::new(program("sentences")).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let printed = String::from_utf8(printed.stdout).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sentences.md");
    if std::env::var_os("UPDATE_ANSWERS").is_some() {
        fs::write(&page, &printed).unwrap();
    }
    let said = fs::read_to_string(page).unwrap();
    let first = said.lines().zip(printed.lines()).find(|(said, printed)| said != printed);
    assert!(said == printed, "docs/sentences.md is old, at {first:?}: run the command that it names");
}
