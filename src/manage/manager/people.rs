use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
};

use super::{KeyManager, sight::Shown, walk::Walk};
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        advice::{self, BlastRadius, ExposedKey, Exposure, ExposureReason, StoppingKey},
        error::ManageError,
        policy::{KeyAction, Target},
    },
    owner::{Owner, UserId},
    record::ActorId,
    store::{KeyQuery, KeyStore, ListedKey, Liveness},
    time::Timestamp,
    usage::UsageDetail,
};

impl<S: KeyStore> KeyManager<S> {
    /// What stops if this person leaves: their live personal keys, with who else seems to depend on them; and what does
    /// not stop: the live keys they made for teams, as far as the actor may see those.
    ///
    /// Everybody may ask for themselves. Reads every live key of the person and every one they made, a thousand at a
    /// time.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied, corrupt record (of the person), store
    /// unavailable.
    pub async fn blast_radius(&self, user: &UserId, actor: &Actor) -> Result<BlastRadius, ManageError> {
        self.admit(actor)?;
        let owner = Owner::User(user.clone());
        self.permit(actor, KeyAction::SeeBlastRadius, &Target::Owner(&owner))?;
        let at = self.0.clock.now();
        let user_status = self.status_of(&owner).await?;

        let live = KeyQuery { liveness: Some(Liveness::Live), ..KeyQuery::all(self.0.organization.clone()) };
        let own = self.all(KeyQuery { owner: Some(owner.clone()), ..live.clone() }).await?;
        let made = self.all(KeyQuery { creator: Some(ActorId::User(user.clone())), ..live }).await?;
        let made = made.into_iter().filter(|row| row.key.kind != "user" || row.key.owner != user.as_str());

        let mut unreadable = Vec::new();
        let own: Vec<_> = own.into_iter().filter_map(|row| self.shown(row, actor, &mut unreadable)).collect();
        let goes_on = made.filter_map(|row| self.shown(row, actor, &mut unreadable)).map(Shown::into_info).collect();
        let used: Vec<_> = own.iter().filter(|shown| shown.usage.is_some()).map(|shown| shown.record.id).collect();
        let mut details = self.usage_of(&used).await?;
        let mut stops: Vec<_> = own
            .into_iter()
            .map(|shown| {
                let usage = details.remove(&shown.record.id).unwrap_or_default();
                stopping(shown, &usage, at)
            })
            .collect();
        stops.sort_by_key(|stops| Reverse(stops.key.usage.and_then(|usage| usage.last_success_at)));
        Ok(BlastRadius { user: user.clone(), user_status, asked_at: at, stops, goes_on, unreadable })
    }

    /// The live keys whose text this person saw: their personal keys, keys they made or rotated, and keys that were made
    /// with any of these, and with those, and so on. What to rotate when they leave.
    ///
    /// Asks the store once, and once more for each further thousand, about the person, and about each key that is found,
    /// dead ones too: a dead key may have made live ones.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied, store unavailable.
    pub async fn exposure(&self, user: &UserId, actor: &Actor) -> Result<Exposure, ManageError> {
        self.admit(actor)?;
        let owner = Owner::User(user.clone());
        self.permit(actor, KeyAction::SeeExposure, &Target::Owner(&owner))?;
        let now = self.0.clock.now();
        let all = KeyQuery::all(self.0.organization.clone());
        let mut found = Found::default();
        for row in self.all(KeyQuery { owner: Some(owner), ..all.clone() }).await? {
            found.add(row, |_| ExposureReason::Holds);
        }
        let made = KeyQuery { creator: Some(ActorId::User(user.clone())), ..all.clone() };
        for row in self.all(made).await? {
            found.add(
                row,
                |row| if row.key.replaces.is_some() { ExposureReason::Rotated } else { ExposureReason::Issued },
            );
        }
        while let Some(maker) = found.next.pop_front() {
            for row in self.all(KeyQuery { maker: Some(maker), ..all.clone() }).await? {
                found.add(row, |_| ExposureReason::MadeWith(maker));
            }
        }
        let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
        for (row, reason) in found.rows.into_iter().filter(|(row, _)| row.key.is_live(now)) {
            let shown = self.shown(row, actor, &mut unreadable);
            keys.extend(shown.map(|shown| ExposedKey { key: shown.into_info(), reason }));
        }
        Ok(Exposure { user: user.clone(), keys, unreadable })
    }

    /// Everything that a query finds.
    async fn all(&self, query: KeyQuery) -> Result<Vec<ListedKey>, ManageError> {
        let (mut walk, mut rows) = (Walk::new(query), Vec::new());
        while let Some(page) = walk.next_page(self).await? {
            rows.extend(page);
        }
        Ok(rows)
    }
}

fn stopping(shown: Shown, usage: &UsageDetail, at: Timestamp) -> StoppingKey {
    let mut sources: Vec<_> = usage.successes().cloned().collect();
    sources.sort_by_key(|source| Reverse(source.last_at));
    let shared_because = advice::shared_because(&shown.record, usage, at);
    StoppingKey { key: shown.into_info(), sources, shared_because }
}

/// Keys in the order in which they are found, each once.
#[derive(Default)]
struct Found {
    seen: HashSet<KeyId>,
    rows: Vec<(ListedKey, ExposureReason)>,
    /// Of which nobody has asked yet what they made.
    next: VecDeque<KeyId>,
}

impl Found {
    fn add(&mut self, row: ListedKey, reason: impl FnOnce(&ListedKey) -> ExposureReason) {
        // An id that cannot be read names no key that anybody could have used.
        let Ok(id) = KeyId::new(&row.key.id) else { return };
        if self.seen.insert(id) {
            self.next.push_back(id);
            let reason = reason(&row);
            self.rows.push((row, reason));
        }
    }
}
