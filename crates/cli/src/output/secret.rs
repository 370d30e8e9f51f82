//! The one way out for the text of a new key: to standard output or into a file, once.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tower_api_keys::{key::PlaintextKey, manage::KeyInfo, sentence::Sentence};
use zeroize::Zeroizing;

use super::json::write_json;
use crate::failure::Failure;

/// Where the text of a key will go. It is opened before the key is made, so that no key is made that cannot be shown.
pub(crate) enum Place {
    File { path: PathBuf, file: File },
    Output(File),
}

/// An answer with the text of a key. The old key is there in a rotation.
pub(crate) struct NewSecret<'a> {
    pub(crate) old: Option<&'a KeyInfo>,
    pub(crate) key: &'a KeyInfo,
    pub(crate) plaintext: &'a PlaintextKey,
    pub(crate) ends_soon: Option<Sentence>,
}

/// The same as over HTTP.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'a KeyInfo>,
    key: &'a KeyInfo,
    /// None if it went into a file.
    plaintext: Option<&'a str>,
    ends_soon: &'a Option<Sentence>,
}

impl Place {
    /// Opens the file, or else standard output.
    ///
    /// # Errors
    /// If the file exists or cannot be made, or if standard output is closed or leads nowhere.
    pub(crate) fn prepare(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else {
            let output = output().map_err(Failure::output)?;
            if leads_nowhere(&output) {
                let text = "Standard output is closed or is the null device, so the key would be lost: send it into \
                            another program, or into a file with --output.";
                return Err(Failure::usage(text));
            }
            return Ok(Self::Output(output));
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => Ok(Self::File { path: path.to_owned(), file }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let text =
                    format!("`{}` exists already, and nothing is overwritten: choose another name.", path.display());
                Err(Failure::refused(text))
            }
            Err(error) => {
                let text = format!(
                    "The file `{}` cannot be made: check that its folder exists and that you may write there.",
                    path.display()
                );
                Err(Failure::unavailable(text).because_of(&error))
            }
        }
    }

    /// Removes the empty file again: no key was made.
    pub(crate) fn discard(self) {
        if let Self::File { path, .. } = self {
            drop(fs::remove_file(path));
        }
    }

    /// Where the text went, for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File { path, .. } => format!("Its text is in `{}`, which only you can read.", path.display()),
            Self::Output(_) => "Its text went to standard output, once.".to_owned(),
        }
    }

    /// Writes the text of the key. If a program reads the answer, the text is one of its members, or in the file.
    ///
    /// Only a terminal gets a line feed after the text: it would become a part of the key in a secret store.
    ///
    /// # Errors
    /// Those of the file or of standard output. A file that could not be written is removed.
    pub(crate) fn write(&mut self, secret: &NewSecret<'_>, as_json: bool) -> io::Result<()> {
        let text = secret.plaintext.expose_secret();
        let into_file = matches!(self, Self::File { .. });
        let mut document = Zeroizing::new(Vec::new());
        if as_json {
            let NewSecret { old, key, ends_soon, .. } = secret;
            let shown = Shown { old: *old, key, plaintext: (!into_file).then_some(text), ends_soon };
            // With room for all of it, so that no copy is left behind when the buffer grows.
            document.reserve_exact(64 * 1024);
            write_json(&mut *document, &shown)?;
            document.push(b'\n');
        }
        match self {
            Self::File { path, file } => {
                let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
                if written.is_err() {
                    drop(fs::remove_file(path));
                }
                written?;
                output()?.write_all(&document)
            }
            Self::Output(output) if as_json => output.write_all(&document),
            Self::Output(output) => {
                output.write_all(text.as_bytes())?;
                if io::IsTerminal::is_terminal(&*output) { output.write_all(b"\n") } else { Ok(()) }
            }
        }
    }
}

/// Standard output without a buffer that would keep what it wrote.
fn output() -> io::Result<File> {
    #[cfg(unix)]
    let output = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
    #[cfg(windows)]
    let output = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
    Ok(output.into())
}

/// Whether everything that is written there is lost. A closed standard output is the null device, too: the runtime of
/// the language opens it in its place.
#[cfg(unix)]
fn leads_nowhere(output: &File) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    let (Ok(output), Ok(null)) = (output.metadata(), fs::metadata("/dev/null")) else { return false };
    output.file_type().is_char_device() && output.rdev() == null.rdev()
}

#[cfg(not(unix))]
fn leads_nowhere(_: &File) -> bool {
    false
}
