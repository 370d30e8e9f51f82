//! Denied attempts in memory, aggregated so that no actor can flood the trail or hide one attempt behind others.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    audit::{Action, Audience, Event, Subject},
    key::KeyId,
    log::log,
    owner::OrganizationId,
    record::{ActorId, SystemLabel},
    time::Timestamp,
};

/// How many actors are counted separately, in all organizations together; also the limit of organizations.
const MOST_ACTORS: usize = 10_000;

/// How many actors of one organization are counted separately, so that it does not use up the room of the others.
const MOST_ACTORS_OF_ONE: usize = 1_000;

/// How many lines of one group an actor always has room for, in one window. With the longest possible ids and sources,
/// the lines of all groups are about 16 kilobytes.
const SURE_LINES: usize = 8;

/// How many lines of one group an actor has at most, while there is extra room.
const MOST_LINES: usize = 100;

/// How many lines of one group there may be beyond the sure ones: of one organization, and of all together.
const MOST_EXTRA_OF_ONE: usize = 2_000;
const MOST_EXTRA: usize = 20_000;

/// Repeats within this time are added up.
const WINDOW: Duration = Duration::from_secs(3_600);

/// The reason for a key that does not exist. Its event is about the actor, who must not find it in their own trail,
/// because attempts on a hidden key leave no event there.
pub(in crate::manage) const NOT_FOUND: &str = "not_found";

/// The reason for a subject that the actor may not know of, whether it exists or not.
pub(in crate::manage) const HIDDEN: &str = "hidden";

/// The reason for attempts by actors beyond the limit.
const OTHER_ACTORS: &str = "other_actors";

/// The reason for an actor's attempts beyond the lines that are counted separately.
const VARIOUS: &str = "various";

/// An attempt to manage keys that was denied.
pub(in crate::manage) struct Attempt {
    pub(in crate::manage) organization: OrganizationId,
    pub(in crate::manage) actor: ActorId,
    /// The action that was tried; `None` if it was denied before that was known.
    pub(in crate::manage) action: Option<&'static str>,
    pub(in crate::manage) reason: &'static str,
    pub(in crate::manage) subject: Subject,
    /// The requested key, if it is not the subject because it does not exist.
    pub(in crate::manage) asked: Option<KeyId>,
    pub(in crate::manage) source: Option<String>,
}

/// An event about attempts, and how many attempts it is about.
pub(super) struct DenialLine {
    pub(super) event: Event,
    pub(super) attempts: u64,
}

#[derive(Default)]
pub(super) struct DenialCounts {
    of: HashMap<OrganizationId, OfOne>,
    /// How many actors are counted separately, in all organizations.
    actors: usize,
    extra: Extra,
    /// Attempts in organizations beyond the limit: they cannot be recorded.
    lost: u64,
}

/// The attempts in one organization.
#[derive(Default)]
struct OfOne {
    actors: HashMap<ActorId, Window>,
    /// Attempts by actors beyond the limit, in lines that name them.
    others: Option<Window>,
    extra: Extra,
}

/// The attempts of one actor in the window that began with the first of them.
struct Window {
    since: Timestamp,
    lines: Vec<DenialCount>,
}

/// Attempts that differ only in time and source.
struct DenialCount {
    group: Group,
    /// `None` for the actor of the window.
    actor: Option<ActorId>,
    action: Option<&'static str>,
    reason: &'static str,
    subject: Subject,
    asked: Option<KeyId>,
    source: Option<String>,
    /// The attempts that are not in the trail yet.
    count: u64,
    last_at: Timestamp,
    is_known: bool,
}

/// Lines that share room. What an actor may see has its own room: otherwise the room that is left would reveal how many
/// attempts hit something hidden, and so which of them did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Attempts on keys that do not exist: one line, whatever the key. They take no room from other groups.
    Guess,
    /// Attempts on keys that the actor may not know of.
    HiddenKey,
    /// Attempts on owners that the actor may not know of, whether they exist or not.
    HiddenOwner,
    /// What does not fit into the other groups: one line.
    Rest,
    /// Denied for a reason that the actor gets.
    Shown,
}

