//! The queue: jobs that wait for a thread, and their order.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{job::Job, turns::Turn};

/// Checks that are run for each new hash while both wait. Any number of people may make keys at the same time: they
/// must not reduce the share of the threads that is left for checks.
const CHECKS_PER_ISSUE: u32 = 3;

/// The purpose of a job. Every urgency has separate places, so that none takes those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Issue,
    Check,
    Rehash,
}

/// How many jobs of each urgency may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) issue: usize,
    pub(super) check: usize,
    pub(super) rehash: usize,
}

/// A job that waits.
pub(super) struct Queued {
    pub(super) job: Arc<Job>,
    pub(super) made_at: Instant,
    /// The requester's turn, given back when the job leaves the queue.
    turn: Option<Turn>,
}

impl Queued {
    pub(super) fn new(job: Job) -> Self {
        Self { job: Arc::new(job), made_at: Instant::now(), turn: None }
    }

    /// A job of a requester that has one in the queue at a time.
    pub(super) fn in_turn(job: Job, turn: Option<Turn>) -> Self {
        Self { turn, ..Self::new(job) }
    }

    /// Takes the job, and ends the turn of its requester. To be called without a lock, because others are woken.
    pub(super) fn leave(self) -> Arc<Job> {
        drop(self.turn);
        self.job
    }
}

/// Figures of the queue so far, for all urgencies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueueFigures {
    /// Jobs that wait for a thread.
    pub(crate) queued: usize,
    /// Jobs that a thread took.
    pub(crate) taken: u64,
    /// How long those waited, added up.
    pub(crate) total_wait: Duration,
    /// The longest of these waits.
    pub(crate) longest_wait: Duration,
    /// Jobs for which there was no place.
    pub(crate) refused: u64,
    /// Jobs that ran at normal priority, because the hashing threads got no core.
    pub(crate) taken_over: u64,
    /// How long the hashing threads had work but got no core.
    pub(crate) starved: Duration,
}

#[derive(Default)]
pub(super) struct Queue {
    issue: VecDeque<Queued>,
    check: VecDeque<Queued>,
    rehash: VecDeque<Queued>,
    /// Checks taken since the last new hash.
    checks: u32,
    emptied: u64,
    figures: QueueFigures,
}

impl Queue {
    /// Queues what `make` makes, which is not called if there is no place.
    pub(super) fn push(&mut self, urgency: Urgency, places: Places, make: impl FnOnce() -> Queued) -> Result<(), ()> {
        let (queue, places) = match urgency {
            Urgency::Issue => (&mut self.issue, places.issue),
            Urgency::Check => (&mut self.check, places.check),
            Urgency::Rehash => (&mut self.rehash, places.rehash),
        };
        if queue.len() >= places {
            self.figures.refused += 1;
            return Err(());
        }
        queue.push_back(make());
        Ok(())
    }

    /// The next job. While checks wait, at most one of four makes a new hash; better hashes for old keys come last.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let is_issues_turn = self.check.is_empty() || self.checks >= CHECKS_PER_ISSUE;
        let next = if is_issues_turn && let Some(issue) = self.issue.pop_front() {
            self.checks = 0;
            issue
        } else if let Some(check) = self.check.pop_front() {
            self.checks = self.checks.saturating_add(1);
            check
        } else {
            self.rehash.pop_front()?
        };
        self.emptied += u64::from(self.len() == 0);
        let wait = next.made_at.elapsed();
        self.figures.taken += 1;
        self.figures.total_wait = self.figures.total_wait.saturating_add(wait);
        self.figures.longest_wait = self.figures.longest_wait.max(wait);
        Some(next)
    }

    pub(super) fn len(&self) -> usize {
        self.issue.len() + self.check.len() + self.rehash.len()
    }

    /// How often the queue has become empty so far.
    pub(super) const fn emptied(&self) -> u64 {
        self.emptied
    }

    pub(super) fn figures(&self) -> QueueFigures {
        QueueFigures { queued: self.len(), ..self.figures }
    }

    pub(super) fn count_takeover(&mut self) {
        self.figures.taken_over += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{argon2id::Memory, job::Unheard};

    const PLACES: Places = Places { issue: 100, check: 100, rehash: 100 };

    /// Queues a job that notes its urgency when it runs.
    fn push(queue: &mut Queue, urgency: Urgency, notes: &std::sync::mpsc::Sender<Urgency>) {
        let notes = notes.clone();
        let run = move |_: &mut Memory| {
            notes.send(urgency).unwrap();
            Ok(())
        };
        let job = || Queued::new(Job::new(run, Unheard));
        queue.push(urgency, PLACES, job).unwrap();
    }

    /// The urgencies in the order in which their jobs run, if this many of each are queued.
    fn order(issue: usize, check: usize, rehash: usize) -> Vec<Urgency> {
        let (notes, noted) = std::sync::mpsc::channel();
        let mut queue = Queue::default();
        for (urgency, count) in [(Urgency::Rehash, rehash), (Urgency::Issue, issue), (Urgency::Check, check)] {
            (0..count).for_each(|_| push(&mut queue, urgency, &notes));
        }
        while let Some(next) = queue.pop() {
            next.leave().run(&mut Memory::default());
        }
        drop((queue, notes));
        noted.into_iter().collect()
    }

    #[test]
    fn of_four_runs_one_makes_a_key_while_checks_wait() {
        use Urgency::{Check, Issue, Rehash};
        assert_eq!(
            order(4, 7, 1),
            [Check, Check, Check, Issue, Check, Check, Check, Issue, Check, Issue, Issue, Rehash]
        );
        assert_eq!(order(2, 0, 1), [Issue, Issue, Rehash]);
        assert_eq!(order(0, 5, 1), [Check, Check, Check, Check, Check, Rehash]);
    }

    #[test]
    fn keys_that_were_made_while_no_check_waited_are_counted() {
        let (notes, noted) = std::sync::mpsc::channel();
        let mut queue = Queue::default();
        let run = |queue: &mut Queue| queue.pop().unwrap().leave().run(&mut Memory::default());
        (0..3).for_each(|_| push(&mut queue, Urgency::Issue, &notes));
        run(&mut queue);
        // A check that arrives now is next, although no check has run yet.
        push(&mut queue, Urgency::Check, &notes);
        run(&mut queue);
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), [Urgency::Issue, Urgency::Check]);
    }

    #[test]
    fn a_steady_stream_of_checks_leaves_issuing_a_quarter() {
        let (notes, noted) = std::sync::mpsc::channel();
        let mut queue = Queue::default();
        push(&mut queue, Urgency::Issue, &notes);
        for _ in 0..4 {
            push(&mut queue, Urgency::Check, &notes);
            push(&mut queue, Urgency::Check, &notes);
            queue.pop().unwrap().leave().run(&mut Memory::default());
        }
        assert_eq!(noted.try_iter().filter(|urgency| *urgency == Urgency::Issue).count(), 1);
    }
}
