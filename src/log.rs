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
    /// The log told of it, and not of its end yet.
    is_told: bool,
}

impl Repeated {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Told { at: None, untold: 0, is_told: false }))
    }

    /// It happened. Whether the log is to tell of it now: then how often it happened since it last did, this time
    /// included.
    pub(crate) fn happened(&self) -> Option<u64> {
        let mut told = self.lock();
        told.untold = told.untold.saturating_add(1);
        told.is_due().then(|| std::mem::take(&mut told.untold))
    }

    /// It happened, before it was over. That is part of the next count.
    pub(crate) fn happened_before(&self) {
        let mut told = self.lock();
        told.untold = told.untold.saturating_add(1);
    }

    /// It begins. Whether the log is to tell of that now, in other words: from then on it is counted.
    pub(crate) fn begins(&self) -> bool {
        self.lock().is_due()
    }

    /// It is over. If the log is to tell of that, how often it happened since the log told of it. What comes and goes is
    /// told of once a minute, too.
    pub(crate) fn is_over(&self) -> Option<u64> {
        let mut told = self.lock();
        std::mem::take(&mut told.is_told).then(|| std::mem::take(&mut told.untold))
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Whether the log is to tell of it now, which it does then.
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
