//! The end of the last connection, with which SQLite brings the log into the file and removes it.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, config::DbConfig};

use super::{
    connect::{connect_once, pause},
    mark::read_marks,
    watch::Watch,
};

/// How often a closed file is checked again.
const LOOKS: usize = 3;

/// How long such a check waits for a lock.
const PATIENCE: Duration = Duration::from_millis(100);

/// Keeps the log when this connection is closed. When SQLite closes the last connection to a file, it removes the log
/// by its name. If the names belong to other files by then, that would be their log.
pub(super) fn leave_log(connection: &Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Call it before a connection that wrote nothing is closed: it may be the last one, and may remove the log only if the
/// log is valid.
pub(super) fn leave_doubtful_log(connection: &Connection, watch: &Watch) {
    if watch.judge(connection).is_err() || !is_whole(connection) {
        leave_log(connection);
    }
}

/// Whether the file will be marked as whole after the log is brought into it.
fn is_whole(connection: &Connection) -> bool {
    read_marks(connection).is_ok_and(|marks| marks.is_none_or(|marks| marks.fit() && marks.is_whole))
}

/// Drop it after all connections of a store are closed. If another store closed its last connection at the same moment,
/// each saw the other, and neither removed the log.
pub(super) struct LastLook(Arc<Watch>);

impl LastLook {
    pub(super) fn new(watch: &Arc<Watch>) -> Self {
        Self(Arc::clone(watch))
    }
}

impl Drop for LastLook {
    fn drop(&mut self) {
        for _ in 0..LOOKS {
            // Others may still use the file: then they have the log, and the last of them removes it.
            if !self.0.has_log() {
                return;
            }
            pause();
            if let Ok(connection) = connect_once(self.0.files(), PATIENCE)
                && !(is_whole(&connection) && self.0.has_database())
            {
                leave_log(&connection);
            }
        }
    }
}
