use std::collections::HashSet;

use super::{Logged, Tables};
use crate::{
    audit::EventRow,
    key::KeyId,
    record::KeyRow,
    store::{ChangeId, DeadKeys, EndedKeys, transfer::Tombstone},
    time::Timestamp,
};

impl Tables {
    pub(in crate::store::memory) fn ended_keys(&self, before: Timestamp) -> EndedKeys {
        let ends = || self.keys.values().filter_map(KeyRow::ended_at);
        EndedKeys { all: ends().count() as u64, before: ends().filter(|end| *end < before.as_millis()).count() as u64 }
    }

    /// Deletes the dead keys that no other key needs. Returns how many.
    pub(super) fn purge(&mut self, dead: &DeadKeys) -> u64 {
        let has_ended = |key: &KeyRow| key.ended_at().is_some_and(|end| end < dead.ended_before.as_millis());
        let makers: HashSet<(&str, &str)> = self.keys.values().filter_map(maker_of).collect();
        let is_kept = |key: &KeyRow| {
            let predecessor = key.replaces.as_ref().and_then(|id| self.keys.get(id));
            self.successors_of(&key.id).chain(predecessor).any(|other| !has_ended(other))
                || makers.contains(&(&*key.organization, &*key.id))
        };
        let mut keys: Vec<&KeyRow> = self.keys.values().filter(|key| has_ended(key) && !is_kept(key)).collect();
        keys.sort_unstable_by_key(|key| (key.ended_at(), &key.id));
        let known = keys.into_iter().filter_map(|key| Some((key.id.clone(), EventRow::of_purge(key, dead.at)?)));
        let most = usize::try_from(dead.limit()).unwrap_or(usize::MAX);
        let purged: Vec<(String, EventRow)> = known.take(most).collect();
        for (id, event) in &purged {
            self.take_away(id);
            self.events.append(std::slice::from_ref(event));
        }
        purged.len() as u64
    }

    pub(super) fn take_away(&mut self, id: &str) {
        let Some(key) = self.keys.remove(id) else { return };
        self.places.remove(&key);
        if let Some(replaced) = key.replaces.clone() {
            self.successors.remove(&(replaced, key.id.clone()));
        }
        self.tombstones.insert(key.id.clone(), Tombstone::from(&key));
        if let Ok(id) = KeyId::new(&key.id) {
            // No caller's change has this id: it only has to differ from any other id at this position of the log.
            let mut change = [0; 16];
            change.copy_from_slice(blake3::hash(id.as_str().as_bytes()).as_bytes().split_at(16).0);
            self.log(ChangeId::from_bytes(change), Logged::Key(id));
        }
    }
}

/// The key with which this one was made. It is one of the same organization.
fn maker_of(made: &KeyRow) -> Option<(&str, &str)> {
    Some((&made.organization, made.created_via_key.as_deref()?))
}
