//! A line for each check, if that is wanted: queued, written behind the requests, and gaps told of.

mod gaps;

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use self::gaps::{Gap, Gaps};
use crate::{
    audit::{Action, Event, EventRow, Subject},
    auth::meter::Meter,
    background::Background,
    key::KeyId,
    log::{Repeated, log},
    outcome::{Proved, RefusalCode},
    owner::OwnerRef,
    principal::{Claims, SharedOwner},
    record::ActorId,
    store::{Calls, Ledger, StoreError, StoreErrorKind},
    time::Timestamp,
    usage::{Origin, Source},
};

/// The most lines that wait to be written, of about 100 bytes each. At 50,000 attempts a second, more than a second's.
const MOST_LINES: usize = 65_536;

/// The most lines that are handed to a store at a time: few enough for it to be done in some milliseconds, in which
/// changes wait for it.
const LINES_PER_WRITE: usize = 1_000;

/// The most that a store may refuse of one call's lines. The rest waits: a table that takes nothing must not be asked
/// without end.
const MOST_REFUSALS: usize = 1_000;

/// Who shows a text that nobody proved to be the key. An id is public: were the key the actor, anybody who has it could
/// write deeds of the key into the trail.
const UNPROVED_CALLER: &str = "system:unproved caller";

/// How long a line waits for others at most.
const WAIT: Duration = Duration::from_millis(200);

/// A key that is in the store, and whose it is as far as its record can be read.
pub(in crate::auth) struct Tried<'a> {
    pub(in crate::auth) key: KeyId,
    pub(in crate::auth) owner: Option<&'a Arc<SharedOwner>>,
}

impl<'a> Tried<'a> {
    pub(in crate::auth) fn of(claims: &'a Claims) -> Self {
        Self { key: claims.key, owner: Some(&claims.owner) }
    }
}

/// Attempts that are to be written to the audit trail, a line each.
///
/// Nobody waits for them: what does not fit into the queue is dropped, counted, and told of in the trail itself, by an
/// event for each customer in the place of their lines.
pub(crate) struct AccessLog {
    queue: Mutex<Queue>,
    /// A write is due at once.
    is_due: Notify,
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Queue {
    /// Lines.
    items: Vec<Item>,
    /// What came after them and found no room.
    gaps: Gaps,
}

enum Item {
    Entry(Entry),
    Gap(Gap),
}

struct Entry {
    at: Timestamp,
    key: KeyId,
    owner: Arc<SharedOwner>,
    /// The code of a refusal.
    refused: Option<RefusalCode>,
    source: Source,
}

impl AccessLog {
    pub(crate) fn new(meter: Arc<Meter>) -> Self {
        Self { queue: Mutex::default(), is_due: Notify::new(), meter }
    }

    /// The key was accepted; `known` is its source if that is remembered.
    #[inline(never)]
    pub(in crate::auth) fn accepted(&self, claims: &Claims, known: Option<&Source>, origin: Origin<'_>, at: Timestamp) {
        let source = known.cloned().unwrap_or_else(|| origin.to_source());
        self.push(Entry { at, key: claims.key, owner: Arc::clone(&claims.owner), refused: None, source });
    }

    /// A key that is in the store was refused with this code.
    pub(in crate::auth) fn refused(&self, tried: &Tried<'_>, code: RefusalCode, origin: Origin<'_>, at: Timestamp) {
        match tried.owner {
            Some(owner) => {
                let (key, owner, source) = (tried.key, Arc::clone(owner), origin.to_source());
                self.push(Entry { at, key, owner, refused: Some(code), source });
            }
            // Whose trail would it be in?
            None => self.drop_line(|gaps| gaps.add_untold(1), &mut self.lock()),
        }
    }

    fn push(&self, line: Entry) {
        let mut queue = self.lock();
        if queue.items.len() >= MOST_LINES {
            self.drop_line(|gaps| gaps.add(line.into_gap()), &mut queue);
            return;
        }
        queue.items.push(Item::Entry(line));
        if queue.items.len() == LINES_PER_WRITE {
            self.is_due.notify_one();
        }
    }

