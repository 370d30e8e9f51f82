//! The head where no other process writes: it has nothing of the reader of files.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::log::read_head;
use crate::store::{Head, HeadCell};

/// The head of a change log that only this process writes.
#[derive(Debug)]
pub(super) struct LocalHead {
    cell: HeadCell,
    is_known: AtomicBool,
}

impl LocalHead {
    pub(super) fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        Ok(Self { cell: HeadCell::new(read_head(connection)?), is_known: AtomicBool::new(true) })
    }

    /// The head; none while the last job's cannot be told.
    pub(super) fn head(&self) -> Option<Head> {
        self.is_known.load(Ordering::Acquire).then(|| self.cell.head())
    }

    /// Looks after each job, however it ended: a commit that reports an error may have been one.
    pub(super) fn refresh(&self, connection: &Connection) {
        let head = read_head(connection);
        if let Ok(head) = head
            && head != self.cell.head()
        {
            self.cell.set(head);
        }
        self.is_known.store(head.is_ok(), Ordering::Release);
    }
}
