use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::store::StoreError;

/// How much longer than its deadline a request may wait, so that not every request needs a timer.
const LAG: Duration = Duration::from_millis(50);

/// An event that any number of requests wait for, with one outcome for all. A few requests of each runtime have a
/// timer, no matter how many wait. A runtime may stall, so requests of other runtimes cannot rely on its timers.
#[derive(Debug)]
pub(in crate::auth) struct Round<T> {
    outcome: OnceLock<Result<T, Arc<StoreError>>>,
    ended: Notify,
    /// The runtimes in which a waiting request watches the time, and until when.
    timed: Mutex<Vec<(Option<Id>, Instant)>>,
}

impl<T: Clone> Round<T> {
    /// Ends it, unless it has ended. Returns how it ended.
    pub(in crate::auth) fn end(
        &self,
        outcome: impl FnOnce() -> Result<T, Arc<StoreError>>,
    ) -> Result<T, Arc<StoreError>> {
        let outcome = self.outcome.get_or_init(outcome).clone();
        self.ended.notify_waiters();
        outcome
    }

    /// Whether it has ended.
    pub(in crate::auth) fn has_ended(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Waits for the end; none if it does not come by the deadline. Dropping the future costs the others nothing.
    pub(in crate::auth) async fn wait(&self, deadline: Instant) -> Option<Result<T, Arc<StoreError>>> {
        let mut timed = None;
        let mut is_late = false;
        loop {
            let mut ended = pin!(self.ended.notified());
            // Registered before the check: a later end is noticed.
            ended.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return Some(outcome.clone());
            }
            if is_late {
                return None;
            }
            // Kept until the end of the wait: dropping it wakes all others.
            timed = timed.or_else(|| self.look_at_the_time(deadline));
            if timed.is_some() {
                is_late = timeout_at(deadline, ended).await.is_err();
            } else {
                ended.await;
                is_late = self.outcome.get().is_none() && Instant::now() >= deadline;
            }
        }
    }
}

impl<T> Round<T> {
    /// None if another request of this runtime watches the time, and soon enough.
    fn look_at_the_time(&self, deadline: Instant) -> Option<Timed<'_, T>> {
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let mut timed = self.timed();
        if timed.iter().any(|(of, until)| *of == runtime && *until <= deadline + LAG) {
            return None;
        }
        timed.push((runtime, deadline));
        Some(Timed { round: self, runtime, deadline })
    }

    fn timed(&self) -> MutexGuard<'_, Vec<(Option<Id>, Instant)>> {
        self.timed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Round<T> {
    fn default() -> Self {
        Self { outcome: OnceLock::new(), ended: Notify::new(), timed: Mutex::default() }
    }
}

/// Watches the time for all requests of its runtime. If it is dropped before the end, it wakes the others, and one of
/// them takes over.
struct Timed<'a, T> {
    round: &'a Round<T>,
    runtime: Option<Id>,
    deadline: Instant,
}

impl<T> Drop for Timed<'_, T> {
    fn drop(&mut self) {
        if self.round.outcome.get().is_none() {
            self.round.timed().retain(|timed| *timed != (self.runtime, self.deadline));
            self.round.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn within(limit: Duration) -> Instant {
        Instant::now() + limit
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_hear_of_the_one_end() {
        let round = Arc::new(Round::default());
        let waiting = (0..100).map(|_| {
            let round = Arc::clone(&round);
            tokio::spawn(async move { round.wait(within(SECOND)).await })
        });
        let waiting: Vec<_> = waiting.collect();
        tokio::task::yield_now().await;
        assert_eq!((round.end(|| Ok(1)).unwrap(), round.end(|| Ok(2)).unwrap()), (1, 1));
        for waiter in join_all(waiting).await {
            assert_eq!(waiter.unwrap().unwrap().unwrap(), 1);
        }
        assert_eq!(round.wait(within(SECOND)).await.unwrap().unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_told_that_the_time_is_up() {
        let round: Round<()> = Round::default();
        assert!(join_all((0..10).map(|_| round.wait(within(SECOND)))).await.iter().all(Option::is_none));
    }

    #[tokio::test(start_paused = true)]
    async fn who_came_later_waits_longer() {
        let (round, begun): (Round<()>, _) = (Round::default(), Instant::now());
        let wait = |delay| {
            let round = &round;
            async move {
                tokio::time::sleep(delay).await;
                assert!(round.wait(within(SECOND)).await.is_none());
                begun.elapsed() - delay
            }
        };
        let waited = join_all((0..10).map(|place| wait(SECOND * place / 20))).await;
        assert!(waited.iter().all(|waited| (SECOND..SECOND * 11 / 10).contains(waited)), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_less_time_waits_for_nobody_s_timer() {
        let (round, begun): (Round<()>, _) = (Round::default(), Instant::now());
        let wait = async |limit| {
            assert!(round.wait(within(limit)).await.is_none());
            begun.elapsed()
        };
        let waited = join_all([SECOND, SECOND / 4, SECOND / 2, SECOND].map(wait)).await;
        assert_eq!(waited, [SECOND, SECOND / 4, SECOND / 2, SECOND]);
    }

    #[test]
    fn a_timer_in_a_runtime_that_stands_still_holds_up_nobody_elsewhere() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (round, idle): (Round<()>, _) = (Round::default(), runtime());
        let mut first = Box::pin(round.wait(within(SECOND)));
        idle.block_on(async { assert!(futures_util::poll!(&mut first).is_pending()) });
        let second = runtime().block_on(async {
            tokio::time::pause();
            tokio::time::timeout(SECOND * 2, round.wait(within(SECOND))).await
        });
        assert!(second.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn another_looks_at_the_time_when_the_first_is_dropped() {
        let round: Round<()> = Round::default();
        let mut first = Box::pin(round.wait(within(SECOND)));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = Box::pin(round.wait(within(SECOND)));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert!(second.await.is_none());
    }
}
