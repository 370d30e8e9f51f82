//! Shared runs: many callers with the same question wait for one answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    argon2id::Memory,
    job::{Ending, Job, Outcome},
    pool::{Pool, Refused},
    queue::{Queued, Urgency},
};

/// How long an answer is kept for callers that gave up waiting and ask again.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// How many answers are kept, about 100 bytes each. Two cores make 150 default hashes a second.
const REMEMBERED: usize = 4_096;

/// A text and a stored hash in 32 bytes. It is made with a secret of this process, so neither can be recovered from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RunId([u8; 32]);

impl RunId {
    pub(super) const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Match,
    Mismatch,
}

/// What to do about a question.
pub(super) enum Next {
    /// Use this answer: its run ended a moment ago.
    Answered(Answer),
    /// Wait for this run: it has the same question.
    Join(watch::Receiver<Option<Answer>>),
    /// Wait for the end of this run, then ask again: it has another question about the same key.
    WaitForTurn(watch::Receiver<Option<Answer>>),
    /// There is no run to wait for, and none could be queued.
    Refused(Refused),
}

/// The current runs and the answers of earlier ones. Bounded by the queue, the threads and [`REMEMBERED`].
#[derive(Default)]
pub(super) struct Runs(Mutex<State>);

#[derive(Default)]
struct State {
    /// Runs that are queued or running, at most one for each public id: an attacker with many texts that reach Argon2
    /// for one key takes only one place in the queue.
    under_way: HashMap<[u8; 20], UnderWay>,
    answers: HashMap<RunId, Answered>,
    /// The answers by age, the oldest first.
    order: VecDeque<(RunId, Instant)>,
}

struct UnderWay {
    question: RunId,
    outcome: watch::Receiver<Option<Answer>>,
}

#[derive(Clone, Copy)]
struct Answered {
    answer: Answer,
    at: Instant,
}

impl Runs {
    /// Finds the answer, or the run that will give it, or queues a run. `job` is called in the last case only; what it
    /// returns runs on a thread of the pool, and gives no answer if it fails.
    pub(super) fn ask<J>(
        self: &Arc<Self>,
        pool: &Pool,
        id: [u8; 20],
        question: RunId,
        now: Instant,
        job: impl FnOnce() -> J,
    ) -> Next
    where
        J: Fn(&mut Memory) -> Outcome<Answer> + Send + Sync + 'static,
    {
        // Held while the run is queued: no matter how soon that run ends, it finds the entry made here. No code takes
        // this lock while it holds the pool's lock.
        let mut state = self.lock();
        if let Some(answered) = state.answers.get(&question).filter(|answered| is_remembered(answered.at, now)) {
            return Next::Answered(answered.answer);
        }
        if let Some(run) = state.under_way.get(&id) {
            let outcome = run.outcome.clone();
            return if run.question == question { Next::Join(outcome) } else { Next::WaitForTurn(outcome) };
        }
        let (sender, outcome) = watch::channel(None);
        let queued = pool.submit(Urgency::Check, || {
            let run = Run { runs: Arc::clone(self), id, question, answer: None, outcome: sender };
            Queued::new(Job::new(job(), run))
        });
        match queued {
            Ok(()) => {
                state.under_way.insert(id, UnderWay { question, outcome: outcome.clone() });
                Next::Join(outcome)
            }
            Err(refused) => Next::Refused(refused),
        }
    }

    /// Drops the answers, not the runs.
    pub(super) fn forget_answers(&self) {
        let mut state = self.lock();
        state.answers = HashMap::new();
        state.order = VecDeque::new();
    }

    /// Every change below is complete before anything can panic: poison has no meaning.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, question: RunId, answered: Answered) {
        while let Some(&(oldest, at)) = self.order.front() {
            if is_remembered(at, answered.at) && self.order.len() < REMEMBERED {
                break;
            }
            self.order.pop_front();
            // A question can be answered twice before the first answer is dropped; the second has its own time.
            if self.answers.get(&oldest).is_some_and(|kept| kept.at == at) {
                self.answers.remove(&oldest);
            }
        }
        self.order.push_back((question, answered.at));
        self.answers.insert(question, answered);
    }
}

fn is_remembered(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < REMEMBERED_FOR
}

/// A run, from the moment it is queued. Dropping it ends it, with an answer or without one: after a panic, or when the
/// pool closed, waiting callers are told that no answer will come.
struct Run {
    runs: Arc<Runs>,
    id: [u8; 20],
    question: RunId,
    answer: Option<Answer>,
    outcome: watch::Sender<Option<Answer>>,
}

impl Ending<Answer> for Run {
    fn end(mut self, outcome: Outcome<Answer>) {
        self.answer = outcome.ok();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut state = self.runs.lock();
        state.under_way.remove(&self.id);
        if let Some(answer) = self.answer {
            state.remember(self.question, Answered { answer, at: Instant::now() });
        }
        drop(state);
        // Last, so that a caller that is woken and asks again does not find the run that ended.
        self.outcome.send_replace(self.answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: usize) -> RunId {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        RunId::new(digest)
    }

    fn answered(at: Instant) -> Answered {
        Answered { answer: Answer::Match, at }
    }

    #[test]
    fn the_oldest_answer_makes_room_for_one_too_many() {
        let mut state = State::default();
        let now = Instant::now();
        (0..=REMEMBERED).for_each(|number| state.remember(question(number), answered(now)));
        assert_eq!((state.answers.len(), state.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!state.answers.contains_key(&question(0)) && state.answers.contains_key(&question(1)));
    }

    #[test]
    fn an_answer_past_its_time_is_removed_by_the_next_one() {
        let mut state = State::default();
        let now = Instant::now();
        state.remember(question(0), answered(now));
        state.remember(question(1), answered(now + REMEMBERED_FOR));
        assert_eq!((state.answers.len(), state.order.len()), (1, 1));
    }

    #[test]
    fn a_second_answer_is_not_removed_with_the_first() {
        let mut state = State::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        state.remember(question(0), answered(now));
        state.remember(question(0), answered(later));
        state.remember(question(1), answered(now + REMEMBERED_FOR));
        assert!(state.answers.contains_key(&question(0)));
    }
}
