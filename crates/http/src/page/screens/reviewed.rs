//! Who reviewed a key, and when: a label of the key, so that it is in exports and every change of it is in the trail.

use serde::Serialize;
use tower_api_keys::{
    KeyId, Owner, UserId,
    manage::{EditKey, KeyInfo, ManageError, ManageErrorKind, Names},
    record::{ActorId, InvalidLabels, Labels},
};

use crate::page::{
    answer::Stop,
    request::Call,
    times::{self, When},
    views::Person,
};

const REVIEWED: &str = "reviewed";

/// The last review of a key.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reviewed {
    on: When,
    by: Option<Person>,
    /// What changed since then.
    since: String,
}

impl Reviewed {
    /// What the label of a key says; `None` for a key that nobody reviewed.
    pub(super) fn of(call: &Call, key: &KeyInfo, names: &Names) -> Option<Self> {
        let label = key.labels.value(REVIEWED)?;
        let (day, by) = label.split_once(' ').unwrap_or((label, ""));
        let at = times::of_day(day)?;
        let by = by.parse::<ActorId>().ok();
        // A rotation takes labels over, and only the owner of a personal key can set one.
        let is_owner = |user| by == Some(ActorId::User(UserId::clone(user)));
        if day < times::day(key.created_at).as_str() || matches!(&key.owner, Owner::User(user) if !is_owner(user)) {
            return None;
        }
        let by = by.map(|by| Person::of(call, &by, names));
        let since = call.at(&format!("/trail?key={}&from={day}", key.id));
        Some(Self { on: When::date(at, call.site.words()), by, since })
    }
}

/// Marks these keys as reviewed today by the caller. Says how many were, and why others were not.
pub(super) async fn mark(call: &Call, ids: &[KeyId]) -> Result<Vec<String>, Stop> {
    let words = call.site.words();
    let (mut marked, mut problems, mut today) = (0_usize, Vec::new(), None);
    for id in ids {
        let why = match mark_one(call, id, &mut today).await {
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

/// The day is asked for once: it is the same for all keys of a form.
async fn mark_one(call: &Call, id: &KeyId, today: &mut Option<String>) -> Result<(), Wrong> {
    let key = call.manager.find(id, &call.actor).await?;
    let day = match today.take() {
        Some(day) => day,
        None => times::day(call.manager.explain(id, &call.actor).await?.asked_at),
    };
    let value = format!("{day} {}", call.actor.id());
    *today = Some(day);
    let known = key.labels.iter().filter(|(label, _)| *label != REVIEWED);
    let known = known.map(|(label, value)| (label.to_owned(), value.to_owned()));
    let labels = Labels::new(known.chain([(REVIEWED.to_owned(), value)])).map_err(Wrong::Labels)?;
    call.manager.edit(EditKey::of(*id).labels(labels).expecting(key.version), &call.actor).await?;
    Ok(())
}
