use std::{sync::Arc, time::Duration};

use crate::{
    background::{Background, take_turns},
    log::log,
    random::random_bytes,
    store::{KeyStore, Prune, Pruned, guarded_change},
    time::Clock,
};

/// Rows of the change log that stay: readers that are further behind begin anew after a thousand already.
const LOG_ROWS: u32 = 100_000;

/// How long the results of changes stay. They are asked for by whoever repeats a change, within seconds as a rule.
const RESULTS: Duration = Duration::from_secs(7 * 86_400);

const INTERVAL: Duration = Duration::from_secs(3_600);

/// The first turn comes within so long, at random: the nodes of a fleet start together and need not prune together.
const LATEST_START: Duration = Duration::from_secs(300);

/// Between two turns of what is forgotten in many: others write then.
const PAUSE: Duration = Duration::from_millis(100);

/// How long events stay; none: for good.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    pub(crate) events: Option<Duration>,
    /// Lines of attempts; none: like all other events.
    pub(crate) attempts: Option<Duration>,
}

/// Lets the store forget, once an hour, what nobody asks for any more.
pub(crate) struct Pruner<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    keep: Keep,
    background: Background,
}

impl<S: KeyStore> Pruner<S> {
    pub(crate) fn new(store: Arc<S>, clock: Arc<dyn Clock>, timeout: Duration, keep: Keep) -> Self {
        Self { store, clock, timeout, keep, background: Background::default() }
    }

    /// Starts pruning, unless that is under way, for as long as somebody holds the pruner.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            take_turns(Arc::downgrade(self), first_pause(), |pruner| async move {
                if pruner.prune().await { PAUSE } else { INTERVAL }
            })
        });
    }

    /// Whether there may be more to forget.
    async fn prune(&self) -> bool {
        let now = self.clock.now();
        let prune = Prune {
            events_before: self.keep.events.map(|keep| now.saturating_sub(keep)),
            attempts_before: self.keep.attempts.or(self.keep.events).map(|keep| now.saturating_sub(keep)),
            keep_log_rows: Some(LOG_ROWS),
            changes_before: Some(now.saturating_sub(RESULTS)),
        };
        match guarded_change(self.timeout, || self.store.prune(&prune)).await {
            Ok(pruned) => {
                log!(debug, ?pruned, "the key store was pruned");
                pruned != Pruned::default()
            }
            Err(_error) => {
                let _error = &_error as &dyn std::error::Error;
                log!(warn, error = _error, "the key store could not be pruned, which is tried again in an hour");
                false
            }
        }
    }
}

/// Without randomness as late as can be: any time will do.
fn first_pause() -> Duration {
    let share = random_bytes().map_or(u16::MAX, |bytes| u16::from_le_bytes(*bytes));
    LATEST_START * u32::from(share) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::EventRow,
        owner::OrganizationId,
        store::{EventQuery, MemoryStore},
        time::{ManualClock, Timestamp},
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    /// How many events other than lines of attempts are left of one, and how many lines of one.
    async fn left(keep: Keep) -> [usize; 2] {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(ManualClock::at(Timestamp::MIN)));
        let event = EventRow { organization: OrganizationId::single().to_string(), at: 1_000, ..EventRow::example() };
        let line = EventRow { action: "attempt.accepted".to_owned(), ..event.clone() };
        store.append_events(&[event, line]).await.unwrap();
        clock.advance(Duration::from_secs(3_602));
        let pruner = Arc::new(Pruner::new(Arc::clone(&store), clock, Duration::from_secs(5), keep));
        pruner.start();
        tokio::time::sleep(LATEST_START + INTERVAL).await;
        let all = EventQuery::all(OrganizationId::single());
        let lines = store.events(&EventQuery { attempts: true, ..all.clone() }).await.unwrap().rows.len();
        [store.events(&all).await.unwrap().rows.len(), lines]
    }

    #[tokio::test(start_paused = true)]
    async fn events_older_than_asked_for_are_forgotten_and_lines_of_attempts_with_them() {
        assert_eq!(left(Keep { events: Some(HOUR), attempts: None }).await, [0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn events_stay_for_good_unless_asked() {
        assert_eq!(left(Keep::default()).await, [1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_of_attempts_go_sooner_than_other_events_if_asked() {
        assert_eq!(left(Keep { events: None, attempts: Some(HOUR) }).await, [1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_of_attempts_stay_longer_than_other_events_if_asked() {
        assert_eq!(left(Keep { events: Some(HOUR), attempts: Some(HOUR * 24) }).await, [0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_for_one_turn_goes_in_many() {
        let store = Arc::new(MemoryStore::new());
        let event = EventRow { organization: OrganizationId::single().to_string(), at: 1_000, ..EventRow::example() };
        store.append_events(&vec![event; 25_000]).await.unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(3_602_000).unwrap()));
        let pruner =
            Pruner::new(Arc::clone(&store), clock, Duration::from_secs(5), Keep { events: Some(HOUR), attempts: None });
        let pruner = Arc::new(pruner);
        pruner.start();
        tokio::time::sleep(LATEST_START + Duration::from_secs(1)).await;
        assert_eq!(store.events(&EventQuery::all(OrganizationId::single())).await.unwrap().rows.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_owner() {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::at(Timestamp::MIN));
        let pruner = Arc::new(Pruner::new(Arc::clone(&store), clock, Duration::from_secs(5), Keep::default()));
        pruner.start();
        drop(pruner);
        tokio::time::sleep(LATEST_START + INTERVAL).await;
        assert_eq!(Arc::strong_count(&store), 1);
    }
}
