use std::{iter::once, sync::Arc, time::Duration};

use super::{key_record::Warned, row::KeyRow};
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// The longest time before an end at which a warning can be given.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The most warnings before an end.
const MOST: usize = 8;

/// How long before the end of a key to warn, in milliseconds, the nearest first; 0 is the end itself.
#[derive(Clone, Debug)]
pub(crate) struct EndWarnings(Arc<[i64]>);

impl EndWarnings {
    /// None if there are too many, or one is too early.
    pub(crate) fn new(before: &[Duration]) -> Option<Self> {
        let millis = |before: &Duration| {
            let millis = i64::try_from(before.as_millis()).ok()?;
            // Less than a millisecond before would be the end itself.
            (*before <= LONGEST && (millis > 0 || before.is_zero())).then_some(millis)
        };
        let mut all = before.iter().map(millis).collect::<Option<Vec<_>>>()?;
        all.sort_unstable();
        all.dedup();
        (all.len() <= MOST).then(|| Self(all.into()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each warning, the most urgent first, with the range of ends that are due for it now: after the first of the two
    /// times, if there is one, and not after the second. An end that is due for a nearer warning is not due for the
    /// others.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = (i64, Option<Timestamp>, Timestamp)> {
        let nearer = once(None).chain(self.0.iter().map(Some));
        nearer.zip(self.0.iter()).map(move |(nearer, before)| {
            let after = match nearer {
                Some(nearer) => Some(later(now, *nearer)),
                // For ends in the past, only the end itself is told.
                None => (*before > 0).then_some(now),
            };
            (*before, after, later(now, *before))
        })
    }

    /// The mark of a key that is made at this time. If its end is near already, the answer to the caller says so, and
    /// the next warning is a nearer one.
    pub(crate) fn of_new_key(&self, end: Option<Timestamp>, now: Timestamp) -> Warned {
        let nearest = |end: Timestamp| self.0.iter().find(|before| end <= later(now, **before)).copied();
        match end.map(|end| (end, nearest(end))) {
            Some((end, Some(before))) => Warned { end: Some(end.as_millis()), before_ms: Some(before) },
            _ => Warned::default(),
        }
    }
}

impl KeyRow {
    /// Whether the key needs a warning this many milliseconds before this end: it ends then, is not revoked, and
    /// neither this warning nor a nearer one is noted for this end. What
    /// [`Write::WarnOfEnd`](crate::store::Write::WarnOfEnd) asks.
    ///
    /// ```
    /// use tower_api_keys::record::KeyRow;
    /// # let row = KeyRow::example();
    ///
    /// let row = KeyRow { expires_at: Some(5_000), warned_end: Some(5_000), warned_before_ms: Some(1_000), ..row };
    /// assert!(row.wants_warning(5_000, 999) && !row.wants_warning(5_000, 1_000));
    /// assert!(KeyRow { expires_at: Some(4_000), ..row }.wants_warning(4_000, 1_000)); // another end
    /// ```
    #[must_use]
    pub fn wants_warning(&self, expires_at: i64, before_ms: i64) -> bool {
        let is_noted =
            self.warned_end == Some(expires_at) && self.warned_before_ms.is_some_and(|noted| noted <= before_ms);
        self.revoked_at.is_none() && self.expires_at == Some(expires_at) && !is_noted
    }
}

fn later(now: Timestamp, millis: i64) -> Timestamp {
    now.saturating_add(Duration::from_millis(millis.unsigned_abs()))
}

impl Default for EndWarnings {
    fn default() -> Self {
        [Duration::ZERO, DAY, 7 * DAY].map(|before| before.as_millis() as i64).to_vec().into()
    }
}

impl From<Vec<i64>> for EndWarnings {
    fn from(rising: Vec<i64>) -> Self {
        Self(rising.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn due(before: &[u64]) -> Vec<(i64, Option<i64>, i64)> {
        let before: Vec<_> = before.iter().copied().map(Duration::from_millis).collect();
        let warnings = EndWarnings::new(&before).unwrap();
        warnings
            .due(at(100))
            .map(|(before, after, until)| (before, after.map(Timestamp::as_millis), until.as_millis()))
            .collect()
    }

    #[test]
    fn an_end_is_due_in_one_of_them_at_a_time() {
        assert_eq!(due(&[7, 0, 1, 7]), [(0, None, 100), (1, Some(100), 101), (7, Some(101), 107)]);
        assert_eq!(due(&[7, 1]), [(1, Some(100), 101), (7, Some(101), 107)], "an end that is over is not told");
        assert_eq!(due(&[0]), [(0, None, 100)]);
        assert!(EndWarnings::new(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_new_key_needs_no_word_that_its_answer_has_said() {
        let noted = |end: Option<i64>| {
            let warnings = EndWarnings::new(&[0, 10, 70].map(Duration::from_millis)).unwrap();
            let Warned { end, before_ms } = warnings.of_new_key(end.map(at), at(100));
            (end, before_ms)
        };
        assert_eq!(noted(None), (None, None));
        assert_eq!(noted(Some(171)), (None, None));
        for (end, before) in [(170, 70), (111, 70), (110, 10), (101, 10)] {
            assert_eq!(noted(Some(end)), (Some(end), Some(before)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        assert!(
            EndWarnings::new(&[LONGEST]).is_some() && EndWarnings::new(&[LONGEST + Duration::from_millis(1)]).is_none()
        );
        assert!(EndWarnings::new(&[Duration::from_micros(999)]).is_none());
        let many: Vec<_> = (0..9).map(Duration::from_millis).collect();
        assert!(EndWarnings::new(&many[1..]).is_some() && EndWarnings::new(&many).is_none());
        assert!(!EndWarnings::default().is_empty());
    }
}