    fn drop_line(&self, tell: impl FnOnce(&mut Gaps), queue: &mut Queue) {
        tell(&mut queue.gaps);
        self.meter.access_log_dropped(1);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes queued attempts to a store.
pub(crate) struct AccessLogWriter<S> {
    store: Calls<Arc<S>>,
    lines: Arc<AccessLog>,
    background: Background,
    /// One writer at a time, so that lines are written in their order; and what it has taken from the queue and not
    /// written yet.
    taken: tokio::sync::Mutex<Taken>,
    failed: Repeated,
    refused: Repeated,
}

#[derive(Default)]
struct Taken {
    items: VecDeque<Item>,
    /// The first so many were handed to the store, which has not answered.
    in_flight: usize,
}

impl<S: Ledger> AccessLogWriter<S> {
    pub(crate) fn new(store: Calls<Arc<S>>, lines: Arc<AccessLog>) -> Self {
        Self {
            store,
            lines,
            background: Background::default(),
            taken: tokio::sync::Mutex::default(),
            failed: Repeated::new(),
            refused: Repeated::new(),
        }
    }

    /// Writes every line that was queued before this call.
    ///
    /// # Errors
    /// Those of [`Ledger::append_events`]. Lines that were not written are kept, unless nobody can say whether they
    /// were: to write them twice would be worse than to say that they may be missing. A line with a value that the store
    /// does not take is dropped, and no error, so that it keeps back no others.
    pub(crate) async fn write(&self) -> Result<(), StoreError> {
        let mut taken = self.taken.lock().await;
        self.write_taken(&mut taken).await?;
        let Queue { items, gaps } = mem::take(&mut *self.lines.lock());
        let (gaps, _untold) = gaps.into_parts();
        if _untold > 0 {
            log!(warn, lines = _untold, "entries of the access log were dropped that no audit trail tells of");
        }
        taken.items = items.into();
        taken.items.extend(gaps.into_iter().map(Item::Gap));
        self.write_taken(&mut taken).await
    }

    async fn write_taken(&self, taken: &mut Taken) -> Result<(), StoreError> {
        // Whoever waited for the answer was dropped.
        let lost = mem::take(&mut taken.in_flight);
        self.give_up(taken, lost);
        let (mut most, mut refusals) = (LINES_PER_WRITE, 0);
        while !taken.items.is_empty() {
            let count = taken.items.len().min(most);
            let events: Vec<EventRow> = taken.items.iter().take(count).filter_map(Item::row).collect();
            taken.in_flight = count;
            let written = self.store.append_events(&events).await;
            taken.in_flight = 0;
            match &written {
                Ok(()) => {
                    let lines = taken.items.drain(..count).filter(|item| matches!(item, Item::Entry(_))).count();
                    self.lines.meter.access_log_written(lines as u64);
                    most = (most * 2).min(LINES_PER_WRITE);
                }
                // Halved, until the line that is refused stands alone.
                Err(error) if error.kind() == StoreErrorKind::Refused && refusals < MOST_REFUSALS => {
                    refusals += 1;
                    if count == 1 {
                        self.drop_refused(taken, error);
                    }
                    most = (count / 2).max(1);
                    continue;
                }
                Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown => self.give_up(taken, count),
                Err(_) => {}
            }
            written?;
        }
        Ok(())
    }

    /// Drops the first line, and puts a word of that into its place. If it was such a word, nothing is left to be said.
    fn drop_refused(&self, taken: &mut Taken, _error: &StoreError) {
        if let Some(_times) = self.refused.happened() {
            // Without the line: it holds what a caller says of itself.
            let _error = _error as &dyn std::error::Error;
            log!(
                error,
                times = _times,
                error = _error,
                "an entry of the access log was dropped: the store does not take it"
            );
        }
        match taken.items.front() {
            Some(Item::Entry(_)) => self.give_up(taken, 1),
            _ => drop(taken.items.pop_front()),
        }
    }

    /// Puts into the place of the first so many that nobody can say whether they were written.
    fn give_up(&self, taken: &mut Taken, count: usize) {
        let (mut gaps, mut lines) = (Gaps::default(), 0);
        for item in taken.items.drain(..count) {
            gaps.add(match item {
                Item::Entry(line) => {
                    lines += 1;
                    line.into_gap()
                }
                Item::Gap(gap) => gap,
            });
        }
        self.lines.meter.access_log_dropped(lines);
        // As many at most as there are lines in a write: none is left over.
        let (gaps, _) = gaps.into_parts();
        gaps.into_iter().rev().for_each(|gap| taken.items.push_front(Item::Gap(gap)));
    }

    /// Starts writing as lines come, unless that is under way, for as long as somebody holds the writer. Does nothing
    /// outside of a tokio runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            let (writer, lines) = (Arc::downgrade(self), Arc::clone(&self.lines));
            async move {
                loop {
                    let _ = tokio::time::timeout(WAIT, lines.is_due.notified()).await;
                    let Some(writer) = writer.upgrade() else { break };
                    if let Err(_error) = writer.write().await {
                        if let Some(_times) = writer.failed.happened() {
                            let _error = &_error as &dyn std::error::Error;
                            log!(warn, times = _times, error = _error, "attempts could not be written");
                        }
                        // What comes meanwhile waits, bounded.
                        drop(writer);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
    }
}

impl Item {
    fn row(&self) -> Option<EventRow> {
        match self {
            Self::Entry(line) => Some(line.row()),
            Self::Gap(gap) => gap.row(),
        }
    }
}

impl Entry {
    fn row(&self) -> EventRow {
        let action = if self.refused.is_some() { Action::ATTEMPT_REFUSED } else { Action::ATTEMPT_ACCEPTED };
        let OwnerRef { organization, owner } = self.owner.of.clone();
        let subject = Subject::Key(self.key, owner);
        let event = Event::new(organization, self.at, ActorId::Key(self.key), action, subject)
            .with_change(None, self.refused.map(|code| code.as_str().to_owned()))
            .with_source(Some(self.source.to_string()).filter(|source| !source.is_empty()));
        let mut row = EventRow::from(&event);
        if !self.is_proved() {
            UNPROVED_CALLER.clone_into(&mut row.actor);
        }
        row
    }

    /// Whether the caller has the key: told what is wrong with it are only those whose text has its tag.
    fn is_proved(&self) -> bool {
        self.refused.is_none_or(|code| code.proves() == Proved::Dead)
    }

    /// What is left of it if it is not written.
    fn into_gap(self) -> Gap {
        Gap::new(self.at, self.key, self.owner)
    }
}
