//! The crate's own threads for hashing: one per permit, each with its own memory, at the lowest priority; and one of
//! normal priority for times when those get no core.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    argon2id::Memory,
    cpu_time::{CpuTime, Measure},
    job::Job,
    queue::{Places, Queue, QueueFigures, Queued, Urgency},
    starvation::{SeenThread, Snapshot, WINDOW, Watch},
};

/// How many threads there are, how many jobs may wait, and how to measure that the threads get no core.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) threads: usize,
    pub(super) places: Places,
    /// None: threads keep their priority, and nothing is taken over.
    pub(super) measure: Option<Measure>,
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
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Shared { limits, cores, state: Mutex::default(), work: Condvar::new(), relief: Condvar::new() }))
    }

    /// Queues the job that `make` makes, which is not called if there is no place.
    pub(super) fn submit(&self, urgency: Urgency, make: impl FnOnce() -> Queued) -> Result<(), Refused> {
        let mut state = self.0.lock();
        // A thread that was woken but does not run yet counts as idle, but a waiting job already needs it.
        if state.workers.len() < self.0.limits.threads && state.idle <= state.queue.len() {
            match self.0.start_worker(&mut state) {
                Err(error) if state.workers.is_empty() => return Err(Refused::NoThread(error)),
                _ => {}
            }
        }
        state.queue.push(urgency, self.0.limits.places, make).map_err(|()| Refused::Full)?;
        // While there is work, the relief thread checks by itself. It is woken only if the job has to wait for it.
        let wakes_relief = !std::mem::replace(&mut state.is_watched, true) || state.watch.is_starving();
        drop(state);
        self.0.work.notify_one();
        if wakes_relief {
            self.0.relief.notify_one();
        }
        Ok(())
    }

    /// Jobs that wait for a thread.
    pub(super) fn queued(&self) -> usize {
        self.0.lock().queue.len()
    }

    pub(super) fn figures(&self) -> QueueFigures {
        let state = self.0.lock();
        QueueFigures { starved: state.watch.starved_for(), ..state.queue.figures() }
    }

    /// How long the hashing threads have starved up to now, even if the relief thread could not run its check.
    pub(super) fn starved_for(&self) -> Duration {
        self.0.look();
        self.0.lock().watch.starved_for()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let orphans = std::mem::take(&mut state.queue);
        drop(state);
        self.0.work.notify_all();
        self.0.relief.notify_all();
        // Outside the lock: dropping a job notifies its waiting callers.
        drop(orphans);
    }
}

struct Shared {
    limits: Limits,
    cores: usize,
    state: Mutex<State>,
    /// Tells the hashing threads that there is a job.
    work: Condvar,
    /// Tells the relief thread that there is work after a pause, or a job for it.
    relief: Condvar,
}

#[derive(Default)]
struct State {
    queue: Queue,
    workers: Vec<Worker>,
    idle: usize,
    has_relief: bool,
    /// The relief thread checks at intervals.
    is_watched: bool,
    watch: Watch,
    is_closed: bool,
}

/// What other threads see of a hashing thread.
#[derive(Default)]
struct Worker {
    clock: Clock,
    begun: Option<Begun>,
    rests: u64,
}

#[derive(Clone, Default)]
enum Clock {
    /// The thread has had no core at all yet, and has normal priority.
    #[default]
    NotYet,
    Measured(Arc<dyn CpuTime>),
    Unknown,
}

struct Begun {
    job: Arc<Job>,
    made_at: Instant,
    is_taken_over: bool,
}

impl State {
    fn has_work(&self) -> bool {
        self.queue.len() > 0 || self.workers.iter().any(|worker| worker.begun.is_some())
    }

    fn next(&mut self, number: usize) -> Option<Queued> {
        let next = self.queue.pop()?;
        if let Some(worker) = self.workers.get_mut(number) {
            worker.begun = Some(Begun { job: Arc::clone(&next.job), made_at: next.made_at, is_taken_over: false });
        }
        Some(next)
    }

    /// The job that a thread began and that waited longest, if it was not taken over yet.
    fn oldest_begun(&mut self) -> Option<Arc<Job>> {
        let begun = self.workers.iter_mut().filter_map(|worker| worker.begun.as_mut());
        let oldest = begun.filter(|begun| !begun.is_taken_over).min_by_key(|begun| begun.made_at)?;
        oldest.is_taken_over = true;
        Some(Arc::clone(&oldest.job))
    }
}

