use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{desk::Desk, failure::Failure};
use crate::store::StoreError;

/// How many jobs may wait for a connection. If the queue is full, a caller waits to enter it, up to its own limit.
const QUEUE: usize = 256;

/// A thread with a connection, which does one job after the other.
///
/// A job that began is always finished. A job does not begin if its caller no longer waits.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    /// How long a change waits for the lock of another process, counted from its call: changes in the queue do not wait
    /// this long again after the one before them.
    patience: Duration,
}

struct Job(Box<dyn FnOnce(&mut Desk) + Send>);

/// Why a job has no answer.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the database thread has ended")]
    NeverBegan,
    #[error("the database thread panicked")]
    Panicked,
}

impl Worker {
    /// Starts the thread, which ends when all its `Worker` handles are dropped.
    pub(super) fn start(name: &str, desk: Desk, patience: Duration) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, mut queue) = mpsc::channel(QUEUE);
        let mut desk = desk;
        let work = move || {
            while let Some(Job(job)) = queue.blocking_recv() {
                job(&mut desk);
            }
        };
        Ok((Self { jobs, patience }, thread::Builder::new().name(name.to_owned()).spawn(work)?))
    }

    /// Does a job that changes nothing.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(|desk: &mut Desk| desk.read(job)).await.unwrap_or_else(|lost| Err(StoreError::unavailable(lost)))
    }

    /// Does a job that changes something. If it is not known whether it did, the error says that the outcome is
    /// unknown.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (patience, asked_at) = (self.patience, Instant::now());
        self.change(move |desk: &mut Desk| desk.write(patience.saturating_sub(asked_at.elapsed()), job)).await
    }

    async fn change<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Desk) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(job).await.unwrap_or_else(|lost| match lost {
            Lost::NeverBegan => Err(StoreError::unavailable(lost)),
            Lost::Panicked => Err(StoreError::outcome_unknown(lost)),
        })
    }

    /// The same for an erasure: what it deleted is in none of the files afterwards, unless another connection reads.
    pub(super) async fn erase<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (patience, asked_at) = (self.patience, Instant::now());
        self.change(move |desk: &mut Desk| desk.erase(patience.saturating_sub(asked_at.elapsed()), job)).await
    }

    /// Lets the thread do maintenance of the files, unless its queue is full: after each job it checks them, too.
    pub(super) fn look_after_files(&self) {
        let _ = self.jobs.try_send(Job(Box::new(Desk::look_after_files)));
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Desk) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Result<T, StoreError>, Lost> {
        let (answer, answered) = oneshot::channel();
        let job = Job(Box::new(move |desk: &mut Desk| {
            if answer.is_closed() {
                return;
            }
            // A panic drops the transaction, which rolls it back: nothing is left half-done.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(desk)));
            desk.tidy();
            let outcome = outcome.map(|outcome| outcome.map_err(|failure| desk.told(failure)));
            // The caller may have been dropped.
            let _ = answer.send(outcome.map_err(|_| Lost::Panicked));
            desk.renew_mark_in_time();
        }));
        self.jobs.send(job).await.map_err(|_| Lost::NeverBegan)?;
        answered.await.unwrap_or(Err(Lost::Panicked))
    }
}

/// Waits, when it is dropped, until threads have ended and their files are closed. Drop it after their workers.
#[derive(Default)]
pub(super) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    pub(super) fn push(&mut self, thread: JoinHandle<()>) {
        self.0.push(thread);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // If a job panicked, its caller got the error already.
            let _ = thread.join();
        }
    }
}
