//! How many rows to give a store at a time, if it may refuse one of them.

use super::{StoreError, StoreErrorKind};

/// The most refusals of one flush. The rest waits for the next flush: a table that accepts nothing must not be asked
/// without end.
pub(crate) const MOST_REFUSALS: usize = 1_000;

/// How many rows to write next. Each refusal halves the number, until the refused row is alone; then the caller drops
/// that row, so that it does not block others.
#[derive(Debug)]
pub(crate) struct Portion {
    most: usize,
    rows: usize,
    refusals: usize,
}

impl Portion {
    /// Begins with this number, which is also the most.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, rows: most, refusals: 0 }
    }

    /// How many rows to write next, at most.
    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// The store wrote the rows.
    pub(crate) fn written(&mut self) {
        self.rows = (self.rows * 2).min(self.most);
    }

    /// Whether this answer to a call with that many rows is a refusal, and the limit of refusals is not reached: then
    /// try a smaller portion, or drop the row if it is alone.
    pub(crate) fn is_refused(&mut self, error: &StoreError, rows: usize) -> bool {
        let goes_on = error.kind() == StoreErrorKind::Refused && self.refusals < MOST_REFUSALS;
        if goes_on {
            self.refusals += 1;
            self.rows = (rows / 2).max(1);
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes this many rows, some of them refused. Returns how often the store was asked, which rows were dropped, and
    /// whether it reached the end.
    fn hand_over(rows: usize, most: usize, refused: impl Fn(usize) -> bool) -> (usize, Vec<usize>, bool) {
        let (mut portion, mut asked, mut dropped, mut done) = (Portion::new(most), 0, Vec::new(), 0);
        while done < rows {
            let end = rows.min(done + portion.rows());
            asked += 1;
            if !(done..end).any(&refused) {
                done = end;
                portion.written();
            } else if !portion.is_refused(&StoreError::refused("the test says so"), end - done) {
                return (asked, dropped, false);
            } else if end - done == 1 {
                dropped.push(done);
                done = end;
            }
        }
        (asked, dropped, true)
    }

    #[test]
    fn only_the_rows_that_are_refused_are_dropped() {
        let (asked, dropped, ends) = hand_over(2_500, 1_000, |row| row % 500 == 7);
        assert_eq!((dropped, ends), (vec![7, 507, 1_007, 1_507, 2_007], true));
        assert!(asked < 150, "{asked}");
        assert_eq!(hand_over(2_500, 1_000, |_| false), (3, vec![], true));
        assert_eq!(hand_over(1, 1_000, |_| true), (1, vec![0], true));
    }

    #[test]
    fn a_store_that_takes_nothing_is_not_asked_without_end() {
        let (asked, dropped, ends) = hand_over(5_000, 1_000, |_| true);
        assert_eq!((asked, ends), (MOST_REFUSALS + 1, false));
        assert!(dropped.len() > MOST_REFUSALS - 15, "{}", dropped.len());
    }

    #[test]
    fn another_failure_is_no_refusal() {
        let mut portion = Portion::new(8);
        for error in [StoreError::unavailable("x"), StoreError::outcome_unknown("x"), StoreError::corrupt("x")] {
            assert!(!portion.is_refused(&error, 8));
        }
        assert_eq!(portion.rows(), 8);
    }
}
