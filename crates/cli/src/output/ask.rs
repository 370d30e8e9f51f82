//! Questions before something that cannot be undone.

use std::io::{self, IsTerminal};

use super::Screen;
use crate::failure::Failure;

/// What has to be typed.
pub(crate) struct Asked<'a> {
    /// What will happen, as in *revoke it*.
    pub(crate) to: &'a str,
    /// What the text is, as in *its name*.
    pub(crate) what: &'a str,
    pub(crate) text: &'a str,
}

/// Asks, unless the answer was given with `--yes`.
///
/// # Errors
/// If there is no terminal to ask on, or the answer is another one.
pub(crate) async fn confirm(asked: Asked<'_>, yes: bool, screen: &mut Screen) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let text =
            "This command asks before it does this, and standard input is not a terminal: add --yes if you are sure.";
        return Err(Failure::usage(text));
    }
    screen.flush()?;
    screen.note(format!("Type {} to {}: {}", asked.what, asked.to, asked.text));
    // On a thread of its own, so that Ctrl-C still ends the program.
    let answer = tokio::task::spawn_blocking(|| io::stdin().lines().next().transpose()).await;
    let answer = answer.map_err(io::Error::other).and_then(|line| line).map_err(|error| {
        Failure::unavailable("The answer could not be read from the terminal: add --yes if you are sure.")
            .because_of(&error)
    })?;
    match answer {
        Some(line) if line.trim() == asked.text.trim() => Ok(()),
        _ => Err(Failure::refused(format!("You typed something else than {}: run the command again.", asked.what))),
    }
}
