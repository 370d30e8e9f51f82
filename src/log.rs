//! Lines for the service's log, if the feature `tracing` is on. Never a secret: ids, codes and errors.

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

/// How long after a log line further occurrences are only counted.
const PAUSE: Duration = Duration::from_secs(60);

/// An event that can happen with every request. It is logged the first time, and after that at most once a minute with
/// the number of occurrences. A log line for each request would fill the disk and hide everything else.
#[derive(Debug)]
pub(crate) struct Repeated(Mutex<Told>);

#[derive(Debug)]
struct Told {
    at: Option<Instant>,
    /// The number of occurrences since the last line.
    untold: u64,
    /// The log has its beginning, but not its end yet.
    is_told: bool,
}

impl Repeated {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Told { at: None, untold: 0, is_told: false }))
    }

    /// It happened. If a log line is due now, returns how often it happened since the last one, including this time.
    pub(crate) fn happened(&self) -> Option<u64> {
        let mut told = self.lock();
        told.untold = told.untold.saturating_add(1);
        told.is_due().then(|| std::mem::take(&mut told.untold))
    }

    /// It happened before it was over. It is part of the next count.
    pub(crate) fn happened_before(&self) {
        let mut told = self.lock();
        told.untold = told.untold.saturating_add(1);
    }

    /// It begins. Returns whether to log that now; after that it is counted.
    pub(crate) fn begins(&self) -> bool {
        self.lock().is_due()
    }

    /// It is over. If the end is to be logged, returns how often it happened since the last line. An event that comes
    /// and goes is also logged once a minute at most.
    pub(crate) fn is_over(&self) -> Option<u64> {
        let mut told = self.lock();
        std::mem::take(&mut told.is_told).then(|| std::mem::take(&mut told.untold))
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Whether a log line is due now; then it counts as written.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.at.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        if is_due {
            (self.at, self.is_told) = (Some(now), true);
        }
        is_due
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
        assert_eq!((repeated.is_over(), repeated.is_over()), (Some(29), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_in_other_words_is_counted() {
        let repeated = Repeated::new();
        assert!(repeated.begins());
        assert_eq!(repeated.happened(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(repeated.happened(), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_all_the_time_is_two_lines_a_minute() {
        let (repeated, mut told) = (Repeated::new(), Vec::new());
        for second in 0..150 {
            if repeated.begins() {
                told.push((second, "begins", 0));
            }
            told.extend(repeated.happened().map(|count| (second, "happened", count)));
            told.extend(repeated.is_over().map(|count| (second, "is over", count)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let [of_one, of_a_minute] = [1, 60].map(|count| move |second, what| (second, what, count));
        assert_eq!(
            told,
            [
                (0, "begins", 0),
                of_one(0, "is over"),
                (60, "begins", 0),
                of_a_minute(60, "is over"),
                (120, "begins", 0),
                of_a_minute(120, "is over")
            ]
        );
    }
}
