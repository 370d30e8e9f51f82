use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::end::StreamEnd;
use crate::{
    auth::{AuthError, AuthErrorKind},
    key::KeyId,
    owner::{OrganizationId, OwnerRef},
    principal::Principal,
    time::{ClockReading, Timestamp},
};

/// Answers to send once no lock is held: waking a stream runs foreign code.
type Answers = Vec<(oneshot::Sender<StreamEnd>, StreamEnd)>;

/// The streams that wait for the end of their key.
#[derive(Default)]
pub(in crate::auth) struct Streams {
    state: Mutex<State>,
    /// Wakes the task: a key is due.
    pub(super) stirred: Notify,
}

#[derive(Default)]
struct State {
    /// By key, then in order of arrival.
    streams: BTreeMap<(KeyId, u64), Stream>,
    /// Numbers streams and turns.
    next: u64,
    /// The keys of these streams.
    keys: HashMap<KeyId, WatchedKey>,
    /// When keys expire.
    ends: BTreeSet<(Timestamp, KeyId)>,
    /// Keys that are due, in this order, each once.
    due: BTreeMap<Turn, KeyId>,
    /// The start of the last check that was as current as requests require.
    heard_at: Option<Instant>,
    task: Option<Task>,
    /// The number of tasks so far.
    tasks: u64,
    is_closed: bool,
}

struct Stream {
    principal: Principal,
    since: Instant,
    answer: oneshot::Sender<StreamEnd>,
}

/// A place in the order of checks: first the keys that the change log named, then the others, each in the order in
/// which they became due.
type Turn = (Urgency, u64);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Named,
    Other,
}

struct WatchedKey {
    owner: OwnerRef,
    streams: usize,
    /// When it is due, if it may have changed since the last check.
    due: Option<Turn>,
    expires_at: Option<Timestamp>,
    /// Since when it is unknown whether the key is good.
    unsure_since: Option<Instant>,
}

/// The task that serves all streams.
struct Task {
    number: u64,
    /// When it last worked.
    seen_at: Instant,
}

/// The place of a stream, which is free again when it is dropped.
pub(super) struct Place {
    streams: Arc<Streams>,
    key: KeyId,
    number: u64,
}

/// The streams of an authenticator: none waits for longer than the authenticator lives.
pub(in crate::auth) struct Watching(Arc<Streams>);

impl Watching {
    pub(in crate::auth) fn new(streams: Arc<Streams>) -> Self {
        Self(streams)
    }

    pub(super) const fn streams(&self) -> &Arc<Streams> {
        &self.0
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let answers = self.0.state().close();
        tell(answers);
    }
}

impl Streams {
    /// A place for a stream of this caller, and its answer. Later changes make its key due.
    pub(super) fn enter(self: &Arc<Self>, principal: Principal) -> (Place, oneshot::Receiver<StreamEnd>) {
        let (answer, answered) = oneshot::channel();
        let key = *principal.key_id();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        if !state.is_closed {
            let expires_at = principal.expires_at();
            let owner = OwnerRef { organization: principal.organization().clone(), owner: principal.owner().clone() };
            let watched = state.keys.entry(key).or_insert_with(|| WatchedKey {
                owner,
                streams: 0,
                due: None,
                expires_at,
                unsure_since: None,
            });
            watched.streams += 1;
            let end = watched.expires_at;
            state.ends.extend(end.map(|end| (end, key)));
            state.streams.insert((key, number), Stream { principal, since: Instant::now(), answer });
        }
        (Place { streams: Arc::clone(self), key, number }, answered)
    }

    /// The log says that these have changed.
    pub(in crate::auth) fn changed(&self, keys: &[KeyId], owners: &[OwnerRef], organizations: &[OrganizationId]) {
        let mut state = self.state();
        if state.keys.is_empty() {
            return;
        }
        let mut is_due = false;
        for key in keys {
            is_due |= state.is_due(key, Urgency::Named);
        }
        if !owners.is_empty() || !organizations.is_empty() {
            is_due |=
                state.are_due(|key| owners.contains(&key.owner) || organizations.contains(&key.owner.organization));
        }
        drop(state);
        if is_due {
            self.stirred.notify_one();
        }
    }

