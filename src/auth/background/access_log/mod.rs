//! The access log: a line for each check, if it is enabled. Lines are queued and written behind the requests; gaps are
//! reported.

mod entry;
mod gaps;
mod repeats;

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use self::{
    entry::Entry,
    gaps::{Gap, Gaps},
    repeats::{Noted, Repeats},
};
use crate::{
    audit::EventRow,
    auth::meter::Meter,
    background::Background,
    key::KeyId,
    log::{Repeated, log},
    outcome::{Proved, RefusalCode},
    principal::{Claims, SharedOwner},
    store::{Calls, Ledger, Portion, StoreError, StoreErrorKind},
    time::Timestamp,
    usage::{Origin, Source},
};

/// The most lines of accepted keys that wait to be written, of about 100 bytes each. At 50,000 attempts a second, this
/// is more than a second.
const MOST_LINES: usize = 65_536;

/// The most lines of refused attempts that wait: this many with the right text, and as many that proved nothing.
/// Refused callers take no lines from accepted ones, and callers that guess take none from those with a dead key.
const MOST_REFUSED: usize = 8_192;

/// The most lines that are given to a store at a time: few enough to finish in some milliseconds, because changes wait
/// meanwhile.
const LINES_PER_WRITE: usize = 1_000;

/// The longest time that a line waits for others.
const WAIT: Duration = Duration::from_millis(200);

/// A key that is in the store, and its owner as far as its record can be read.
pub(in crate::auth) struct Tried<'a> {
    pub(in crate::auth) key: KeyId,
    pub(in crate::auth) owner: Option<&'a Arc<SharedOwner>>,
}

impl<'a> Tried<'a> {
    pub(in crate::auth) fn of(claims: &'a Claims) -> Self {
        Self { key: claims.key, owner: Some(&claims.owner) }
    }
}

/// Attempts to be written to the audit trail, a line each. Of the refused attempts with one key, ten a minute get a
/// line; the rest of that minute is added up.
///
/// No request waits for them. What does not fit into the queue is dropped, counted, and reported in the trail itself by
/// an event for each customer, in place of their lines.
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
    /// Gaps from lines that came after these and found no room.
    gaps: Gaps,
    good: Share,
    dead: Share,
    nothing: Share,
}

/// The part of the queue for callers with the same level of proof.
#[derive(Default)]
struct Share {
    /// Their number of lines.
    lines: usize,
    /// Repeated attempts of refused callers.
    repeats: Repeats,
}

enum Item {
    Entry(Entry),
    Gap(Gap),
}

impl AccessLog {
    pub(crate) fn new(meter: Arc<Meter>) -> Self {
        Self { queue: Mutex::default(), is_due: Notify::new(), meter }
    }

    /// The key was accepted; `known` is its source if that is cached.
    #[inline(never)]
    pub(in crate::auth) fn accepted(&self, claims: &Claims, known: Option<&Source>, origin: Origin<'_>, at: Timestamp) {
        let source = known.cloned().unwrap_or_else(|| origin.to_source());
        let (key, owner) = (claims.key, Arc::clone(&claims.owner));
        let line = Entry { key, owner, refused: None, source, count: 1, first_at: at, last_at: at };
        self.add(|queue| queue.push(line));
    }

    /// A key that is in the store was refused with this code.
    pub(in crate::auth) fn refused(&self, tried: &Tried<'_>, code: RefusalCode, origin: Origin<'_>, at: Timestamp) {
        match tried.owner {
            Some(owner) => {
                let (key, owner, source) = (tried.key, Arc::clone(owner), origin.to_source());
                let attempt = Entry { key, owner, refused: Some(code), source, count: 1, first_at: at, last_at: at };
                self.add(|queue| queue.refused(code, attempt));
            }
            // Without an owner there is no trail to write to.
            None => self.add(|queue| {
                queue.gaps.add_untold(1);
                1
            }),
        }
    }

    /// Adds to the queue. `add` returns how many attempts found no room.
    fn add(&self, add: impl FnOnce(&mut Queue) -> u64) {
        let mut queue = self.lock();
        let before = queue.items.len();
        let dropped = add(&mut queue);
        self.meter.access_log_dropped(dropped);
        if before < LINES_PER_WRITE && queue.items.len() >= LINES_PER_WRITE {
            self.is_due.notify_one();
        }
    }

