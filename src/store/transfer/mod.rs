//! Moving all rows of one store to another, unchanged.

mod batch;
mod copy;
mod copy_error;
mod cursor;
mod portable;

pub use batch::{Batch, MetaRow, OwnerRow, Page, Tombstone};
pub use copy::{Copied, Copy, Progress, copy};
pub use copy_error::{CopyError, CopyErrorKind};
pub use cursor::{Cursor, InvalidCursor};
pub use portable::PortableStore;
