use std::{
    io,
    path::Path,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Connection, ErrorCode};

use super::{
    doubt::{Doubt, Loss},
    failure::Failure,
    files::{FileId, Files, Stat, Written, stat},
    mark::{Marks, read_marks, read_marks_from_disk},
};
use crate::log::log;

/// Whether the files that SQLite has open are still those that others open by their names.
///
/// Nothing else tells: SQLite goes on with a file that was removed or replaced, whose log nobody else reads.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    opened: Opened,
    known: Mutex<Known>,
    /// Once set, only opening the file once more helps: others may have begun another log meanwhile.
    lost: OnceLock<Loss>,
    is_fine: AtomicBool,
    is_linked: AtomicBool,
    /// Somebody else brought the log into the file, so that the file alone no longer says that it lacks one.
    is_unmarked: AtomicBool,
}

/// What SQLite has open. A store that holds its file for itself has no index.
#[derive(Debug)]
struct Opened {
    database: FileId,
    log: Option<FileId>,
    index: Option<FileId>,
}

#[derive(Debug)]
struct Known {
    written: Written,
    mark: Vec<u8>,
    /// Changes with the schema, and in a file that `vacuum` made.
    schema: i64,
    /// A mark that was begun and not ended when the files were last looked after.
    begun: Option<Vec<u8>>,
}

/// What a look at the names found, where they are those of the files that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Same,
    /// The database file was written to: by a checkpoint, or by something else than SQLite.
    Written(Written),
}

impl Watch {
    /// For files that SQLite has opened and read, of which it removes none until it closes them: `database` is the one
    /// that had the name before it was opened, `connection` is one to them. Whether a mark is begun and ended in them.
    pub(super) fn begin(
        files: Files,
        database: FileId,
        connection: &Connection,
        is_marked: bool,
    ) -> Result<Self, Failure> {
        let unreadable = |error| Doubt::Unreadable(files.database.clone(), error);
        let written = files.stat_named().map_err(unreadable)?.written;
        let id = |path: &Path| stat(path).map(|stat| stat.id).ok();
        let opened = Opened { database, log: id(&files.log), index: id(&files.index) };
        let marks = read_marks_from_disk(connection)?;
        let mark = marks.map(|marks| marks.mark().to_vec()).unwrap_or_default();
        let watch = Self {
            files,
            opened,
            known: Mutex::new(Known { written, mark, schema: schema(connection)?, begun: None }),
            lost: OnceLock::new(),
            is_fine: AtomicBool::new(true),
            is_linked: AtomicBool::new(false),
            is_unmarked: AtomicBool::new(!is_marked),
        };
        // Once more, now that everything is noted: the name may have gone to another file meanwhile.
        watch.judge(connection)?;
        Ok(watch)
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Whether the last look, at most a moment ago, found everything as it was.
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
        let named = self.still(&self.files.database, *database, self.files.stat_named())?;
        for (path, opened) in [(&self.files.log, log), (&self.files.index, index)] {
            if let Some(opened) = opened {
                self.still(path, *opened, stat(path))?;
            }
        }
        if named.names > 1 && !self.is_linked.swap(true, Ordering::Relaxed) {
            log!(
                warn,
                file = %self.files.database.display(),
                "the database file got a second name: nobody may open it by that, and this service will not start \
                 again until the second name is removed"
            );
        }
        if named.written == self.known().written { Ok(Look::Same) } else { Ok(Look::Written(named.written)) }
    }

    fn still(&self, path: &Path, opened: FileId, now: io::Result<Stat>) -> Result<Stat, Doubt> {
        match now {
            Ok(now) if now.id == opened => Ok(now),
            Ok(_) => Err(self.lose(Loss::Replaced(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.lose(Loss::Removed(path.to_owned()))),
            // May pass: a disk that does not answer, a folder that was locked.
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

    /// Whether what was read or written on this connection was in the files that have the names.
    pub(super) fn judge(&self, connection: &Connection) -> Result<(), Failure> {
        match self.look()? {
            Look::Same => Ok(()),
            Look::Written(written) => match self.verified(connection) {
                Ok(Some((marks, schema))) => {
                    self.learn(written, &marks, schema);
                    Ok(())
                }
                Ok(None) => Err(self.lose(Loss::Overwritten(self.files.database.clone())).into()),
                Err(error) => match error.sqlite_error_code() {
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                        Err(self.lose(Loss::Overwritten(self.files.database.clone())).into())
                    }
                    _ => Err(error.into()),
                },
            },
        }
    }

    /// The marks in a file that was written to, if it was by SQLite.
    fn verified(&self, connection: &Connection) -> Result<Option<(Marks, i64)>, rusqlite::Error> {
        // A statement that is under way would keep pages; there is none between jobs.
        let Some(marks) = read_marks_from_disk(connection)?.filter(Marks::fit) else { return Ok(None) };
        let schema = schema(connection)?;
        let is_suspect = {
            let known = self.known();
            known.mark == marks.mark() && known.schema != schema
        };
        // Somebody made a table; or a copy of another layout came below the log, and has the mark of its original.
        let is_sound = !is_suspect || connection.query_row(CHECK, [], |row| Ok(row.get::<_, String>(0)? == "ok"))?;
        Ok(is_sound.then_some((marks, schema)))
    }

    /// A checkpoint leaves the mark as it is, unless it is this crate's, here or in another process. Of that one nothing is
    /// learned before it has ended: its last pages would seem to be written by another one.
    fn learn(&self, written: Written, marks: &Marks, schema: i64) {
        let mut known = self.known();
        if known.written == written || !marks.is_whole {
            return;
        }
        (known.written, known.schema) = (written, schema);
        let is_new = known.mark != marks.mark();
        known.mark = marks.mark().to_vec();
        self.is_unmarked.store(!is_new, Ordering::Release);
    }

    /// Whether the connection that writes should look after the files: asked a few times a second.
    pub(super) fn wants_care(&self) -> bool {
        matches!(self.look(), Ok(Look::Written(_))) || self.is_unmarked()
    }

    /// Whether a new mark is due, since others brought the log into the file, or since somebody who began one was killed
    /// before it ended: it is not ended at the second look.
    pub(super) fn wants_mark(&self, connection: &Connection) -> Result<bool, rusqlite::Error> {
        let begun = read_marks(connection)?.filter(|marks| !marks.is_whole).map(|marks| marks.mark().to_vec());
        let mut known = self.known();
        let is_left = begun.is_some() && begun == known.begun;
        known.begun = begun;
        Ok(is_left || self.is_unmarked())
    }

    pub(super) fn length_of_log(&self) -> u64 {
        stat(&self.files.log).map_or(0, |log| log.written.length)
    }

    fn is_unmarked(&self) -> bool {
        self.is_unmarked.load(Ordering::Acquire)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SCHEMA: &str = "pragma schema_version";
const CHECK: &str = "pragma quick_check(1)";

fn schema(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row(SCHEMA, [], |row| row.get(0))
}
