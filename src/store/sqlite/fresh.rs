use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rusqlite::Connection;

use super::{
    closing::leave_doubtful_log,
    connect::{ConnectError, Role, connect},
    files::Files,
    log::read_head,
    watch::Watch,
};
use crate::store::Head;

/// How many requests may read the head at the same moment; one more uses the thread that reads the log.
const CONNECTIONS: usize = 4;

/// How long the last check waits for a lock.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(1);

/// Connections that only read the head of the change log, on the caller's thread. A read takes about 2 µs, and the
/// check of the names of the files 3 to 4 µs.
///
/// A statement that is not finished freezes the snapshot of all statements on its connection, so nothing else runs
/// here.
pub(super) struct FreshReaders {
    connections: Vec<Mutex<Connection>>,
    watch: Arc<Watch>,
}

/// Opens the connections, before there is a watch over their files.
pub(super) fn open_fresh(files: &Files, patience: Duration) -> Result<Vec<Connection>, ConnectError> {
    let open = |_| {
        let connection = connect(files, Role::Reader, patience)?;
        // After this they never wait for a lock: they are used on the threads that serve requests.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    };
    (0..CONNECTIONS).map(open).collect()
}

impl FreshReaders {
    pub(super) fn new(connections: Vec<Connection>, watch: Arc<Watch>) -> Self {
        Self { connections: connections.into_iter().map(Mutex::new).collect(), watch }
    }

    /// The head; none if all connections are busy, if SQLite cannot answer at once, or if the file may not be the one
    /// that others open by its name.
    pub(super) fn head(&self) -> Option<Head> {
        let connection = self.connections.iter().find_map(|connection| connection.try_lock().ok())?;
        let head = read_head(&connection).ok()?;
        // At each read: if another file replaces this one, changes in that file are effective at once.
        self.watch.is_fine_at_once(&connection).then_some(head)
    }
}

impl Drop for FreshReaders {
    fn drop(&mut self) {
        for connection in self.connections.iter().filter_map(|connection| connection.lock().ok()) {
            // No request waits now: a lock of others is no reason to keep the log.
            let _ = connection.busy_timeout(PATIENCE_AT_THE_END);
            leave_doubtful_log(&connection, &self.watch);
        }
    }
}
