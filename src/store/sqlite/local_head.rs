//! The head if no other process writes: independent of the files.

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

    /// The head; none while the head after the last job is not known.
    pub(super) fn head(&self) -> Option<Head> {
        self.is_known.load(Ordering::Acquire).then(|| self.cell.head())
    }

    /// Reads the head after each job, also after a failure: a commit that reports an error may have succeeded.
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
