//! Alone, since budgets, pairs and slots all begin with it.

use crate::{key::KeyId, owner::OrganizationId, usage::UsageRow};

/// For whom a request is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CountedFor {
    /// The key that it named, which the store has.
    Key(KeyId),
    /// It named none, and concerns this organization, or none of them.
    NoKey(Option<OrganizationId>),
}

impl CountedFor {
    /// A request that names no key in the store, and concerns this organization.
    pub(crate) fn without_key(organization: Option<&OrganizationId>) -> Self {
        Self::NoKey(organization.cloned())
    }

    /// For whom a row of a store was counted; none if that cannot be read.
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
