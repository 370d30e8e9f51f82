//! Warnings of keys that end soon: one for each key, end and time before it, from any node.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::witness::{Contradiction, Here, Testimony, Witness};
use crate::{
    audit::{Action, Event, EventRow, Notifier, Subject},
    background::{Background, take_turns},
    key::KeyId,
    log::{Repeated, log},
    owner::{OrganizationId, OwnerRef},
    random::random_bytes,
    record::{ActorId, EndWarnings, KeyRow, Responsible, SystemLabel},
    store::{
        AuditedWrite, Calls, Change, ChangeId, Effect, EndingQuery, EventQuery, KeyReader, KeyStore, Ledger,
        StoreError, Write,
    },
    time::{Clock, Timestamp},
};

/// How often to look for due ends.
const INTERVAL: Duration = Duration::from_secs(300);

/// The delay of the first turn: a service that has just started has other things to do.
const START: Duration = Duration::from_secs(30);

/// The pause between two turns while more ends are due.
const PAUSE: Duration = Duration::from_millis(100);

/// The most ends in one change, which has at most fifty writes.
const MOST: usize = 50;

/// How many keys are read for them: more than needed, so that unreadable rows block nothing.
const LOOKED_AT: u16 = 500;

/// The name of the note in the store with which nodes share what they are about to tell, and what their clocks show.
const NOTE: &str = "ends";

/// How often to try to record that a batch was told.
const TRIES: usize = 5;

/// Tells the audit trail and the sink of keys that end soon.
///
/// The trail has each warning once: it is written in one transaction with a note at the key, and only if the note is
/// new. The sink hears it at least once: a batch is announced in a note of the store before it is written, and the
/// announcement is removed after the sink was told. If a node leaves an announcement behind, another node tells the
/// sink again after it has seen the announcement at two turns.
///
/// A warning that comes too early is false. So this takes two witnesses of the time, as a deletion does.
pub(crate) struct EndTeller<S> {
    store: Calls<Arc<S>>,
    here: Here,
    warnings: EndWarnings,
    notifier: Notifier,
    background: Background,
    /// One turn at a time.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    failed: Repeated,
}

#[derive(Default)]
struct State {
    witness: Witness,
    /// Why nothing was told at the last turn.
    contradiction: Option<Contradiction>,
    /// What another node had announced at the last turn.
    seen: Option<String>,
    /// What this node announced and has not removed.
    announced: Option<Announced>,
}

/// A batch of this node.
#[derive(Clone)]
struct Announced {
    name: String,
    change: Change,
    events: Vec<Event>,
    is_told: bool,
}

/// What nodes share through the store.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// What the clocks of machines showed at their last turn, in milliseconds since 1970.
    clocks: BTreeMap<String, i64>,
    batch: Option<Batch>,
}

/// The ends that one node is about to tell.
#[derive(Clone, Serialize, Deserialize)]
struct Batch {
    name: String,
    at: i64,
    /// The key, its end, and how many milliseconds before the end it is told.
    ends: Vec<(String, i64, i64)>,
}

impl<S: Ledger> EndTeller<S> {
    pub(crate) fn new(store: Calls<Arc<S>>, clock: Arc<dyn Clock>, warnings: EndWarnings, notifier: Notifier) -> Self {
        let (here, background, turn, state) =
            (Here::new(clock), Background::default(), Default::default(), Mutex::default());
        Self { store, here, warnings, notifier, background, turn, state, failed: Repeated::new() }
    }

    /// Starts to tell ends, unless that is running or no warning is set, until the last other reference is dropped.
    pub(crate) fn start(self: &Arc<Self>) {
        if self.warnings.is_empty() {
            return;
        }
        self.background.start(|| {
            take_turns(Arc::downgrade(self), START, |teller| async move {
                match teller.take_turn().await {
                    Ok(true) => PAUSE,
                    Ok(false) => INTERVAL,
                    Err(_error) => {
                        if let Some(_times) = teller.failed.happened() {
                            let _error = &_error as &dyn std::error::Error;
                            log!(
                                warn,
                                times = _times,
                                error = _error,
                                "ends of keys could not be told, which is tried again"
                            );
                        }
                        INTERVAL
                    }
                }
            })
        });
    }

