use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::store::StoreError;

/// Something that any number of requests wait for, and that ends in one way for all of them: with one allocation and one
/// timer, however many they are.
#[derive(Debug)]
pub(super) struct Round<T> {
    outcome: OnceLock<Result<T, Arc<StoreError>>>,
    ended: Notify,
    /// Whether one of those who wait looks at the time.
    is_timed: AtomicBool,
}

impl<T: Clone> Round<T> {
    /// Ends it, unless it has ended. How it ended.
    pub(super) fn end(&self, outcome: impl FnOnce() -> Result<T, StoreError>) -> Result<T, Arc<StoreError>> {
        let outcome = self.outcome.get_or_init(|| outcome().map_err(Arc::new)).clone();
        self.ended.notify_waiters();
        outcome
    }

    /// Waits until it ends; none to the one who looks at the time, once that is up. Dropping it costs the others nothing.
    pub(super) async fn wait(&self, limit: Duration) -> Option<Result<T, Arc<StoreError>>> {
        loop {
            let mut ended = pin!(self.ended.notified());
            // In line before the look: an end after it is noticed.
            ended.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return Some(outcome.clone());
            }
            if self.is_timed.swap(true, Ordering::AcqRel) {
                ended.await;
            } else {
                let timed = Timed(self);
                if timeout(limit, ended).await.is_err() {
                    return self.outcome.get().cloned();
                }
                drop(timed);
            }
        }
    }
}

impl<T> Default for Round<T> {
    fn default() -> Self {
        Self { outcome: OnceLock::new(), ended: Notify::new(), is_timed: AtomicBool::new(false) }
    }
}

/// Looks at the time for all. Gone before the end, it wakes the others, and one of them does.
struct Timed<'a, T>(&'a Round<T>);

impl<T> Drop for Timed<'_, T> {
    fn drop(&mut self) {
        if self.0.outcome.get().is_none() {
            self.0.is_timed.store(false, Ordering::Release);
            self.0.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_hear_of_the_one_end() {
        let round = Arc::new(Round::default());
        let waiting = (0..100).map(|_| {
            let round = Arc::clone(&round);
            tokio::spawn(async move { round.wait(SECOND).await })
        });
        let waiting: Vec<_> = waiting.collect();
        tokio::task::yield_now().await;
        assert_eq!((round.end(|| Ok(1)).unwrap(), round.end(|| Ok(2)).unwrap()), (1, 1));
        for waiter in join_all(waiting).await {
            assert_eq!(waiter.unwrap().unwrap().unwrap(), 1);
        }
        assert_eq!(round.wait(SECOND).await.unwrap().unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_told_that_the_time_is_up_and_may_end_it_for_the_others() {
        let round: Round<()> = Round::default();
        let wait = || async {
            match round.wait(SECOND).await {
                Some(outcome) => outcome,
                None => round.end(|| Err(StoreError::unavailable("late"))),
            }
        };
        assert!(join_all((0..10).map(|_| wait())).await.iter().all(Result::is_err));
    }

    #[tokio::test(start_paused = true)]
    async fn another_looks_at_the_time_when_the_first_is_dropped() {
        let round: Round<()> = Round::default();
        let mut first = Box::pin(round.wait(SECOND));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = Box::pin(round.wait(SECOND));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert!(second.await.is_none());
    }
}
