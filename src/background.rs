//! Background tasks beside the requests.

use std::{
    future::Future,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A background task, of which one runs at a time.
#[derive(Default)]
pub(crate) struct Background {
    is_running: Arc<AtomicBool>,
}

impl Background {
    /// Starts the task, unless it is running. Does nothing outside a tokio runtime.
    pub(crate) fn start<F>(&self, task: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.is_running.load(Ordering::Relaxed) || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let (running, task) = (Running(Arc::clone(&self.is_running)), task());
        tokio::spawn(async move {
            let _running = running;
            task.await;
        });
    }
}

/// Ends with its runtime: then another runtime may start it again.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Runs turns until the last other reference to the object is dropped: the first turn after this pause, each further
/// one after the pause that the turn before it asked for. The object is held only during a turn.
pub(crate) async fn take_turns<T, F>(of: Weak<T>, mut pause: Duration, turn: impl Fn(Arc<T>) -> F)
where
    F: Future<Output = Duration>,
{
    loop {
        tokio::time::sleep(pause).await;
        let Some(held) = of.upgrade() else { break };
        pause = turn(held).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_turn_comes_after_the_pause_that_was_asked_for_until_the_holder_lets_go() {
        let (turns, begun) = (Arc::new(AtomicU32::new(0)), tokio::time::Instant::now());
        let all = tokio::spawn(take_turns(Arc::downgrade(&turns), Duration::from_secs(1), |turns| async move {
            turns.fetch_add(1, Ordering::Relaxed);
            Duration::from_secs(10)
        }));
        tokio::time::sleep(Duration::from_secs(25)).await;
        let taken = turns.load(Ordering::Relaxed);
        drop(turns);
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap().unwrap();
        // At 1, 11 and 21 seconds; at 31 the object is gone.
        assert_eq!((taken, begun.elapsed().as_secs()), (3, 31));
    }
}
