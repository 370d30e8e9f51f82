//! How many owners of live keys a directory had not, when it was asked last.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::owner::{KeyKind, OrganizationId};

/// Figures by organization and kind, each as of the last time that somebody asked about those. None before that.
#[derive(Debug, Default)]
pub(crate) struct MissingOwners(Mutex<BTreeMap<(OrganizationId, KeyKind), usize>>);

impl MissingOwners {
    pub(crate) fn set(&self, organization: &OrganizationId, kind: KeyKind, owners: usize) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.insert((organization.clone(), kind), owners);
    }

    /// All together; none if nobody ever asked.
    pub(crate) fn sum(&self) -> Option<usize> {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!missing.is_empty()).then(|| missing.values().sum())
    }
}