    /// Everything may have changed.
    pub(in crate::auth) fn all_changed(&self) {
        if self.state().are_due(|_| true) {
            self.stirred.notify_one();
        }
    }

    /// This key has to be checked: what its stream knows of it may be old.
    pub(super) fn is_due(&self, key: &KeyId) {
        if self.state().is_due(key, Urgency::Named) {
            self.stirred.notify_one();
        }
    }

    /// Makes those due that may have expired.
    pub(super) fn expire(&self, now: ClockReading) {
        let mut state = self.state();
        let ended: Vec<KeyId> =
            state.ends.iter().take_while(|(end, _)| *end <= now.latest()).map(|(_, key)| *key).collect();
        for key in ended {
            state.is_due(&key, Urgency::Other);
        }
    }

    /// The next key to look at, which is not due any more.
    pub(super) fn next_due(&self) -> Option<KeyId> {
        let mut state = self.state();
        let (_, key) = state.due.pop_first()?;
        state.keys.get_mut(&key)?.due = None;
        Some(key)
    }

    /// The result of a check of a key, for all its streams. They tolerate temporary failures for a while.
    pub(super) fn looked(&self, key: &KeyId, found: Result<Principal, AuthError>, patience: Duration) {
        let answers = self.state().looked(key, found, patience);
        tell(answers);
    }

    /// The store answered a read that began then.
    pub(super) fn heard(&self, start: Instant) {
        self.state().heard_at = Some(start);
    }

    /// The store did not answer: streams that have tolerated this for long enough are told.
    pub(super) fn unheard(&self, error: &AuthError, patience: Duration) {
        let answers = {
            let mut state = self.state();
            let (now, heard_at) = (Instant::now(), state.heard_at);
            let late = |stream: &Stream| now.duration_since(heard_at.map_or(stream.since, |at| at.max(stream.since)));
            let streams = state.streams.iter().filter(|(_, stream)| late(stream) >= patience);
            let ended: Vec<_> = streams.map(|(place, _)| *place).collect();
            state.end(ended, |_| StreamEnd::of(error.again()))
        };
        tell(answers);
    }

    /// The number of a new task, unless one has worked within this time: an older one may be part of a runtime that is
    /// stalled.
    pub(super) fn new_task(&self, patience: Duration) -> Option<u64> {
        let mut state = self.state();
        let is_at_work = |task: &Task| task.seen_at.elapsed() < patience;
        if state.is_closed || state.keys.is_empty() || state.task.as_ref().is_some_and(is_at_work) {
            return None;
        }
        state.tasks += 1;
        let number = state.tasks;
        if state.task.replace(Task { number, seen_at: Instant::now() }).is_some() {
            // It may have stopped in the middle of a check.
            state.are_due(|_| true);
        }
        Some(number)
    }

    /// Whether this task should continue: a stream waits, and no other task serves it.
    pub(super) fn goes_on(&self, number: u64) -> bool {
        let mut state = self.state();
        let somebody_waits = !state.keys.is_empty();
        let Some(task) = state.task.as_mut().filter(|task| task.number == number) else { return false };
        task.seen_at = Instant::now();
        if !somebody_waits {
            state.task = None;
        }
        somebody_waits
    }

    /// This task ended, no matter how.
    pub(super) fn task_ended(&self, number: u64) {
        let mut state = self.state();
        if state.task.as_ref().is_some_and(|task| task.number == number) {
            state.task = None;
            state.are_due(|_| true);
        }
    }

    /// How many streams wait, of how many keys, and whether a task serves them.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize, bool) {
        let state = self.state();
        assert!(state.due.len() <= state.keys.len() && state.ends.len() <= state.keys.len());
        (state.streams.len(), state.keys.len(), state.task.is_some())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes this key due. Returns whether it is watched.
    fn is_due(&mut self, key: &KeyId, urgency: Urgency) -> bool {
        let Some(watched) = self.keys.get_mut(key) else { return false };
        if watched.due.is_none_or(|(before, _)| urgency < before) {
            self.next += 1;
            let turn = (urgency, self.next);
            if let Some(before) = watched.due.replace(turn) {
                self.due.remove(&before);
            }
            self.due.insert(turn, *key);
        }
        true
    }

