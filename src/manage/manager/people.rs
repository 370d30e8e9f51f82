use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
};

use super::{
    KeyManager, read,
    walk::{LARGEST_PAGE, cursor},
};
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        advice::{self, BlastRadius, ExposedKey, Exposure, Saw, StoppingKey},
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        policy::{KeyAction, Target},
    },
    owner::{Owner, UserId},
    record::{ActorId, KeyRecord, OwnerStatus},
    store::{FoundKey, KeyQuery, KeyStore, ListedKey, Liveness, guarded},
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
    /// [`ManageErrorKind`]: not found, denied, corrupt record (of the person), store unavailable.
    pub async fn blast_radius(&self, user: &UserId, actor: &Actor) -> Result<BlastRadius, ManageError> {
        self.admit(actor)?;
        let owner = Owner::User(user.clone());
        self.permit(actor, KeyAction::SeeBlastRadius, &Target::Owner(&owner))?;
        let at = self.0.clock.now();
        let of = self.owner_ref(&owner);
        let status = guarded(self.0.timeout, || self.0.store.owner_status(&of)).await?;
        let corrupt = |error| ManageError::new(ManageErrorKind::CorruptRecord).with_source(error);
        let user_status = OwnerStatus::try_from(&status).map_err(corrupt)?;

        let live = KeyQuery { liveness: Some(Liveness::Live), ..KeyQuery::all(self.0.organization.clone()) };
        let own = self.walk(KeyQuery { owner: Some(owner.clone()), ..live.clone() }, at).await?;
        let made = self.walk(KeyQuery { creator: Some(ActorId::User(user.clone())), ..live }, at).await?;
        let made = made.into_iter().filter(|row| row.key.kind != "user" || row.key.owner != user.as_str());

        let mut unreadable = Vec::new();
        let own: Vec<_> = own.into_iter().filter_map(|row| self.shown(row, actor, &mut unreadable)).collect();
        let made: Vec<_> = made.filter_map(|row| self.shown(row, actor, &mut unreadable)).collect();
        let used: Vec<_> = own.iter().filter(|(_, info)| info.usage.is_some()).map(|(record, _)| record.id).collect();
        let mut details = self.usage_of(&used).await?;
        let mut stops: Vec<_> = own
            .into_iter()
            .map(|(record, key)| stopping(&record, key, &details.remove(&record.id).unwrap_or_default(), at))
            .collect();
        stops.sort_by_key(|stops| Reverse(stops.key.usage.and_then(|usage| usage.last_success_at)));
        let goes_on = made.into_iter().map(|(_, info)| info).collect();
        Ok(BlastRadius { user: user.clone(), user_status, at, stops, goes_on, unreadable })
    }

    /// The live keys whose text this person saw: their personal keys, keys they made or rotated, and keys that were made
    /// with any of these, and with those, and so on. What to rotate when they leave.
    ///
    /// Asks the store once, and once more for each further thousand, about the person, and about each key that is found,
    /// dead ones too: a dead key may have made live ones.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: not found, denied, store unavailable.
    pub async fn exposure(&self, user: &UserId, actor: &Actor) -> Result<Exposure, ManageError> {
        self.admit(actor)?;
        let owner = Owner::User(user.clone());
        self.permit(actor, KeyAction::SeeExposure, &Target::Owner(&owner))?;
        let now = self.0.clock.now();
        let all = KeyQuery::all(self.0.organization.clone());
        let mut found = Found::default();
        for row in self.walk(KeyQuery { owner: Some(owner), ..all.clone() }, now).await? {
            found.add(row, |_| Saw::Holds);
        }
        let made = KeyQuery { creator: Some(ActorId::User(user.clone())), ..all.clone() };
        for row in self.walk(made, now).await? {
            found.add(row, |row| if row.key.replaces.is_some() { Saw::Rotated } else { Saw::Issued });
        }
        while let Some(maker) = found.next.pop_front() {
            for row in self.walk(KeyQuery { maker: Some(maker), ..all.clone() }, now).await? {
                found.add(row, |_| Saw::MadeWith(maker));
            }
        }
        let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
        for (row, saw) in found.rows.into_iter().filter(|(row, _)| is_live(row, now)) {
            keys.extend(self.shown(row, actor, &mut unreadable).map(|(_, key)| ExposedKey { key, saw }));
        }
        Ok(Exposure { user: user.clone(), keys, unreadable })
    }

    /// Everything that a query finds, page by page.
    async fn walk(&self, mut query: KeyQuery, now: Timestamp) -> Result<Vec<ListedKey>, ManageError> {
        query.limit = LARGEST_PAGE;
        let mut rows = Vec::new();
        loop {
            let page = guarded(self.0.timeout, || self.0.store.list(&query, now)).await?;
            query.after = match page.rows.last() {
                Some(last) if page.more => Some(cursor(last)?),
                _ => None,
            };
            rows.extend(page.rows.into_iter().filter(|row| row.key.organization == self.0.organization.as_str()));
            if query.after.is_none() {
                return Ok(rows);
            }
        }
    }

    /// A key as the actor may see it; if nobody can read its record, its id goes to the unreadable ones.
    fn shown(&self, row: ListedKey, actor: &Actor, unreadable: &mut Vec<KeyId>) -> Option<(KeyRecord, KeyInfo)> {
        let usage = row.usage;
        let found = FoundKey { key: row.key, owner: row.owner };
        let Ok((record, status)) = read(&found) else {
            if self.may_know_of(actor, &found) {
                unreadable.extend(KeyId::new(&found.key.id));
            }
            return None;
        };
        let target = Target::key(&record);
        if !self.allows(actor, KeyAction::See, &target) {
            return None;
        }
        let usage = self.allows(actor, KeyAction::SeeUsage, &target).then_some(usage);
        let info = KeyInfo::new(record.clone(), status, usage);
        Some((record, info))
    }
}

fn stopping(record: &KeyRecord, key: KeyInfo, usage: &UsageDetail, at: Timestamp) -> StoppingKey {
    let mut sources: Vec<_> = usage.successes().cloned().collect();
    sources.sort_by_key(|source| Reverse(source.last_at));
    StoppingKey { key, sources, shared_because: advice::shared_because(record, usage, at) }
}

/// Keys in the order in which they are found, each once.
#[derive(Default)]
struct Found {
    seen: HashSet<KeyId>,
    rows: Vec<(ListedKey, Saw)>,
    /// Of which nobody has asked yet what they made.
    next: VecDeque<KeyId>,
}

impl Found {
    fn add(&mut self, row: ListedKey, saw: impl FnOnce(&ListedKey) -> Saw) {
        // An id that cannot be read names no key that anybody could have used.
        let Ok(id) = KeyId::new(&row.key.id) else { return };
        if self.seen.insert(id) {
            self.next.push_back(id);
            let saw = saw(&row);
            self.rows.push((row, saw));
        }
    }
}

/// Neither revoked nor expired, also where the rest of the record cannot be read.
fn is_live(row: &ListedKey, now: Timestamp) -> bool {
    row.key.revoked_at.is_none() && row.key.expires_at.is_none_or(|end| now.as_millis() < end)
}
