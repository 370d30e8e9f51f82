//! How long an answer waits for names, and which organizations are not asked about for a while.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::owner::OrganizationId;

/// How long an answer waits for names, all its questions together. A page is useful without them, and is read within
/// milliseconds; half a second does not yet feel like a page that hangs. `has_team` is a guard, and has the time limit
/// of the store.
const PATIENCE: Duration = Duration::from_millis(500);

/// An answer that looks at more keys than this gets the same time for each further batch of this size.
const KEYS: usize = 5_000;

/// How long an organization is not asked about after an answer was late, so that not every page waits.
const PAUSE: Duration = Duration::from_secs(5);

/// How many failing organizations are remembered. One that is forgotten is simply asked about again.
const MOST_FAILING: usize = 1_000;

/// An organization that failed this long ago, and was not asked about since, no longer counts as failing for the log.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The rest of the time that an answer waits for names.
#[derive(Debug)]
pub(super) struct Patience {
    /// The limit for one question.
    each: Duration,
    left: Duration,
    looked_at: usize,
}

impl Patience {
    /// The time of an answer at its beginning, with this time limit for the store's own answers.
    pub(super) fn new(store_timeout: Duration) -> Self {
        let each = store_timeout.min(PATIENCE);
        Self { each, left: each, looked_at: 0 }
    }

    /// The answer has looked at this many more keys.
    pub(super) fn looked_at(&mut self, keys: usize) {
        let before = self.looked_at / KEYS;
        self.looked_at = self.looked_at.saturating_add(keys);
        let more = u32::try_from(self.looked_at / KEYS - before).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(self.each.saturating_mul(more));
    }

    /// The time limit for the next question.
    pub(super) fn limit(&self) -> Duration {
        self.each.min(self.left)
    }

    /// Whether the next question has all the time that one can have. If it is late then, the directory is slow, and not
    /// an earlier question.
    pub(super) fn is_whole(&self) -> bool {
        self.left >= self.each
    }

    pub(super) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}

/// The organizations whose last question was not answered by a directory. Each kind of question and each organization
/// is separate: they may be on different servers, and one customer must not take names away from all.
#[derive(Debug, Default)]
pub(super) struct Failing(Mutex<BTreeMap<OrganizationId, Failure>>);

#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Instant,
    /// The answer was late, rather than an error.
    is_late: bool,
}

impl Failure {
    fn pauses(&self) -> bool {
        self.is_late && self.at.elapsed() < PAUSE
    }
}

impl Failing {
    /// Whether this organization is not asked about now.
    pub(super) fn is_paused(&self, organization: &OrganizationId) -> bool {
        self.lock().get(organization).is_some_and(Failure::pauses)
    }

    pub(super) fn failed(&self, organization: &OrganizationId, is_late: bool) {
        let mut failing = self.lock();
        // A concurrent answer may have used up its own time, and must not end this pause.
        let is_late = is_late || failing.get(organization).is_some_and(Failure::pauses);
        if failing.len() >= MOST_FAILING && !failing.contains_key(organization) {
            let oldest = failing.iter().min_by_key(|(_, failure)| failure.at).map(|(oldest, _)| oldest.clone());
            oldest.and_then(|oldest| failing.remove(&oldest));
        }
        failing.insert(organization.clone(), Failure { at: Instant::now(), is_late });
    }

    pub(super) fn answered(&self, organization: &OrganizationId) {
        self.lock().remove(organization);
    }

    /// Whether all organizations that are still asked about get answers again.
    pub(super) fn is_over(&self) -> bool {
        let mut failing = self.lock();
        failing.retain(|_, failure| failure.at.elapsed() < FORGOTTEN);
        failing.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OrganizationId, Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(number: usize) -> OrganizationId {
        OrganizationId::new(format!("o-{number}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_too_many_is_forgotten() {
        let failing = Failing::default();
        for number in 0..=MOST_FAILING {
            // The first one is late again, and is no longer the oldest.
            failing.failed(&organization(number), true);
            tokio::time::advance(Duration::from_millis(1)).await;
            if number == 1 {
                failing.failed(&organization(0), true);
            }
        }
        assert_eq!(failing.lock().len(), MOST_FAILING);
        assert!(failing.is_paused(&organization(0)) && failing.is_paused(&organization(MOST_FAILING)));
        assert!(!failing.is_paused(&organization(1)));
    }

    #[test]
    fn an_answer_may_wait_longer_for_each_five_thousand_keys() {
        let half = Duration::from_millis(500);
        let mut patience = Patience::new(Duration::from_secs(5));
        patience.spend(half * 2);
        assert_eq!(patience.limit(), Duration::ZERO);
        patience.looked_at(4_999);
        assert_eq!(patience.limit(), Duration::ZERO);
        patience.looked_at(1);
        assert_eq!((patience.limit(), patience.is_whole()), (half, true));
        patience.spend(Duration::from_millis(1));
        assert!(!patience.is_whole());
        patience.looked_at(10_000);
        assert_eq!((patience.limit(), patience.left), (half, half * 3 - Duration::from_millis(1)));
        assert_eq!(Patience::new(Duration::from_millis(20)).limit(), Duration::from_millis(20));
    }
}
