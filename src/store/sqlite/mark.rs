use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    failure::Failure,
    files::{Files, stat},
    transaction::{begin, commit},
};

/// Marks that show whether a database file and the log beside it belong together.
///
/// One transaction writes a mark to two tables, and so to two pages, and notes that the log is missing. A checkpoint
/// brings all of that into the file. Then a second transaction, which stays in the log, notes that nothing is missing.
/// So:
///
/// - with the log, and in every copy that SQLite makes, the marks are equal and nothing is missing;
/// - in only the file, as `cp` copies it, the log is missing;
/// - if the log belongs to another state of the file, the marks differ.
#[derive(Debug)]
pub(super) struct Marks {
    in_file: Vec<u8>,
    /// How many marks this file had before, with those of the files that it is a copy of.
    number: i64,
    in_log: Vec<u8>,
    pub(super) is_whole: bool,
    /// Whether the file itself has these marks, so that they say something about the file. If another connection read
    /// while they were made, they are read from the log, even if the file is replaced.
    pub(super) is_in_file: bool,
    /// The files as they were when the log was noted as whole.
    beside: Option<String>,
}

impl Marks {
    /// Whether log and file belong to the same database.
    pub(super) fn fit(&self) -> bool {
        self.in_file == self.in_log
    }

    pub(super) fn mark(&self) -> &[u8] {
        &self.in_log
    }

    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Whether something other than SQLite has replaced the file or written to it since, while the log stayed in place.
    ///
    /// SQLite writes to the file only at checkpoints, and this crate renews the mark at each of its own. A checkpoint
    /// by others right before all processes that have the file open were killed looks the same.
    pub(super) fn file_was_touched(&self, files: &Files) -> bool {
        let (Some(then), Some(now)) = (self.beside.as_deref().and_then(Beside::read), Beside::now(files)) else {
            return false;
        };
        // Numbers of files and times are comparable only until the machine restarts, or the log is moved with the file.
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

/// Which files are beside each other, and when the database was last written to.
struct Beside {
    boot: String,
    file: String,
    written_at: String,
    log: String,
}

impl Beside {
    /// None if the system does not say.
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

/// Reads the marks; none in a file that is no store yet.
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

/// The same from the file and the log, not from the cache of the connection.
pub(super) fn read_marks_from_disk(connection: &Connection) -> Result<Option<Marks>, rusqlite::Error> {
    connection.execute_batch("pragma shrink_memory")?;
    read_marks(connection)
}

const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// The same, and waits as long as for a lock until no connection reads from the log: then the next change begins the
/// log again from its start.
const RESTART: &str = "pragma wal_checkpoint(restart)";

/// The same, and truncates the log: rows that were only in the log, and no longer in the file, are then in neither.
const TRUNCATE: &str = "pragma wal_checkpoint(truncate)";

/// What a checkpoint did.
pub(super) struct Checkpoint {
    /// Another connection is in the way.
    pub(super) is_busy: bool,
    /// How many pages the log has, and how many of them are in the file.
    pub(super) of_log: i64,
    in_file: i64,
}

impl Checkpoint {
    /// Whether the whole log is in the file: no connection still reads the earlier content.
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

/// How long a new mark waits for others that read or write; it can also be made later. A request takes microseconds,
/// unless its thread gets no core.
pub(super) const PATIENCE_FOR_MARK: Duration = Duration::from_millis(100);

const MARK_FILE: &str = "update api_key_file_mark set mark = randomblob(16), number = number + 1";
const MARK_LOG: &str = "\
    update api_key_log_mark set mark = (select mark from api_key_file_mark), is_whole = 0, beside = null, \
    is_in_file = 0";

const MARK: &str = "select mark from api_key_file_mark";
const END: &str =
    "update api_key_log_mark set is_whole = 1, beside = ?1, is_in_file = ?3 where is_whole = 0 and mark = ?2";

/// Brings the log into the file with a new mark. If this fails half-way, for example on a full disk, the log still
/// notes that it is missing, which is true of the file without it; the next mark ends that.
///
/// Returns whether the new mark is in the file. If it is not, and others brought the end of an older mark into the
/// file, then the file seems to be whole. If something else writes to such a file, only its structure can be checked.
pub(super) fn renew_mark(connection: &mut Connection, files: &Files) -> Result<bool, Failure> {
    renew_mark_by(connection, files, RESTART)
}

/// The same, and if the new mark is in the file, nothing of earlier writes is left in the log.
pub(super) fn renew_mark_and_empty_log(connection: &mut Connection, files: &Files) -> Result<bool, Failure> {
    renew_mark_by(connection, files, TRUNCATE)
}

fn renew_mark_by(connection: &mut Connection, files: &Files, pragma: &str) -> Result<bool, Failure> {
    let transaction = begin(connection)?;
    transaction.execute(MARK_FILE, [])?;
    transaction.execute(MARK_LOG, [])?;
    let mark: Vec<u8> = transaction.query_row(MARK, [], |row| row.get(0))?;
    commit(transaction)?;
    // What could not be brought into the file stays in the log. While another connection reads from the log, the end of
    // the mark would be written after the mark in the log. Then the mark would be read from the log even if the file
    // was replaced, and that would not be noticed.
    let is_marked = checkpoint_by(connection, pragma).is_ok_and(|checkpoint| checkpoint.is_whole());
    let beside = Beside::now(files).map(|beside| beside.write());
    // Not a mark that another connection began meanwhile: its pages are not in the file yet.
    connection.execute(END, params![beside, mark, is_marked])?;
    Ok(is_marked)
}

/// The copy keeps its number, so that it counts as older than the original's next mark.
const MARK_COPY_OF_FILE: &str = "update api_key_file_mark set mark = randomblob(16)";

const MARK_COPY_OF_LOG: &str = "\
    update api_key_log_mark set mark = (select mark from api_key_file_mark), is_whole = 1, beside = null, \
    is_in_file = 0";

/// Gives a copy a mark of its own, so that no log of the original fits the copy.
pub(super) fn mark_copy(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = begin(connection)?;
    transaction.execute(MARK_COPY_OF_FILE, [])?;
    transaction.execute(MARK_COPY_OF_LOG, [])?;
    commit(transaction)
}
