//! What is left to replace after a person left: the keys whose text they saw and that still work. It is read from the
//! store each time, so it is the same after a reload and for a colleague.

use std::collections::BTreeSet;

use serde::Serialize;
use tower_api_keys::{
    UserId,
    manage::{Exposure, KeyAction, ListKeys, ManageErrorKind},
    record::ActorId,
    store::Liveness,
};

use crate::page::{
    answer::Stop,
    request::Call,
    views::{Button, KeyView, buttons, is_rotating},
};

/// How many keys are asked about one by one: whether their rotation is under way.
const MOST: usize = 50;
/// How many of those that are done are shown.
const DONE: u16 = 20;

#[derive(Serialize)]
pub(super) struct Checklist {
    sentence: String,
    /// How many still have no successor that the person did not see.
    left: usize,
    keys: Vec<Item>,
    done: Vec<KeyView>,
    unreadable: usize,
}

#[derive(Serialize)]
struct Item {
    key: KeyView,
    /// How the person came to see it.
    reason: String,
    rotating: bool,
    is_left: bool,
    /// What to do next, if the caller may.
    next: Option<Button>,
}

/// The keys that a person saw, with what to do about each.
pub(super) async fn checklist(call: &Call, user: &UserId, exposure: &Exposure) -> Result<Checklist, Stop> {
    let words = call.site.words();
    let seen: BTreeSet<_> = exposure.keys.iter().map(|exposed| exposed.key.id).collect();
    let mut keys = Vec::new();
    for (index, exposed) in exposure.keys.iter().enumerate() {
        // Only this answer says whether a key has a successor.
        let found =
            if index < MOST { call.manager.find(&exposed.key.id, &call.actor).await } else { Ok(exposed.key.clone()) };
        let key = match found {
            Ok(key) => key,
            Err(error) if matches!(error.kind(), ManageErrorKind::Denied(_) | ManageErrorKind::NotFound) => {
                exposed.key.clone()
            }
            Err(error) => return Err(error.into()),
        };
        let abilities = call.manager.abilities(&key, &call.actor)?;
        let allowed = buttons(call, &key, &abilities).into_iter().filter(|button| button.allowed);
        keys.push(Item {
            rotating: is_rotating(&key),
            // The person may have rotated it and seen the new one.
            is_left: key.successor.is_none_or(|successor| seen.contains(&successor)),
            next: allowed.into_iter().find(|button| ["continue", "rotate", "delete"].contains(&button.id)),
            reason: words.sentence(&exposed.reason.sentence()),
            key: KeyView::of(call, &key, &exposure.names),
        });
    }
    Ok(Checklist {
        sentence: words.sentence(&exposure.sentence()),
        left: keys.iter().filter(|item| item.is_left).count(),
        keys,
        done: done(call, user).await?,
        unreadable: exposure.unreadable.len(),
    })
}

/// The keys that the person created and that no longer work, as far as the caller may see them.
async fn done(call: &Call, user: &UserId) -> Result<Vec<KeyView>, Stop> {
    let list = ListKeys::all().created_by(ActorId::User(user.clone())).liveness(Liveness::Dead);
    let page = call.manager.list(list.newest_first().limit(DONE), &call.actor).await?;
    // What the caller may not even use is not theirs to replace.
    let shown = page.keys.iter().filter(|key| {
        call.manager.abilities(key, &call.actor).is_ok_and(|abilities| abilities.allows(KeyAction::SeeUsage))
    });
    Ok(shown.map(|key| KeyView::of(call, key, &page.names)).collect())
}
