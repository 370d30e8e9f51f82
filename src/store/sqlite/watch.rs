use std::{
    io,
    path::Path,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, ffi::SQLITE_IOERR_SHORT_READ};

use super::{
    doubt::{Doubt, Loss},
    failure::{Failure, is_corruption},
    files::{FileId, Files, Stat, Written, stat},
    mark::{Marks, checkpoint, read_marks, read_marks_from_disk},
};
use crate::log::log;

/// Whether the files that SQLite has open are still those that others open by their names.
///
/// Only this detects it: SQLite continues with a file that was removed or replaced, and no other process reads its log.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    opened: Opened,
    known: Mutex<Remembered>,
    /// If set, the file has to be opened again: others may have begun another log meanwhile.
    lost: OnceLock<Loss>,
    is_fine: AtomicBool,
    is_linked: AtomicBool,
    /// Another connection brought the log into the file, so that a copy of only the file no longer says that its log is
    /// missing.
    is_unmarked: AtomicBool,
}

/// What SQLite has open. A store that opened its file exclusively has no index.
#[derive(Debug)]
struct Opened {
    database: FileId,
    log: FileId,
    index: Option<FileId>,
}

#[derive(Debug)]
struct Remembered {
    seen: FileState,
    /// Whether a write after the last check would show: the system notes times by the tick of its clock, and two writes
    /// within one tick look like one.
    is_settled: bool,
    mark: Vec<u8>,
    /// The number of the mark: in the same file, it only grows.
    number: i64,
    /// SQLite's schema version: it changes with the schema, and in a file that `vacuum` made.
    schema: i64,
    /// A mark that was begun and not ended at the last maintenance of the files.
    begun: Option<Vec<u8>>,
}

/// What a check sees of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    database: Written,
    log_length: u64,
}

/// What changed since the last check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    now: FileState,
    /// Whether the last write was longer ago than a tick when this was seen.
    is_settled: bool,
    /// No change shows, but a second write within the tick of the last one would not show.
    is_unseen: bool,
    /// The log is shorter than before: it was emptied, by SQLite or by something else.
    is_shorter: bool,
}

/// What was read in a file that was written to, apparently by SQLite.
struct Read {
    marks: Marks,
    schema: i64,
    /// The whole file has to be checked before it is trusted.
    is_suspect: bool,
}

/// What a check of the names found, if they still belong to the open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Same,
    /// The files were written to: by a checkpoint, or by something other than SQLite.
    Written(Difference),
}

