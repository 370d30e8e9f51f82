use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    audit::{Action, Audience, Event, EventRow, Notifier, Subject},
    background::{Background, take_turns},
    key::KeyId,
    log::{Repeated, log},
    owner::{OrganizationId, Owner},
    record::{ActorId, SystemLabel},
    store::{AnyStore, Calls, Ledger, StoreError, StoreErrorKind},
    time::{Clock, Timestamp},
};

/// Actors that are told apart, of all organizations together. One that is after memory costs about 12 kilobytes: 16 lines
/// with the longest ids and sources that there can be.
const MOST_ACTORS: usize = 10_000;

/// Actors of one organization that are told apart: none uses up the room of the others by itself.
const MOST_ACTORS_OF_ONE: usize = 1_000;

/// Lines of one actor in one window. The last of them is for everything else.
const MOST_LINES: usize = 16;

/// What is repeated within so long is added up.
const WINDOW: Duration = Duration::from_secs(3_600);

/// Events of one call of the store.
const BATCH: usize = 500;

/// What is said of a key that does not exist. Its event is about whoever asked, who must not find it in their own trail:
/// what is hidden leaves no event there.
pub(in crate::manage) const NOT_FOUND: &str = "not_found";

/// What is said of all actors that are one too many to tell apart.
pub(in crate::manage) const OTHER_ACTORS: &str = "other_actors";

/// An actor's lines beyond the most that are told apart.
const VARIOUS: &str = "various";

/// An attempt to manage keys that was denied.
pub(in crate::manage) struct Attempt {
    pub(in crate::manage) organization: OrganizationId,
    pub(in crate::manage) actor: ActorId,
    /// What was tried; none if it did not come so far.
    pub(in crate::manage) action: Option<&'static str>,
    pub(in crate::manage) reason: &'static str,
    pub(in crate::manage) subject: Subject,
    /// The key that was asked for, if it is not the subject because it does not exist. It tells lines apart, as those of
    /// hidden keys are: else the number of lines that are left would tell which of the two a key is.
    pub(in crate::manage) asked: Option<KeyId>,
    pub(in crate::manage) source: Option<String>,
}

/// Denied attempts until they are in the audit trail, added up so that nobody can flood it: an actor costs at most 32
/// events an hour, however often it tries.
pub(crate) struct DenialLog {
    store: Calls<AnyStore>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    notifier: Notifier,
    background: Background,
    counts: Mutex<Counts>,
    /// One flush at a time: what is not written yet is written in order.
    turn: tokio::sync::Mutex<()>,
    failed: Repeated,
}

#[derive(Default)]
struct Counts {
    actors: HashMap<OrganizationId, HashMap<ActorId, Window>>,
    /// How many actors there are in all organizations.
    told_apart: usize,
    /// The actors that are one too many, a line for each organization.
    others: HashMap<OrganizationId, Window>,
    /// Attempts of one organization too many: there is nowhere to write them down.
    lost: u64,
    unwritten: VecDeque<Event>,
}

/// The attempts of one actor since the first of them.
struct Window {
    since: Timestamp,
    lines: Vec<DenialCount>,
}

/// Attempts that differ in nothing but time and source.
struct DenialCount {
    action: Option<&'static str>,
    reason: &'static str,
    subject: Subject,
    asked: Option<KeyId>,
    source: Option<String>,
    /// Those that are not in the trail.
    count: u64,
    last_at: Timestamp,
    is_known: bool,
}

impl DenialLog {
    pub(crate) fn new(store: Calls<AnyStore>, clock: Arc<dyn Clock>, interval: Duration, notifier: Notifier) -> Self {
        let (background, counts, turn) = (Background::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { store, clock, interval, notifier, background, counts, turn, failed: Repeated::new() }
    }

    /// Counts an attempt. Nobody waits for it to be written.
    pub(in crate::manage) fn note(self: &Arc<Self>, attempt: Attempt) {
        self.lock().add(attempt, self.clock.now());
        self.start();
    }

    /// Writes what is due: the first of its kind, and repeats whose hour is over; all of it `at_the_end`.
    ///
    /// # Errors
    /// Those of [`Ledger::append_events`]. What is not written is kept. If the store did not say whether it wrote a batch,
    /// the batch is written again: attempts may then be there twice.
    pub(crate) async fn flush(&self, at_the_end: bool) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.write().await?;
        // Only now: as long as nothing can be written, lines go on counting instead of becoming more.
        self.lock().collect(self.clock.now(), at_the_end);
        self.write().await
    }

    async fn write(&self) -> Result<(), StoreError> {
        let mut most = BATCH;
        loop {
            let events: Vec<Event> = self.lock().unwritten.iter().take(most).cloned().collect();
            if events.is_empty() {
                return Ok(());
            }
            let rows: Vec<EventRow> = events.iter().map(EventRow::from).collect();
            match self.store.append_events(&rows).await {
                Ok(()) => self.notifier.tell(&events),
                // Halved, until the line that the store does not take stands alone. It keeps back no others.
                Err(error) if error.kind() == StoreErrorKind::Refused && rows.len() > 1 => {
                    most = rows.len() / 2;
                    continue;
                }
                Err(error) if error.kind() == StoreErrorKind::Refused => self.tell_of(&error),
                Err(error) => return Err(error),
            }
            self.lock().unwritten.drain(..events.len());
            most = BATCH;
        }
    }

    /// Some are missing in the trail, or come later.
    fn tell_of(&self, _error: &StoreError) {
        if let Some(_times) = self.failed.happened() {
            let _error = _error as &dyn std::error::Error;
            log!(warn, times = _times, error = _error, "denied attempts could not be added to the audit trail");
        }
    }

