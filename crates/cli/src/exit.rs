//! What the exit code says: scripts branch on it, so it is a list of its own.

use std::process::ExitCode;

use tower_api_keys::manage::{ManageError, ManageErrorKind};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or it was so already.
    Done = 0,
    /// The answer is *no*, or something was found.
    No = 1,
    /// The command line is wrong: nothing was done.
    Usage = 2,
    NotFound = 3,
    /// Denied, or in conflict with what is there.
    Refused = 4,
    /// The store, or the place for the output, cannot be used.
    Unavailable = 5,
    /// Nobody can say whether the change was made.
    Unknown = 6,
    Interrupted = 130,
}

impl Exit {
    /// What each code means, for the manual page.
    pub(crate) const MEANINGS: [(Self, &'static str); 8] = [
        (Self::Done, "Done, or it was so already."),
        (
            Self::No,
            "The answer is no, or something was found: verify, identify, explain, inventory, reconcile, doctor.",
        ),
        (Self::Usage, "The command line is wrong, or --yes is missing. Nothing was done."),
        (Self::NotFound, "Not found."),
        (Self::Refused, "Denied, or in conflict with what is there."),
        (Self::Unavailable, "The store, a file or the output cannot be used, or stored data is damaged."),
        (Self::Unknown, "The store did not say whether it made the change: look before you repeat the command."),
        (Self::Interrupted, "Interrupted."),
    ];

    /// *No* if something was found.
    pub(crate) const fn found(is_found: bool) -> Self {
        if is_found { Self::No } else { Self::Done }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&ManageError> for Exit {
    fn from(error: &ManageError) -> Self {
        match (error.kind(), error.status().as_u16()) {
            (ManageErrorKind::OutcomeUnknown, _) => Self::Unknown,
            (_, 403 | 409 | 412) => Self::Refused,
            (_, 404) => Self::NotFound,
            (_, 400 | 422) => Self::Usage,
            _ => Self::Unavailable,
        }
    }
}