    /// Tells the ends that are due. Returns whether there may be more.
    ///
    /// # Errors
    /// Those of the store. What was begun is told at a later turn.
    pub(crate) async fn take_turn(&self) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        let reading = self.here.reading();
        if self.warnings.is_empty() || !reading.is_certain() {
            return Ok(false);
        }
        let standing = self.store.replace_note(NOTE, &[], &[]).await?;
        let mut note = read(&standing);
        note.clocks.remove(self.here.name());
        if let Some(batch) = note.batch.clone() {
            let may_finish = self.may_finish(&batch);
            if may_finish {
                self.finish(&batch).await?;
                note.batch = None;
            }
            self.say_time(&mut note, reading.now());
            return Ok(self.replace(&standing, &note).await? && may_finish);
        }
        let mut due = self.due(reading.now()).await?;
        let newest = match due.first() {
            Some(first) => self.newest_event(&first.event.organization).await?,
            None => None,
        };
        let confirmed = self.confirmed(reading.now(), newest, &note);
        self.say_time(&mut note, reading.now());
        match confirmed {
            Some(now) if now != reading.now() && !due.is_empty() => due = self.due(now).await?,
            Some(_) => {}
            None => due.clear(),
        }
        match confirmed.filter(|_| !due.is_empty()) {
            Some(now) => self.tell(&standing, note, now, due).await,
            None => self.replace(&standing, &note).await.map(|_| false),
        }
    }

    /// Announces these ends, writes them and tells the sink.
    async fn tell(&self, standing: &[u8], mut note: Note, now: Timestamp, due: Vec<Due>) -> Result<bool, StoreError> {
        let Ok(bytes) = random_bytes() else { return Ok(false) };
        let id = ChangeId::from_bytes(*bytes);
        let (name, ends) = (id.to_string(), due.iter().map(|due| due.end.clone()).collect());
        let events = due.iter().map(|due| due.event.clone()).collect();
        let audited =
            due.into_iter().map(|Due { write, event, .. }| AuditedWrite { write, event: EventRow::from(&event) });
        let change = Change { id, at: now, writes: audited.collect(), guards: Vec::new(), idempotency: None };
        let batch = Batch { name, at: now.as_millis(), ends };
        note.batch = Some(batch.clone());
        self.state().announced = Some(Announced { name: batch.name.clone(), change, events, is_told: false });
        // If two nodes have a turn at once, one of them tells.
        if !self.replace(standing, &note).await? {
            return Ok(true);
        }
        self.finish(&batch).await?;
        self.take_back(&batch.name).await?;
        Ok(true)
    }

    /// Whether this node may finish an announced batch: the batch is its own, or the other node has had a whole turn
    /// for it.
    fn may_finish(&self, batch: &Batch) -> bool {
        let mut state = self.state();
        let is_own = state.announced.as_ref().is_some_and(|own| own.name == batch.name);
        let was_seen = state.seen.replace(batch.name.clone()).is_some_and(|seen| seen == batch.name);
        is_own || was_seen
    }

    async fn finish(&self, batch: &Batch) -> Result<(), StoreError> {
        let own = self.state().announced.clone().filter(|own| own.name == batch.name);
        let Some(own) = own else { return self.finish_anothers(batch).await };
        if !own.is_told {
            // A change with an unknown outcome is repeated, and has the same result as the first time.
            let applied = self.store.apply(&own.change).await?;
            let is_news = |(event, effect): (Event, Effect)| (effect == Effect::Changed).then_some(event);
            let news: Vec<_> = own.events.into_iter().zip(applied.effects).filter_map(is_news).collect();
            self.notifier.tell(&news);
            if let Some(own) = &mut self.state().announced {
                own.is_told = true;
            }
        }
        Ok(())
    }

    /// Ends that are noted at their keys were written, but perhaps not told. The others were not written, and are still
    /// due.
    async fn finish_anothers(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut events = Vec::new();
        for (id, end, before) in &batch.ends {
            let (Ok(id), Ok(at)) = (KeyId::new(id), Timestamp::from_millis(batch.at)) else { continue };
            let Some(found) = self.store.find(&id).await? else { continue };
            let is_noted = (found.key.warned_end, found.key.warned_before_ms) == (Some(*end), Some(*before));
            let told = Due::of(&KeyRow { expires_at: Some(*end), ..found.key }, at, *before).filter(|_| is_noted);
            events.extend(told.map(|due| due.event));
        }
        self.notifier.tell(&events);
        Ok(())
    }

    /// Removes the announcement of a batch that was told.
    async fn take_back(&self, name: &str) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let standing = self.store.replace_note(NOTE, &[], &[]).await?;
            let mut note = read(&standing);
            if note.batch.take_if(|batch| batch.name == name).is_none() || self.replace(&standing, &note).await? {
                break;
            }
        }
        Ok(())
    }

    /// The next ends that are due at this time, the most urgent first.
    async fn due(&self, now: Timestamp) -> Result<Vec<Due>, StoreError> {
        let mut due = Vec::new();
        for (before_ms, after, until) in self.warnings.due(now) {
            if due.len() >= MOST {
                break;
            }
            let keys = self.store.ending(&EndingQuery { after, until, before_ms, limit: LOOKED_AT }).await?;
            due.extend(keys.iter().filter_map(|key| Due::of(key, now, before_ms)));
        }
        due.truncate(MOST);
        Ok(due)
    }

    /// The time of an organization's last event.
    async fn newest_event(&self, organization: &OrganizationId) -> Result<Option<Timestamp>, StoreError> {
        let query = EventQuery { newest_first: true, limit: 1, ..EventQuery::all(organization.clone()) };
        let newest = self.store.events(&query).await?.rows.pop();
        Ok(newest.and_then(|event| Timestamp::from_millis(event.at).ok()))
    }

    /// The time up to which ends may be told, if two witnesses confirm it.
    fn confirmed(&self, now: Timestamp, newest_event: Option<Timestamp>, note: &Note) -> Option<Timestamp> {
        let mut state = self.state();
        let heard = state.witness.present(&Testimony { now, ran: self.here.ran(), others: &note.clocks, newest_event });
        if heard.err() != state.contradiction {
            state.contradiction = heard.err();
            if let Some(_contradiction) = state.contradiction {
                log!(
                    warn,
                    reason = _contradiction.to_string(),
                    "no ends of keys are told, because nobody confirms the time: look at the clocks of all nodes"
                );
            }
        }
        heard.ok()
    }

    fn say_time(&self, note: &mut Note, now: Timestamp) {
        self.here.forget_the_gone(&self.state().witness, &mut note.clocks);
        note.clocks.insert(self.here.name().to_owned(), now.as_millis());
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

/// A note that cannot be read counts as empty.
fn read(standing: &[u8]) -> Note {
    serde_json::from_slice(standing).unwrap_or_default()
}

/// An end that is to be told.
struct Due {
    /// The key, its end, and how many milliseconds before the end it is told.
    end: (String, i64, i64),
    write: Write,
    event: Event,
}

impl Due {
    /// None for a row that was written with plain SQL and cannot be read.
    fn of(key: &KeyRow, at: Timestamp, before_ms: i64) -> Option<Self> {
        let expires_at = key.expires_at?;
        let (id, OwnerRef { organization, owner }) = (KeyId::new(&key.id).ok()?, OwnerRef::of(key)?);
        let end = Timestamp::from_millis(expires_at).ok()?.to_string();
        let responsible = key.responsible.as_deref().and_then(|text| Responsible::new(text).ok());
        let (action, after) = match before_ms {
            0 => (Action::KEY_EXPIRED, json!({ "expires_at": end, "responsible": responsible })),
            _ => {
                let told = json!({ "expires_at": end, "before_ms": before_ms, "responsible": responsible });
                (Action::KEY_ENDS_SOON, told)
            }
        };
        let actor = ActorId::System(SystemLabel::new("clock").ok()?);
        let event = Event::new(organization.clone(), at, actor, action, Subject::Key(id, owner));
        Some(Self {
            end: (key.id.clone(), expires_at, before_ms),
            write: Write::WarnOfEnd { organization, id, expires_at, before_ms },
            event: event.with_change(None, Some(after.to_string())),
        })
    }
}

#[cfg(test)]
mod tests;
