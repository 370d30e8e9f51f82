//! Whose status a row of a database is: the same for the code that writes it and the code that reads it.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::erasure::Erasure;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::owner::{OrganizationId, OwnerRef};

/// Whose status a row is: a user's, a team's, or that of an organization, whose kind is `organization` and whose id is
/// empty.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusOf<'a> {
    pub(crate) organization: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) id: &'a str,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl<'a> StatusOf<'a> {
    pub(crate) fn organization(organization: &'a OrganizationId) -> Self {
        Self { organization: organization.as_str(), kind: ORGANIZATION, id: "" }
    }

    pub(crate) fn erased(of: &'a Erasure) -> Self {
        let (kind, id) = of.owner.as_ref().map_or((ORGANIZATION, ""), |owner| (owner.kind().as_str(), owner.id()));
        Self { organization: of.organization.as_str(), kind, id }
    }

    pub(crate) fn owner(of: &'a OwnerRef) -> Self {
        Self { organization: of.organization.as_str(), kind: of.owner.kind().as_str(), id: of.owner.id() }
    }
}

/// The kind of an organization's status.
pub(crate) const ORGANIZATION: &str = "organization";
