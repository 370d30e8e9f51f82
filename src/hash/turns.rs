//! Turns: each requester that makes keys has one queued run, no matter how many others ask and how often.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most new hashes of one requester at a time: one is queued, the others wait for their turn.
pub(super) const OF_ONE: usize = 16;

/// The most new hashes of all requesters at a time, some 300 bytes each.
const OF_ALL: usize = 1_024;

/// The requester of a hash, in 16 bytes: the hashes of one requester are queued one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Requester([u8; 16]);

impl Requester {
    /// The requester that these words identify together.
    pub(crate) fn new(words: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for word in words {
            // With the length of each, so that no two lists of words give the same bytes.
            hasher.update(&(word.len() as u64).to_le_bytes()).update(word.as_bytes());
        }
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requester")
    }
}

/// Why no turn can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too many hashes of all requesters wait.
    All,
    /// Too many hashes of this requester wait.
    One,
}

#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    asked: usize,
    of: HashMap<Requester, RequesterQueue>,
}

struct RequesterQueue {
    asked: usize,
    turn: Arc<Semaphore>,
}

impl Turns {
    /// Waits until no other run of this requester is queued. Turns are given in the order of the requests.
    pub(super) async fn take(&self, requester: Requester) -> Result<Turn, NoTurn> {
        let (asked, turn) = self.ask(requester)?;
        // Never closed.
        let permit = turn.acquire_owned().await.map_err(|_| NoTurn::All)?;
        Ok(Turn { _permit: permit, _asked: asked })
    }

    fn ask(&self, requester: Requester) -> Result<(Asked, Arc<Semaphore>), NoTurn> {
        let mut lines = self.lock();
        if lines.of.get(&requester).is_some_and(|line| line.asked >= OF_ONE) {
            return Err(NoTurn::One);
        }
        if lines.asked >= OF_ALL {
            return Err(NoTurn::All);
        }
        lines.asked += 1;
        let line =
            lines.of.entry(requester).or_insert_with(|| RequesterQueue { asked: 0, turn: Arc::new(Semaphore::new(1)) });
        line.asked += 1;
        Ok((Asked { turns: self.clone(), requester }, Arc::clone(&line.turn)))
    }

    /// Every change is complete before anything can panic: poison has no meaning.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a run while it is queued. It belongs to the run and not to the waiting caller: a caller that asks and leaves
/// repeatedly has one run in the queue.
pub(super) struct Turn {
    // First: the next one is woken before the line is left.
    _permit: OwnedSemaphorePermit,
    _asked: Asked,
}

struct Asked {
    turns: Turns,
    requester: Requester,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut lines = self.turns.lock();
        lines.asked -= 1;
        if let Some(line) = lines.of.get_mut(&self.requester) {
            line.asked -= 1;
            if line.asked == 0 {
                lines.of.remove(&self.requester);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn requester(name: &str) -> Requester {
        Requester::new(&["organization", name])
    }

    fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn taken<F: Future<Output = Result<Turn, NoTurn>>>(future: F) -> Turn {
        match poll(&mut Box::pin(future)) {
            Poll::Ready(Ok(turn)) => turn,
            Poll::Ready(Err(error)) => panic!("{error:?}"),
            Poll::Pending => panic!("waits"),
        }
    }

    fn refused<F: Future<Output = Result<Turn, NoTurn>>>(future: F) -> NoTurn {
        match poll(&mut Box::pin(future)) {
            Poll::Ready(Err(error)) => error,
            Poll::Ready(Ok(_)) => panic!("has a turn"),
            Poll::Pending => panic!("waits"),
        }
    }

    #[test]
    fn each_requester_has_one_turn_at_a_time_and_others_wait_for_theirs() {
        let turns = Turns::default();
        let first = taken(turns.take(requester("alice")));
        let mut second = Box::pin(turns.take(requester("alice")));
        assert!(poll(&mut second).is_pending());
        let _of_another = taken(turns.take(requester("bob")));
        drop(first);
        assert!(poll(&mut second).is_ready());
    }

    #[test]
    fn one_too_many_of_a_requester_is_refused_and_no_other_with_it() {
        let turns = Turns::default();
        let mut asked: Vec<_> = (0..OF_ONE).map(|_| Box::pin(turns.take(requester("alice")))).collect();
        let kept: Vec<_> = asked.iter_mut().map(poll).collect();
        assert_eq!(refused(turns.take(requester("alice"))), NoTurn::One);
        drop(taken(turns.take(requester("bob"))));
        // One that gave up makes room.
        asked.pop();
        assert!(poll(&mut Box::pin(turns.take(requester("alice")))).is_pending());
        drop(kept);
    }

    #[test]
    fn many_requesters_are_refused_together() {
        let turns = Turns::default();
        let kept: Vec<_> = (0..OF_ALL).map(|at| taken(turns.take(requester(&at.to_string())))).collect();
        assert_eq!(refused(turns.take(requester("one more"))), NoTurn::All);
        drop(kept);
        drop(taken(turns.take(requester("one more"))));
    }

    #[test]
    fn nothing_is_left_of_those_who_are_gone() {
        let turns = Turns::default();
        let first = taken(turns.take(requester("alice")));
        let mut second = Box::pin(turns.take(requester("alice")));
        assert!(poll(&mut second).is_pending());
        drop((first, second));
        let lines = turns.lock();
        assert_eq!((lines.asked, lines.of.len()), (0, 0));
    }

    #[test]
    fn words_are_told_apart_where_they_end() {
        assert_ne!(Requester::new(&["ab", "c"]), Requester::new(&["a", "bc"]));
        assert_eq!(Requester::new(&["ab", "c"]), Requester::new(&["ab", "c"]));
    }
}
