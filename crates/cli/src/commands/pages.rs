//! The pages of this program: how the shell completes its words, and its manual.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{arguments::Cli, exit::Exit, failure::Failure, output::Screen};

/// Print what lets a shell complete commands and options
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Print the manual page
#[derive(Args)]
pub(crate) struct Man {}

impl Completions {
    pub(super) fn run(&self, screen: &mut Screen) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "apikeys", &mut script);
        screen.bytes(&script).map(|()| Exit::Done)
    }
}

impl Man {
    /// One page with a section for each command: people look things up in one place.
    pub(super) fn run(&self, screen: &mut Screen) -> Result<Exit, Failure> {
        let mut command = Cli::command();
        command.build();
        let mut page = Vec::new();
        let all = clap_mangen::Man::new(command.clone());
        render(&all, &mut page).map_err(Failure::output)?;
        for inner in command.get_subcommands() {
            section(inner, &format!("apikeys {}", inner.get_name()), &mut page).map_err(Failure::output)?;
        }
        exits(&mut page).map_err(Failure::output)?;
        screen.bytes(&page).map(|()| Exit::Done)
    }
}

fn exits(page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH EXIT STATUS")?;
    for (exit, meaning) in Exit::MEANINGS {
        writeln!(page, ".TP\n.B {}\n{}", exit as u8, meaning.replace('-', "\\-"))?;
    }
    Ok(())
}

fn render(man: &clap_mangen::Man, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)
}

/// The section of a command: its use, what it is for, and its own options.
fn section(command: &clap::Command, name: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let own = command.clone().mut_args(|argument| {
        let is_global = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(is_global)
    });
    writeln!(page, ".SH {}", name.to_uppercase())?;
    if let Some(about) = command.get_about() {
        writeln!(page, "{about}")?;
    }
    let has_own = own.get_arguments().any(|argument| !argument.is_hide_set());
    let mut options = Vec::new();
    clap_mangen::Man::new(own).render_options_section(&mut options)?;
    if has_own {
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        page.extend_from_slice(options.as_bytes());
    }
    for inner in command.get_subcommands() {
        section(inner, &format!("{name} {}", inner.get_name()), page)?;
    }
    Ok(())
}