    /// Everything to be written now, in order, and the number of lines that no event reports.
    fn take(&self, at_the_end: bool) -> (VecDeque<Item>, u64) {
        let now = self.meter.time();
        let mut queue = self.lock();
        let dropped = queue.close_windows(now, at_the_end);
        self.meter.access_log_dropped(dropped);
        let Queue { items, gaps, good, dead, nothing } = &mut *queue;
        for share in [good, dead, nothing] {
            share.lines = 0;
        }
        let (mut items, (gaps, untold)) = (VecDeque::from(mem::take(items)), mem::take(gaps).into_parts());
        items.extend(gaps.into_iter().map(Item::Gap));
        (items, untold)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn share(&mut self, proved: Proved) -> (&mut Share, usize) {
        match proved {
            Proved::Good => (&mut self.good, MOST_LINES),
            // A key that is used from elsewhere may be stolen: it takes no room from its rightful users.
            Proved::Dead | Proved::Elsewhere => (&mut self.dead, MOST_REFUSED),
            Proved::Nothing => (&mut self.nothing, MOST_REFUSED),
        }
    }

    /// Puts a line behind the others. Returns how many attempts found no room.
    fn push(&mut self, line: Entry) -> u64 {
        let (share, most) = self.share(line.proves());
        if share.lines >= most {
            return self.leave_out(line);
        }
        share.lines += 1;
        self.items.push(Item::Entry(line));
        0
    }

    /// Like [`push`](Self::push), for a refused attempt, unless there are too many.
    fn refused(&mut self, code: RefusalCode, attempt: Entry) -> u64 {
        let (share, _) = self.share(code.proves());
        let over = share.repeats.take_of(&attempt.key, attempt.last_at);
        let noted = share.repeats.note(code, attempt);
        let dropped: u64 = over.into_iter().map(|sum| self.push(sum)).sum();
        dropped
            + match noted {
                Noted::Added => 0,
                Noted::Line(line) => self.push(line),
                Noted::NoRoom(attempt) => self.leave_out(attempt),
            }
    }

    fn close_windows(&mut self, now: Timestamp, all: bool) -> u64 {
        let shares = [&mut self.good, &mut self.dead, &mut self.nothing];
        let mut sums: Vec<Entry> = shares.into_iter().flat_map(|share| share.repeats.take(now, all)).collect();
        sums.sort_unstable_by_key(|sum| (sum.last_at, sum.key));
        sums.into_iter().map(|sum| self.push(sum)).sum()
    }

    fn leave_out(&mut self, line: Entry) -> u64 {
        let count = line.count;
        self.gaps.add(line.into_gap());
        count
    }
}

/// Writes queued attempts to a store.
pub(crate) struct AccessLogWriter<S> {
    store: Calls<Arc<S>>,
    lines: Arc<AccessLog>,
    background: Background,
    /// One writer at a time, so that lines are written in order. Holds what it has taken from the queue and not written
    /// yet.
    taken: tokio::sync::Mutex<Taken>,
    failed: Repeated,
    refused: Repeated,
}

#[derive(Default)]
struct Taken {
    items: VecDeque<Item>,
    /// How many of the first items were given to the store, which has not answered.
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

    /// Writes every line that was queued before this call, and the sums whose minute is over, or all of them
    /// `at_the_end`.
    ///
    /// # Errors
    /// Those of [`Ledger::append_events`]. Lines that were not written are kept, unless the outcome is unknown: to
    /// write them twice would be worse than to say that they may be missing. A line with a value that the store does
    /// not accept is dropped without an error, so that it does not block others.
    pub(crate) async fn write(&self, at_the_end: bool) -> Result<(), StoreError> {
        let mut taken = self.taken.lock().await;
        self.write_taken(&mut taken).await?;
        let (items, _untold) = self.lines.take(at_the_end);
        if _untold > 0 {
            log!(warn, lines = _untold, "entries of the access log were dropped that no audit trail tells of");
        }
        taken.items = items;
        self.write_taken(&mut taken).await
    }

    async fn write_taken(&self, taken: &mut Taken) -> Result<(), StoreError> {
        // The call that waited for the answer was dropped.
        let lost = mem::take(&mut taken.in_flight);
        self.give_up(taken, lost);
        let mut portion = Portion::new(LINES_PER_WRITE);
        while !taken.items.is_empty() {
            let count = taken.items.len().min(portion.rows());
            let events: Vec<EventRow> = taken.items.iter().take(count).filter_map(Item::row).collect();
            taken.in_flight = count;
            let written = self.store.append_events(&events).await;
            taken.in_flight = 0;
            match &written {
                Ok(()) => {
                    let attempts = taken.items.drain(..count).map(|item| item.attempts()).sum();
                    self.lines.meter.access_log_written(attempts);
                    portion.written();
                }
                Err(error) if portion.is_refused(error, count) => {
                    if count == 1 {
                        self.drop_refused(taken, error);
                    }
                    continue;
                }
                Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown => self.give_up(taken, count),
                Err(_) => {}
            }
            written?;
        }
        Ok(())
    }

    /// Drops the first line, and puts a gap in its place. If it was a gap already, nothing is left to report.
    fn drop_refused(&self, taken: &mut Taken, _error: &StoreError) {
        if let Some(_times) = self.refused.happened() {
            // Not logged with the line: that has text from the caller.
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

    /// Replaces the first `count` items by a gap: it is unknown whether they were written.
    fn give_up(&self, taken: &mut Taken, count: usize) {
        let (mut gaps, mut attempts) = (Gaps::default(), 0);
        for item in taken.items.drain(..count) {
            attempts += item.attempts();
            gaps.add(match item {
                Item::Entry(line) => line.into_gap(),
                Item::Gap(gap) => gap,
            });
        }
        self.lines.meter.access_log_dropped(attempts);
        // There are at most as many gaps as lines in a write: none is left over.
        let (gaps, _) = gaps.into_parts();
        gaps.into_iter().rev().for_each(|gap| taken.items.push_front(Item::Gap(gap)));
    }

    /// Starts to write lines as they come, unless that is running, until the last other reference to the writer is
    /// dropped. Does nothing outside a tokio runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            let (writer, lines) = (Arc::downgrade(self), Arc::clone(&self.lines));
            async move {
                loop {
                    let _ = tokio::time::timeout(WAIT, lines.is_due.notified()).await;
                    let Some(writer) = writer.upgrade() else { break };
                    if let Err(_error) = writer.write(false).await {
                        if let Some(_times) = writer.failed.happened() {
                            let _error = &_error as &dyn std::error::Error;
                            log!(warn, times = _times, error = _error, "attempts could not be written");
                        }
                        // New lines wait meanwhile, bounded.
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

    /// How many attempts it reports that were not counted as dropped.
    const fn attempts(&self) -> u64 {
        match self {
            Self::Entry(line) => line.count,
            Self::Gap(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