impl Watch {
    /// Begins to watch files that SQLite has opened and read: it removes none of them until it closes them. `database`
    /// is the file that had the name before it was opened, `connection` is a connection to it, and `is_marked` says
    /// whether it has a mark that was begun and ended.
    pub(super) fn begin(
        files: Files,
        database: FileId,
        connection: &Connection,
        is_marked: bool,
    ) -> Result<Self, Failure> {
        let unreadable = |error| Doubt::Unreadable(files.database.clone(), error);
        let written = files.stat_named().map_err(unreadable)?.written;
        let log = stat(&files.log).map_err(|error| Doubt::Unreadable(files.log.clone(), error))?;
        let index = stat(&files.index).map(|stat| stat.id).ok();
        let opened = Opened { database, log: log.id, index };
        let seen = FileState { database: written, log_length: log.written.length };
        let marks = read_marks_from_disk(connection)?;
        let (mark, number) = marks.map(|marks| (marks.mark().to_vec(), marks.number())).unwrap_or_default();
        let watch = Self {
            files,
            opened,
            known: Mutex::new(Remembered {
                seen,
                is_settled: false,
                mark,
                number,
                schema: schema(connection)?,
                begun: None,
            }),
            lost: OnceLock::new(),
            is_fine: AtomicBool::new(true),
            is_linked: AtomicBool::new(false),
            is_unmarked: AtomicBool::new(!is_marked),
        };
        // Check again, now that everything is noted: the name may belong to another file by now.
        watch.judge(connection)?;
        Ok(watch)
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Whether the last check, at most a moment ago, found no change.
    pub(super) fn is_fine(&self) -> bool {
        self.is_fine.load(Ordering::Acquire)
    }

    /// Asks the system three times, which takes 3 to 4 µs.
    pub(super) fn look(&self) -> Result<Look, Doubt> {
        let look = self.look_at_names();
        let is_fine = look.is_ok();
        if self.is_fine.load(Ordering::Relaxed) != is_fine {
            self.is_fine.store(is_fine, Ordering::Release);
        }
        look
    }

    fn look_at_names(&self) -> Result<Look, Doubt> {
        if let Some(lost) = self.lost.get() {
            return Err(Doubt::Lost(lost.clone()));
        }
        let Opened { database, log, index } = &self.opened;
        // Before the files are checked: later writes have this time or a later one.
        let now = SystemTime::now();
        let named = self.still(&self.files.database, *database, self.files.stat_named())?;
        let log = self.still(&self.files.log, *log, stat(&self.files.log))?;
        if let Some(index) = index {
            self.still(&self.files.index, *index, stat(&self.files.index))?;
        }
        if named.names > 1 && !self.is_linked.swap(true, Ordering::Relaxed) {
            log!(
                warn,
                file = %self.files.database.display(),
                "the database file has a second name (hard link): open it only under the first name. This service \
                 does not start again until the second name is removed"
            );
        }
        Ok(self.compare(named.written, log.written.length, now))
    }

    fn compare(&self, database: Written, mut log_length: u64, now: SystemTime) -> Look {
        let mut known = self.known();
        if log_length < known.seen.log_length {
            // The log may have grown since this thread checked, and another thread has noted that.
            log_length = self.length_of_log();
        }
        let is_shorter = log_length < known.seen.log_length;
        if database != known.seen.database || is_shorter || !known.is_settled {
            return Look::Written(Difference {
                now: FileState { database, log_length },
                is_settled: is_settled(&database, now),
                is_unseen: database == known.seen.database && !is_shorter,
                is_shorter,
            });
        }
        known.seen.log_length = log_length;
        Look::Same
    }

    fn still(&self, path: &Path, opened: FileId, now: io::Result<Stat>) -> Result<Stat, Doubt> {
        match now {
            Ok(now) if now.id == opened => Ok(now),
            Ok(_) => Err(self.lose(Loss::Replaced(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.lose(Loss::Removed(path.to_owned()))),
            // This may be temporary: a disk that does not answer, a folder that was locked.
            Err(error) => Err(Doubt::Unreadable(path.to_owned(), error)),
        }
    }

    fn lose(&self, loss: Loss) -> Doubt {
        if self.lost.set(loss.clone()).is_ok() {
            log!(error, "{loss}");
        }
        self.is_fine.store(false, Ordering::Release);
        Doubt::Lost(loss)
    }

    /// Checks that this connection reads and writes the files that now have the names.
    pub(super) fn judge(&self, connection: &Connection) -> Result<(), Failure> {
        let Look::Written(difference) = self.look()? else { return Ok(()) };
        match self.verified(connection, difference) {
            Ok(Some(read)) => {
                self.learn(difference, &read);
                Ok(())
            }
            Ok(None) => Err(self.lose(self.overwritten(difference)).into()),
            Err(error) if is_of_contents(&error, difference) => Err(self.lose(self.overwritten(difference)).into()),
            // Another connection has a lock, for example to close the file: no reason for doubt if no change shows.
            Err(_) if difference.is_unseen => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn overwritten(&self, difference: Difference) -> Loss {
        match difference.is_shorter {
            true => Loss::Cut(self.files.log.clone()),
            false => Loss::Overwritten(self.files.database.clone()),
        }
    }

    /// The same on a thread that serves requests. It must not read a whole file: if that is needed, the answer is
    /// false.
    pub(super) fn is_fine_at_once(&self, connection: &Connection) -> bool {
        match self.look() {
            Ok(Look::Same) => true,
            Ok(Look::Written(difference)) => match self.read(connection, difference) {
                Ok(Some(read)) if !read.is_suspect => {
                    self.learn(difference, &read);
                    true
                }
                _ => false,
            },
            Err(_) => false,
        }
    }

    /// Reads a file that was written to; none if something other than SQLite wrote to it.
    fn verified(&self, connection: &Connection, difference: Difference) -> Result<Option<Read>, rusqlite::Error> {
        let Some(read) = self.read(connection, difference)? else { return Ok(None) };
        let is_sound =
            !read.is_suspect || connection.query_row(CHECK, [], |row| Ok(row.get::<_, String>(0)? == "ok"))?;
        Ok(is_sound.then_some(read))
    }

    fn read(&self, connection: &Connection, difference: Difference) -> Result<Option<Read>, rusqlite::Error> {
        // Before the file is read: another thread may note a newer mark meanwhile.
        let (mark, number, known_schema) = {
            let known = self.known();
            (known.mark.clone(), known.number, known.schema)
        };
        // A running statement would keep pages; there is none between jobs.
        let Some(marks) = read_marks_from_disk(connection)?.filter(Marks::fit) else { return Ok(None) };
        let is_same_mark = marks.mark() == mark;
        // An older copy replaced the file, and nothing was read from the log, because all of it was in the replaced
        // file.
        if !is_same_mark && marks.number() <= number {
            return Ok(None);
        }
        let schema = schema(connection)?;
        // Either a table was made, or a copy with another layout replaced the file, with the mark of its original.
        let is_of_another_layout = is_same_mark && schema != known_schema;
        // SQLite usually empties a log. If it only became shorter, pages may be missing that were not read here.
        let is_cut = difference.is_shorter && difference.now.log_length > 0;
        // Marks that are read from the log say nothing about the file. A mark that is being made will be in it in a
        // moment.
        let is_unknown = !difference.is_unseen && marks.is_whole && !marks.is_in_file;
        Ok(Some(Read { marks, schema, is_suspect: is_of_another_layout || is_cut || is_unknown }))
    }

    /// Notes what was read. A checkpoint does not change the mark, unless this crate makes it, here or in another
    /// process. Such a checkpoint is noted only after it has ended: otherwise its last pages would look like a write by
    /// another one.
    fn learn(&self, difference: Difference, read: &Read) {
        let seen = difference.now;
        let mut known = self.known();
        let is_older = read.marks.number() < known.number;
        if is_older || !read.marks.is_whole {
            return;
        }
        let is_known = known.seen == seen;
        (known.is_settled, known.schema) = (difference.is_settled, read.schema);
        if is_known {
            return;
        }
        (known.seen, known.number) = (seen, read.marks.number());
        let is_new = known.mark != read.marks.mark();
        known.mark = read.marks.mark().to_vec();
        self.is_unmarked.store(!is_new, Ordering::Release);
    }

    /// Whether the connection that writes should do maintenance of the files: asked a few times a second.
    pub(super) fn wants_care(&self) -> bool {
        matches!(self.look(), Ok(Look::Written(_))) || self.is_unmarked()
    }

    /// Whether a new mark is due. Either others brought the log into the file; or a process that began a mark was
    /// killed, which shows when the mark is still not ended at the second check. No mark is made while another
    /// connection reads the earlier content of the file.
    pub(super) fn wants_mark(&self, connection: &Connection) -> Result<bool, rusqlite::Error> {
        let begun = read_marks(connection)?.filter(|marks| !marks.is_whole).map(|marks| marks.mark().to_vec());
        let is_left = {
            let mut known = self.known();
            let is_left = begun.is_some() && begun == known.begun;
            known.begun = begun;
            is_left
        };
        Ok(is_left || self.is_unmarked() && checkpoint(connection)?.is_whole())
    }

    /// A mark was begun and ended, but did not reach the file because another connection reads: it is due again.
    pub(super) fn miss_mark(&self) {
        self.is_unmarked.store(true, Ordering::Release);
    }

    /// Whether the opened log is still at its path, as far as is known.
    pub(super) fn has_log(&self) -> bool {
        self.lost.get().is_none() && stat(&self.files.log).is_ok_and(|log| log.id == self.opened.log)
    }

    /// Whether the opened file is still at its path.
    pub(super) fn has_database(&self) -> bool {
        self.files.stat_named().is_ok_and(|named| named.id == self.opened.database)
    }

    pub(super) fn length_of_log(&self) -> u64 {
        stat(&self.files.log).map_or(0, |log| log.written.length)
    }

    pub(super) fn is_unmarked(&self) -> bool {
        self.is_unmarked.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.known().is_settled
    }

    fn known(&self) -> MutexGuard<'_, Remembered> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the error comes from the content of the files, not from the disk.
fn is_of_contents(error: &rusqlite::Error, difference: Difference) -> bool {
    // The page lies after the new end of the log.
    let is_cut_off = || error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHORT_READ);
    is_corruption(error) || difference.is_shorter && is_cut_off()
}

/// Twice the longest tick of Linux. File systems note the times of writes in ticks.
const TICK: Duration = Duration::from_millis(20);

/// Whether the last write was longer ago than a tick. A time in the future comes from another clock, to which ticks do
/// not apply.
fn is_settled(database: &Written, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX));
    now.abs_diff(database.at.max(database.changed_at)) > TICK.as_nanos()
}

const SCHEMA: &str = "pragma schema_version";
const CHECK: &str = "pragma quick_check(1)";

fn schema(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row(SCHEMA, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_less_than_a_tick_ago_may_hide_the_next_one() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let nanos = |millis: i128| (1_000_000 + millis) * 1_000_000;
        let settled =
            |at, changed_at| is_settled(&Written { length: 1, at: nanos(at), changed_at: nanos(changed_at) }, now);
        assert!(!settled(0, 0) && !settled(-20, -20) && settled(-21, -21));
        // A program that copies can set the first time, but not the second.
        assert!(!settled(-5_000, -3) && settled(-5_000, -5_000));
        // From another clock, which is ahead.
        assert!(settled(5_000, 5_000));
    }
}
