//! Colours, for terminals only.
//!
//! A file of its own, so that no other writes an escape sequence into a text.

use std::{borrow::Cow, env};

use crate::arguments::Color;

/// What a line is, which decides about its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bad,
    Good,
    Heading,
    Plain,
}

impl Style {
    /// The text in this style, if colours are on. The text has to be [clean](super::shown) already.
    pub(super) fn dress(self, text: &str, colors: bool) -> Cow<'_, str> {
        let code = match self {
            Self::Bad => "31",
            Self::Good => "32",
            Self::Heading => "1",
            Self::Plain => return Cow::Borrowed(text),
        };
        if colors { Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m")) } else { Cow::Borrowed(text) }
    }
}

impl Color {
    /// Whether an output has colours. `NO_COLOR` and dumb terminals have none, unless somebody asks for them.
    pub(super) fn is_on(self, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = env::var_os("TERM").is_some_and(|kind| kind == "dumb");
                is_terminal && !unwanted && !dumb
            }
        }
    }
}
