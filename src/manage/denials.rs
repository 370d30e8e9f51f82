use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    audit::{Action, Event, EventRow, Notifier, Subject},
    background::Background,
    log::log,
    owner::{OrganizationId, Owner},
    record::{ActorId, SystemLabel},
    store::{KeyStore, StoreError, guarded_change},
    time::{Clock, Timestamp},
};

/// Actors that are told apart, of all organizations together: about a kilobyte each at most.
const MOST_ACTORS: usize = 10_000;

/// Lines of one actor in one window. The last of them is for everything else.
const MOST_LINES: usize = 16;

/// What is repeated within so long is added up.
const WINDOW: Duration = Duration::from_secs(3_600);

/// Events of one call of the store.
const BATCH: usize = 500;

/// What is said of a key that does not exist. Its event is about whoever asked, who must not find it in their own trail:
/// what is hidden leaves no event there.
pub(super) const NOT_FOUND: &str = "not_found";

/// What is said of all actors that are one too many to tell apart.
pub(super) const OTHER_ACTORS: &str = "other_actors";

/// An actor's lines beyond the most that are told apart.
const VARIOUS: &str = "various";

/// An attempt to manage keys that was denied.
pub(super) struct Attempt {
    pub(super) organization: OrganizationId,
    pub(super) actor: ActorId,
    /// What was tried; none if it did not come so far.
    pub(super) action: Option<&'static str>,
    pub(super) reason: &'static str,
    pub(super) subject: Subject,
    pub(super) source: Option<String>,
}

/// Denied attempts until they are in the audit trail, added up so that nobody can flood it: an actor costs at most 32
/// events an hour, however often it tries.
pub(crate) struct DenialLog<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    interval: Duration,
    notifier: Notifier,
    background: Background,
    counts: Mutex<Counts>,
    /// One flush at a time: what is not written yet is written in order.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Counts {
    actors: HashMap<(OrganizationId, ActorId), Window>,
    /// The actors that are one too many, for each organization.
    others: HashMap<OrganizationId, Window>,
    /// Attempts of one organization too many: there is nowhere to write them down.
    lost: u64,
    unwritten: VecDeque<Event>,
}

/// The attempts of one actor since the first of them.
struct Window {
    since: Timestamp,
    lines: Vec<Line>,
}

/// Attempts that differ in nothing but time and source.
struct Line {
    action: Option<&'static str>,
    reason: &'static str,
    subject: Subject,
    source: Option<String>,
    /// Those that are not in the trail.
    count: u64,
    last_at: Timestamp,
    is_known: bool,
}

impl<S: KeyStore> DenialLog<S> {
    pub(crate) fn new(
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
        interval: Duration,
        notifier: Notifier,
    ) -> Self {
        let (background, counts, turn) = (Background::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { store, clock, timeout, interval, notifier, background, counts, turn }
    }

    /// Counts an attempt. Nobody waits for it to be written.
    pub(super) fn note(self: &Arc<Self>, attempt: Attempt) {
        self.lock().add(attempt, self.clock.now());
        self.start();
    }

    /// Writes what is due: the first of its kind, and repeats whose hour is over; all of it `at_the_end`.
    ///
    /// # Errors
    /// Those of [`KeyStore::append_events`]. What is not written is kept. If the store did not say whether it wrote a batch,
    /// the batch is written again: attempts may then be there twice.
    pub(crate) async fn flush(&self, at_the_end: bool) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.write().await?;
        // Only now: as long as nothing can be written, lines go on counting instead of becoming more.
        self.lock().collect(self.clock.now(), at_the_end);
        self.write().await
    }

    async fn write(&self) -> Result<(), StoreError> {
        loop {
            let events: Vec<Event> = self.lock().unwritten.iter().take(BATCH).cloned().collect();
            if events.is_empty() {
                return Ok(());
            }
            let rows: Vec<EventRow> = events.iter().map(EventRow::from).collect();
            guarded_change(self.timeout, || self.store.append_events(&rows)).await?;
            self.lock().unwritten.drain(..events.len());
            self.notifier.tell(&events);
        }
    }

    fn start(self: &Arc<Self>) {
        self.background.start(|| {
            let (denials, interval) = (Arc::downgrade(self), self.interval);
            async move {
                loop {
                    tokio::time::sleep(interval).await;
                    let Some(denials) = denials.upgrade() else { break };
                    if let Err(_error) = denials.flush(false).await {
                        let _error = &_error as &dyn std::error::Error;
                        log!(warn, error = _error, "denied attempts could not be added to the audit trail");
                    }
                }
            }
        });
    }
}

