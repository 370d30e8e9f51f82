//! Where the keys of a list are, so that a list reads only keys of its organization, or only those of its owner.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use crate::{
    owner::{OrganizationId, Owner, OwnerRef},
    record::KeyRow,
};

/// The places of all keys in the order of lists: by time of creation, then by id.
#[derive(Debug, Default)]
pub(super) struct Places {
    of_organization: HashMap<String, BTreeSet<(i64, String)>>,
    of_owner: HashMap<OwnerRef, BTreeSet<(i64, String)>>,
}

impl Places {
    /// Call it once for each key: its organization, owner and time of creation never change.
    pub(super) fn add(&mut self, key: &KeyRow) {
        let place = || (key.created_at, key.id.clone());
        self.of_organization.entry(key.organization.clone()).or_default().insert(place());
        // No list asks for the keys of an owner whose name cannot be read.
        if let Some(owner) = OwnerRef::of(key) {
            self.of_owner.entry(owner).or_default().insert(place());
        }
    }

    /// Call it for each key that is deleted.
    pub(super) fn remove(&mut self, key: &KeyRow) {
        let place = (key.created_at, key.id.clone());
        if let Some(places) = self.of_organization.get_mut(&key.organization) {
            places.remove(&place);
        }
        if let Some(places) = OwnerRef::of(key).and_then(|owner| self.of_owner.get_mut(&owner)) {
            places.remove(&place);
        }
    }

    /// Removes organizations and owners that have no place left.
    pub(super) fn forget_the_empty(&mut self) {
        self.of_organization.retain(|_, places| !places.is_empty());
        self.of_owner.retain(|_, places| !places.is_empty());
    }

    /// The ids of an organization's keys between two places, without the keys at these places; only keys of the owner
    /// if one is named.
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
        // The set panics if a range ends before it begins.
        let range = (after < before).then(|| (bound(after), bound(before)));
        let found = places.zip(range).into_iter().flat_map(|(places, range)| places.range(range));
        found.map(|(_, id)| id.as_str())
    }
}
