//! The inventory as a table or lines of JSON.

mod column;
mod drive;
mod format;
mod sheet;

use std::{error::Error, fmt, io};

use crate::manage::{counted::CountedUntil, error::ManageError};

pub use column::InventoryColumn;
pub(in crate::manage) use drive::Pieces;
pub use format::ExportFormat;
pub(in crate::manage) use sheet::{Lines, table};

/// What an export contained. It serializes.
///
/// ```
/// use tower_api_keys::manage::InventoryExport;
///
/// fn is_whole(exported: &InventoryExport) -> bool {
///     exported.unreadable == 0 && exported.names_complete
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct InventoryExport {
    /// How many keys.
    pub keys: u64,
    /// How many keys are missing because their stored records cannot be read.
    pub unreadable: u64,
    /// Until when usage in the written text is counted.
    pub counted: CountedUntil,
    /// Whether the [`Directory`](crate::manage::Directory) answered about all people and teams, as in
    /// [`Names::is_complete`](crate::manage::Names::is_complete). If not, names and flags of people who left are
    /// missing where the lines say so, and keys are missing if those with such a flag were asked for.
    pub names_complete: bool,
}

/// An export without keys.
impl Default for InventoryExport {
    fn default() -> Self {
        Self { keys: 0, unreadable: 0, counted: CountedUntil::default(), names_complete: true }
    }
}

/// Why an export ended early. Text that was written before stays: whole lines, if the writer took them.
///
/// ```
/// use tower_api_keys::manage::ExportError;
///
/// fn is_full(error: &ExportError) -> bool {
///     matches!(error, ExportError::Write(error) if error.kind() == std::io::ErrorKind::StorageFull)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// The keys or events could not be read, or not by this actor, or the export could not be recorded in the audit
    /// trail.
    Read(ManageError),
    /// They could not be written.
    Write(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Write(_) => f.write_str("the export could not be written to its destination"),
        }
    }
}

impl Error for ExportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) => error.source(),
            Self::Write(error) => Some(error),
        }
    }
}

impl From<ManageError> for ExportError {
    fn from(error: ManageError) -> Self {
        Self::Read(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}
