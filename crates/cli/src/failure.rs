//! Why a command did not do what it was asked for, in words for people and as a problem document for programs.

use std::{error::Error, fmt, io};

use serde::Serialize;
use tower_api_keys::{
    key::redact,
    manage::{ExportError, ManageError, Problem, RevokeManyError, RevokedMany},
    store::StoreError,
};

use crate::{exit::Exit, output::json};

/// A command that failed.
pub(crate) struct Failure {
    exit: Exit,
    /// What did not happen, as in *NOT revoked*.
    not: Option<&'static str>,
    text: String,
    /// The causes of the error, the nearest first.
    causes: Vec<String>,
    /// The problem document, as JSON.
    document: String,
}

/// A revocation of many keys that stopped half-way, as over HTTP.
#[derive(Serialize)]
struct StoppedHalfWay {
    #[serde(flatten)]
    problem: Problem,
    so_far: RevokedMany,
}

/// A problem that the manager does not know, with the members of one of the manager.
#[derive(Serialize)]
struct Own {
    r#type: &'static str,
    title: &'static str,
    status: Option<u16>,
    code: &'static str,
    reason: Option<&'static str>,
    detail: String,
    sentence: Said,
    remedy: Option<()>,
    field: Option<&'static str>,
    key: Option<()>,
    current: Option<i64>,
}

/// A sentence of the command line, in the form of a sentence of the core.
#[derive(Serialize)]
struct Said {
    id: String,
    arguments: NoArguments,
    text: String,
}

#[derive(Serialize)]
struct NoArguments {}

impl Failure {
    /// The command line is wrong, for this reason.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::own(Exit::Usage, "usage", text)
    }

    /// The value of this option is wrong.
    pub(crate) fn option(name: &str, error: &impl fmt::Display) -> Self {
        Self::usage(format!("The value of {name} is wrong. {}", sentence(error)))
    }

    /// The command is right, and what is there does not allow it.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::own(Exit::Refused, "refused", text)
    }

    /// The store, a file or the output cannot be used.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::own(Exit::Unavailable, "unavailable", text)
    }

    pub(crate) fn store(error: &StoreError) -> Self {
        Self::unavailable(sentence(error)).because(error)
    }

    pub(crate) fn no_runtime(error: io::Error) -> Self {
        Self::unavailable("The operating system does not let this program start: check the limits of this process.")
            .because_of(&error)
    }

    pub(crate) fn interrupted(changes: bool) -> Self {
        let mut failure = Self::own(Exit::Interrupted, "interrupted", "Interrupted.");
        if changes {
            failure.text.push(' ');
            failure.text.push_str(UNKNOWN);
        }
        failure
    }

    /// A line that could not be written. If the reader has closed the pipe, it has read enough.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                exit: Exit::Done,
                not: None,
                text: String::new(),
                causes: Vec::new(),
                document: String::new(),
            };
        }
        Self::unavailable("Standard output cannot be written: check where it leads.").because_of(&error)
    }

    fn own(exit: Exit, code: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        let title = match exit {
            Exit::Usage => "Bad Request",
            Exit::Refused => "Conflict",
            Exit::Interrupted => "Interrupted",
            _ => "Service Unavailable",
        };
        let sentence = Said { id: format!("cli.{code}"), arguments: NoArguments {}, text: text.clone() };
        let document = json(&Own {
            r#type: "about:blank",
            title,
            status: None,
            code,
            reason: None,
            detail: text.clone(),
            sentence,
            remedy: None,
            field: None,
            key: None,
            current: None,
        });
        Self { exit, not: None, text, causes: Vec::new(), document }
    }

    /// What the command did not do, as in *NOT revoked*.
    pub(crate) fn not(mut self, done: &'static str) -> Self {
        // A usage error speaks about the command, and an unknown outcome may have been done.
        if matches!(self.exit, Exit::NotFound | Exit::Refused | Exit::Unavailable) {
            self.not = Some(done);
        }
        self
    }

    /// With one more sentence.
    pub(crate) fn with(mut self, more: impl AsRef<str>) -> Self {
        self.text.push_str(more.as_ref());
        self
    }

    /// The sources of an error.
    fn because(self, error: &(dyn Error + 'static)) -> Self {
        match error.source() {
            Some(source) => self.because_of(source),
            None => self,
        }
    }

    /// An error and its sources.
    pub(crate) fn because_of(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            let said = redact(&cause.to_string()).into_owned();
            // Errors that wrap others often repeat them.
            if !self.causes.iter().any(|known| known.contains(&said)) && !self.text.contains(&said) {
                self.causes.push(said);
            }
            next = cause.source();
        }
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether nothing has to be said.
    pub(crate) fn is_silent(&self) -> bool {
        self.text.is_empty()
    }

    /// The document for programs.
    pub(crate) fn document(&self) -> &str {
        &self.document
    }

    /// The lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let said = match self.not {
            Some(done) => format!("NOT {done}: {}", self.text),
            None => self.text.clone(),
        };
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.extend(self.causes.iter().map(|cause| format!("  because: {cause}")));
        if self.exit == Exit::Unknown {
            lines.push(UNKNOWN.to_owned());
        }
        lines
    }
}

/// What the last line says if nobody knows the outcome.
const UNKNOWN: &str =
    "NOT known whether it was done: look with `apikeys show` or `apikeys audit` before you repeat it.";

/// The text of an error of the core, which begins in lower case and has no full stop, as a sentence.
pub(crate) fn sentence(error: &impl fmt::Display) -> String {
    let text = redact(&error.to_string()).into_owned();
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return text };
    let ends = text.ends_with(['.', '`', '!']);
    let rest = letters.as_str();
    format!("{}{rest}{}", first.to_uppercase(), if ends { "" } else { "." })
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        let problem = Problem::from(&error);
        let mut text = problem.sentence.to_string();
        if let Some(remedy) = &problem.remedy {
            text.push(' ');
            text.push_str(&remedy.to_string());
        }
        let document = json(&problem);
        Self { exit: Exit::from(&error), not: None, text, causes: Vec::new(), document }.because(&error)
    }
}

impl From<RevokeManyError> for Failure {
    fn from(error: RevokeManyError) -> Self {
        let so_far = error.so_far().clone();
        let error = error.into_error();
        let problem = Problem::from(&error);
        let mut failure = Self::from(error);
        for said in so_far.sentences() {
            failure.text.push(' ');
            failure.text.push_str(&said.to_string());
        }
        failure.document = json(&StoppedHalfWay { problem, so_far });
        failure
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => error.into(),
            ExportError::Write(error) => Self::output(error),
            error => Self::unavailable(sentence(&error)),
        }
    }
}
