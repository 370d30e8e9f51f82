//! From what was typed to a command, and to an error that repeats nothing secret.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, error::ErrorKind};
use tower_api_keys::{KeyId, key::contains_key};

use super::Cli;
use crate::failure::Failure;

/// What was typed.
pub(crate) enum Parsed {
    Command(Box<Cli>),
    /// The help or the version was asked for.
    Text(String),
}

/// What stands for an argument that an error does not repeat.
const HIDDEN: &str = "[…]";

/// The longest argument that an error repeats. The secret of a key alone is longer.
const LONGEST: usize = 40;

/// Reads the arguments.
///
/// # Errors
/// What is wrong with them. Arguments that may hold a key or a password are not repeated.
pub(crate) fn parse(given: Vec<OsString>) -> Result<Parsed, Failure> {
    let texts: Vec<String> = given.iter().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    if texts.iter().any(|text| contains_key(text)) {
        let text = "A key is never taken from an argument, because arguments are in process lists and histories: this key \
                    is in them now, so replace it. To check a key, pipe it: printf %s \"$KEY\" | apikeys verify";
        return Err(Failure::usage(text));
    }
    let given = given.into_iter().map(as_value);
    let parsed = Cli::command().try_get_matches_from(given).and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Parsed::Command(Box::new(cli))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Parsed::Text(error.render().to_string()))
        }
        Err(error) => Err(Failure::usage(without_secrets(&error.render().to_string(), &texts))),
    }
}

/// An id of a key may begin with a hyphen. With a blank before it, it is not taken for an option; no option is as long.
fn as_value(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.starts_with('-') && KeyId::new(text).is_ok() => format!(" {text}").into(),
        _ => argument,
    }
}

/// The text of an error without the arguments that may be secret: those that are long, and URLs.
fn without_secrets(text: &str, given: &[String]) -> String {
    let values = given.iter().flat_map(|argument| {
        let value = argument.split_once('=').map(|(_, value)| value);
        std::iter::once(argument.as_str()).chain(value)
    });
    let mut hidden: Vec<&str> = values.filter(|value| value.len() > LONGEST || value.contains("://")).collect();
    // A longer one may hold a shorter one.
    hidden.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    let text = text.strip_prefix("error: ").unwrap_or(text);
    hidden.into_iter().fold(text.trim_end().to_owned(), |text, value| text.replace(value, HIDDEN))
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn error_of(arguments: &[&str]) -> String {
        let given = std::iter::once("apikeys").chain(arguments.iter().copied()).map(OsString::from).collect();
        parse(given).err().map(|failure| failure.lines().join("\n")).unwrap_or_default()
    }

    #[test]
    fn the_description_of_the_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_first_page_of_the_help_has_every_command() {
        let page = super::super::help::ALL;
        let words: Vec<&str> = page.split_whitespace().collect();
        for command in Cli::command().get_subcommands() {
            assert!(words.contains(&command.get_name()), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
        }
    }

    #[test]
    fn an_error_repeats_no_long_argument_and_no_url() {
        let secret = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PK1q7";
        for arguments in [
            &["show", secret][..],
            &[secret],
            &["show", &format!("--wrong={secret}")],
            &["postgres://keys:hunter2@db/keys"],
            &["--sotre=postgres://keys:hunter2@db/keys", "list"],
            &["list", "postgres://keys:hunter2@db/keys"],
        ] {
            let said = error_of(arguments);
            assert!(!said.is_empty() && !said.contains(secret) && !said.contains("hunter2"), "{said}");
        }
        assert!(error_of(&["lsit"]).contains("lsit"));
    }

    #[test]
    fn an_id_may_begin_like_an_option() {
        for id in ["-AECAwQFBgcICQoLDA0O", "--ECAwQFBgcICQoLDA0O", "-hECAwQFBgcICQoLDA0O"] {
            for arguments in [&["show", id, "--json"][..], &["revoke", id, id, "--yes"], &["audit", "--key", id]] {
                assert_eq!(error_of(arguments), "", "{id}");
            }
        }
    }

    /// All arguments of a command, with those of all commands.
    fn arguments_of(command: &Command) -> Vec<&clap::Arg> {
        command.get_arguments().chain(command.get_subcommands().flat_map(arguments_of)).collect()
    }

    #[test]
    fn no_option_is_as_long_as_an_id() {
        for argument in arguments_of(&Cli::command()) {
            assert_ne!(argument.get_long().unwrap_or_default().len() + 2, 20, "{argument}");
        }
    }

    /// One of the two would take the values of the other.
    #[test]
    fn no_command_has_an_argument_with_the_name_of_one_of_all_commands() {
        let all = Cli::command();
        let global: Vec<_> = all.get_arguments().map(clap::Arg::get_id).collect();
        for argument in all.get_subcommands().flat_map(arguments_of) {
            assert!(!global.contains(&argument.get_id()), "{}", argument.get_id());
        }
    }
}
