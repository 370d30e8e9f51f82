//! In a file of its own, because budgets, pairs and slots all begin with it.

use crate::{key::KeyId, owner::OrganizationId, usage::UsageRow};

/// The key or organization for which a request is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CountedFor {
    /// The key that the request named and the store has.
    Key(KeyId),
    /// The request named no key, and concerns this organization, or none.
    NoKey(Option<OrganizationId>),
}

impl CountedFor {
    /// A request that names no key in the store, and concerns this organization.
    pub(crate) fn without_key(organization: Option<&OrganizationId>) -> Self {
        Self::NoKey(organization.cloned())
    }

    /// What a row of a store was counted for; none if that cannot be read.
    pub(super) fn of(row: &UsageRow) -> Option<Self> {
        match (&row.key, &row.organization) {
            (Some(key), _) => KeyId::new(key).ok().map(Self::Key),
            (None, Some(organization)) => OrganizationId::new(organization).ok().map(|of| Self::NoKey(Some(of))),
            (None, None) => Some(Self::NoKey(None)),
        }
    }

    /// The organization that a request without a key concerns.
    pub(super) fn into_organization(self) -> Option<OrganizationId> {
        match self {
            Self::Key(_) => None,
            Self::NoKey(organization) => organization,
        }
    }

    pub(super) const fn key(&self) -> Option<KeyId> {
        match self {
            Self::Key(key) => Some(*key),
            Self::NoKey(_) => None,
        }
    }
}
