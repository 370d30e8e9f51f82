//! How an export of keys or events runs: into a writer, or as a stream.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::ExportError;
use crate::manage::error::ManageError;

/// An export in progress.
pub(in crate::manage) trait Pieces: Send + Sized {
    /// The report of a finished export.
    type Exported;

    /// The next piece of its text; none after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, ManageError>> + Send;

    /// What was exported so far.
    fn exported(self) -> Self::Exported;

    /// Writes all of it.
    fn write<W: io::Write + Send + ?Sized>(
        mut self,
        writer: &mut W,
    ) -> impl Future<Output = Result<Self::Exported, ExportError>> + Send {
        async move {
            while let Some(piece) = self.next().await? {
                writer.write_all(&piece)?;
            }
            writer.flush()?;
            Ok(self.exported())
        }
    }

    /// Yields each piece when it is asked for.
    fn stream(self) -> impl Stream<Item = Result<Bytes, ManageError>> + Send {
        stream::try_unfold(self, |mut pieces| async move { Ok(pieces.next().await?.map(|piece| (piece, pieces))) })
    }
}
