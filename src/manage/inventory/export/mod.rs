//! The inventory as a table or lines of JSON.

mod column;
mod format;
mod sheet;

use std::{error::Error, fmt, io};

use crate::manage::{counted::CountedUntil, error::ManageError};

pub use column::InventoryColumn;
pub use format::ExportFormat;

/// What was exported. It serializes.
///
/// ```
/// use tower_api_keys::manage::InventoryExport;
///
/// fn is_whole(exported: &InventoryExport) -> bool {
///     exported.unreadable == 0
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct InventoryExport {
    /// How many keys.
    pub keys: u64,
    /// How many keys are missing because their stored records cannot be read.
    pub unreadable: u64,
    /// How far the counts go in what was written.
    pub counted: CountedUntil,
}

/// Why an export ended before its end. What was written until then stays: whole lines, if the writer took them.
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
    /// The keys could not be read, or not by this actor.
    Read(ManageError),
    /// They could not be written.
    Write(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Write(_) => f.write_str("the inventory cannot be written to where it was to go"),
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
