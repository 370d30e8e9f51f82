//! Alone, since budgets, pairs and slots all begin with it.

use crate::{key::KeyId, owner::OrganizationId, usage::UsageRow};

/// For whom a request is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CountedFor {
    /// The key that it named, which the store has.
    Key(KeyId),
    /// It named none, and concerns this organization, or none of them. A service that has only one says of no refusal that
    /// it concerns that: so [`without_key`](Self::without_key) makes these.
    NoKey(Option<OrganizationId>),
}

impl CountedFor {
    /// A request that names no key in the store, and concerns this organization. The single one is not named.
    pub(crate) fn without_key(organization: Option<&OrganizationId>) -> Self {
        Self::NoKey(organization.filter(|organization| !organization.is_single()).cloned())
    }

    /// For whom a row of a store was counted; none if that cannot be read.
    pub(super) fn of(row: &UsageRow) -> Option<Self> {
        match (&row.key, &row.organization) {
            (Some(key), _) => KeyId::new(key).ok().map(Self::Key),
            (None, Some(organization)) => OrganizationId::new(organization).ok().map(|of| Self::NoKey(Some(of))),
            (None, None) => Some(Self::NoKey(None)),
        }
    }

    pub(super) const fn key(&self) -> Option<KeyId> {
        match self {
            Self::Key(key) => Some(*key),
            Self::NoKey(_) => None,
        }
    }
}
