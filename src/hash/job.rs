//! The job of a hashing thread, and the receiver of its outcome.

use std::{
    marker::PhantomData,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::argon2id::Memory;

/// The outcome of a run.
pub(super) type Outcome<T> = Result<T, argon2::Error>;

/// Receives the outcome of a run. If it is dropped without [`end`](Self::end), it must report that there is none.
pub(super) trait Ending<T>: Send {
    /// Whether a caller still waits for the run. Otherwise it is not begun.
    fn is_wanted(&self) -> bool {
        true
    }

    fn end(self, outcome: Outcome<T>);
}

/// A run that can be begun twice: on a hashing thread, and once more on the relief thread if the first one gets no
/// core. The one that ends first counts.
pub(super) struct Job(Box<dyn Task>);

impl Job {
    pub(super) fn new<T: 'static, E: Ending<T> + 'static>(
        run: impl Fn(&mut Memory) -> Outcome<T> + Send + Sync + 'static,
        ending: E,
    ) -> Self {
        Self(Box::new(Run { run, ending: Mutex::new(Some(ending)), of: PhantomData::<fn() -> T> }))
    }

    /// Runs it, unless it was ended elsewhere or no caller waits for it.
    pub(super) fn run(&self, memory: &mut Memory) {
        self.0.run(memory, Attempt::Only);
    }

    /// Runs what another thread has begun. If that fails, the other thread still continues it.
    pub(super) fn run_again(&self, memory: &mut Memory) {
        self.0.run(memory, Attempt::Second);
    }

    /// Tells waiting callers that there is no outcome.
    pub(super) fn give_up(&self) {
        self.0.give_up();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Only,
    Second,
}

trait Task: Send + Sync {
    fn run(&self, memory: &mut Memory, attempt: Attempt);

    fn give_up(&self);
}

struct Run<T, R, E> {
    run: R,
    /// Taken by the attempt that ends first.
    ending: Mutex<Option<E>>,
    of: PhantomData<fn() -> T>,
}

impl<T, R: Fn(&mut Memory) -> Outcome<T> + Send + Sync, E: Ending<T>> Task for Run<T, R, E> {
    fn run(&self, memory: &mut Memory, attempt: Attempt) {
        if !lock(&self.ending).as_ref().is_some_and(Ending::is_wanted) {
            return;
        }
        let outcome = (self.run)(memory);
        if outcome.is_err() && attempt == Attempt::Second {
            return;
        }
        // Taken in a separate statement: the receiver may take other locks.
        let ending = lock(&self.ending).take();
        if let Some(ending) = ending {
            ending.end(outcome);
        }
    }

    fn give_up(&self) {
        let ending = lock(&self.ending).take();
        drop(ending);
    }
}

/// The lock is held only to read and to take: poison has no meaning.
fn lock<E>(ending: &Mutex<Option<E>>) -> MutexGuard<'_, Option<E>> {
    ending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ending of a job that no caller waits for.
#[cfg(test)]
pub(super) struct Unheard;

#[cfg(test)]
impl Ending<()> for Unheard {
    fn end(self, _: Outcome<()>) {}
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Sender, channel},
    };

    use super::*;

    impl Ending<&'static str> for Sender<&'static str> {
        fn end(self, outcome: Outcome<&'static str>) {
            self.send(outcome.unwrap_or("failed")).unwrap();
        }
    }

    #[test]
    fn the_attempt_that_ends_first_is_the_one_that_counts() {
        let (told, tells) = channel();
        let job = Job::new(|_| Ok("done"), told);
        job.run_again(&mut Memory::default());
        job.run(&mut Memory::default());
        drop(job);
        assert_eq!(tells.into_iter().collect::<Vec<_>>(), ["done"]);
    }

    #[test]
    fn a_second_attempt_that_fails_leaves_the_run_to_the_first() {
        let (told, tells) = channel();
        let attempts = AtomicU32::new(0);
        let run = move |_: &mut Memory| match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(argon2::Error::OutOfMemory),
            _ => Ok("done"),
        };
        let job = Job::new(run, told);
        job.run_again(&mut Memory::default());
        job.run(&mut Memory::default());
        drop(job);
        assert_eq!(tells.into_iter().collect::<Vec<_>>(), ["done"]);
    }

    #[test]
    fn a_caller_that_waits_for_a_job_that_is_given_up_or_dropped_is_told() {
        let (told, tells) = channel();
        let job = Job::new(|_| panic!("was run"), told.clone());
        job.give_up();
        job.run(&mut Memory::default());
        drop(Job::new(|_| panic!("was run"), told));
        assert_eq!(tells.into_iter().count(), 0);
    }
}