/// Lines beyond the sure ones, for each group that can have them.
#[derive(Clone, Copy, Default)]
struct Extra {
    hidden_keys: usize,
    hidden_owners: usize,
    shown: usize,
}

impl DenialCounts {
    pub(super) fn add(&mut self, attempt: Attempt, now: Timestamp) {
        if self.of.len() >= MOST_ACTORS && !self.of.contains_key(&attempt.organization) {
            self.lost += 1;
            return;
        }
        let one = self.of.entry(attempt.organization.clone()).or_default();
        let is_known = one.actors.contains_key(&attempt.actor);
        let is_told_apart = is_known || self.actors < MOST_ACTORS && one.actors.len() < MOST_ACTORS_OF_ONE;
        let (window, rest) = if is_told_apart {
            self.actors += usize::from(!is_known);
            (one.actors.entry(attempt.actor.clone()).or_insert_with(|| Window::new(now)), VARIOUS)
        } else {
            (one.others.get_or_insert_with(|| Window::new(now)), OTHER_ACTORS)
        };
        let (of_one, of_all) = (&mut one.extra, &mut self.extra);
        let room = |group| match (of_one.of(group), of_all.of(group)) {
            (Some(of_one), Some(of_all)) if *of_one < MOST_EXTRA_OF_ONE && *of_all < MOST_EXTRA => {
                (*of_one, *of_all) = (*of_one + 1, *of_all + 1);
                true
            }
            _ => false,
        };
        let actor = (!is_told_apart).then(|| attempt.actor.clone());
        window.add(actor, attempt, rest, room, now);
    }

    /// Moves due lines to `unwritten`: the first of its kind, and repeats whose hour is over; all of them `at_the_end`.
    pub(super) fn collect(&mut self, unwritten: &mut VecDeque<DenialLine>, now: Timestamp, at_the_end: bool) {
        let Self { of, actors, extra, lost } = self;
        (*actors, *extra) = (0, Extra::default());
        let others = SystemLabel::new("denied attempts").map(ActorId::System);
        of.retain(|organization, one| {
            one.extra = Extra::default();
            let mut remains = |actor: &ActorId, window: &mut Window| {
                unwritten.extend(window.take(organization, actor, now, at_the_end));
                let remains = !window.is_over(now);
                if remains {
                    window.add_extra(&mut [&mut one.extra, extra]);
                }
                remains
            };
            one.actors.retain(|actor, window| remains(actor, window));
            if let (Some(window), Ok(actor)) = (&mut one.others, &others)
                && !remains(actor, window)
            {
                one.others = None;
            }
            *actors += one.actors.len();
            !one.actors.is_empty() || one.others.is_some()
        });
        let _lost = std::mem::take(lost);
        if _lost > 0 {
            log!(error, count = _lost, "denied attempts of too many actors and organizations to be told apart");
        }
    }
}

impl Extra {
    const fn of(&mut self, group: Group) -> Option<&mut usize> {
        match group {
            Group::Guess | Group::Rest => None,
            Group::HiddenKey => Some(&mut self.hidden_keys),
            Group::HiddenOwner => Some(&mut self.hidden_owners),
            Group::Shown => Some(&mut self.shown),
        }
    }
}

impl Group {
    fn of(attempt: &Attempt) -> Self {
        match (attempt.reason, &attempt.subject) {
            (NOT_FOUND, _) => Self::Guess,
            (HIDDEN, Subject::Key(..)) => Self::HiddenKey,
            (HIDDEN, Subject::Organization | Subject::Owner(_)) => Self::HiddenOwner,
            _ => Self::Shown,
        }
    }
}

impl Window {
    const fn new(since: Timestamp) -> Self {
        Self { since, lines: Vec::new() }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.since.is_recent(WINDOW, now)
    }

