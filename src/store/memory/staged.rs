use std::collections::HashMap;

use super::tables::{Logged, Tables, Whose, Written};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, OwnerStatusRow},
    store::{
        Applied, AuditedWrite, Change, Conflict, Effect, Erasure, Guard, KeyUpdate, OwnerChange, OwnerRef, StoreError,
        Write, created_by,
    },
    time::Timestamp,
};

/// A change in progress: what it wrote so far, outside the tables that get it if all of it fits.
struct Staged<'a> {
    tables: &'a Tables,
    at: Timestamp,
    keys: HashMap<String, KeyRow>,
    statuses: HashMap<Whose, OwnerStatusRow>,
    events: Vec<EventRow>,
    log: Vec<Logged>,
    erasure: Option<Erasure>,
}

/// Does all of a change, or nothing.
pub(super) fn apply(tables: &mut Tables, change: &Change) -> Result<Applied, StoreError> {
    if let Some(applied) = tables.done(change)? {
        return Ok(applied);
    }
    change.erases_alone()?;
    let mut staged = Staged::new(tables, change.at);
    staged.check(&change.guards)?;
    let effects = change.writes.iter().map(|audited| staged.write(audited)).collect::<Result<_, _>>()?;
    let (written, applied) = (staged.into_written(), Applied { effects });
    tables.commit(change, written, applied.clone());
    Ok(applied)
}

impl<'a> Staged<'a> {
    fn new(tables: &'a Tables, at: Timestamp) -> Self {
        let (keys, statuses, events, log) = (HashMap::new(), HashMap::new(), Vec::new(), Vec::new());
        Self { tables, at, keys, statuses, events, log, erasure: None }
    }

    fn into_written(self) -> Written {
        let Self { keys, statuses, events, log, erasure, .. } = self;
        Written { keys: keys.into_values().collect(), statuses, events, log, erasure }
    }

    fn check(&self, guards: &[Guard]) -> Result<(), StoreError> {
        for (place, guard) in guards.iter().enumerate() {
            let (holds, conflict) = match guard {
                Guard::IssuedBelow { by, since, until, limit } => {
                    let (person, window) = (created_by(&by.owner), since.as_millis()..=until.as_millis());
                    let is_theirs = |key: &KeyRow| OwnerRef::of(key).as_ref() == Some(by);
                    let makes = |maker: &String| self.tables.key(maker).is_some_and(is_theirs);
                    let counts = |key: &&KeyRow| {
                        window.contains(&key.created_at)
                            && (key.created_by == person || key.created_via_key.as_ref().is_some_and(makes))
                    };
                    (
                        is_below(*limit, self.tables.keys_of(&by.organization, None).filter(counts)),
                        Conflict::Guard(place),
                    )
                }
                Guard::LiveKeysBelow { owner, limit } => {
                    let keys = self.tables.keys_of(&owner.organization, Some(&owner.owner));
                    (is_below(*limit, keys.filter(|key| key.is_live(self.at))), Conflict::Guard(place))
                }
                Guard::Live(id) => (self.key(id).is_some_and(|key| key.is_live(self.at)), Conflict::Guard(place)),
                Guard::NoLiveSuccessor(id) => {
                    let mut successors = self.tables.successors_of(id.as_str());
                    (!successors.any(|key| key.is_live(self.at)), Conflict::Successor)
                }
                Guard::SameRights { key, scopes, allowed_networks, expires_at } => {
                    let end = expires_at.map(Timestamp::as_millis);
                    let is_same = |row: &KeyRow| {
                        row.scopes == *scopes
                            && row.allowed_networks == *allowed_networks
                            && row.expires_at == end
                            && row.paused_at.is_none()
                    };
                    (self.key(key).is_some_and(is_same), Conflict::Guard(place))
                }
                Guard::SameVersion { key, version } => {
                    (self.key(key).is_some_and(|row| row.version == *version), Conflict::Guard(place))
                }
                Guard::OwnerActive(owner) => (self.tables.found_owner(owner).is_active(), Conflict::Guard(place)),
            };
            if !holds {
                return Err(StoreError::conflict(conflict));
            }
        }
        Ok(())
    }

    fn write(&mut self, audited: &AuditedWrite) -> Result<Effect, StoreError> {
        let outcome = match &audited.write {
            Write::Erase(erasure) => self.erase(erasure),
            Write::Insert(row) => self.insert(row),
            Write::Update(update) => self.update(update),
            Write::Pause { organization, id, by } => self.pause(organization.as_str(), id, by),
            Write::Resume { organization, id, paused_at, paused_by } => {
                self.resume(organization.as_str(), id, (Some(*paused_at), paused_by.as_deref()))
            }
            Write::Revoke { organization, id, by } => self.revoke(organization.as_str(), id, by),
            Write::WarnOfEnd { organization, id, expires_at, before_ms } => {
                Ok(self.warn_of_end(organization.as_str(), id, *expires_at, *before_ms))
            }
            Write::Organization(of, change) => self.change_status(Whose::Organization(of.clone()), *change),
            Write::Owner(of, change) => self.change_status(Whose::Owner(of.clone()), *change),
        }
        .map_err(StoreError::conflict)?;
        if outcome == Effect::Changed {
            self.events.push(audited.event.clone());
        }
        Ok(outcome)
    }

