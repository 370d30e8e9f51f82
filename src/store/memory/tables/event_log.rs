use crate::{audit::EventRow, store::Trail, time::Timestamp};

/// Events in the order of their numbers, with the access log apart.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    trail: Vec<EventRow>,
    attempts: Vec<EventRow>,
    last: i64,
}

impl EventLog {
    pub(super) fn append(&mut self, events: &[EventRow]) {
        for event in events {
            self.last += 1;
            let row = EventRow { sequence: self.last, ..event.clone() };
            self.half_mut(row.is_attempt()).push(row);
        }
    }

    /// Inserts rows that have numbers already.
    pub(super) fn insert(&mut self, rows: impl IntoIterator<Item = EventRow>) {
        for row in rows {
            self.last = self.last.max(row.sequence);
            self.half_mut(row.is_attempt()).push(row);
        }
        self.trail.sort_by_key(|event| event.sequence);
        self.attempts.sort_by_key(|event| event.sequence);
    }

    /// The entries of the access log, or all others.
    pub(super) fn half(&self, attempts: bool) -> &[EventRow] {
        if attempts { &self.attempts } else { &self.trail }
    }

    fn half_mut(&mut self, attempts: bool) -> &mut Vec<EventRow> {
        if attempts { &mut self.attempts } else { &mut self.trail }
    }

    /// All events, one half after the other.
    pub(super) fn all(&self) -> impl Iterator<Item = &EventRow> {
        self.trail.iter().chain(&self.attempts)
    }

    pub(super) fn find(&self, sequence: i64) -> Option<&EventRow> {
        [&self.trail, &self.attempts].into_iter().find_map(|half| {
            let place = half.binary_search_by_key(&sequence, |event| event.sequence).ok()?;
            half.get(place)
        })
    }

    /// Replaces each row.
    pub(super) fn replace(&mut self, replaced: impl Fn(&EventRow) -> EventRow) {
        for row in self.trail.iter_mut().chain(&mut self.attempts) {
            *row = replaced(row);
        }
    }

    /// Deletes old events of one half. Returns how many.
    pub(super) fn forget(&mut self, attempts: bool, (before, until): (Timestamp, Option<i64>), most: usize) -> u64 {
        let half = self.half_mut(attempts);
        let is_confirmed = |event: &EventRow| until.is_none_or(|until| event.sequence <= until);
        let is_old = |event: &&EventRow| event.at < before.as_millis() && is_confirmed(event);
        let mut old: Vec<(i64, i64)> = half.iter().filter(is_old).map(|event| (event.at, event.sequence)).collect();
        old.sort_unstable();
        old.truncate(most);
        let Some(last) = old.last() else { return 0 };
        half.retain(|event| (event.at, event.sequence) > *last || !is_confirmed(event));
        old.len() as u64
    }

    /// Counts the events of one half.
    pub(super) fn trail(&self, attempts: bool, before: Timestamp) -> Trail {
        let times = || self.half(attempts).iter().map(|event| event.at);
        Trail {
            events: times().count() as u64,
            before: times().filter(|at| *at < before.as_millis()).count() as u64,
            newest_at: times().max().and_then(|at| Timestamp::from_millis(at).ok()),
        }
    }
}

/// Whether there is one left to take.
pub(super) fn take(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}
