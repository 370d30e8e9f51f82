//! The crate's own threads for hashing: one per permit, each with memory of its own, at the lowest priority.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::argon2id::Memory;

/// What a thread runs. A job that is dropped, run or not, must tell those who wait for it.
pub(super) struct Job {
    run: Box<dyn FnOnce(&mut Memory) + Send>,
    made_at: Instant,
}

impl Job {
    pub(super) fn new(run: impl FnOnce(&mut Memory) + Send + 'static) -> Self {
        Self { run: Box::new(run), made_at: Instant::now() }
    }
}

/// In this order. Every urgency has places of its own, so that none takes another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Issue,
    Check,
    Rehash,
}

/// How the queue has done so far, whatever the urgency.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueueFigures {
    /// Jobs that wait for a thread.
    pub(crate) queued: usize,
    /// Jobs that a thread took.
    pub(crate) taken: u64,
    /// For how long those had waited, together.
    pub(crate) total_wait: Duration,
    /// For how long one of them had waited at most.
    pub(crate) longest_wait: Duration,
    /// Jobs for which there was no place.
    pub(crate) refused: u64,
}

/// How many threads, and how many jobs may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) threads: usize,
    pub(super) issue: usize,
    pub(super) check: usize,
    pub(super) rehash: usize,
}

#[derive(Debug)]
pub(super) enum Refused {
    /// All places of this urgency are taken.
    Full,
    /// There is no thread, and the system gives none.
    NoThread(std::io::Error),
}

/// Threads start with the first jobs and end when the pool is dropped.
pub(super) struct Pool(Arc<Shared>);

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, state: Mutex::default(), work: Condvar::new() }))
    }

    /// Queues the job that `make` makes, which is not called if there is no place.
    pub(super) fn submit(&self, urgency: Urgency, make: impl FnOnce() -> Job) -> Result<(), Refused> {
        let mut state = self.0.lock();
        if state.queue(urgency).len() >= self.0.limits.places(urgency) {
            state.figures.refused += 1;
            return Err(Refused::Full);
        }
        // A thread that was woken and has not come yet counts as idle: it is spoken for by a job that waits.
        if state.alive < self.0.limits.threads && state.idle <= state.waiting() {
            match Shared::start_thread(&self.0, state.alive) {
                Ok(()) => state.alive += 1,
                Err(error) if state.alive == 0 => return Err(Refused::NoThread(error)),
                Err(_) => {}
            }
        }
        state.queue(urgency).push_back(make());
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// Jobs that wait for a thread.
    pub(super) fn queued(&self) -> usize {
        self.0.lock().waiting()
    }

    pub(super) fn figures(&self) -> QueueFigures {
        let state = self.0.lock();
        QueueFigures { queued: state.waiting(), ..state.figures }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let orphans =
            [Urgency::Issue, Urgency::Check, Urgency::Rehash].map(|urgency| std::mem::take(state.queue(urgency)));
        drop(state);
        self.0.work.notify_all();
        // Outside of the lock: a job that is dropped speaks to those who wait for it.
        drop(orphans);
    }
}

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    issue: VecDeque<Job>,
    check: VecDeque<Job>,
    rehash: VecDeque<Job>,
    alive: usize,
    idle: usize,
    closed: bool,
    /// All but the jobs that wait, which the queues know.
    figures: QueueFigures,
}

impl Limits {
    const fn places(self, urgency: Urgency) -> usize {
        match urgency {
            Urgency::Issue => self.issue,
            Urgency::Check => self.check,
            Urgency::Rehash => self.rehash,
        }
    }
}

impl State {
    const fn queue(&mut self, urgency: Urgency) -> &mut VecDeque<Job> {
        match urgency {
            Urgency::Issue => &mut self.issue,
            Urgency::Check => &mut self.check,
            Urgency::Rehash => &mut self.rehash,
        }
    }

    fn next(&mut self) -> Option<Job> {
        let job = self.issue.pop_front().or_else(|| self.check.pop_front()).or_else(|| self.rehash.pop_front())?;
        let wait = job.made_at.elapsed();
        self.figures.taken += 1;
        self.figures.total_wait = self.figures.total_wait.saturating_add(wait);
        self.figures.longest_wait = self.figures.longest_wait.max(wait);
        Some(job)
    }

    fn waiting(&self) -> usize {
        self.issue.len() + self.check.len() + self.rehash.len()
    }
}

impl Shared {
    /// Nothing that can panic runs under the lock, and the queues are whole at every point: poison means nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_thread(shared: &Arc<Self>, number: usize) -> std::io::Result<()> {
        let shared = Arc::clone(shared);
        thread::Builder::new().name(format!("api-key-hash-{number}")).spawn(move || shared.work()).map(drop)
    }

    fn work(&self) {
        yield_to_requests();
        let mut memory = Memory::default();
        while let Some(job) = self.next_job() {
            if catch_unwind(AssertUnwindSafe(|| (job.run)(&mut memory))).is_err() {
                memory = Memory::default();
            }
        }
    }

    /// Waits for a job. None once the pool is closed.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// At nice 19 a warm request overtakes a hash: its p99 stays near idle while hashes take what is left of the cores. On
/// Linux the priority belongs to the thread; elsewhere it would slow the whole process. Where it is forbidden, hashes
/// are merely less polite.
fn yield_to_requests() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 19);
}

#[cfg(test)]
mod tests;
