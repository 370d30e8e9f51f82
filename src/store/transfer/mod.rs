//! Moving everything from one store to another, as it is.

mod copy;
mod copy_error;
mod place;
mod portable;
mod rows;

pub use copy::{Copied, Copying, Progress, copy};
pub use copy_error::{CopyError, CopyErrorKind};
pub use place::{InvalidPlace, Place};
pub use portable::PortableStore;
pub use rows::{Exported, MetaRow, OwnerRow, Rows, Tombstone};
