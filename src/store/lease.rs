use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long what this node knows of the store may be used without asking again: for a stated time from the start of a
/// read of the change log. A change made by this node ends it before the change returns.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    current_as_of: Mutex<Option<Instant>>,
}

impl Lease {
    /// A read of the log that began at `start` was applied.
    pub(crate) fn renew(&self, start: Instant) {
        let mut current_as_of = self.lock();
        *current_as_of = (*current_as_of).max(Some(start));
    }

    /// Ends it: the next request asks the store.
    pub(crate) fn void(&self) {
        *self.lock() = None;
    }

    /// Whether a read began within the last `bound`.
    pub(crate) fn is_valid(&self, now: Instant, bound: Duration) -> bool {
        self.lock().is_some_and(|start| now.saturating_duration_since(start) < bound)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.current_as_of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
