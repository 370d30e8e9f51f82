//! Where the keys of a list are, so that a list looks at no other organization's keys, and one of an owner at no other's.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use crate::{
    owner::{OrganizationId, Owner, OwnerRef},
    record::KeyRow,
};

/// The places of all keys in the order of lists, which is that of the time of creation, then the id.
#[derive(Debug, Default)]
pub(super) struct Places {
    of_organization: HashMap<String, BTreeSet<(i64, String)>>,
    of_owner: HashMap<OwnerRef, BTreeSet<(i64, String)>>,
}

impl Places {
    /// To be told of each key once: nothing changes whose it is, nor when it was made.
    pub(super) fn add(&mut self, key: &KeyRow) {
        let place = || (key.created_at, key.id.clone());
        self.of_organization.entry(key.organization.clone()).or_default().insert(place());
        // No list asks for the keys of an owner whose name cannot be read.
        if let Some(owner) = OwnerRef::of(key) {
            self.of_owner.entry(owner).or_default().insert(place());
        }
    }

    /// To be told of each key that is taken away.
    pub(super) fn remove(&mut self, key: &KeyRow) {
        let place = (key.created_at, key.id.clone());
        if let Some(places) = self.of_organization.get_mut(&key.organization) {
            places.remove(&place);
        }
        if let Some(places) = OwnerRef::of(key).and_then(|owner| self.of_owner.get_mut(&owner)) {
            places.remove(&place);
        }
    }

    /// Forgets for whom there was a place, where there is none left.
    pub(super) fn forget_the_empty(&mut self) {
        self.of_organization.retain(|_, places| !places.is_empty());
        self.of_owner.retain(|_, places| !places.is_empty());
    }

    /// The ids of an organization's keys between two places, neither of which is among them. Of a single owner, if one is
    /// named.
    pub(super) fn between(
        &self,
        organization: &OrganizationId,
        owner: Option<&Owner>,
        after: (i64, &str),
        before: (i64, &str),
    ) -> impl DoubleEndedIterator<Item = &str> {
        let places = match owner {
            None => self.of_organization.get(organization.as_str()),
            Some(owner) => self.of_owner.get(&OwnerRef { organization: organization.clone(), owner: owner.clone() }),
        };
        let bound = |(at, id): (i64, &str)| Bound::Excluded((at, id.to_owned()));
        // The set panics at a range that ends before it begins.
        let range = (after < before).then(|| (bound(after), bound(before)));
        let found = places.zip(range).into_iter().flat_map(|(places, range)| places.range(range));
        found.map(|(_, id)| id.as_str())
    }
}
