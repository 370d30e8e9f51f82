//! Who reviewed a key, and when: a label of the key, so that it is in exports and every change of it is in the trail.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use tower_api_keys::{
    KeyId, Timestamp,
    audit::{Action, Event, Subject},
    manage::{AuditQuery, EditKey, KeyInfo, ManageError, ManageErrorKind, Names},
    record::{ActorId, InvalidLabels, Labels},
};

use crate::page::{
    answer::Stop,
    request::Call,
    times::{self, When},
    views::Person,
};

const REVIEWED: &str = "reviewed";
/// How many changes of labels are looked at.
const MOST_EVENTS: u16 = 1_000;
/// In milliseconds.
const A_MINUTE: i64 = 60_000;

/// The last review of a key.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reviewed {
    on: When,
    by: Person,
    /// What changed since then.
    since: String,
}

/// The labels that the trail confirms: everyone who may edit a key can write any label, and a rotation takes labels over.
pub(super) struct Reviews(BTreeSet<(KeyId, String)>);

impl Reviews {
    /// Those of these keys, with one read of the trail if any of them has such a label.
    pub(super) async fn of(call: &Call, keys: &[KeyInfo]) -> Result<Self, Stop> {
        let days = keys.iter().filter_map(|key| times::of_day(label(key)?.0));
        let Some(earliest) = days.min() else { return Ok(Self(BTreeSet::new())) };
        let query = AuditQuery::all().action(Action::KEY_RELABELLED).from(earliest).limit(MOST_EVENTS);
        let page = call.manager.events(query.clone(), &call.actor).await?;
        let mut reviews = Self(page.entries.iter().filter_map(|entry| confirmed(&entry.event)).collect());
        if page.next.is_some() {
            // Too many for one read: each key whose label is not confirmed so far is asked about.
            for key in keys {
                if label(key).is_none_or(|label| reviews.has(&key.id, label)) {
                    continue;
                }
                let page = call.manager.events(query.clone().of_key(key.id), &call.actor).await?;
                reviews.0.extend(page.entries.iter().filter_map(|entry| confirmed(&entry.event)));
            }
        }
        Ok(reviews)
    }

    fn has(&self, key: &KeyId, (day, by): (&str, &str)) -> bool {
        self.0.contains(&(*key, format!("{day} {by}")))
    }

    /// What the label of a key says; `None` for a key that nobody reviewed.
    pub(super) fn of_key(&self, call: &Call, key: &KeyInfo, names: &Names) -> Option<Reviewed> {
        let (day, by) = label(key)?;
        if !self.has(&key.id, (day, by)) {
            return None;
        }
        let by = Person::of(call, &by.parse().ok()?, names);
        let since = call.at(&format!("/trail?key={}&from={day}", key.id));
        Some(Reviewed { on: When::date(times::of_day(day)?, call.site.words()), by, since })
    }
}

/// The day and the person in the label of a key.
fn label(key: &KeyInfo) -> Option<(&str, &str)> {
    key.labels.value(REVIEWED)?.split_once(' ')
}

/// The key and its label, if the actor wrote it about itself and about that day.
fn confirmed(event: &Event) -> Option<(KeyId, String)> {
    let Subject::Key(id, _) = &event.subject else { return None };
    let labels: Value = serde_json::from_str(event.after.as_deref()?).ok()?;
    let written = labels.get(REVIEWED)?.as_str()?;
    // It was written shortly after its day was asked for.
    let asked_at = Timestamp::from_millis(event.at.as_millis() - A_MINUTE).unwrap_or(event.at);
    let is_true = [event.at, asked_at].iter().any(|at| written == mark_of(&event.actor, *at));
    is_true.then(|| (*id, written.to_owned()))
}

/// The value of the label: `2026-11-02 user:alice`.
fn mark_of(by: &ActorId, at: Timestamp) -> String {
    format!("{} {by}", times::day(at))
}

/// Marks these keys as reviewed today by the caller. Says how many were, and why others were not.
pub(super) async fn mark(call: &Call, ids: &[KeyId]) -> Result<Vec<String>, Stop> {
    let words = call.site.words();
    let (mut marked, mut problems, mut now) = (0_usize, Vec::new(), None);
    for id in ids {
        let why = match mark_one(call, id, &mut now).await {
            Ok(()) => {
                marked += 1;
                continue;
            }
            Err(Wrong::Labels(error)) => words.sentence(&error.sentence()),
            Err(Wrong::Manage(error)) if is_of_this_key(error.kind()) => words.sentence(&error.sentence()),
            Err(Wrong::Manage(error)) => return Err(error.into()),
        };
        problems.push(words.say("review.not_marked", &[("key", id.to_string()), ("why", why)]));
    }
    let done = words.say("review.marked", &[("count", marked.to_string())]);
    Ok([done].into_iter().chain(problems).collect())
}

enum Wrong {
    Labels(InvalidLabels),
    Manage(ManageError),
}

impl From<ManageError> for Wrong {
    fn from(error: ManageError) -> Self {
        Self::Manage(error)
    }
}

/// Whether other keys may still be marked.
const fn is_of_this_key(kind: ManageErrorKind) -> bool {
    matches!(
        kind,
        ManageErrorKind::Conflict
            | ManageErrorKind::CorruptRecord
            | ManageErrorKind::Denied(_)
            | ManageErrorKind::KeyRevoked
            | ManageErrorKind::NotFound
            | ManageErrorKind::VersionDiffers { .. }
    )
}

/// The time is asked for once: the day is the same for all keys of a form.
async fn mark_one(call: &Call, id: &KeyId, now: &mut Option<Timestamp>) -> Result<(), Wrong> {
    let key = call.manager.find(id, &call.actor).await?;
    let at = match *now {
        Some(at) => at,
        None => call.manager.usage(id, 0, &call.actor).await?.asked_at,
    };
    *now = Some(at);
    let known = key.labels.iter().filter(|(label, _)| *label != REVIEWED);
    let known = known.map(|(label, value)| (label.to_owned(), value.to_owned()));
    let mark = (REVIEWED.to_owned(), mark_of(&call.actor.id(), at));
    let labels = Labels::new(known.chain([mark])).map_err(Wrong::Labels)?;
    call.manager.edit(EditKey::of(*id).labels(labels).expecting(key.version), &call.actor).await?;
    Ok(())
}