    fn add(
        &mut self,
        actor: Option<ActorId>,
        mut attempt: Attempt,
        rest: &'static str,
        mut room: impl FnMut(Group) -> bool,
        now: Timestamp,
    ) {
        let (mut group, mut actor) = (Group::of(&attempt), actor);
        if group == Group::Guess {
            // A guess by another actor counts in the same line.
            actor = None;
        } else if !self.lines.iter().any(|line| line.is_of(group, actor.as_ref(), &attempt)) {
            let lines = self.lines_of(group);
            if lines >= SURE_LINES && (lines >= MOST_LINES || !room(group)) {
                // The subject is the owner that the first of these attempts was aimed at.
                let subject = attempt.subject.owner().cloned().map_or(Subject::Organization, Subject::Owner);
                (group, actor) = (Group::Rest, None);
                attempt = Attempt { action: None, reason: rest, subject, source: None, ..attempt };
            }
        }
        match self.lines.iter_mut().find(|line| line.is_of(group, actor.as_ref(), &attempt)) {
            Some(line) => line.count_on(attempt, now),
            None => self.lines.push(DenialCount::new(group, actor, attempt, now)),
        }
    }

    fn lines_of(&self, group: Group) -> usize {
        self.lines.iter().filter(|line| line.group == group).count()
    }

    /// Adds the number of lines beyond the sure ones.
    fn add_extra(&self, to: &mut [&mut Extra]) {
        for group in [Group::HiddenKey, Group::HiddenOwner, Group::Shown] {
            let extra = self.lines_of(group).saturating_sub(SURE_LINES);
            to.iter_mut().filter_map(|to| to.of(group)).for_each(|sum| *sum += extra);
        }
    }

    /// Takes the lines that are due to be written.
    fn take(
        &mut self,
        organization: &OrganizationId,
        actor: &ActorId,
        now: Timestamp,
        at_the_end: bool,
    ) -> Vec<DenialLine> {
        let repeats_are_due = at_the_end || self.is_over(now);
        let due = self.lines.iter_mut().filter(|line| line.count > 0 && (!line.is_known || repeats_are_due));
        due.map(|line| line.take(organization.clone(), actor, now)).collect()
    }
}

impl DenialCount {
    fn new(group: Group, actor: Option<ActorId>, attempt: Attempt, now: Timestamp) -> Self {
        let Attempt { action, reason, subject, asked, source, .. } = attempt;
        Self { group, actor, action, reason, subject, asked, source, count: 1, last_at: now, is_known: false }
    }

    /// All guesses are one line, and so is the rest.
    fn is_of(&self, group: Group, actor: Option<&ActorId>, attempt: &Attempt) -> bool {
        let is_alike = || {
            (self.actor.as_ref(), self.action, self.reason, &self.subject)
                == (actor, attempt.action, attempt.reason, &attempt.subject)
        };
        self.group == group && (matches!(group, Group::Guess | Group::Rest) || is_alike())
    }

    /// Keeps only the details that all attempts of the line have in common.
    fn count_on(&mut self, attempt: Attempt, now: Timestamp) {
        if self.count == 0 {
            (self.action, self.asked, self.source) = (attempt.action, attempt.asked, attempt.source);
        } else {
            self.action = self.action.filter(|_| self.action == attempt.action);
            self.asked = self.asked.filter(|_| self.asked == attempt.asked);
            self.source = self.source.take().filter(|source| Some(source) == attempt.source.as_ref());
        }
        self.count += 1;
        self.last_at = now;
    }

    fn take(&mut self, organization: OrganizationId, of_window: &ActorId, now: Timestamp) -> DenialLine {
        #[derive(serde::Serialize)]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
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
        // Only actors that may see the whole organization may know what does not exist or is hidden.
        let is_public = ![NOT_FOUND, OTHER_ACTORS, VARIOUS].contains(&self.reason);
        let audience = if is_public { Audience::Subject } else { Audience::Organization };
        // Fails only on maps with keys that are not strings; there are none.
        let said = serde_json::to_string(&said).unwrap_or_default();
        let actor = self.actor.as_ref().unwrap_or(of_window).clone();
        let event = Event::new(organization, self.last_at.min(now), actor, Action::MANAGE_DENIED, self.subject.clone())
            .with_change(None, Some(said))
            .with_source(self.source.clone())
            .with_audience(audience);
        DenialLine { event, attempts: count }
    }
}