    fn start(self: &Arc<Self>) {
        self.background.start(|| {
            take_turns(Arc::downgrade(self), self.interval, |denials| async move {
                if let Err(error) = denials.flush(false).await {
                    denials.tell_of(&error);
                }
                denials.interval
            })
        });
    }
}

impl DenialLog {
    /// A panic elsewhere leaves counts as they are: each is a whole number at any moment.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, attempt: Attempt, now: Timestamp) {
        let of_one = self.actors.get(&attempt.organization);
        let is_known = of_one.is_some_and(|actors| actors.contains_key(&attempt.actor));
        let has_room = self.told_apart < MOST_ACTORS && of_one.map_or(0, HashMap::len) < MOST_ACTORS_OF_ONE;
        if is_known || has_room {
            self.told_apart += usize::from(!is_known);
            let actors = self.actors.entry(attempt.organization.clone()).or_default();
            actors.entry(attempt.actor.clone()).or_insert_with(|| Window::new(now)).add(attempt, now);
        } else if self.others.len() < MOST_ACTORS || self.others.contains_key(&attempt.organization) {
            let window = self.others.entry(attempt.organization).or_insert_with(|| Window::new(now));
            window.count_rest(OTHER_ACTORS, &attempt.subject, now);
        } else {
            self.lost += 1;
        }
    }

    fn collect(&mut self, now: Timestamp, at_the_end: bool) {
        let Self { actors, told_apart, others, lost, unwritten } = self;
        *told_apart = 0;
        actors.retain(|organization, actors| {
            actors.retain(|actor, window| {
                unwritten.extend(window.take(organization, actor, now, at_the_end));
                !window.is_over(now)
            });
            *told_apart += actors.len();
            !actors.is_empty()
        });
        if let Ok(label) = SystemLabel::new("denied attempts") {
            let actor = ActorId::System(label);
            others.retain(|organization, window| {
                unwritten.extend(window.take(organization, &actor, now, at_the_end));
                !window.is_over(now)
            });
        }
        let _lost = std::mem::take(lost);
        if _lost > 0 {
            log!(error, count = _lost, "denied attempts of too many actors and organizations to be told apart");
        }
    }
}

impl Window {
    const fn new(since: Timestamp) -> Self {
        Self { since, lines: Vec::new() }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        // One that begins later began by a clock that was wrong.
        now < self.since || now >= self.since.saturating_add(WINDOW)
    }

    fn add(&mut self, attempt: Attempt, now: Timestamp) {
        let has_room = self.lines.len() < MOST_LINES - 1;
        match self.lines.iter_mut().find(|line| line.is_of(&attempt)) {
            Some(line) => line.count_on(attempt.source, now),
            None if has_room => self.lines.push(DenialCount::new(attempt, now)),
            None => self.count_rest(VARIOUS, &attempt.subject, now),
        }
    }

    /// Counts what is too many to be told apart: one line, about the owner that was aimed at by the first of them.
    fn count_rest(&mut self, reason: &'static str, subject: &Subject, now: Timestamp) {
        match self.lines.iter_mut().find(|line| line.reason == reason) {
            Some(line) => line.count_on(None, now),
            None => self.lines.push(DenialCount {
                action: None,
                reason,
                subject: Subject::Owner(owner_of(subject).clone()),
                asked: None,
                source: None,
                count: 1,
                last_at: now,
                is_known: false,
            }),
        }
    }

    /// What is to be written of it.
    fn take(&mut self, organization: &OrganizationId, actor: &ActorId, now: Timestamp, at_the_end: bool) -> Vec<Event> {
        let repeats_are_due = at_the_end || self.is_over(now);
        let due = self.lines.iter_mut().filter(|line| line.count > 0 && (!line.is_known || repeats_are_due));
        due.map(|line| line.take(organization.clone(), actor.clone(), now)).collect()
    }
}

impl DenialCount {
    fn new(attempt: Attempt, now: Timestamp) -> Self {
        let Attempt { action, reason, subject, asked, source, .. } = attempt;
        Self { action, reason, subject, asked, source, count: 1, last_at: now, is_known: false }
    }

    fn is_of(&self, attempt: &Attempt) -> bool {
        (self.action, self.reason, &self.subject, self.asked)
            == (attempt.action, attempt.reason, &attempt.subject, attempt.asked)
    }

    fn count_on(&mut self, source: Option<String>, now: Timestamp) {
        self.count += 1;
        self.last_at = now;
        if self.source != source {
            self.source = None;
        }
    }

    fn take(&mut self, organization: OrganizationId, actor: ActorId, now: Timestamp) -> Event {
        #[derive(serde::Serialize)]
        struct Said<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            action: Option<&'static str>,
            reason: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            key: Option<&'a str>,
            count: u64,
        }
        self.is_known = true;
        let (key, count) = (self.asked.as_ref().map(KeyId::as_str), std::mem::take(&mut self.count));
        let said = Said { action: self.action, reason: self.reason, key, count };
        // Of what does not exist or is hidden only those may know who see all of the organization.
        let is_public = ![NOT_FOUND, OTHER_ACTORS, VARIOUS].contains(&self.reason);
        let audience = if is_public { Audience::Subject } else { Audience::Organization };
        // Fails only on maps whose keys are no strings; there is none.
        let said = serde_json::to_string(&said).unwrap_or_default();
        Event::new(organization, self.last_at.min(now), actor, Action::MANAGE_DENIED, self.subject.clone())
            .with_change(None, Some(said))
            .with_source(self.source.clone())
            .with_audience(audience)
    }
}

fn owner_of(subject: &Subject) -> &Owner {
    match subject {
        Subject::Key(_, owner) | Subject::Owner(owner) => owner,
    }
}

impl fmt::Debug for DenialLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialLog").finish_non_exhaustive()
    }
}
