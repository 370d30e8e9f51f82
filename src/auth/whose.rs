//! In a file of its own: the checks make it, and the code that refuses and counts reads it.

use super::background::Tried;
use crate::owner::OrganizationId;

/// What a refusal is about.
pub(super) enum Whose<'a> {
    /// A key that is in the store.
    Key(Tried<'a>),
    /// No such key: it concerns the organization of the layer, if the layer has one.
    NoKey(Option<&'a OrganizationId>),
}
