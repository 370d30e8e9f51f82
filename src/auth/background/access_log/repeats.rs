//! Refused attempts that are too many to write a line for each.

use std::{collections::HashMap, time::Duration};

use super::entry::Entry;
use crate::{key::KeyId, outcome::RefusalCode, time::Timestamp, usage::Source};

/// The most refused attempts with one key and a line each, in one window. Further ones are added up.
const MOST_LINES: u32 = 10;

/// How long attempts are added up.
const WINDOW: Duration = Duration::from_secs(60);

/// The most sums of one window. Further sources are summed as others, one sum for each label.
const MOST_SUMS: usize = 16;

/// The most keys with a window at a time. A caller that attacks memory gets some kilobytes for each.
const MOST_WINDOWS: usize = 10_000;

/// Recent refused attempts with one level of proof, by key.
#[derive(Default)]
pub(super) struct Repeats {
    of: HashMap<KeyId, Window>,
}

struct Window {
    since: Timestamp,
    lines: u32,
    sums: HashMap<(RefusalCode, Source), Entry>,
}

/// What to do about an attempt.
pub(super) enum Noted {
    /// It was added to a sum.
    Added,
    /// It gets a line.
    Line(Entry),
    /// There is room neither for a line nor for a sum.
    NoRoom(Entry),
}

impl Repeats {
    /// Counts a refused attempt. First [take](Self::take) the windows that are over.
    pub(super) fn note(&mut self, code: RefusalCode, attempt: Entry) -> Noted {
        if self.of.len() >= MOST_WINDOWS && !self.of.contains_key(&attempt.key) {
            return Noted::NoRoom(attempt);
        }
        let since = attempt.last_at;
        let window = self.of.entry(attempt.key).or_insert_with(|| Window { since, lines: 0, sums: HashMap::new() });
        if window.lines < MOST_LINES {
            window.lines += 1;
            return Noted::Line(attempt);
        }
        window.add(code, attempt);
        Noted::Added
    }

    /// The sums of the key's window, if that is over.
    pub(super) fn take_of(&mut self, key: &KeyId, now: Timestamp) -> Vec<Entry> {
        let is_over = self.of.get(key).is_some_and(|window| window.is_over(now));
        let over = if is_over { self.of.remove(key) } else { None };
        over.into_iter().flat_map(Window::into_sums).collect()
    }

    /// The sums of all windows that are over, or of all.
    pub(super) fn take(&mut self, now: Timestamp, all: bool) -> Vec<Entry> {
        let over = self.of.extract_if(|_, window| all || window.is_over(now));
        over.flat_map(|(_, window)| window.into_sums()).collect()
    }
}

impl Window {
    fn is_over(&self, now: Timestamp) -> bool {
        !self.since.is_recent(WINDOW, now)
    }

    fn add(&mut self, code: RefusalCode, mut attempt: Entry) {
        if self.sums.len() >= MOST_SUMS && !self.sums.contains_key(&(code, attempt.source.clone())) {
            attempt.source = attempt.source.folded();
        }
        let (at, count) = (attempt.last_at, attempt.count);
        let add = |sum: &mut Entry| {
            sum.count += count;
            (sum.first_at, sum.last_at) = (sum.first_at.min(at), sum.last_at.max(at));
        };
        self.sums.entry((code, attempt.source.clone())).and_modify(add).or_insert(attempt);
    }

    fn into_sums(self) -> impl Iterator<Item = Entry> {
        self.sums.into_values()
    }
}
