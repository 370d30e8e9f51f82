//! How many owners of live keys were missing in a directory when it was last asked.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::owner::{KeyKind, OrganizationId};

/// Numbers by organization and kind, each from the last time it was asked for. None before that.
#[derive(Debug, Default)]
pub(crate) struct MissingOwners(Mutex<BTreeMap<(OrganizationId, KeyKind), usize>>);

impl MissingOwners {
    pub(crate) fn set(&self, organization: &OrganizationId, kind: KeyKind, owners: usize) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.insert((organization.clone(), kind), owners);
    }

    /// The sum; none if it was never asked for.
    pub(crate) fn sum(&self) -> Option<usize> {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!missing.is_empty()).then(|| missing.values().sum())
    }
}