impl Shared {
    /// No code under the lock can panic, and the state is consistent at every point: poison has no meaning.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_worker(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        if !state.has_relief && self.limits.measure.is_some() {
            let shared = Arc::clone(self);
            let relief = thread::Builder::new().name("api-key-relief".to_owned()).spawn(move || shared.relieve());
            // Without it, threads that start later keep their priority.
            state.has_relief = relief.is_ok();
        }
        let (shared, number) = (Arc::clone(self), state.workers.len());
        thread::Builder::new().name(format!("api-key-hash-{number}")).spawn(move || shared.work(number))?;
        state.workers.push(Worker::default());
        Ok(())
    }

    fn work(&self, number: usize) {
        self.make_way(number);
        let mut memory = Memory::default();
        while let Some(job) = self.next_job(number) {
            if catch_unwind(AssertUnwindSafe(|| job.run(&mut memory))).is_err() {
                memory = Memory::default();
                job.give_up();
            }
            let ended = self.lock().workers.get_mut(number).and_then(|worker| worker.begun.take());
            drop(ended);
        }
    }

    /// At nice 19 a warm request is scheduled before a hash: its p99 stays near that of an idle machine while hashes
    /// use the rest of the cores. On Linux the priority belongs to the thread; elsewhere it would slow the whole
    /// process. If the system forbids it, hashes only compete more.
    ///
    /// An unprivileged thread cannot undo this. So only a thread whose processor time is measured lowers its priority.
    fn make_way(&self, number: usize) {
        let clock = self.limits.measure.filter(|_| self.lock().has_relief).and_then(|measure| measure());
        #[cfg(target_os = "linux")]
        if clock.is_some() {
            let _ = rustix::process::setpriority_process(None, 19);
        }
        if let Some(worker) = self.lock().workers.get_mut(number) {
            worker.clock = clock.map_or(Clock::Unknown, |clock| Clock::Measured(clock.into()));
        }
    }

    /// Waits for a job. None after the pool is closed.
    fn next_job(&self, number: usize) -> Option<Arc<Job>> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.next(number) {
                drop(state);
                return Some(next.leave());
            }
            if state.is_closed {
                return None;
            }
            if let Some(worker) = state.workers.get_mut(number) {
                worker.rests += 1;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// The relief thread: checks whether the hashing threads get a core, and runs what they do not get to, one job at a
    /// time. It has memory only while there is work.
    fn relieve(&self) {
        let (mut memory, mut taken_before) = (Memory::default(), 0);
        loop {
            self.look();
            if let Some((job, is_begun)) = self.take_over() {
                let run = || if is_begun { job.run_again(&mut memory) } else { job.run(&mut memory) };
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    memory = Memory::default();
                    if !is_begun {
                        job.give_up();
                    }
                }
                continue;
            }
            let mut state = self.lock();
            if state.is_closed {
                return;
            }
            let taken = state.queue.figures().taken;
            if state.has_work() || taken != taken_before {
                taken_before = taken;
                drop(self.relief.wait_timeout(state, WINDOW));
                continue;
            }
            state.watch.pause();
            state.is_watched = false;
            memory = Memory::default();
            while !state.is_watched && !state.is_closed {
                state = self.relief.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// If the hashing threads starve: the job that waited longest on one of them, or else the next in the queue, and
    /// whether it was begun.
    fn take_over(&self) -> Option<(Arc<Job>, bool)> {
        let mut state = self.lock();
        if !state.watch.is_starving() || state.is_closed {
            return None;
        }
        if let Some(job) = state.oldest_begun() {
            state.queue.count_takeover();
            return Some((job, true));
        }
        let next = state.queue.pop()?;
        state.queue.count_takeover();
        drop(state);
        Some((next.leave(), false))
    }

    fn look(&self) {
        let state = self.lock();
        if !state.watch.is_due(Instant::now()) {
            return;
        }
        let clocks: Vec<Clock> = state.workers.iter().map(|worker| worker.clock.clone()).collect();
        // The files are read without the lock.
        drop(state);
        let times = clocks.iter().map(|clock| match clock {
            Clock::NotYet => Some(Duration::ZERO),
            Clock::Measured(clock) => clock.read(),
            Clock::Unknown => None,
        });
        let times: Vec<_> = times.collect();
        let mut state = self.lock();
        let has_queue = state.queue.len() > 0;
        let threads = state.workers.iter().zip(times).map(|(worker, cpu)| {
            let is_busy = worker.begun.is_some();
            SeenThread { cpu, is_busy, is_wanted: is_busy || has_queue, rests: worker.rests }
        });
        let seen = Snapshot { emptied: state.queue.emptied(), threads: threads.collect() };
        state.watch.look(Instant::now(), self.cores, seen);
    }
}

#[cfg(test)]
mod tests;
