use rusqlite::{Connection, ErrorCode, config::DbConfig};

use super::{
    files::{Files, stat},
    mark::{Checkpoint, checkpoint, read_marks},
};

/// Why a file and the files beside it are not one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The log belongs to another state of the file, or the file is damaged.
    ForeignLog,
    /// The file was replaced or written to after the log was, apparently by something other than SQLite.
    FileIsNewer,
    /// The file was in use when it was copied, or when its log was removed.
    NoLog,
    /// The same in the middle of a checkpoint, or something else wrote to the file: it mixes two states.
    Torn,
}

/// Why the check failed, or what it found.
pub(super) enum Unproved {
    Misfit(Misfit),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unproved {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Checks a file before anything is written to it, on a connection that was just opened.
pub(super) fn fit_together(connection: &Connection, files: &Files) -> Result<(), Unproved> {
    // If the file is refused, closing the connection must not bring the log into what may be a restored backup.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let has_log = stat(&files.log).is_ok_and(|log| log.written.length > 0);
    let marks = match read_marks(connection) {
        // The log does not fit the pages of the file.
        Err(error) if has_log && error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            return Err(Unproved::Misfit(Misfit::ForeignLog));
        }
        marks => marks?,
    };
    let Some(marks) = marks else {
        return Ok(end_of_look(connection)?);
    };
    if !marks.fit() {
        if has_log {
            return Err(Unproved::Misfit(Misfit::ForeignLog));
        }
        end_of_look(connection)?;
        return Err(Unproved::Misfit(Misfit::Torn));
    }
    if !marks.is_whole {
        // A process is between the two parts of a mark, or was killed there and left its log, which may be empty for
        // SQLite.
        if !has_log || is_empty(&checkpoint(connection)?) {
            end_of_look(connection)?;
            return Err(Unproved::Misfit(Misfit::NoLog));
        }
    } else if has_log && marks.file_was_touched(files) {
        return Err(Unproved::Misfit(Misfit::FileIsNewer));
    }
    Ok(end_of_look(connection)?)
}

/// An empty log brings nothing into the file.
fn is_empty(log: &Checkpoint) -> bool {
    !log.is_busy && log.of_log <= 0
}

fn end_of_look(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}