    fn key(&self, id: &KeyId) -> Option<&KeyRow> {
        self.keys.get(id.as_str()).or_else(|| self.tables.key(id.as_str()))
    }

    fn key_of(&self, organization: &str, id: &KeyId) -> Result<KeyRow, Conflict> {
        self.key(id).filter(|key| key.organization == organization).cloned().ok_or(Conflict::Missing)
    }

    fn insert(&mut self, row: &KeyRow) -> Result<Effect, Conflict> {
        if self.keys.contains_key(&row.id) || !self.tables.is_free(&row.id) {
            return Err(Conflict::IdTaken);
        }
        self.keys.insert(row.id.clone(), KeyRow { version: 1, ..row.clone() });
        Ok(Effect::Changed)
    }

    fn update(&mut self, update: &KeyUpdate) -> Result<Effect, Conflict> {
        let before = self.living_key_of(update.organization.as_str(), &update.id)?;
        if before.version != update.expected_version {
            return Err(Conflict::Version);
        }
        if before.scopes != update.scopes
            || before.allowed_networks != update.allowed_networks
            || before.expires_at != update.expires_at
        {
            self.log.push(Logged::Key(update.id));
        }
        let after = KeyRow {
            name: update.name.clone(),
            labels: update.labels.clone(),
            scopes: update.scopes.clone(),
            allowed_networks: update.allowed_networks.clone(),
            responsible: update.responsible.clone(),
            expires_at: update.expires_at,
            version: before.version + 1,
            ..before
        };
        self.keys.insert(after.id.clone(), after);
        Ok(Effect::Changed)
    }

    fn pause(&mut self, organization: &str, id: &KeyId, by: &str) -> Result<Effect, Conflict> {
        let before = self.living_key_of(organization, id)?;
        if before.paused_at.is_some() {
            return Ok(Effect::Unchanged);
        }
        let after = KeyRow {
            paused_at: Some(self.at.as_millis()),
            paused_by: Some(by.to_owned()),
            version: before.version + 1,
            ..before
        };
        self.replace_and_log(*id, after);
        Ok(Effect::Changed)
    }

    fn resume(
        &mut self,
        organization: &str,
        id: &KeyId,
        pause: (Option<i64>, Option<&str>),
    ) -> Result<Effect, Conflict> {
        let before = self.living_key_of(organization, id)?;
        if before.paused_at.is_none() {
            return Ok(Effect::Unchanged);
        }
        if (before.paused_at, before.paused_by.as_deref()) != pause {
            return Err(Conflict::Version);
        }
        self.replace_and_log(*id, KeyRow { paused_at: None, paused_by: None, version: before.version + 1, ..before });
        Ok(Effect::Changed)
    }

    fn living_key_of(&self, organization: &str, id: &KeyId) -> Result<KeyRow, Conflict> {
        let key = self.key_of(organization, id)?;
        if key.revoked_at.is_some() { Err(Conflict::Revoked) } else { Ok(key) }
    }

    fn replace_and_log(&mut self, id: KeyId, after: KeyRow) {
        self.keys.insert(after.id.clone(), after);
        self.log.push(Logged::Key(id));
    }

    fn revoke(&mut self, organization: &str, id: &KeyId, by: &str) -> Result<Effect, Conflict> {
        let before = self.key_of(organization, id)?;
        if before.revoked_at.is_some() {
            return Ok(Effect::Unchanged);
        }
        let after = KeyRow { revoked_at: Some(self.at.as_millis()), revoked_by: Some(by.to_owned()), ..before };
        self.replace_and_log(*id, after);
        Ok(Effect::Changed)
    }

    fn warn_of_end(&mut self, organization: &str, id: &KeyId, expires_at: i64, before_ms: i64) -> Effect {
        match self.key_of(organization, id) {
            Ok(key) if key.wants_warning(expires_at, before_ms) => {
                let after = KeyRow { warned_end: Some(expires_at), warned_before_ms: Some(before_ms), ..key };
                self.keys.insert(after.id.clone(), after);
                Effect::Changed
            }
            _ => Effect::Unchanged,
        }
    }

    /// An erasure is the only write of its change, so it can wait until the change is put in place.
    fn erase(&mut self, erasure: &Erasure) -> Result<Effect, Conflict> {
        if self.tables.status(&Whose::erased_by(erasure)).is_none_or(|status| status.closed_at.is_none()) {
            return Err(Conflict::NotClosed);
        }
        self.erasure = Some(erasure.clone());
        Ok(Effect::Changed)
    }

    fn change_status(&mut self, whose: Whose, change: OwnerChange) -> Result<Effect, Conflict> {
        let before = self.statuses.get(&whose).copied().or_else(|| self.tables.status(&whose)).unwrap_or_default();
        let after = change.applied_to(before, self.at)?;
        if after == before {
            return Ok(Effect::Unchanged);
        }
        self.statuses.insert(whose.clone(), after);
        self.log.push(Logged::Status(whose));
        Ok(Effect::Changed)
    }
}

/// Whether there are fewer keys than the limit.
fn is_below<T>(limit: u32, keys: impl Iterator<Item = T>) -> bool {
    // Reads no more keys than it needs.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    keys.take(limit).count() < limit
}
