use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    failure::Failure,
    files::{Files, stat},
    transaction::{begin, commit},
};

/// How a database file and the log beside it are known to belong together.
///
/// A mark is written to two tables, and so to two pages, in one transaction, together with the word that the log is
/// missing. A checkpoint brings all of that into the file. Then a second transaction, which stays in the log, says that
/// nothing is missing. So:
///
/// - through the log, and in every copy that SQLite makes, the marks are equal and nothing is missing;
/// - in the file alone, as `cp` copies it, the log is missing;
/// - where the log lies over another state of the file, the marks differ.
#[derive(Debug)]
pub(super) struct Marks {
    in_file: Vec<u8>,
    /// How many marks there were before in this file and in those that it is a copy of.
    number: i64,
    in_log: Vec<u8>,
    pub(super) is_whole: bool,
    /// Whether the file has these marks, and so is looked into for them. Where somebody read while they were made, they
    /// are read from the log, whatever becomes of the file.
    pub(super) is_in_file: bool,
    /// What lay beside each other when the log was said to be whole.
    beside: Option<String>,
}

impl Marks {
    /// Whether log and file are of one database.
    pub(super) fn fit(&self) -> bool {
        self.in_file == self.in_log
    }

    pub(super) fn mark(&self) -> &[u8] {
        &self.in_log
    }

    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Whether the file was replaced or written to since, by something else than SQLite, while the log stayed where it
    /// is.
    ///
    /// SQLite writes to the file at checkpoints only, and a mark is renewed at each by this crate. A checkpoint by
    /// others right before everybody who has the file open was killed looks the same.
    pub(super) fn file_was_touched(&self, files: &Files) -> bool {
        let (Some(then), Some(now)) = (self.beside.as_deref().and_then(Beside::read), Beside::now(files)) else {
            return false;
        };
        // Numbers of files and times mean something until the machine restarts, or the log is moved with the file.
        if then.boot != now.boot || then.log != now.log {
            return false;
        }
        then.file != now.file || then.written_at != now.written_at && is_newer_than_log(files)
    }
}

fn is_newer_than_log(files: &Files) -> bool {
    match (stat(&files.database), stat(&files.log)) {
        (Ok(database), Ok(log)) => database.written.changed_at > log.written.at,
        _ => false,
    }
}

/// Which files lie beside each other, and when the database was written to last.
struct Beside {
    boot: String,
    file: String,
    written_at: String,
    log: String,
}

impl Beside {
    /// None where the system does not say.
    fn now(files: &Files) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let (database, log) = (stat(&files.database).ok()?, stat(&files.log).ok()?);
        let (file, written_at) = (database.id.to_string(), database.written.at.to_string());
        Some(Self { boot, file, written_at, log: log.id.to_string() })
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ').map(str::to_owned);
        Some(Self { boot: words.next()?, file: words.next()?, written_at: words.next()?, log: words.next()? })
    }

    fn write(&self) -> String {
        [self.boot.as_str(), &self.file, &self.written_at, &self.log].join(" ")
    }
}

const EXIST: &str = "select exists (select 1 from sqlite_master where type = 'table' and name = 'api_key_log_mark')";
const READ: &str =
    "select f.mark, l.mark, l.is_whole, l.beside, f.number, l.is_in_file from api_key_file_mark f, api_key_log_mark l";

/// The marks; none in a file that is no store yet.
pub(super) fn read_marks(connection: &Connection) -> Result<Option<Marks>, rusqlite::Error> {
    if !connection.query_row(EXIST, [], |row| row.get(0))? {
        return Ok(None);
    }
    let marks = connection.query_row(READ, [], |row| {
        Ok(Marks {
            in_file: row.get(0)?,
            in_log: row.get(1)?,
            is_whole: row.get(2)?,
            beside: row.get(3)?,
            number: row.get(4)?,
            is_in_file: row.get(5)?,
        })
    });
    marks.optional()
}

/// The same from the file and the log, not from what the connection remembers of them.
pub(super) fn read_marks_from_disk(connection: &Connection) -> Result<Option<Marks>, rusqlite::Error> {
    connection.execute_batch("pragma shrink_memory")?;
    read_marks(connection)
}

const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// The same, and waits as long as for a lock until nobody reads from the log any more: then the next change begins it
/// again.
const RESTART: &str = "pragma wal_checkpoint(restart)";

