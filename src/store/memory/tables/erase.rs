use std::collections::HashSet;

use super::{Logged, Tables, Whose};
use crate::{
    key::KeyId,
    owner::OwnerRef,
    record::OwnerStatusRow,
    store::{ChangeId, Erasure},
};

impl Whose {
    /// Whose status the erasure deletes.
    pub(in crate::store::memory) fn erased_by(erasure: &Erasure) -> Self {
        let organization = erasure.organization.clone();
        match erasure.owner.clone() {
            None => Self::Organization(organization),
            Some(owner) => Self::Owner(OwnerRef { organization, owner }),
        }
    }

    /// The same under the pseudonym, if it is erased or belongs to the erased organization.
    fn renamed(&self, erasure: &Erasure) -> Self {
        // Never fails, because a pseudonym is a valid id. The old name would do no harm: it no longer exists.
        match self {
            Self::Organization(of) if erasure.owner.is_none() && *of == erasure.organization => {
                Self::Organization(erasure.pseudonym.organization().unwrap_or_else(|_| of.clone()))
            }
            Self::Organization(of) => Self::Organization(of.clone()),
            Self::Owner(of) => Self::Owner(erasure.renamed_owner(of).unwrap_or_else(|_| of.clone())),
        }
    }
}

impl Tables {
    /// Erases an owner or an organization, in a change that does nothing else. Nothing here can fail.
    pub(super) fn erase(&mut self, erasure: &Erasure, change: ChangeId) {
        let organization = erasure.organization.as_str();
        let keys: Vec<String> = self.keys.values().filter(|key| erasure.takes(key)).map(|key| key.id.clone()).collect();
        let told = self.events.all().filter(|event| erasure.is_about(event)).filter_map(|event| event.key.clone());
        let mut theirs: HashSet<String> = told.chain(keys.iter().cloned()).collect();
        if erasure.owner.is_none() {
            let dead = self.tombstones.values().filter(|dead| dead.organization == organization);
            theirs.extend(dead.map(|dead| dead.id.clone()));
        }
        let made = self.keys.values().filter(|key| erasure.made(key)).map(|key| key.id.clone());
        let made: HashSet<String> = made.collect();

        for done in self.changes.values_mut() {
            if done.key_made.as_ref().is_some_and(|key| theirs.contains(key) || made.contains(key)) {
                done.request = None;
            }
        }
        let changes = &self.changes;
        self.requests.retain(|_, id| changes.get(id).is_some_and(|done| done.request.is_some()));
        self.usage.retain(|(key, of), _| match key {
            Some(key) => !theirs.contains(key),
            None => erasure.owner.is_some() || of.as_deref() != Some(organization),
        });
        self.days.retain(|(key, _), _| !theirs.contains(key));
        self.events.replace(|event| erasure.renamed_event(event, |key| theirs.contains(key)));

        keys.iter().for_each(|id| self.take_away(id));
        self.places.forget_the_empty();
        let mut logged = Vec::new();
        for key in self.keys.values_mut() {
            let renamed = erasure.renamed_key(key);
            if (&renamed.revoked_by, &renamed.paused_by) != (&key.revoked_by, &key.paused_by) {
                logged.extend(KeyId::new(&key.id).ok().map(Logged::Key));
            }
            *key = renamed;
        }
        let is_whole = erasure.owner.is_none();
        let goes = |of: &OwnerRef| {
            of.organization == erasure.organization && erasure.owner.as_ref().is_none_or(|owner| *owner == of.owner)
        };
        let statuses = self.owners.extract_if(|of, _| goes(of)).map(|(of, status)| (Whose::Owner(of), status));
        let mut statuses: Vec<(Whose, OwnerStatusRow)> = statuses.collect();
        if is_whole {
            let status = self.organizations.remove(&erasure.organization);
            statuses.extend(status.map(|status| (Whose::Organization(erasure.organization.clone()), status)));
            for dead in self.tombstones.values_mut().filter(|dead| dead.organization == organization) {
                dead.organization = erasure.pseudonym.to_string();
            }
        }
        let told = statuses.into_iter().filter(|(_, status)| *status != OwnerStatusRow::default());
        logged.extend(told.map(|(whose, _)| Logged::Status(whose)));
        logged.into_iter().for_each(|logged| self.log(change, logged));
        // Rows of the log that were not read yet must not name the erased owner. The log names each of their deleted
        // keys.
        for (_, logged) in &mut self.log {
            if let Logged::Status(whose) = logged {
                *whose = whose.renamed(erasure);
            }
        }
    }
}
