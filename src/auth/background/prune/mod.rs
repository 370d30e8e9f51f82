//! Deletes old rows once an hour, and limits deletions that depend on a clock.

mod ration;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::ration::{PER_TURN, Ration};
use super::witness::{Contradiction, Here, Testimony, Witness};
use crate::{
    background::{Background, take_turns},
    feed::Register,
    key::KeyId,
    log::log,
    random::random_bytes,
    store::{Calls, DeadKeys, EndedKeys, KeyStore, Ledger, Prune, Pruned, StoreError, Trail},
    time::{Clock, ClockReading, Timestamp, day_of},
};
use serde::{Deserialize, Serialize};

/// Rows of the change log that are kept: a reader that is further behind than a thousand changes reloads everything
/// anyway.
const LOG_ROWS: u32 = 100_000;

/// How long the results of changes are kept. A caller that repeats a change asks for them, usually within seconds.
const RESULTS: Duration = Duration::from_secs(7 * 86_400);

const INTERVAL: Duration = Duration::from_secs(3_600);

/// The longest delay of the first turn, which is random: the nodes of a fleet start together and should not prune
/// together.
const LATEST_START: Duration = Duration::from_secs(300);

/// The pause between two turns while there is more to delete: others write then.
const PAUSE: Duration = Duration::from_millis(100);

/// The name of the note in the store with which pruners share their turns.
const NOTE: &str = "pruning";

/// How long the access log is kept by default: strangers add to it, too.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How long events and counts are kept; none: forever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) events: Option<Duration>,
    /// For entries of the access log; none: like all other events.
    pub(crate) attempts: Option<Duration>,
    /// For counts of use by day: the number of days, including today.
    pub(crate) usage_days: i32,
    /// For keys after they ended; none: forever.
    pub(crate) dead_keys: Option<Duration>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { events: None, attempts: None, usage_days: 90, dead_keys: None }
    }
}

impl Keep {
    /// The same with an access log. It is kept for a month, or as long as all other events if that is shorter, unless
    /// its time is set.
    pub(crate) fn with_access_log(self) -> Self {
        let attempts = self.attempts.or(Some(self.events.map_or(MONTH, |events| events.min(MONTH))));
        Self { attempts, ..self }
    }
}

/// Lets the store delete, once an hour, what is no longer needed.
///
/// Audit events are evidence, and a deletion cannot be undone. The same holds for dead keys. So these deletions need
/// two witnesses of the time, and have a limit for each day. Rows of the change log, results of changes and counts of
/// use by day are no evidence: for them this node's clock is enough. Usage counts of deleted keys are deleted without a
/// clock.
pub(crate) struct Pruner<S> {
    store: Calls<Arc<S>>,
    here: Here,
    keep: Keep,
    background: Background,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    witness: Witness,
    /// Why nothing was deleted at the last turn.
    told: Option<Contradiction>,
    /// Whether only rows that are no evidence were too many for one turn.
    only_rows: bool,
    /// The last key for which it was checked whether the store still has it; none: start at the beginning.
    used_until: Option<KeyId>,
}

/// What the pruners of all nodes share through the store.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// What the clocks of machines showed when their pruners had a turn, in milliseconds since 1970.
    clocks: BTreeMap<String, i64>,
    events: Ration,
    attempts: Ration,
    keys: Ration,
}

impl<S: Ledger> Pruner<S> {
    pub(crate) fn new(store: Calls<Arc<S>>, clock: Arc<dyn Clock>, keep: Keep) -> Self {
        Self { store, here: Here::new(clock), keep, background: Background::default(), state: Mutex::default() }
    }

    /// Starts to prune, unless that is running, until the last other reference to the pruner is dropped.
    pub(crate) fn start(self: &Arc<Self>) {
        self.background.start(|| {
            take_turns(Arc::downgrade(self), first_pause(), |pruner| async move {
                if pruner.prune().await { PAUSE } else { INTERVAL }
            })
        });
    }

    /// Prunes once. Returns whether there may be more to delete.
    async fn prune(&self) -> bool {
        let reading = self.here.reading();
        let today = day_of(reading.earliest().as_millis());
        let mut prune = Prune {
            keep_log_rows: Some(LOG_ROWS),
            days_before: Some(today - self.keep.usage_days + 1),
            changes_before: Some(reading.earliest().saturating_sub(RESULTS)),
            usage_after: Some(self.state().used_until.unwrap_or(KeyId::LEAST)),
            ..Prune::default()
        };
        let is_turn_of_evidence = !std::mem::take(&mut self.state().only_rows);
        if is_turn_of_evidence && let Err(_error) = self.add_evidence(reading, &mut prune).await {
            let _error = &_error as &dyn std::error::Error;
            log!(warn, error = _error, "old audit events could not be counted, which is tried again in an hour");
        }
        match self.store.prune(&prune).await {
            Ok(pruned) => {
                let Pruned { events, attempts, log_rows, changes, days, usage: _usage, usage_next, keys } = pruned;
                if events + attempts > 0 {
                    log!(info, events, attempts, "old audit events were deleted, as the settings want");
                }
                if keys > 0 {
                    log!(info, keys, "keys that ended long ago were purged, as the settings want");
                }
                log!(debug, log_rows, changes, days, usage = _usage, "the key store was pruned");
                let more_events = events.max(attempts) >= PER_TURN || keys >= DeadKeys::MOST;
                let more_rows = log_rows > 0 || changes > 0 || days > 0 || usage_next.is_some();
                let mut state = self.state();
                (state.only_rows, state.used_until) = (more_rows && !more_events, usage_next);
                more_events || more_rows
            }
            Err(_error) => {
                let _error = &_error as &dyn std::error::Error;
                log!(warn, error = _error, "the key store could not be pruned, which is tried again in an hour");
                false
            }
        }
    }