    fn are_due(&mut self, which: impl Fn(&WatchedKey) -> bool) -> bool {
        let keys: Vec<KeyId> = self.keys.iter().filter(|(_, key)| which(key)).map(|(id, _)| *id).collect();
        for key in &keys {
            self.is_due(key, Urgency::Other);
        }
        !keys.is_empty()
    }

    fn looked(&mut self, key: &KeyId, found: Result<Principal, AuthError>, patience: Duration) -> Answers {
        let Some(watched) = self.keys.get_mut(key) else { return Vec::new() };
        let of_key = (*key, 0)..=(*key, u64::MAX);
        match found {
            Err(error) if error.kind().is_temporary() => {
                let since = *watched.unsure_since.get_or_insert_with(Instant::now);
                if since.elapsed() < patience {
                    self.is_due(key, Urgency::Other);
                    return Vec::new();
                }
                let all = self.streams.range(of_key).map(|(place, _)| *place).collect();
                self.end(all, |_| StreamEnd::of(error.again()))
            }
            Err(error) => {
                let all = self.streams.range(of_key).map(|(place, _)| *place).collect();
                self.end(all, |_| StreamEnd::of(error.again()))
            }
            Ok(now) => {
                watched.unsure_since = None;
                let before = mem::replace(&mut watched.expires_at, now.expires_at());
                if before != now.expires_at() {
                    before.map(|before| self.ends.remove(&(before, *key)));
                    self.ends.extend(now.expires_at().map(|end| (end, *key)));
                }
                let changed = self.streams.range(of_key).filter(|(_, stream)| !goes_on(&stream.principal, &now));
                let changed = changed.map(|(place, _)| *place).collect();
                self.end(changed, |before| {
                    if !before.is_same_caller(&now) {
                        StreamEnd::of(AuthError::new(AuthErrorKind::Invalid))
                    } else if !now.reaches_as_far_as(before) {
                        StreamEnd::of(AuthError::new(AuthErrorKind::NetworkNotAllowed))
                    } else {
                        StreamEnd::Narrowed(now.clone())
                    }
                })
            }
        }
    }

    /// Removes these streams. Returns what to tell each.
    fn end(&mut self, places: Vec<(KeyId, u64)>, of: impl Fn(&Principal) -> StreamEnd) -> Answers {
        let streams = places.into_iter().filter_map(|(key, number)| self.leave(key, number));
        streams.map(|stream| (stream.answer, of(&stream.principal))).collect()
    }

    fn leave(&mut self, key: KeyId, number: u64) -> Option<Stream> {
        let stream = self.streams.remove(&(key, number))?;
        if let Some(watched) = self.keys.get_mut(&key) {
            watched.streams -= 1;
            if watched.streams == 0 {
                let (end, due) = (watched.expires_at, watched.due);
                self.keys.remove(&key);
                end.map(|end| self.ends.remove(&(end, key)));
                due.map(|due| self.due.remove(&due));
            }
        }
        if self.keys.is_empty() {
            // Frees the room for thousands of entries.
            self.keys = HashMap::new();
        }
        Some(stream)
    }

    fn close(&mut self) -> Answers {
        self.is_closed = true;
        let all = self.streams.keys().copied().collect();
        self.end(all, |_| StreamEnd::unavailable("the authenticator was dropped"))
    }
}

impl Place {
    /// When the store last answered.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.streams.state().heard_at
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stream = self.streams.state().leave(self.key, self.number);
        // Not under the lock: dropping the last reference to a principal frees memory. Its answer wakes nothing any
        // more.
        drop(stream);
    }
}

/// Whether a stream may continue as it began: the same caller may do all that it could, from every network it could.
pub(super) fn goes_on(before: &Principal, now: &Principal) -> bool {
    before.is_same_caller(now)
        && now.reaches_as_far_as(before)
        && before.scopes().is_within(now.scopes())
        && before.limits() == now.limits()
}

fn tell(answers: Answers) {
    for (answer, end) in answers {
        // A stream that was just dropped needs no answer.
        drop(answer.send(end));
    }
}
