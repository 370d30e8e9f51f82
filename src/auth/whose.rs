//! Alone: what checks says it, and what refuses and counts is told.

use super::background::Tried;
use crate::owner::OrganizationId;

/// Whom a refusal is about.
pub(super) enum Whose<'a> {
    /// A key that is in the store.
    Key(Tried<'a>),
    /// No such key: it concerns the organization of the layer, if that is one's.
    NoKey(Option<&'a OrganizationId>),
}
