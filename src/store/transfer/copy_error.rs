use std::{error::Error, fmt};

use super::cursor::Cursor;
use crate::store::error::{StoreError, StoreErrorKind};

/// Why a [`copy`](super::copy()) stopped, and where it can continue. Its source is the store's own error.
///
/// ```
/// use tower_api_keys::store::{KeyStore, MemoryStore, transfer::{CopyErrorKind, copy}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (old, new) = (MemoryStore::new(), MemoryStore::new());
/// old.put_meta_if_absent("colour", b"blue").await?;
/// new.put_meta_if_absent("colour", b"red").await?;
/// let error = copy(&old, &new).await.unwrap_err();
/// assert_eq!(error.kind(), CopyErrorKind::Conflict);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CopyError {
    kind: CopyErrorKind,
    cursor: Cursor,
    source: StoreError,
}

/// The kinds of [`CopyError`].
///
/// ```
/// use tower_api_keys::store::transfer::CopyErrorKind;
///
/// assert_ne!(CopyErrorKind::Source, CopyErrorKind::Target);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyErrorKind {
    /// The target holds a row that the source does not have, or has with another content. It was not overwritten.
    Conflict,
    /// The store to copy could not be read.
    Source,
    /// The store to copy into could not be read or written.
    Target,
}

impl CopyError {
    pub(super) fn source(cursor: &Cursor, source: StoreError) -> Self {
        Self { kind: CopyErrorKind::Source, cursor: cursor.clone(), source }
    }

    pub(super) fn target(cursor: &Cursor, source: StoreError) -> Self {
        let kind = match source.kind() {
            StoreErrorKind::Conflict(_) => CopyErrorKind::Conflict,
            _ => CopyErrorKind::Target,
        };
        Self { kind, cursor: cursor.clone(), source }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> CopyErrorKind {
        self.kind
    }

    /// Where to continue with [`Copy::starting_at`](super::Copy::starting_at): everything before it is copied.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            CopyErrorKind::Conflict => "the target store already has other rows: copy into an empty store",
            CopyErrorKind::Source => "the source store cannot be read",
            CopyErrorKind::Target => "the target store cannot be used",
        })
    }
}

impl Error for CopyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
