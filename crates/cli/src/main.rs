//! `apikeys`: manages the API keys of a store from a terminal or a script.
//!
//! An invocation goes through these steps: [`arguments`] reads what was asked, [`open`] opens the store, one module of
//! [`commands`] does it, and [`output`] shows the answer, or a [`failure`], whose kind is the [`exit`] code.

mod arguments;
mod commands;
mod exit;
mod failure;
mod open;
mod output;

use std::{env, ffi::OsString, process::ExitCode};

use arguments::{Cli, Command, Parsed, parse};
use exit::Exit;
use failure::Failure;
use output::Screen;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let given: Vec<OsString> = env::args_os().collect();
    let wants_json = given.iter().any(|argument| argument == "--json");
    let (mut screen, done) = match parse(given) {
        Ok(Parsed::Command(cli)) => {
            let mut screen = Screen::new(cli.global.json, cli.global.color);
            let done = run(&cli, &mut screen);
            (screen, done)
        }
        Ok(Parsed::Text(text)) => {
            let mut screen = Screen::new(false, arguments::Color::Never);
            let done = screen.text(&text).map(|()| Exit::Done);
            (screen, done)
        }
        Err(failure) => (Screen::new(wants_json, arguments::Color::Auto), Err(failure)),
    };
    let done = done.and_then(|exit| screen.finish().map(|()| exit));
    done.unwrap_or_else(|failure| screen.failure(&failure)).into()
}

/// Runs one command. Stores and hashes have threads of their own; only a server needs more than this one.
fn run(cli: &Cli, screen: &mut Screen) -> Result<Exit, Failure> {
    let serves = matches!(cli.command, Command::Serve(_));
    let mut builder = if serves { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = builder.enable_all().build().map_err(Failure::no_runtime)?;
    let done = runtime.block_on(async {
        if serves {
            // The same signals stop it, after it has finished what it began.
            return commands::run(cli, screen).await;
        }
        tokio::select! {
            done = commands::run(cli, screen) => done,
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Err(Failure::interrupted(cli.command.changes())),
                Err(error) => Err(Failure::no_runtime(error)),
            },
        }
    });
    // A thread may still wait for a line of a terminal that nobody types in.
    runtime.shutdown_background();
    done
}
