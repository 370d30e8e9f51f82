//! What the crate tells the service's log, if the feature `tracing` is on. Never a secret: ids, codes and errors.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// An event of `tracing` at the level that is named first; nothing without the feature.
macro_rules! log {
    ($level:ident, $($event:tt)+) => {
        #[cfg(feature = "tracing")]
        ::tracing::$level!($($event)+);
    };
}

pub(crate) use log;

/// How long a thing that was told of is only counted.
const PAUSE: Duration = Duration::from_secs(60);

/// Something that can happen with every request: the log tells of it the first time, and then of how often it happened,
/// once a minute at most. A log that repeats itself for each request fills the disk and hides everything else.
#[derive(Debug)]
pub(crate) struct Repeated(Mutex<Told>);

#[derive(Debug)]
struct Told {
    at: Option<Instant>,
    /// How often it happened since.
    untold: u64,
}

impl Repeated {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Told { at: None, untold: 0 }))
    }

    /// It happened. Whether the log is to tell of it now: then how often it happened since it last did, this time
    /// included.
    pub(crate) fn happened(&self) -> Option<u64> {
        let mut told = self.lock();
        told.untold = told.untold.saturating_add(1);
        let now = Instant::now();
        if told.at.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
            return None;
        }
        told.at = Some(now);
        Some(std::mem::take(&mut told.untold))
    }

    /// The log tells of it now, in other words: from now on it is counted.
    pub(crate) fn was_told(&self) {
        self.lock().at = Some(Instant::now());
    }

    /// It is over, and the next time is a first time. How often it happened since the log told of it.
    pub(crate) fn is_over(&self) -> u64 {
        let mut told = self.lock();
        told.at = None;
        std::mem::take(&mut told.untold)
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Repeated {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_repeats_itself_is_told_once_and_then_counted_by_the_minute() {
        let repeated = Repeated::new();
        let mut told = Vec::new();
        for second in 0..150 {
            told.extend(repeated.happened().map(|count| (second, count)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, [(0, 1), (60, 60), (120, 60)]);
        assert_eq!(repeated.is_over(), 29);
        assert_eq!((repeated.happened(), repeated.happened()), (Some(1), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_in_other_words_is_counted() {
        let repeated = Repeated::new();
        repeated.was_told();
        assert_eq!(repeated.happened(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(repeated.happened(), Some(2));
    }
}
