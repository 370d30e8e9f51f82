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

/// The owners of remembered keys, each once, and how often any owner changed.
#[derive(Default)]
pub(super) struct Owners {
    changes: u64,
    known: HashSet<OwnerEntry>,
    organizations: HashSet<OrganizationId>,
    /// The number of either at which those whose keys are all forgotten are swept out.
    sweep_at: usize,
}

struct OwnerEntry(Arc<SharedOwner>);

impl Owners {
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The owner that all remembered keys of this one share.
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

    /// Something changed about this owner: what is remembered of its keys is not current any more.
    pub(super) fn changed(&mut self, owner: &OwnerRef) {
        self.changes += 1;
        if let Some(OwnerEntry(owner)) = self.known.take(owner) {
            owner.outdate();
        }
    }

    /// Something changed about all owners of this organization. Rare, so that they are looked for among all.
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