    /// Adds the events and keys to delete now, as many as are allowed, if another witness confirms the clock.
    async fn add_evidence(&self, reading: ClockReading, prune: &mut Prune) -> Result<(), StoreError> {
        let attempts = self.keep.attempts.or(self.keep.events);
        if attempts.or(self.keep.dead_keys).is_none() || !reading.is_certain() {
            return Ok(());
        }
        let standing = self.store.replace_note(NOTE, &[], &[]).await?;
        // A note that cannot be read only allows a fresh start.
        let mut note: Note = serde_json::from_slice(&standing).unwrap_or_default();
        note.clocks.remove(self.here.name());
        let count = |attempts, before| self.store.trail(attempts, before);
        let trail = count(false, before(self.keep.events, reading.now())).await?;
        let confirmed = self.confirmed(reading.now(), trail.newest_at, &mut note);
        note.clocks.insert(self.here.name().to_owned(), reading.now().as_millis());
        let Some(now) = confirmed else { return self.replace(&standing, &note).await.map(drop) };
        let mut wanted = *prune;
        if self.keep.events.is_some() {
            let before = before(self.keep.events, now);
            let trail = if now == reading.now() { trail } else { count(false, before).await? };
            (wanted.events_before, wanted.most_events) = (Some(before), Some(note.events.take(trail, before, now)));
            wanted.events_until = self.confirmed_events(before).await?;
        }
        if attempts.is_some() {
            let before = before(attempts, now);
            let trail = count(true, before).await?;
            (wanted.attempts_before, wanted.most_attempts) =
                (Some(before), Some(note.attempts.take(trail, before, now)));
        }
        // Without an event, nothing but this clock may have said what time it is.
        if self.keep.dead_keys.is_some() && trail.newest_at.is_some() {
            let ended_before = before(self.keep.dead_keys, now);
            let EndedKeys { all, before } = self.store.ended_keys(ended_before).await?;
            let ended = Trail { events: all, before, newest_at: None };
            let most = note.keys.take_up_to(DeadKeys::MOST, ended, ended_before, now);
            wanted.keys = Some(DeadKeys { ended_before, most, at: now });
        }
        // The note is written first. If two nodes have a turn at once, one of them deletes.
        if self.replace(&standing, &note).await? {
            *prune = wanted;
        }
        Ok(())
    }

    /// The position up to which every consumer of the feed has confirmed the events; none if there is no consumer.
    async fn confirmed_events(&self, before: Timestamp) -> Result<Option<i64>, StoreError> {
        let Some((_name, place)) = Register::new(self.store.clone()).slowest().await.map_err(StoreError::corrupt)?
        else {
            return Ok(None);
        };
        let next = self.store.feed(Some(place), 1).await?;
        if next.rows.first().is_some_and(|event| event.at < before.as_millis()) {
            log!(
                warn,
                feed = _name,
                "old audit events are kept, because a consumer of the feed has not confirmed them: start it, or forget it"
            );
        }
        Ok(Some(place))
    }

    /// The time by which events may be deleted, if two witnesses confirm it.
    fn confirmed(&self, now: Timestamp, newest_event: Option<Timestamp>, note: &mut Note) -> Option<Timestamp> {
        let ran = self.here.ran();
        let mut state = self.state();
        let testimony = Testimony { now, ran, others: &note.clocks, newest_event };
        let heard = state.witness.hear(&testimony);
        self.here.forget_the_gone(&state.witness, &mut note.clocks);
        if heard.err() != state.told {
            state.told = heard.err();
            if let Some(_contradiction) = state.told {
                log!(
                    warn,
                    reason = _contradiction.to_string(),
                    "no audit events and no dead keys are deleted, because nobody confirms the time: look at the clocks of all nodes"
                );
            }
        }
        heard.ok()
    }

    /// Replaces the note, and returns whether it was still the one that was read.
    async fn replace(&self, standing: &[u8], note: &Note) -> Result<bool, StoreError> {
        // Fails only on maps whose keys are not strings; there is none.
        let new = serde_json::to_vec(note).unwrap_or_default();
        Ok(self.store.replace_note(NOTE, standing, &new).await? == new)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events before this time are old; none if they are kept forever.
fn before(keep: Option<Duration>, now: Timestamp) -> Timestamp {
    keep.map_or(Timestamp::MIN, |keep| now.saturating_sub(keep))
}

/// Without randomness it is the longest: any delay is fine.
fn first_pause() -> Duration {
    let share = random_bytes().map_or(u16::MAX, |bytes| u16::from_le_bytes(*bytes));
    LATEST_START * u32::from(share) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests;
