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

/// After so many changes the log is brought into the file: some thousand pages, a few megabytes.
const CHANGES_BETWEEN_MARKS: u32 = 200;

/// The same for a log that grows beyond this, or beyond what it was: a change may write thousands of rows.
const LOG_LENGTH_BETWEEN_MARKS: u64 = 4 << 20;

/// While somebody reads, the log only becomes longer: to try again after each change would help nobody.
const GROWTH_BESIDE_READERS: u64 = 64 << 20;

/// What the thread of a connection works with.
pub(super) struct Desk {
    connection: Connection,
    /// The head of the change log, if it is kept in the process: up to date after each job.
    head: Option<Arc<LocalHead>>,
    /// None for a database without a file.
    watch: Option<Arc<Watch>>,
    /// Changes since this connection last brought the log into the file, and the length of the log then: it does not
    /// become shorter, but is written again from its beginning.
    changes: u32,
    log_length: u64,
    /// Whether the log still has what was erased, in pages as they were before.
    holds_erased: bool,
}

impl Desk {
    pub(super) fn new(connection: Connection, head: Option<Arc<LocalHead>>, watch: Option<Arc<Watch>>) -> Self {
        Self { connection, head, watch, changes: 0, log_length: 0, holds_erased: false }
    }

    /// Reads, and says so only if the file is still the one that others open by its name.
    pub(super) fn read<T>(&mut self, job: impl FnOnce(&mut Connection) -> Result<T, Failure>) -> Result<T, Failure> {
        let read = job(&mut self.connection);
        self.judge()?;
        read
    }

    /// Changes something, if the file is still the one that others open by its name, and says so if it is then, too.
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

    /// The same for a change that erases somebody: what is deleted in the file is in the log, too, which is brought
    /// into the file and emptied. Where somebody reads from the log meanwhile, that is tried again a few times a
    /// second, by whoever has the file open.
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

    /// Leaves the connection ready for the next job, however this one ended.
    pub(super) fn tidy(&mut self) {
        if !self.connection.is_autocommit() {
            // Fails only if SQLite has rolled back by itself.
            let _ = self.connection.execute_batch("rollback");
        }
        if let Some(head) = &self.head {
            head.refresh(&self.connection);
        }
    }

    pub(super) fn told(&self, failure: Failure) -> StoreError {
        failure.into_store_error(self.watch.as_ref().map(|watch| watch.files()))
    }

    /// Brings the log into the file from time to time, with a new mark. SQLite does not do it by itself on a connection
    /// that writes: see [`prepare_to_write`](super::connect).
    pub(super) fn renew_mark_in_time(&mut self) {
        if self.changes == 0 {
            return;
        }
        if self.changes >= CHANGES_BETWEEN_MARKS || self.length_of_log() > self.log_length.max(LOG_LENGTH_BETWEEN_MARKS)
        {
            self.renew_mark();
        }
    }

    /// Asked of the connection that writes, when the file was written to.
    pub(super) fn look_after_files(&mut self) {
        if self.judge().is_err() {
            return;
        }
        let wants = self.watch.as_ref().map(|watch| watch.wants_mark(&self.connection));
        if let Some(Ok(true)) = wants {
            self.renew_mark();
        }
    }

    /// Fails while somebody else goes on writing or the disk is full: then it is tried again after more changes.
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
        // Notes what was written, before somebody asks.
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

    /// Whether the log is in order, and may be brought into the file and removed when the file is closed for the last
    /// time.
    fn may_end_log(&mut self, watch: &Watch) -> bool {
        if watch.judge(&self.connection).is_err() {
            return false;
        }
        match read_marks(&self.connection) {
            // The process that began this mark was killed, or will find that it has another one.
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
