//! Counts by day, which wait longer than the counts that they sum up.

use std::{collections::HashMap, time::Duration};

use crate::{
    key::KeyId,
    time::Timestamp,
    usage::{UsageDayRow, UsageRow},
};

/// How long counts by day wait to be written, so that they cost almost nothing compared with the counts that are
/// written every ten seconds: a day is usually read days later.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The most counts that wait: some 7 MB.
pub(super) const MOST_HELD: usize = 100_000;

/// Which counts by day a flush writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Days {
    /// All that wait: they are about to be read, or the process ends.
    All,
    /// All if the first of them has waited for ten minutes, or there are too many; else none.
    IfDue,
}

/// Counts that are in the store, but not yet in its days.
#[derive(Debug, Default)]
pub(super) struct HeldDays {
    /// The accepted and the refused requests.
    sums: HashMap<(KeyId, i32), (i64, i64)>,
    /// When the first of them was taken from the counters.
    since: Option<Timestamp>,
}

impl HeldDays {
    /// Adds counts that are in the store and were taken from the counters at this time.
    pub(super) fn add(&mut self, rows: &[UsageRow], taken_at: Timestamp) {
        for UsageDayRow { key, day, accepted, refused } in UsageDayRow::sums(rows) {
            let Ok(key) = KeyId::new(&key) else { continue };
            let sum = self.sums.entry((key, day)).or_default();
            *sum = (sum.0.saturating_add(accepted), sum.1.saturating_add(refused));
            self.since.get_or_insert(taken_at);
        }
    }

    /// Takes what to write now, sorted by key and day.
    pub(super) fn take(&mut self, days: Days, now: Timestamp) -> Vec<UsageDayRow> {
        // A clock that was set back causes no wait.
        let is_due = |since: Timestamp| now < since || now >= since.saturating_add(LONGEST_WAIT);
        if days == Days::IfDue && self.sums.len() < MOST_HELD && !self.since.is_some_and(is_due) {
            return Vec::new();
        }
        self.since = None;
        let row = |((key, day), (accepted, refused)): ((KeyId, i32), _)| UsageDayRow {
            key: key.as_str().to_owned(),
            day,
            accepted,
            refused,
        };
        let mut rows: Vec<_> = std::mem::take(&mut self.sums).into_iter().map(row).collect();
        rows.sort_unstable();
        rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }
}
