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

/// Requests that may read the head at the same moment; one more asks through a thread.
const CONNECTIONS: usize = 4;

/// How long the last look waits for a lock.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(1);

/// Connections that read the head of the change log and nothing else, on the thread that asks. A read takes about 2 µs,
/// and the look at the names of the files 3 to 4 µs.
///
/// A statement that is half-read on a connection freezes what all its statements see, so nothing else runs here.
pub(super) struct FreshReaders {
    connections: Vec<Mutex<Connection>>,
    watch: Arc<Watch>,
}

/// Connections before there is a watch over what they have opened.
pub(super) fn open_fresh(files: &Files, patience: Duration) -> Result<Vec<Connection>, ConnectError> {
    let open = |_| {
        let connection = connect(files, Role::Reader, patience)?;
        // From now on they never wait for a lock: they are asked on the threads that serve requests.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    };
    (0..CONNECTIONS).map(open).collect()
}

impl FreshReaders {
    pub(super) fn new(connections: Vec<Connection>, watch: Arc<Watch>) -> Self {
        Self { connections: connections.into_iter().map(Mutex::new).collect(), watch }
    }

    /// The head; none if all connections are busy, if SQLite cannot tell at once, or if the file may not be the one
    /// that others open by its name.
    pub(super) fn head(&self) -> Option<Head> {
        let connection = self.connections.iter().find_map(|connection| connection.try_lock().ok())?;
        let head = read_head(&connection).ok()?;
        // Each time: what others do in a file that takes the place of this one is done at once.
        self.watch.is_fine_at_once(&connection).then_some(head)
    }
}

impl Drop for FreshReaders {
    fn drop(&mut self) {
        for connection in self.connections.iter().filter_map(|connection| connection.lock().ok()) {
            // No request waits any more: a lock of others is no reason to leave the log.
            let _ = connection.busy_timeout(PATIENCE_AT_THE_END);
            leave_doubtful_log(&connection, &self.watch);
        }
    }
}
