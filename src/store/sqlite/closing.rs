//! The end of the last connection, with which SQLite brings the log into the file and removes it.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, config::DbConfig};

use super::{
    connect::{connect_once, pause},
    mark::read_marks,
    watch::Watch,
};

/// How often a file that was closed is looked at once more.
const LOOKS: usize = 3;

/// How long such a look waits for a lock.
const PATIENCE: Duration = Duration::from_millis(100);

/// When SQLite closes a file for the last one who has it open, it removes the log by its name. If the names went to
/// other files, that would be the log of those.
pub(super) fn leave_log(connection: &Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Before a connection is closed that wrote nothing: it may be the last one, and ends the log only where that is in
/// order.
pub(super) fn leave_doubtful_log(connection: &Connection, watch: &Watch) {
    if watch.judge(connection).is_err() || !is_whole(connection) {
        leave_log(connection);
    }
}

/// Whether the file says that nothing is missing once the log was brought into it.
fn is_whole(connection: &Connection) -> bool {
    read_marks(connection).is_ok_and(|marks| marks.is_none_or(|marks| marks.fit() && marks.is_whole))
}

/// Dropped once all connections of a store are closed. If another store closed the last of its own at the same moment,
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
            // Others may go on with the file: then they have the log, and the last of them removes it.
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
