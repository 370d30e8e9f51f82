use crate::{audit::EventRow, time::Timestamp};

/// Events in the order of their numbers, lines of attempts apart.
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

    /// Puts rows in that have numbers.
    pub(super) fn insert(&mut self, rows: impl IntoIterator<Item = EventRow>) {
        for row in rows {
            self.last = self.last.max(row.sequence);
            self.half_mut(row.is_attempt()).push(row);
        }
        self.trail.sort_by_key(|event| event.sequence);
        self.attempts.sort_by_key(|event| event.sequence);
    }

    /// The lines of attempts, or all others.
    pub(super) fn half(&self, attempts: bool) -> &[EventRow] {
        if attempts { &self.attempts } else { &self.trail }
    }

    fn half_mut(&mut self, attempts: bool) -> &mut Vec<EventRow> {
        if attempts { &mut self.attempts } else { &mut self.trail }
    }

    /// All of them, one half after the other.
    pub(super) fn all(&self) -> impl Iterator<Item = &EventRow> {
        self.trail.iter().chain(&self.attempts)
    }

    pub(super) fn find(&self, sequence: i64) -> Option<&EventRow> {
        [&self.trail, &self.attempts].into_iter().find_map(|half| {
            let place = half.binary_search_by_key(&sequence, |event| event.sequence).ok()?;
            half.get(place)
        })
    }

    /// How many of one half were forgotten.
    pub(super) fn forget(&mut self, attempts: bool, before: Timestamp, most: usize) -> u64 {
        let (half, mut left) = (self.half_mut(attempts), most);
        let count = half.len();
        half.retain(|event| event.at >= before.as_millis() || !take(&mut left));
        (count - half.len()) as u64
    }
}

/// Whether there is one left to take.
pub(super) fn take(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}
