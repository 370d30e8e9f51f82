//! In a file of its own, so that one place decides when a text is the one that was proved.

use std::{net::IpAddr, sync::Arc};

use super::{cache::Entry, digest::Digest};
use crate::{
    key::{PlaintextKey, PrefixIndex},
    owner::OrganizationId,
};

/// A well-formed key to be checked.
pub(super) struct Candidate {
    pub(super) key: Arc<PlaintextKey>,
    pub(super) prefix: PrefixIndex,
    pub(super) digest: Digest,
    /// The organization of the layer it came to, if the layer has one.
    pub(super) organization: Option<OrganizationId>,
    /// The address it came from, if known: the request is gone when it is needed.
    pub(super) address: Option<IpAddr>,
}

impl Candidate {
    pub(super) fn is_proved_by(&self, entry: &Entry) -> bool {
        proves(entry, self.prefix, &self.digest)
    }
}

/// Whether a text with this prefix and digest is the one that was proved.
///
/// The digest covers the secret and its checksum. These do not distinguish prefixes for certain, so the prefix is
/// compared separately. It is not secret.
pub(super) fn proves(entry: &Entry, prefix: PrefixIndex, digest: &Digest) -> bool {
    entry.prefix == prefix && entry.digest.matches(digest).is_ok()
}