impl<S> DenialLog<S> {
    /// A panic elsewhere leaves counts as they are: each is a whole number at any moment.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, attempt: Attempt, now: Timestamp) {
        let actor = (attempt.organization.clone(), attempt.actor.clone());
        if let Some(window) = self.actors.get_mut(&actor) {
            window.add(attempt, now);
        } else if self.actors.len() < MOST_ACTORS {
            self.actors.entry(actor).or_insert_with(|| Window::new(now)).add(attempt, now);
        } else if self.others.len() < MOST_ACTORS || self.others.contains_key(&attempt.organization) {
            let subject = Subject::Owner(owner_of(&attempt.subject).clone());
            let window = self.others.entry(attempt.organization).or_insert_with(|| Window::new(now));
            window.count(None, OTHER_ACTORS, subject, None, now);
        } else {
            self.lost += 1;
        }
    }

    fn collect(&mut self, now: Timestamp, at_the_end: bool) {
        let Self { actors, others, lost, unwritten } = self;
        actors.retain(|(organization, actor), window| {
            unwritten.extend(window.take(organization, actor, now, at_the_end));
            !window.is_over(now)
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
        now >= self.since.saturating_add(WINDOW)
    }

    fn add(&mut self, attempt: Attempt, now: Timestamp) {
        let Attempt { action, reason, subject, source, .. } = attempt;
        if self.lines.len() < MOST_LINES - 1 || self.line(action, reason, &subject).is_some() {
            self.count(action, reason, subject, source, now);
        } else {
            // About the owner that was aimed at by the first of them.
            let last = self.lines.iter().find(|line| line.reason == VARIOUS).map(|line| line.subject.clone());
            let subject = last.unwrap_or_else(|| Subject::Owner(owner_of(&subject).clone()));
            self.count(None, VARIOUS, subject, None, now);
        }
    }

    fn line(&mut self, action: Option<&str>, reason: &str, subject: &Subject) -> Option<&mut Line> {
        let is_same = |line: &&mut Line| (line.action, line.reason, &line.subject) == (action, reason, subject);
        self.lines.iter_mut().find(is_same)
    }

    fn count(
        &mut self,
        action: Option<&'static str>,
        reason: &'static str,
        subject: Subject,
        source: Option<String>,
        now: Timestamp,
    ) {
        match self.line(action, reason, &subject) {
            Some(line) => {
                line.count += 1;
                line.last_at = now;
                if line.source != source {
                    line.source = None;
                }
            }
            None => self.lines.push(Line { action, reason, subject, source, count: 1, last_at: now, is_known: false }),
        }
    }

    /// What is to be written of it.
    fn take(&mut self, organization: &OrganizationId, actor: &ActorId, now: Timestamp, at_the_end: bool) -> Vec<Event> {
        let repeats_are_due = at_the_end || self.is_over(now);
        let due = self.lines.iter_mut().filter(|line| line.count > 0 && (!line.is_known || repeats_are_due));
        due.map(|line| line.take(organization.clone(), actor.clone())).collect()
    }
}

impl Line {
    fn take(&mut self, organization: OrganizationId, actor: ActorId) -> Event {
        #[derive(serde::Serialize)]
        struct Said {
            #[serde(skip_serializing_if = "Option::is_none")]
            action: Option<&'static str>,
            reason: &'static str,
            count: u64,
        }
        self.is_known = true;
        let said = Said { action: self.action, reason: self.reason, count: std::mem::take(&mut self.count) };
        // Fails only on maps whose keys are no strings; there is none.
        let said = serde_json::to_string(&said).unwrap_or_default();
        Event::new(organization, self.last_at, actor, Action::MANAGE_DENIED, self.subject.clone())
            .with_change(None, Some(said))
            .with_source(self.source.clone())
    }
}

/// Whether an event tells of something that only those may know who see all of the organization.
pub(super) fn is_for_the_organization(event: &Event) -> bool {
    #[derive(serde::Deserialize)]
    struct Said {
        reason: String,
    }
    if event.action == Action::ATTEMPTS_DROPPED {
        // They may have been of any key.
        return true;
    }
    event.action == Action::MANAGE_DENIED && {
        let said = event.after.as_deref().map(serde_json::from_str::<Said>);
        // What cannot be read is not shown either.
        !matches!(said, Some(Ok(Said { reason })) if reason != NOT_FOUND && reason != OTHER_ACTORS && reason != VARIOUS)
    }
}

fn owner_of(subject: &Subject) -> &Owner {
    match subject {
        Subject::Key(_, owner) | Subject::Owner(owner) => owner,
    }
}

impl<S> fmt::Debug for DenialLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialLog").finish_non_exhaustive()
    }
}
