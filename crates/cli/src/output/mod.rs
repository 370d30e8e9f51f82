//! What people and programs see: standard output for what was asked for, standard error for everything else.

mod ask;
mod json;
mod secret;
mod style;
mod table;
mod text;
mod times;

use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write},
    time::{Duration, Instant},
};

use serde::Serialize;

pub(crate) use ask::{Asked, confirm};
pub(crate) use json::json;
pub(crate) use secret::{NewSecret, Place};
pub(crate) use style::Style;
pub(crate) use table::{Column, Table};
pub(crate) use text::{counted, listed, quoted, shown, source};
pub(crate) use times::{Now, date, length, minute, seconds};

use crate::{arguments::Color, exit::Exit, failure::Failure};

/// The two outputs. Every line for people goes through it and is cleaned there: names and sources are texts of
/// strangers.
pub(crate) struct Screen {
    json: bool,
    out: BufWriter<Stdout>,
    err: Stderr,
    is_terminal: bool,
    out_has_colors: bool,
    err_has_colors: bool,
    /// Whether the last thing on standard error is a line that is written over.
    is_counting: bool,
    /// When the last such line was written.
    counted_at: Instant,
}

impl Screen {
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let is_terminal = out.is_terminal();
        let (out_has_colors, err_has_colors) = (color.is_on(is_terminal), color.is_on(err.is_terminal()));
        let out = BufWriter::new(out);
        Self {
            json,
            out,
            err,
            is_terminal,
            out_has_colors,
            err_has_colors,
            is_counting: false,
            counted_at: Instant::now(),
        }
    }

    /// Whether the answer is for a program.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard output is a terminal.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// One document on a line of its own.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        self.out.write_all(json(document).as_bytes()).map_err(Failure::output)?;
        self.out.write_all(b"\n").map_err(Failure::output)
    }

    /// A line of the answer.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.styled(Style::Plain, text)
    }

    /// A line of the answer in a style.
    pub(crate) fn styled(&mut self, style: Style, text: impl AsRef<str>) -> Result<(), Failure> {
        let text = shown(text.as_ref());
        let line = style.dress(&text, self.out_has_colors);
        writeln!(self.out, "{}", line.trim_end()).map_err(Failure::output)
    }

    /// A text of this program, with several lines.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::output)
    }

    /// Bytes that the core has made for programs: CSV, JSON Lines.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(Failure::output)
    }

    /// Shows what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)
    }

    /// A line beside the answer, on standard error. It is lost if that is closed: the answer counts.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        self.note_styled(Style::Plain, text.as_ref());
    }

    fn note_styled(&mut self, style: Style, text: &str) {
        self.end_counting();
        let text = shown(text);
        let line = style.dress(&text, self.err_has_colors);
        drop(writeln!(self.err, "{line}"));
    }

    /// How far long work has come: one line that is written over on a terminal, and a line from time to time elsewhere.
    pub(crate) fn progress(&mut self, text: &str) {
        let is_terminal = self.err.is_terminal();
        if self.counted_at.elapsed() < if is_terminal { Duration::from_millis(100) } else { Duration::from_secs(2) } {
            return;
        }
        self.counted_at = Instant::now();
        let text = shown(text);
        if is_terminal {
            drop(write!(self.err, "\r\x1b[K{text}"));
            self.is_counting = true;
        } else {
            drop(writeln!(self.err, "{text}"));
        }
    }

    fn end_counting(&mut self) {
        if std::mem::take(&mut self.is_counting) {
            drop(write!(self.err, "\r\x1b[K"));
        }
    }

    /// Says what went wrong, and which exit code that is.
    pub(crate) fn failure(&mut self, failure: &Failure) -> Exit {
        // What was found before the failure comes first.
        drop(self.out.flush());
        if failure.is_silent() {
            return failure.exit();
        }
        if self.json {
            self.end_counting();
            drop(writeln!(self.err, "{}", failure.document()));
            return failure.exit();
        }
        for line in failure.lines() {
            self.note_styled(Style::Bad, &line);
        }
        failure.exit()
    }

    /// Writes what is buffered.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.end_counting();
        self.flush()
    }
}