/// The same, and cuts the log to nothing: what was in it once, and in no page of the file any more, is in neither then.
const TRUNCATE: &str = "pragma wal_checkpoint(truncate)";

/// What a checkpoint did.
pub(super) struct Checkpoint {
    /// Another connection is at it.
    pub(super) is_busy: bool,
    /// How many pages the log has, and how many of them are in the file.
    pub(super) of_log: i64,
    in_file: i64,
}

impl Checkpoint {
    /// Whether the whole log is in the file: nobody still reads what was there before.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_busy && self.of_log == self.in_file
    }
}

/// Brings the log into the file as far as readers allow.
pub(super) fn checkpoint(connection: &Connection) -> Result<Checkpoint, rusqlite::Error> {
    checkpoint_by(connection, CHECKPOINT)
}

fn checkpoint_by(connection: &Connection, pragma: &str) -> Result<Checkpoint, rusqlite::Error> {
    let done =
        |row: &rusqlite::Row<'_>| Ok(Checkpoint { is_busy: row.get(0)?, of_log: row.get(1)?, in_file: row.get(2)? });
    connection.query_row(pragma, [], done)
}

/// How long a new mark, which can be made later, waits for others who read or write. A request is done in microseconds,
/// unless its thread gets no core.
pub(super) const PATIENCE_FOR_MARK: Duration = Duration::from_millis(100);

const MARK_FILE: &str = "update api_key_file_mark set mark = randomblob(16), number = number + 1";
const MARK_LOG: &str = "\
    update api_key_log_mark set mark = (select mark from api_key_file_mark), is_whole = 0, beside = null, \
    is_in_file = 0";

const MARK: &str = "select mark from api_key_file_mark";
const END: &str =
    "update api_key_log_mark set is_whole = 1, beside = ?1, is_in_file = ?3 where is_whole = 0 and mark = ?2";

/// Brings the log into the file with a new mark. If this fails half-way, as while the disk is full, the log goes on to
/// say that it is missing, which is still true of the file alone; the next mark ends it.
///
/// Whether the new mark is in the file. If not, and others brought the end of an older one into it, the file seems to
/// be whole; and of one that is written to by something else, no more can be told than whether its structure is sound.
pub(super) fn renew_mark(connection: &mut Connection, files: &Files) -> Result<bool, Failure> {
    renew_mark_by(connection, files, RESTART)
}

/// The same, and nothing is left in the log of what was written before, if the new mark is in the file.
pub(super) fn renew_mark_and_empty_log(connection: &mut Connection, files: &Files) -> Result<bool, Failure> {
    renew_mark_by(connection, files, TRUNCATE)
}

fn renew_mark_by(connection: &mut Connection, files: &Files, pragma: &str) -> Result<bool, Failure> {
    let transaction = begin(connection)?;
    transaction.execute(MARK_FILE, [])?;
    transaction.execute(MARK_LOG, [])?;
    let mark: Vec<u8> = transaction.query_row(MARK, [], |row| row.get(0))?;
    commit(transaction)?;
    // What could not be brought into the file stays in the log. While somebody reads from the log, its end would be
    // written behind the mark, which would then be read from the log whatever became of the file: a file that was
    // replaced below it would not be noticed.
    let is_marked = checkpoint_by(connection, pragma).is_ok_and(|checkpoint| checkpoint.is_whole());
    let beside = Beside::now(files).map(|beside| beside.write());
    // Not a mark that somebody else began meanwhile: its pages are not in the file yet.
    connection.execute(END, params![beside, mark, is_marked])?;
    Ok(is_marked)
}

/// It keeps its number, so that it is older than what the original has next.
const MARK_COPY_OF_FILE: &str = "update api_key_file_mark set mark = randomblob(16)";

const MARK_COPY_OF_LOG: &str = "\
    update api_key_log_mark set mark = (select mark from api_key_file_mark), is_whole = 1, beside = null, \
    is_in_file = 0";

/// Gives a copy a mark of its own, so that no log of the original fits it.
pub(super) fn mark_copy(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = begin(connection)?;
    transaction.execute(MARK_COPY_OF_FILE, [])?;
    transaction.execute(MARK_COPY_OF_LOG, [])?;
    commit(transaction)
}
