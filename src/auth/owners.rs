use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{
    owner::{OrganizationId, OwnerRef},
    principal::SharedOwner,
};

/// The owners of cached keys, each once, and how often any owner changed.
#[derive(Default)]
pub(super) struct Owners {
    changes: u64,
    known: HashSet<OwnerEntry>,
    organizations: HashSet<OrganizationId>,
    /// The number of owners or organizations at which unused ones are removed.
    sweep_at: usize,
}

struct OwnerEntry(Arc<SharedOwner>);

impl Owners {
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The owner that all its cached keys share.
    pub(super) fn share(&mut self, owner: Arc<SharedOwner>) -> Arc<SharedOwner> {
        if let Some(OwnerEntry(owner)) = self.known.get(&owner.of) {
            return Arc::clone(owner);
        }
        if self.known.len().max(self.organizations.len()) >= self.sweep_at {
            self.sweep();
        }
        let owner = match self.organizations.get(&owner.of.organization) {
            Some(known) => SharedOwner::new(OwnerRef { organization: known.clone(), owner: owner.of.owner.clone() }),
            None => {
                self.organizations.insert(owner.of.organization.clone());
                owner
            }
        };
        self.known.insert(OwnerEntry(Arc::clone(&owner)));
        owner
    }

    /// This owner changed: the cached records of its keys are not current any more.
    pub(super) fn changed(&mut self, owner: &OwnerRef) {
        self.changes += 1;
        if let Some(OwnerEntry(owner)) = self.known.take(owner) {
            owner.outdate();
        }
    }

    /// All owners of this organization changed. Rare, so all owners are searched.
    pub(super) fn organization_changed(&mut self, organization: &OrganizationId) {
        self.changes += 1;
        self.known.retain(|OwnerEntry(owner)| {
            let is_another = owner.of.organization != *organization;
            if !is_another {
                owner.outdate();
            }
            is_another
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.known.len(), self.organizations.len())
    }

    fn sweep(&mut self) {
        self.known.retain(|OwnerEntry(owner)| Arc::strong_count(owner) > 1);
        self.organizations = self.known.iter().map(|OwnerEntry(owner)| owner.of.organization.clone()).collect();
        self.sweep_at = (self.known.len() * 2).max(1_024);
    }
}

impl Borrow<OwnerRef> for OwnerEntry {
    fn borrow(&self) -> &OwnerRef {
        &self.0.of
    }
}

impl PartialEq for OwnerEntry {
    fn eq(&self, other: &Self) -> bool {
        self.0.of == other.0.of
    }
}

impl Eq for OwnerEntry {}

impl Hash for OwnerEntry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.of.hash(state);
    }
}
