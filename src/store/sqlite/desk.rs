use std::{sync::Arc, time::Duration};

use rusqlite::Connection;

use super::{
    closing::leave_log,
    doubt::Doubt,
    failure::Failure,
    local_head::LocalHead,
    mark::{PATIENCE_FOR_MARK, read_marks, renew_mark, renew_mark_and_empty_log},
    watch::Watch,
};
use crate::store::StoreError;

/// After how many changes the log is brought into the file: some thousand pages, a few megabytes.
const CHANGES_BETWEEN_MARKS: u32 = 200;

/// The same for a log that is longer than this, and than it was after the last time: a change may write thousands of
/// rows.
const LOG_LENGTH_BETWEEN_MARKS: u64 = 4 << 20;

/// How much longer the log may become while another connection reads: another try after each change would not help.
const GROWTH_BESIDE_READERS: u64 = 64 << 20;

/// A connection on its thread, and what it needs for its jobs.
pub(super) struct Desk {
    connection: Connection,
    /// The head of the change log, if it is kept in the process: up to date after each job.
    head: Option<Arc<LocalHead>>,
    /// None for a database without a file.
    watch: Option<Arc<Watch>>,
    /// Changes since this connection last brought the log into the file, and the length of the log then. The log does
    /// not become shorter: it is overwritten from its beginning.
    changes: u32,
    log_length: u64,
    /// Whether the log still has erased data, in older versions of pages.
    holds_erased: bool,
}

impl Desk {
    pub(super) fn new(connection: Connection, head: Option<Arc<LocalHead>>, watch: Option<Arc<Watch>>) -> Self {
        Self { connection, head, watch, changes: 0, log_length: 0, holds_erased: false }
    }

    /// Reads. Answers only if the file is still the one that others open by its name.
    pub(super) fn read<T>(&mut self, job: impl FnOnce(&mut Connection) -> Result<T, Failure>) -> Result<T, Failure> {
        let read = job(&mut self.connection);
        self.judge()?;
        read
    }

    /// Changes something, if the file is the one that others open by its name. Reports success only if it still is
    /// after the change.
    pub(super) fn write<T>(
        &mut self,
        patience: Duration,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.judge()?;
        self.connection.busy_timeout(patience)?;
        self.changes += 1;
        let written = job(&mut self.connection)?;
        match self.judge() {
            Ok(()) => Ok(written),
            Err(Failure::Doubt(doubt)) => Err(Failure::DoubtfulChange(doubt)),
            Err(failure) => Err(Failure::DoubtfulChange(Doubt::Unread(failure.into_store_error(None)))),
        }
    }

    /// The same for an erasure. The log also has what is deleted in the file, so it is brought into the file and
    /// emptied. While another connection reads from the log, each process that has the file open tries that again a few
    /// times a second.
    pub(super) fn erase<T>(
        &mut self,
        patience: Duration,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let written = self.write(patience, job)?;
        self.holds_erased = true;
        self.renew_mark();
        Ok(written)
    }

    fn judge(&self) -> Result<(), Failure> {
        self.watch.as_ref().map_or(Ok(()), |watch| watch.judge(&self.connection))
    }

    /// Makes the connection ready for the next job, after success or failure of this one.
    pub(super) fn tidy(&mut self) {
        if !self.connection.is_autocommit() {
            // Fails only if SQLite has already rolled back.
            let _ = self.connection.execute_batch("rollback");
        }
        if let Some(head) = &self.head {
            head.refresh(&self.connection);
        }
    }

    pub(super) fn told(&self, failure: Failure) -> StoreError {
        failure.into_store_error(self.watch.as_ref().map(|watch| watch.files()))
    }

    /// Brings the log into the file from time to time, with a new mark. SQLite does not do it automatically on a
    /// connection that writes: see [`prepare_to_write`](super::connect).
    pub(super) fn renew_mark_in_time(&mut self) {
        if self.changes == 0 {
            return;
        }
        if self.changes >= CHANGES_BETWEEN_MARKS || self.length_of_log() > self.log_length.max(LOG_LENGTH_BETWEEN_MARKS)
        {
            self.renew_mark();
        }
    }

    /// Does maintenance of the files, on the connection that writes, after the file was written to.
    pub(super) fn look_after_files(&mut self) {
        if self.judge().is_err() {
            return;
        }
        let wants = self.watch.as_ref().map(|watch| watch.wants_mark(&self.connection));
        if let Some(Ok(true)) = wants {
            self.renew_mark();
        }
    }

    /// Fails while another process keeps writing or the disk is full: then it is tried again after more changes.
    fn renew_mark(&mut self) {
        (self.changes, self.log_length) = (0, self.length_of_log());
        let Some(watch) = self.watch.clone() else { return };
        if self.connection.busy_timeout(PATIENCE_FOR_MARK).is_err() {
            return;
        }
        let was_unmarked = watch.is_unmarked();
        let renew = if self.holds_erased { renew_mark_and_empty_log } else { renew_mark };
        let renewed = renew(&mut self.connection, watch.files());
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("rollback");
        }
        let Ok(is_marked) = renewed else { return };
        // Notes now what was written, so that later checks find no change.
        let _ = watch.judge(&self.connection);
        self.log_length = self.length_of_log() + if is_marked { 0 } else { GROWTH_BESIDE_READERS };
        if (was_unmarked || self.holds_erased) && !is_marked {
            watch.miss_mark();
        }
        self.holds_erased &= !is_marked;
    }

    fn length_of_log(&self) -> u64 {
        self.watch.as_ref().map_or(0, |watch| watch.length_of_log())
    }

    /// Whether the log is valid, and may be brought into the file and removed when the last connection closes the file.
    fn may_end_log(&mut self, watch: &Watch) -> bool {
        if watch.judge(&self.connection).is_err() {
            return false;
        }
        match read_marks(&self.connection) {
            // The process that began this mark was killed, or will see that the file has another one.
            Ok(Some(marks)) if !marks.is_whole => renew_mark(&mut self.connection, watch.files()).is_ok(),
            marks => marks.is_ok(),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.clone()
            && !self.may_end_log(&watch)
        {
            leave_log(&self.connection);
        }
    }
}
