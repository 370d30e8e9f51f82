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

/// Jobs that wait for a connection. Who comes when it is full waits to get in; callers bound that wait.
const QUEUE: usize = 256;

/// A thread with a connection, which does one job after the other.
///
/// A job that began is finished, whether somebody still waits for it or not; one nobody waits for does not begin.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    /// How long a change waits for the lock of another process, counted from when it was asked for: those behind a
    /// change that waited do not wait as long once more.
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
    /// Starts the thread, which ends when all workers that stand for it are dropped.
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

    /// Does what changes nothing.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(|desk: &mut Desk| desk.read(job)).await.unwrap_or_else(|lost| Err(StoreError::unavailable(lost)))
    }

    /// Does what changes something: where nobody can say whether it did, the error says so.
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

    /// The same for a change that erases somebody: what it deleted is in none of the files any more, unless somebody
    /// reads.
    pub(super) async fn erase<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (patience, asked_at) = (self.patience, Instant::now());
        self.change(move |desk: &mut Desk| desk.erase(patience.saturating_sub(asked_at.elapsed()), job)).await
    }

    /// Has the thread look after the files, unless it has enough to do: it looks at them after each job.
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
            // A transaction that is dropped on the way out is rolled back: a panic leaves nothing half-done.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(desk)));
            desk.tidy();
            let outcome = outcome.map(|outcome| outcome.map_err(|failure| desk.told(failure)));
            // Nobody may be waiting any more.
            let _ = answer.send(outcome.map_err(|_| Lost::Panicked));
            desk.renew_mark_in_time();
        }));
        self.jobs.send(job).await.map_err(|_| Lost::NeverBegan)?;
        answered.await.unwrap_or(Err(Lost::Panicked))
    }
}

/// Waits, when it is dropped, until threads have ended and their files are closed. To be dropped after their workers.
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
            // What a thread that panicked did is told to whoever waited for it.
            let _ = thread.join();
        }
    }
}
